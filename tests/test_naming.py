"""Tests of :mod:`olla.naming`."""

from __future__ import annotations

from olla.catalog.facts import FactReader, Facts
from olla.catalog.rules import Rules
from olla.config.model_rules import find_rules
from olla.domain.models import ListedModel
from olla.naming import naming_rules
from tests.config.loading import LoadingTestCase

HOUSE = """
model_extraction:
  family_patterns:
    - {pattern: "^(House)[-:](.*)$", family_group: 1, variant_group: 2}
    - {pattern: "^acme-", family_group: 0}
  architecture_mappings: {HouseForCausalLM: house}
  publisher_mappings: {House: builders}
quantization:
  mappings: {H4: h4}
capabilities:
  type_capabilities: {embedding: [Vector_Search]}
  context_thresholds: {extended_context: 1000, ultra_long_context: 5000}
  name_patterns:
    - {pattern: "ORACLE", capabilities: [Fortune_Telling]}
special_rules:
  preserve_family: [House-of-Cards]
"""


class NamingTests(LoadingTestCase):
    """``models.yaml`` at work."""

    def rules(self, text: str) -> Rules:
        """Give the rules that a ``models.yaml`` makes."""
        self.write("models.yaml", text)
        found = find_rules({}, self.folder)
        self.assertEqual((found.source, found.warnings), ("models.yaml", ()))
        return naming_rules(found.rules)

    def facts(self, text: str, model: ListedModel) -> Facts:
        """Read a model by these rules."""
        return FactReader(self.rules(text), {}).read(model, "ollama")

    def test_family(self) -> None:
        """Patterns, architectures and whole families are those of the file (config.md §11, behaviour.md §16)."""
        read = FactReader(self.rules(HOUSE), {})
        for name, architecture, family in [
            ("house-of", "", ("house", "of")),
            ("llama3.2:1b", "", ("llama", "")),
            ("x", "houseforcausallm", ("house", "")),
            ("house-of-cards:7b", "", ("house-of-cards", "")),
            ("acme-7b", "", ("acme-", "")),
        ]:
            self.assertEqual(read.family(name, architecture), family, name)
        self.assertEqual(read.publisher("house-7b", ""), "builders")

    def test_quantization(self) -> None:
        """The table of quantisations is that of the file, both ways (config.md §11)."""
        read = FactReader(self.rules(HOUSE), {})
        self.assertEqual((read.quantization("h4"), read.displayed("h4", "")), ("h4", "H4"))
        self.assertEqual(read.displayed("q4km", "as listed"), "as listed")

    def test_capabilities(self) -> None:
        """Capabilities follow from type, name and context as the file has it (config.md §11)."""
        named = self.facts(HOUSE, ListedModel("oracle-7b", context=1500))
        self.assertEqual(named.capabilities, ("text-generation", "fortune-telling", "extended-context"))
        long = self.facts(HOUSE, ListedModel("x", context=5000))
        self.assertEqual(long.capabilities, ("text-generation", "ultra-long-context", "long-context"))
        typed = self.facts(HOUSE, ListedModel("x", type="embeddings"))
        self.assertEqual(typed.capabilities, ("text-generation", "vector-search"))

    def test_part(self) -> None:
        """What a file leaves out stays as it is built in, table by table (K46)."""
        rules = self.rules("quantization: {mappings: {H4: h4}}\nmodel_extraction: {family_aliases: {foo: bar}}\n")
        built_in = Rules()
        self.assertEqual((rules.quantizations, rules.family_aliases), ({"H4": "h4"}, {"foo": "bar"}))
        self.assertEqual(
            [p.expression for p in rules.family_patterns], [p.expression for p in built_in.family_patterns]
        )
        self.assertEqual((rules.publishers, rules.context_labels), (built_in.publishers, built_in.context_labels))
