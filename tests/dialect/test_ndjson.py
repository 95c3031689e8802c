"""Tests for olla.dialect.ndjson."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from olla.dialect.ndjson import LineParser
from olla.errors import BrokenBody


class LineTests(SynchronousTestCase):
    """Documents one to a line."""

    @given(
        st.lists(st.sampled_from([b'{"a":1}', b"", b" {} ", b"x\r"]), max_size=10),
        st.lists(st.integers(0, 80)),
    )
    def test_cut_anywhere(self, lines: list[bytes], cuts: list[int]) -> None:
        """Wherever the stream is cut, the lines are the same, empty ones left out."""
        whole = b"\n".join(lines)
        places = sorted({0, *(cut for cut in cuts if cut < len(whole)), len(whole)})
        parser = LineParser()
        found = [line for start, stop in pairwise(places) for line in parser.feed(whole[start:stop])]
        self.assertEqual(found + parser.finish(), [line.strip() for line in lines if line.strip()])

    def test_at_once(self) -> None:
        """A line is given with the piece that completes it."""
        parser = LineParser()
        self.assertEqual(parser.feed(b"{"), [])
        self.assertEqual(parser.feed(b"}\n{}\n{"), [b"{}", b"{}"])
        self.assertEqual(parser.finish(), [b"{"])
        self.assertEqual(parser.finish(), [])

    def test_bounded(self) -> None:
        """A line above the limit is a broken body."""
        parser = LineParser(limit=10)
        parser.feed(b"x" * 10)
        self.assertRaises(BrokenBody, parser.feed, b"x")
