"""The engines say sane things, and always the same."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from olla.demo.words import answer, arguments, count, vector


class WordsTests(SynchronousTestCase):
    """Answers, embeddings, arguments."""

    def test_repeats(self) -> None:
        """The same engine gives the same answer to the same question; another engine another one."""
        self.assertEqual(answer("Who?", 1, 1), answer("Who?", 1, 1))
        self.assertNotEqual(answer("Who?", 1, 1).text, answer("Who?", 1, 2).text)

    def test_echo(self) -> None:
        """The answer repeats the beginning of the question."""
        self.assertIn("“one two three”", answer("one  two\nthree", 3, 1).text)
        self.assertIn("“a b c d e f g h…”", answer("a b c d e f g h i", 9, 1).text)
        self.assertNotIn("“", answer(" ", 0, 1).text)

    @given(st.text(), st.integers(1, 100))
    def test_tokens(self, question: str, most: int) -> None:
        """An answer has as many tokens as words, and no more than allowed; when there were more, it says so."""
        free, limited = answer(question, 0, 1), answer(question, 0, 1, most)
        self.assertEqual(count(free.text), len(free.tokens))
        self.assertEqual(limited.tokens, free.tokens[:most])
        self.assertEqual(limited.finish, "length" if most < len(free.tokens) else "stop")
        self.assertEqual(free.finish, "stop")

    def test_just_enough(self) -> None:
        """A limit that the answer just reaches cuts nothing off."""
        free = answer("Who?", 1, 1)
        self.assertEqual(answer("Who?", 1, 1, len(free.tokens)), free)

    @given(st.text(), st.text())
    def test_vectors(self, one: str, other: str) -> None:
        """Equal texts have equal embeddings, others have others; each is a small list of numbers."""
        self.assertEqual(vector(one) == vector(other), one == other)
        self.assertTrue(0.1 < sum(number * number for number in vector(one)) < 4)

    def test_arguments(self) -> None:
        """What a tool requires is filled in, by what its schema allows; what it does not require is left out."""
        properties = {
            "unit": {"type": "string", "enum": ["K", "C"]},
            "days": {"type": "integer"},
            "city": {"type": "string"},
            "optional": {"type": "string"},
            "odd": "no schema",
            "either": {"type": ["string", "null"]},
        }
        required = ["unit", "days", "city", "odd", "either", "undeclared"]
        self.assertEqual(
            arguments({"type": "object", "properties": properties, "required": required}),
            {"unit": "K", "days": 1, "city": "llama", "odd": "llama", "either": "llama", "undeclared": "llama"},
        )
        self.assertEqual(arguments({}), {})
