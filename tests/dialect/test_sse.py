"""Tests for olla.dialect.sse."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from olla.dialect.sse import Event, EventParser
from olla.errors import BrokenBody

LINES = st.sampled_from([b"data: a", b"data:b", b"data", b": ping", b"event: x", b"id: 1", b"", b"", b"data:  c", b"y"])
ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])


def fed(pieces: list[bytes]) -> list[Event]:
    """Parse pieces and the end."""
    parser = EventParser()
    return [event for piece in pieces for event in parser.feed(piece)] + parser.finish()


class EventTests(SynchronousTestCase):
    """Server-sent events."""

    def test_events(self) -> None:
        """Names, several data lines, comments and unknown fields, as the standard has it."""
        stream = b": hi\n\nevent: a\ndata: 1\ndata:2\ndata\nid: 7\n\ndata:  x\nretry: 3\n\nevent: lost\n\n"
        self.assertEqual(fed([stream]), [Event(b"1\n2\n", "a"), Event(b" x")])

    @given(st.lists(st.tuples(LINES, ENDS), max_size=20), st.lists(st.integers(0, 200)))
    def test_cut_anywhere(self, lines: list[tuple[bytes, bytes]], cuts: list[int]) -> None:
        """Wherever the stream is cut, and however lines end, the events are the same."""
        whole = b"".join(line + end for line, end in lines)
        places = sorted({0, *(cut for cut in cuts if cut < len(whole)), len(whole)})
        pieces = [whole[start:stop] for start, stop in pairwise(places)]
        self.assertEqual(fed(pieces), fed([whole.replace(b"\r\n", b"\n").replace(b"\r", b"\n")]))

    def test_at_once(self) -> None:
        """An event is given with the piece that completes it (C38)."""
        parser = EventParser()
        self.assertEqual(parser.feed(b"data: 1\r\n\r"), [Event(b"1")])
        self.assertEqual(parser.feed(b"\ndata: 2\n"), [])
        self.assertEqual(parser.feed(b"\n"), [Event(b"2")])

    def test_end(self) -> None:
        """The last event counts without its empty line, and a byte-order mark is no part of the first."""
        self.assertEqual(fed([b"\xef\xbb\xbfdata: 1"]), [Event(b"1")])

    def test_bounded(self) -> None:
        """An event above the limit is a broken body, whether in one line or in many; many small ones are none."""
        for piece in (b"data: " + b"x" * 50, b"data: x\n", b"data: " + b"x" * 60 + b"\n"):
            parser = EventParser(limit=100)
            with self.assertRaises(BrokenBody):
                for _ in range(60):
                    parser.feed(piece)
        parser = EventParser(limit=100)
        for _ in range(100):
            self.assertEqual(parser.feed(b"data: " + b"x" * 60) + parser.feed(b"\n\n"), [Event(b"x" * 60)])
