"""Tests of the patterns for names."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from olla.catalog.globs import Filter, any_of, check_glob


class FilterTests(SynchronousTestCase):
    """The filter of an endpoint."""

    def test_truth_table(self) -> None:
        """Includes admit what matches, excludes take out and win, no includes or a * admit all (B89)."""
        for include, exclude, llama, mistral in [
            ((), (), True, True),
            (("llama*",), (), True, False),
            ((), ("llama*",), False, True),
            (("llama*", "mistral*"), ("*3:8b",), False, True),
            (("*",), ("mis*",), True, False),
            (("gemma*", "*"), (), True, True),
        ]:
            both = Filter(include, exclude)
            self.assertEqual((both.admits("llama3:8b"), both.admits("mistral")), (llama, mistral), both)

    def test_places_of_the_star(self) -> None:
        """A star stands for a beginning, an end, or both; without one the names are equal (§14)."""
        for pattern, yes, no in [
            ("x*", "xy", "yx"),
            ("*x", "yx", "xy"),
            ("*x*", "yxy", "yy"),
            ("x", "X", "xx"),
        ]:
            self.assertTrue(Filter((pattern,)).admits(yes), pattern)
            self.assertFalse(Filter((pattern,)).admits(no), pattern)

    def test_letter_case(self) -> None:
        """Letter case never matters (B91)."""
        self.assertTrue(Filter(("*LLaVA*",)).admits("llava-7b"))
        self.assertTrue(Filter(("*llava*",)).admits("LLaVA-7b"))

    def test_meaningless_patterns(self) -> None:
        """A pattern that has no meaning is refused (B90)."""
        for pattern in ("a*b", "**", "***", " ", "", "*a*b*", "**a"):
            self.assertRaises(ValueError, check_glob, pattern)
            self.assertRaises(ValueError, Filter, (pattern,))
            self.assertRaises(ValueError, Filter, (), (pattern,))


class AnyOfTests(SynchronousTestCase):
    """The freer patterns of profiles."""

    def test_star_in_the_middle(self) -> None:
        """They match whole names, in any letter case, with stars anywhere."""
        globs = any_of(["Qwen*Coder*", "codellama*"])
        self.assertTrue(globs.match("qwen2.5-coder:7b"))
        self.assertTrue(globs.match("codellama"))
        self.assertFalse(globs.match("my-codellama"))

    def test_none(self) -> None:
        """No patterns match nothing, not everything."""
        self.assertFalse(any_of([]).match("llama"))
        self.assertFalse(any_of([]).match(""))
