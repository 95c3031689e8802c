"""The report of ``--validate-config``, and the rules for models that it looks at."""

from __future__ import annotations

from pathlib import Path

from olla.config.model_rules import FoundRules, find_rules
from olla.config.validate import validate
from tests.config.loading import ENDPOINTS, LoadingTestCase, forbidden


class ReportTests(LoadingTestCase):
    """The report."""

    def report(self, text: str | None = None, **environ: str) -> tuple[str, int]:
        """Return the report on a file, or on none, and the exit code."""
        if text is not None:
            self.write("config.yaml", text)
        return validate(environ=environ, cwd=self.folder)

    def test_clean(self) -> None:
        """Nothing to say is a pass, with and without a file (K48)."""
        said, code = self.report()
        self.assertEqual(code, 0)
        self.assertIn("[OK]   config.yaml  (none found, using built-in defaults)", said)
        self.assertIn("[OK]   models.yaml  using embedded defaults", said)
        self.assertIn("12 profile(s) loaded (11 listed", said)
        self.assertIn("Result: PASS", said)
        said, code = self.report("server: {port: 1}")
        self.assertEqual(code, 0)
        self.assertIn("[OK]   config.yaml  loaded from config.yaml", said)

    def test_faults(self) -> None:
        """Whatever would stop the start fails here too (K49, K83)."""
        for text in (
            "model_aliases: {a: []}",
            ENDPOINTS % '{url: "http://h", name: a, auth: {}}',
            ENDPOINTS % '{url: "http://h", name: a, type: nonsense}',
            "proxy: {engine: foo}",
            "proxy: {load_balancer: foo}",
            "model_registry: {type: foo}",
            "server: {port: [",
        ):
            said, code = self.report(text)
            self.assertEqual(code, 1, text)
            self.assertIn("[FAIL] config.yaml  loaded from config.yaml (1 issue(s))", said)
            self.assertIn("Result: FAIL", said)

    def test_missing_file(self) -> None:
        """A named file that is not there fails."""
        said, code = self.report(OLLA_CONFIG_FILE="missing.yaml")
        self.assertEqual(code, 1)
        self.assertIn("specified config file not found: missing.yaml", said)

    def test_bad_profile(self) -> None:
        """A profile that is skipped is a warning with its name, and fails (K48)."""
        self.write("config/profiles/bad.yaml", "version: 1\n")
        said, code = self.report()
        self.assertEqual(code, 1)
        self.assertIn("[WARN] profiles", said)
        self.assertIn("bad.yaml", said)

    def test_notes(self) -> None:
        """Unknown keys are notes and leave the exit code alone (K83)."""
        said, code = self.report("server: {Port: 1}")
        self.assertEqual(code, 0)
        self.assertIn("[NOTE] config.yaml:1: server.Port", said)


class RulesTests(LoadingTestCase):
    """``models.yaml``."""

    def found(self, **environ: str) -> FoundRules:
        """Look for rules in the folder."""
        return find_rules(environ, self.folder)

    def test_forbidden(self) -> None:
        """One that may not even be looked for is skipped with a warning (config.md §11): ``..`` may be anybody's."""
        self.write("config/models.yaml", "special_rules: {generic_names: [model]}\n")
        for name in ("stat", "read_bytes"):
            self.patch(Path, name, forbidden(f"{self.folder.name}/models.yaml", getattr(Path, name)))
        found = self.found()
        self.assertEqual(found.source, "config/models.yaml")
        self.assertIn("models.yaml: cannot be read: Permission denied", str(found.warnings[0]))

    def test_part(self) -> None:
        """A file with one section leaves the others to the built-in rules (K46)."""
        self.write("models.yaml", "quantization: {mappings: {Q4_K_M: q4km}}\nversion: 1\n")
        found = self.found()
        assert found.rules.quantization is not None
        self.assertEqual(found.rules.quantization.mappings, {"Q4_K_M": "q4km"})
        self.assertIsNone(found.rules.model_extraction)
        self.assertEqual((found.source, found.warnings), ("models.yaml", ()))

    def test_next_candidate(self) -> None:
        """A file that says nothing, or has a bad expression, is skipped for the next one (K47, K81)."""
        patterns = "model_extraction: {family_patterns: [{pattern: '(', family_group: 1}]}\n"
        self.write("config/models.yaml", "special_rules: {generic_names: [model]}\n")
        groups = "model_extraction: {family_patterns: [{pattern: '(a)', family_group: 1, variant_group: 2}]}\n"
        for text in ("# nothing\n", patterns, groups, "a: ["):
            self.write("models.yaml", text)
            found = self.found()
            self.assertEqual(found.source, "config/models.yaml")
            self.assertIn("this file is skipped", str(found.warnings[0]))

    def test_loaded(self) -> None:
        """A start takes the rules, says which file has them, and warns of one that is skipped (K47, K81)."""
        self.write("models.yaml", "a: [")
        self.write("config/models.yaml", "special_rules: {generic_names: [thing]}\n")
        loaded = self.loaded()
        assert loaded.config.model_rules.special_rules is not None
        self.assertEqual(loaded.config.model_rules.special_rules.generic_names, ("thing",))
        self.assertIn("config/models.yaml", str(loaded.notes[-1]))
        self.assertIn("this file is skipped", "\n".join(map(str, loaded.warnings)))

    def test_folder_variable(self) -> None:
        """The last candidate is in the folder that a variable names."""
        self.write("elsewhere/models.yaml", "special_rules: {preserve_family: [kimi]}\n")
        found = self.found(OLLA_CONFIG_DIR="elsewhere")
        assert found.rules.special_rules is not None
        self.assertEqual(found.rules.special_rules.preserve_family, ("kimi",))

    def test_dotted_keys(self) -> None:
        """A key may hold a dot, and an unknown one is warned of (config-corpus.md §7)."""
        self.write("models.yaml", "model_extraction: {family_aliases: {phi3.5: phi}, typo: 1}\n")
        found = self.found()
        assert found.rules.model_extraction is not None
        self.assertEqual(found.rules.model_extraction.family_aliases, {"phi3.5": "phi"})
        self.assertIn("model_extraction.typo", str(found.warnings[0]))
