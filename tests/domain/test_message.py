"""Tests of :mod:`olla.domain.message`."""

from __future__ import annotations

from io import BytesIO

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from olla.domain.message import EMPTY, PIECE, Body, Request, Segment

PARTS = st.lists(st.tuples(st.binary(min_size=1, max_size=12), st.booleans()), max_size=4)


def body_of(parts: list[tuple[bytes, bool]]) -> tuple[Body, bytes]:
    """Make a body of parts, some of them somewhere inside files, and give the bytes it stands for."""
    made: list[bytes | Segment] = []
    for data, filed in parts:
        made.append(Segment(BytesIO(b"<<" + data + b">>"), 2, 2 + len(data)) if filed else data)
    whole = b"".join(data for data, _ in parts)
    return Body(tuple(made), len(whole)), whole


class BodyTests(SynchronousTestCase):
    """The body of a request."""

    def test_of(self) -> None:
        """A body in memory is one part, an empty one none."""
        self.assertEqual((Body.of(b"abc").parts, Body.of(b"abc").size), ((b"abc",), 3))
        self.assertIs(Body.of(b""), EMPTY)
        self.assertEqual((EMPTY.whole(), list(EMPTY.pieces()), EMPTY.peek(5)), (b"", [], b""))

    def test_pieces(self) -> None:
        """A file is read in pieces of 64 KiB, no more, and as often as wanted (R12)."""
        data = bytes(range(256)) * (PIECE // 256) * 2 + b"end"
        body = Body.spooled(BytesIO(data + b"not this"), len(data))
        for _ in range(2):
            pieces = list(body.pieces())
            self.assertEqual([len(piece) for piece in pieces], [PIECE, PIECE, 3])
            self.assertEqual(b"".join(pieces), data)

    def test_shared_file(self) -> None:
        """Two readers of one file do not disturb each other."""
        body = Body.spooled(BytesIO(b"x" * PIECE + b"y" * PIECE), 2 * PIECE)
        one, other = body.pieces(), body.pieces()
        self.assertEqual([next(one)[:1], next(other)[:1], next(one)[:1], next(other)[:1]], [b"x", b"x", b"y", b"y"])

    def test_splice_keeps_the_file(self) -> None:
        """What is put into a large body stays small: the rest is still in the file."""
        file = BytesIO(b"x" * 100)
        body = Body.spooled(file, 100).splice(10, 20, b"new")
        self.assertEqual(body.parts, (Segment(file, 0, 10), b"new", Segment(file, 20, 100)))
        self.assertEqual(body.size, 93)

    @given(PARTS, st.integers(0, 60))
    def test_peek(self, parts: list[tuple[bytes, bool]], limit: int) -> None:
        """A look at the beginning is the beginning, whatever parts the body has."""
        body, whole = body_of(parts)
        self.assertEqual(body.peek(limit), whole[:limit])
        self.assertEqual((body.whole(), b"".join(body.pieces())), (whole, whole))

    @given(PARTS, st.data(), st.binary(max_size=5))
    def test_splice(self, parts: list[tuple[bytes, bool]], data: st.DataObject, new: bytes) -> None:
        """Splicing does what slicing does, anywhere, and leaves the old body as it was (C32)."""
        body, whole = body_of(parts)
        start = data.draw(st.integers(0, len(whole)))
        stop = data.draw(st.integers(start, len(whole)))
        spliced = body.splice(start, stop, new)
        wanted = whole[:start] + new + whole[stop:]
        self.assertEqual((spliced.whole(), spliced.size, body.whole()), (wanted, len(wanted), whole))
        again = spliced.splice(0, min(2, len(wanted)), b"#")
        self.assertEqual(again.whole(), b"#" + wanted[2:])


class RequestTests(SynchronousTestCase):
    """A request."""

    def test_get(self) -> None:
        """A field is found by its name in lower case, the first of several, however it was spelled."""
        request = Request(b"GET", b"/", [(b"X-A", b"1"), (b"x-a", b"2"), (b"HOST", b"h")])
        self.assertEqual((request.get(b"x-a"), request.get(b"host"), request.get(b"x-b")), (b"1", b"h", None))
