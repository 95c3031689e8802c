"""Tests for olla.dialect.scan."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from olla.dialect.scan import keys, members

MODEL = keys("model")
WORDS = st.sampled_from(["model", "Model", "MODEL", "x", "messages", 'a"model', "back\\", "}{][", ""])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | WORDS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=12,
)
OBJECTS = st.lists(st.tuples(WORDS, VALUES), max_size=6)


def written(pairs: list[tuple[str, Any]], ascii_only: bool, indent: int | None) -> bytes:
    """Write an object whose keys may be repeated."""
    gap = " " * (indent or 0)
    members = (
        f"{gap}{json.dumps(key)}{gap}:{json.dumps(value, ensure_ascii=ascii_only, indent=indent)}"
        for key, value in pairs
    )
    return ("{" + ",".join(members) + "}").encode()


def nested(data: bytes) -> list[Any]:
    """Parse a document into lists of pairs, so that repeated keys are seen."""
    found: list[Any] = json.loads(data, object_pairs_hook=list)
    return found


class ScanTests(SynchronousTestCase):
    """What is found in a document, whole or not."""

    def found(self, data: bytes) -> list[tuple[str, bytes]]:
        """Give keys and the strings that they have."""
        return [(key, data[start:stop]) for key, start, stop in members(data, MODEL)]

    @given(OBJECTS, st.booleans(), st.sampled_from([None, 1]))
    def test_agrees_with_a_parser(self, pairs: list[tuple[str, Any]], ascii_only: bool, indent: int | None) -> None:
        """It finds exactly the top-level members that a parser finds, repeated ones repeated (B38, R58)."""
        data = written(pairs, ascii_only, indent)
        expected = [
            (key, json.dumps(value) if isinstance(value, str) else "")
            for key, value in nested(data)
            if key.lower() == "model"
        ]
        got = [(key, json.dumps(json.loads(text)) if text else "") for key, text in self.found(data)]
        self.assertEqual(got, expected)

    @given(OBJECTS, st.integers(0, 400))
    def test_cut(self, pairs: list[tuple[str, Any]], cut: int) -> None:
        """Of a document that is cut off it finds what came before the cut, and nothing else (B37)."""
        data = written(pairs, True, None)
        whole = list(members(data, MODEL))
        part = list(members(data[:cut], MODEL))
        complete = [(key, start, stop) for key, start, stop in whole if start < stop <= cut]
        self.assertEqual([member for member in part if member[1] < member[2]], complete)

    @given(st.binary(max_size=200))
    def test_never_fails(self, data: bytes) -> None:
        """Whatever the bytes are, it ends without an error (R57)."""
        for _ in members(b"{" + data, MODEL):
            pass

    def test_escaped_key(self) -> None:
        """A key written with escapes is the same key (R58)."""
        data = rb'{"m\u006fd\u0065\u004C":"a"}'
        self.assertEqual(self.found(data), [("modeL", b'"a"')])

    def test_nothing_after_the_end(self) -> None:
        """What follows the outermost object is no part of it, as for a backend that reads one value (R58)."""
        self.assertEqual(self.found(b'{"model":"a"}{"model":"b"}'), [("model", b'"a"')])
        self.assertEqual(self.found(b'{"a":[]}]{{"model":"b"}'), [])

    def test_across_strides(self) -> None:
        """A text longer than what is looked at in one go hides its brackets as any other does."""
        for size in (65530, 65536, 70000, 200000):
            data = b'{"x":"' + b"}" * size + b'","y":{"model":"a"},"model":"b"}'
            self.assertEqual(self.found(data), [("model", b'"b"')])

    def test_end_of_a_text(self) -> None:
        """What only looks like a key because a text ends before it is none."""
        self.assertEqual(self.found(b'{"a":"b"model":"x"}'), [])

    def test_unfinished(self) -> None:
        """A text whose end has not come is no string."""
        self.assertEqual(list(members(b'{"model":"a', MODEL)), [("model", 9, 9)])

    def test_no_object(self) -> None:
        """An array, a bare string and a byte-order mark hold no members."""
        for data in (b'["model":"a"]', b'"model":"a"', b'\xef\xbb\xbf{"model":"a"}', b"", b"   "):
            self.assertEqual(self.found(data), [])

    def test_bombs(self) -> None:
        """Depth, digits, quotes and backslashes by the hundred thousand are passed over (R57)."""
        for bomb in (b"[" * 200000 + b"]" * 200000, b"9" * 200000, b'"' + b'\\"' * 200000 + b'"'):
            self.assertEqual(self.found(b'{"x":' + bomb + b',"model":"a"'), [("model", b'"a"')])
