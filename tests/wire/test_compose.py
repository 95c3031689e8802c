"""Heads are written once, and nothing can end a line in them."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from olla.domain.message import Body, Fields, Head, Outgoing
from olla.wire.compose import reply_head, request_head
from olla.wire.head import ReplyReader, parse_request
from olla.wire.recent import Recent

VALUES = st.binary(max_size=12).map(lambda data: bytes(c for c in data if c in range(33, 127)))
FIELDS: st.SearchStrategy[Fields] = st.lists(st.tuples(st.sampled_from([b"X-A", b"x-a", b"Via"]), VALUES), max_size=6)


class ComposeTests(SynchronousTestCase):
    """Writing."""

    def test_request(self) -> None:
        """A request has a length when it has a body, or when it must have one (C31)."""
        for body, framed, framing in (
            (Body.of(b"abc"), False, b"Content-Length: 3\r\n"),
            (Body(), True, b"Content-Length: 0\r\n"),
            (Body(), False, b""),
        ):
            written = request_head(Outgoing(b"POST", b"/v1?a=%2F", [(b"Host", b"h")], body, framed))
            self.assertEqual(written, b"POST /v1?a=%2F HTTP/1.1\r\nHost: h\r\n" + framing + b"\r\n")

    def test_reply_framing(self) -> None:
        """An answer has a length when it is known, chunks when not, neither for 204; ``HEAD`` gets no chunks."""
        for status, length, bodiless, framing in (
            (200, 3, False, b"Content-Length: 3\r\n"),
            (200, None, False, b"Transfer-Encoding: chunked\r\n"),
            (200, 3, True, b"Content-Length: 3\r\n"),
            (200, None, True, b""),
            (204, None, False, b""),
            (204, 0, False, b""),
            (304, 3, False, b"Content-Length: 3\r\n"),
            (304, None, False, b""),
        ):
            head = Head(status, b"R", [(b"A", b"b")], length)
            expected = b"HTTP/1.1 %d R\r\nA: b\r\n" % status + framing + b"\r\n"
            self.assertEqual(reply_head(head, bodiless=bodiless, persistent=True), expected)

    def test_close(self) -> None:
        """An answer after which we close says so."""
        written = reply_head(Head(200, b"", [], 0), bodiless=False, persistent=False)
        self.assertEqual(written, b"HTTP/1.1 200 \r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    def test_injection(self) -> None:
        """A line break or NUL in a target, a reason, a name or a value is never written (R28, C20)."""
        for bad in (b"\r\n", b"\n", b"\r", b"\0"):
            for head in (
                Head(200, b"a" + bad, [], 0),
                Head(200, b"", [(b"A" + bad, b"b")], 0),
                Head(200, b"", [(b"A", b"b" + bad + b"C: d")], 0),
            ):
                self.assertRaises(ValueError, reply_head, head, bodiless=False, persistent=True)
            self.assertRaises(ValueError, request_head, Outgoing(b"GET", b"/" + bad, []))

    def test_round_trip(self) -> None:
        """What is written in one place is read as the same in the other."""

        @settings(max_examples=200, deadline=None)
        @given(FIELDS, st.integers(200, 599).filter(lambda status: status not in (204, 304)))
        def same(fields: Fields, status: int) -> None:
            reader = ReplyReader(head_only=False, recent=Recent(float))
            head = Head(status, b"R", fields, 3)
            reader.feed(reply_head(head, bodiless=False, persistent=True))
            self.assertEqual(reader.head, head)
            sent = [(b"Host", b"h"), *fields]
            read = parse_request(request_head(Outgoing(b"POST", b"/v1", sent, Body.of(b"abc"))))
            self.assertEqual((read.fields, read.length), (sent, 3))

        same()
