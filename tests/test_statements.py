"""The list of what is promised, and the tests that prove it."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.statements import Statement, cited, everything, problems, promised, tidied


class ListTests(SynchronousTestCase):
    """``statements.txt`` against the docstrings of all tests."""

    def test_every_promise_is_proved(self) -> None:
        """Every number that a test cites is in the list, and every one in the list is cited or excused (issue 5)."""
        statements, places = everything()
        self.assertEqual(problems(statements, places), [])

    def test_numbers_are_never_given_twice_nor_left_out(self) -> None:
        """The numbers of each kind run from 1 without a gap, so that none is lost."""
        statements, _ = everything()
        for kind in "CKBPR":
            numbers = sorted(int(number[1:]) for number in statements if number.startswith(kind))
            self.assertEqual(numbers, [*range(1, len(numbers) + 1)], kind)


class ReadingTests(SynchronousTestCase):
    """Reading the list and the docstrings."""

    def test_lines(self) -> None:
        """A line is a number, a promise, and perhaps the reason why nobody proves it."""
        read = promised("# heading\n\nC1   it listens\nR21  under foreign hosts  [later: dashboard]\n")
        self.assertEqual(
            [*read.values()],
            [Statement("C1", "it listens"), Statement("R21", "under foreign hosts", "later", "dashboard")],
        )
        for wrong in ("C1", "X1 what", "C1 a\nC1 b", "C1 a  [whatever: b]"):
            self.assertRaises(ValueError, promised, wrong)

    def test_citations(self) -> None:
        """Numbers are found one by one and as ranges, and not within words."""
        self.assertEqual([*cited("It holds (C1, B2-B4, K5–7; R8).")], ["C1", "B2", "B3", "B4", "K5", "K6", "K7", "R8"])
        self.assertEqual([*cited("UTF8, §9.4, HTTP/1.1, MAC12, C3PO, and P95.")], ["P95"])

    def test_problems(self) -> None:
        """What is cited and unknown, promised and unproved, excused and proved is told apart."""
        statements = promised("C1 one\nC2 two\nC3 three  [later: soon]\nC4 four  [later: soon]")
        told = problems(statements, {"C1": ["a:1"], "C9": ["a:2"], "C3": ["a:3"]})
        self.assertEqual(
            told,
            [
                "C9 is cited at a:2 and is none",
                "C2 is proved by no test: two",
                "C3 is cited at a:3 and excused as later: python -m tests.statements --tidy",
            ],
        )

    def test_tidied(self) -> None:
        """An excuse goes when its number is cited, and nothing else does."""
        text = "# of C3\nC3   three  [later: soon]\nC4   four  [later: soon]\n"
        self.assertEqual(tidied(text, {"C3": ["a:3"]}), "# of C3\nC3   three\nC4   four  [later: soon]\n")
