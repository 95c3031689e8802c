"""Whatever a client sends is read, or answered with what is wrong with it."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from olla.demo.asked import Asked, Problem, read

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["content", "text", "role"]), inner),
    max_leaves=8,
)
READERS = ("text", "flag", "most", "inner", "items", "texts")


class AskedTests(SynchronousTestCase):
    """Bodies and their fields."""

    def asked(self, **fields: Any) -> Asked:
        """Make one."""
        return read(json.dumps(fields).encode())

    @given(st.binary())
    def test_bytes(self, body: bytes) -> None:
        """Any bytes are an object, or status 400."""
        try:
            self.assertIsInstance(read(body).fields, dict)
        except Problem as problem:
            self.assertEqual(problem.status, 400)

    def test_depth(self) -> None:
        """A body that is too deep to be read is a bad one, and what is deep inside is no question."""
        self.assertRaises(Problem, read, b"[" * 1_000_000)
        deep: Any = "x"
        for _ in range(500):
            deep = {"content": deep}
        self.assertEqual(self.asked(messages=[deep]).question, "")

    @given(ANYTHING, st.sampled_from(READERS))
    def test_types(self, value: object, reader: str) -> None:
        """A field of any type is read, or named as wrong in a problem with status 400."""
        asked = Asked({"it": value})
        try:
            getattr(asked, reader)(*(("it", True) if reader == "flag" else ("it",)))
        except Problem as problem:
            self.assertEqual((problem.status, problem.param), (400, "it"))

    @given(ANYTHING, st.sampled_from(["messages", "prompt", "input"]))
    def test_questions(self, value: object, name: str) -> None:
        """There is a question, if an empty one, in all that can be sent."""
        asked = Asked({name: value})
        self.assertIsInstance(asked.question, str)
        self.assertGreaterEqual(asked.size, len(asked.question.split()) and 1)

    def test_question(self) -> None:
        """The last message is the question, in whatever form; every message counts."""
        parts = [{"type": "text", "text": "How"}, {"type": "image_url"}, {"type": "text", "text": "far?"}]
        asked = self.asked(messages=[{"role": "system", "content": "Be brief."}, {"content": parts}])
        self.assertEqual((asked.question, asked.size), ("How far?", 4))
        asked = self.asked(prompt="How far is it?", system="Be brief.")
        self.assertEqual((asked.question, asked.size), ("How far is it?", 6))

    def test_surrogates(self) -> None:
        """Half a surrogate pair, which JSON can hold, does not reach what must be UTF-8."""
        self.assertEqual(read(b'{"prompt": "a\\ud800b"}').question, "a?b")

    def test_limits(self) -> None:
        """The first limit there counts; a number below 1 is none."""
        self.assertEqual(self.asked(b=2, c=3).most("a", "b", "c"), 2)
        self.assertIsNone(self.asked(a=-1, b=2).most("a", "b"))
        self.assertIsNone(self.asked().most("a"))
        self.assertRaises(Problem, self.asked(a=True).most, "a")

    def test_texts(self) -> None:
        """Several texts are several; numbers of tokens are one text."""
        self.assertEqual(self.asked(input=["a", "b"]).texts("input"), ["a", "b"])
        self.assertEqual(self.asked(input="a").texts("input"), ["a"])
        self.assertEqual(self.asked(input=[1, 2]).texts("input"), ["1 2"])
