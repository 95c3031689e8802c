"""How values are written."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from olla.config import units


class DurationTests(SynchronousTestCase):
    """Durations."""

    def test_groups(self) -> None:
        """A duration is one or more groups of number and unit, fractions allowed (K1)."""
        written = {"1h30m": 5400.0, "500ms": 0.5, "1.5s": 1.5, ".5s": 0.5, "5.s": 5.0, "0": 0.0, "0s": 0.0}
        for text, seconds in written.items():
            self.assertEqual(units.duration(text), seconds, text)
        for text in ("250us", "250µs", "250μs"):
            self.assertAlmostEqual(units.duration(text), 0.00025)

    def test_bare_number(self) -> None:
        """A number without a unit is refused with advice, save zero (K1)."""
        for text in ("30", "1.5", "-3"):
            self.assertIn("add a unit", str(self.assertRaises(ValueError, units.duration, text)))

    def test_nonsense(self) -> None:
        """What is no duration is refused."""
        for text in ("", "s", "5 s", "1h 30m", "5x", "1e3s", "٣s"):
            self.assertRaises(ValueError, units.duration, text)

    def test_negative(self) -> None:
        """A sign is read, so that the key can refuse it by name (K65)."""
        self.assertEqual(units.duration("-5s"), -5.0)

    @given(st.integers(0, 1000), st.integers(0, 59), st.integers(0, 59))
    def test_sum(self, hours: int, minutes: int, seconds: int) -> None:
        """Groups add up."""
        expected = hours * 3600 + minutes * 60 + seconds
        self.assertEqual(units.duration(f"{hours}h{minutes}m{seconds}s"), expected)


class SizeTests(SynchronousTestCase):
    """Sizes."""

    def test_units(self) -> None:
        """Units are binary, in any case, with at most one blank before them (K2)."""
        written = {
            "1KB": 1024,
            "1.5g": 1610612736,
            "100MB": 104857600,
            "1 kib": 1024,
            "1_000": 1000,
            " 2b ": 2,
            "1TiB": 1024**4,
        }
        for text, size in written.items():
            self.assertEqual(units.size(text), size, text)

    def test_refused(self) -> None:
        """Signs, unknown units, two blanks and what rounds down to nothing are refused."""
        for text in ("-1", "1EB", "1  KB", "0.5", "ib", "", "KB", "1 ib"):
            self.assertRaises(ValueError, units.size, text)

    def test_plain_number(self) -> None:
        """A number without a unit is written as any whole number is, and has no fraction (K54)."""
        for text, size in {"1e6": 10**6, "0x100": 256, "-1": -1, "1.5KB": 1536}.items():
            self.assertEqual(units.size_or_number(text), size, text)
        self.assertRaises(ValueError, units.size_or_number, "1.5")


class IntegerTests(SynchronousTestCase):
    """Whole numbers."""

    def test_spellings(self) -> None:
        """Underscores, hexadecimal, octal, binary and exponents are read (K54)."""
        for text in ("40114", "40_114", "0x9CB2", "4.0114e4", "0o116262", "0116262", "0b1001110010110010"):
            self.assertEqual(units.integer(text), 40114, text)
        self.assertEqual([units.integer(t) for t in ("0", "-5", "+7", "1.0")], [0, -5, 7, 1])

    def test_refused(self) -> None:
        """Fractions, text and what no machine word holds are refused (K54)."""
        for text in ("40114.7", "1.5", "", "abc", "1 2", "0x", "1e400", "9" * 30, "_1", "--1"):
            self.assertRaises(ValueError, units.integer, text)

    @given(st.text(max_size=8))
    def test_only_value_errors(self, text: str) -> None:
        """No text makes a reader fail in another way than by refusing it."""
        for read in (
            units.integer,
            units.size,
            units.duration,
            units.decimal,
            units.glob,
            units.plain_integer,
        ):
            try:
                read(text)
            except ValueError:
                pass


class TruthTests(SynchronousTestCase):
    """True and false."""

    def test_file(self) -> None:
        """The file takes the words of YAML 1.1; in quotes only those that are not true and false (K55)."""
        for text in ("true", "True", "TRUE", "yes", "on", "y", "Y", "On"):
            self.assertIs(units.truth(text), True)
        for text in ("false", "no", "off", "n", "OFF"):
            self.assertIs(units.truth(text), False)
        self.assertIs(units.truth("yes", quoted=True), True)
        self.assertRaises(ValueError, units.truth, "true", quoted=True)
        for text in ("1", "0", "enabled", "tRUE", ""):
            self.assertRaises(ValueError, units.truth, text)

    def test_variable(self) -> None:
        """A variable takes 1, t, true and their opposites, and not yes (K3)."""
        self.assertEqual([units.variable_truth(t) for t in ("1", "T", "true")], [True] * 3)
        self.assertEqual([units.variable_truth(t) for t in ("0", "f", "FALSE")], [False] * 3)
        self.assertRaises(ValueError, units.variable_truth, "yes")


class GlobTests(SynchronousTestCase):
    """Globs and the pairs of lists made of them."""

    def test_refused(self) -> None:
        """A star may stand at the start and at the end only (B90)."""
        for text in ("a*b", "**", "***", " ", "", "*a*b", "a**"):
            self.assertRaises(ValueError, units.glob, text)
        for text in ("*", "a*", "*a", "*a*", "a"):
            self.assertEqual(units.glob(text), text)

    def test_matches(self) -> None:
        """Stars mean contains, begins, ends; case does not matter (B91)."""
        fits = [("*LLaVA*", "llava-7b"), ("a*", "ab"), ("*b", "ab"), ("*", "x"), ("AB", "ab"), ("*", "")]
        self.assertEqual([pair for pair in fits if not units.matches(*pair)], [])
        fails = [("a*", "ba"), ("*b", "ba"), ("a", "ab"), ("*x*", "ab")]
        self.assertEqual([pair for pair in fails if units.matches(*pair)], [])

    def test_admits(self) -> None:
        """An empty include list is all, and exclude wins (B89)."""
        table = [
            ((), (), "m", True),
            (("m*",), (), "mm", True),
            (("x*",), (), "m", False),
            ((), ("m",), "m", False),
            (("m*",), ("*m",), "mm", False),
        ]
        for include, exclude, name, expected in table:
            self.assertIs(units.admits(include, exclude, name), expected)


class ListTests(SynchronousTestCase):
    """Lists in variables."""

    def test_commas(self) -> None:
        """Blanks around an element and empty elements vanish (K67)."""
        self.assertEqual(units.comma_list("https://a, https://b ,, "), ("https://a", "https://b"))
