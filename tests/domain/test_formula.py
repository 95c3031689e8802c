"""Tests of olla.domain.formula."""

from __future__ import annotations

import pickle

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from olla.domain.formula import LONGEST, Formula, Value

NAMES: dict[str, Value] = {"a": 6, "b": 4, "zero": 0, "word": "stop", "empty": ""}


def value(text: str) -> Value:
    """Calculate a formula."""
    return Formula.parse(text).value(NAMES)


class FormulaTests(SynchronousTestCase):
    """What formulas can say."""

    def test_values(self) -> None:
        """Numbers, texts, comparisons, choices and the usual precedence give what they mean (profiles.md §3)."""
        for text, expected in [
            ("1 + 2 * 3", 7),
            ("(1 + 2) * 3", 9),
            ("10 - 4 - 3", 3),
            ("-a + 1e1", 4.0),
            ("a / b", 1.5),
            ("a > 0 ? (b * 1000.0) / a : 0", 4000 / 6),
            ("zero > 0 ? 1 : a > 5 ? 2 : 3", 2),
            ("a > 1 && b > 5 || a == 6", True),
            ("!(a >= 6) || false", False),
            ("word == 'stop' && word != \"\"", True),
            ("len(word) > 0", True),
            ("len(empty) > 0", False),
            ("missing == null", True),
            ("missing != null && missing > 0", False),
            ("missing != null ? a - missing : a", 6),
        ]:
            self.assertEqual(value(text), expected, text)

    def test_nothing(self) -> None:
        """A division by zero, a name without a value and mixed kinds give nothing, and no error (P15)."""
        for text in (
            "a / zero",
            "missing + 1",
            "missing > 0",
            "len(missing) > 0",
            "word * 3",
            "word + word",
            "word < 1",
        ):
            self.assertIsNone(value(text), text)
        self.assertIsNone(value("1e308 * 1e308 / (a - a)"))

    def test_refused(self) -> None:
        """What is no such formula is refused when it is compiled (P4)."""
        for text in (
            *("", "a +", "a b", "(a", "a ? b", "a ? b :", "a = b", "a ** b", "a[0]", "a.b", "f(a)", "'a", "1 2"),
            *(
                "__import__('os')",
                "a; b",
                "len a",
                "a == ",
                "&& a",
                "é",
                "(" * 400 + "a" + ")" * 90,
                "a" * (LONGEST + 1),
            ),
        ):
            self.assertRaises(ValueError, Formula.parse, text)

    def test_names(self) -> None:
        """The names that a formula uses are known before it is calculated (P4)."""
        self.assertEqual(Formula.parse("len(a) > 0 ? null : b_2 + a").names, {"a", "b_2"})

    def test_travels(self) -> None:
        """A formula can be sent to another process, which calculates the same."""
        copy = pickle.loads(pickle.dumps(Formula.parse("a / b")))
        self.assertEqual((copy, copy.names, copy.value(NAMES)), (Formula.parse("a / b"), {"a", "b"}, 1.5))

    @given(st.text("ab0.9 +-*/<>=!&|?:()'", max_size=40))
    def test_anything(self, text: str) -> None:
        """A text is refused or can be calculated; nothing else happens."""
        try:
            formula = Formula.parse(text)
        except ValueError:
            return
        formula.value(NAMES)
