"""Heads are read strictly, and alike however their bytes were cut."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from olla.errors import BadReply, BadRequest, HeadersTooLarge, OllaError
from olla.wire.body import NoBody
from olla.wire.gather import RequestGatherer
from olla.wire.head import MAX_REPLY_HEAD, ReplyHead, ReplyReader, RequestHead, parse_request, policy_size
from olla.wire.recent import Recent
from tests.wire.payloads import CUT, GET, HOST, ODD, OK, PLAIN, REFUSED, REPLIES, REQUESTS, get

CUTS = st.lists(st.integers(0, 10_000), max_size=12)


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    """Cut ``data`` at the given places, each taken modulo its length."""
    places = sorted({0, len(data), *(place % (len(data) + 1) for place in cuts)})
    return [data[start:stop] for start, stop in pairwise(places)]


def read_request(pieces: list[bytes]) -> RequestHead | None:
    """Read one request head from pieces; ``None`` when it is not whole at the end."""
    gatherer = RequestGatherer(4096)
    for piece in pieces:
        split = gatherer.take(piece)
        if split is not None:
            return parse_request(split[0])
    return None


def outcome_of_request(pieces: list[bytes]) -> object:
    """Give what becomes of a request head, for comparing."""
    try:
        return read_request(pieces)
    except OllaError as error:
        return type(error)


def outcome_of_reply(
    pieces: list[bytes], *, head_only: bool = False, recent: Recent[ReplyHead] | None = None
) -> object:
    """Give what becomes of a reply whose connection ends after the last piece, for comparing."""
    reader, body = ReplyReader(head_only=head_only, recent=Recent(float) if recent is None else recent), b""
    try:
        for piece in filter(None, pieces):
            body += reader.feed(piece)
    except BadReply:
        return REFUSED
    return (reader.head, body, reader.persistent, reader.surplus) if reader.close() else CUT


class RequestTests(SynchronousTestCase):
    """Heads that clients send."""

    def test_families(self) -> None:
        """Each payload of the families R1–R7, R10, R11 is refused, or read as plain or odd, as the table says."""
        wrong = []
        for family, data, expected in REQUESTS:
            outcome = outcome_of_request([data])
            if isinstance(outcome, RequestHead):
                found = PLAIN if outcome.plain else ODD
            else:
                found = REFUSED if outcome in (BadRequest, HeadersTooLarge) else repr(outcome)
            if found != expected:
                wrong.append((family, found, expected))
        self.assertEqual(wrong, [])

    def test_any_cut(self) -> None:
        """However the bytes of a head are cut, the result is the same (issue 4)."""

        @settings(max_examples=400, deadline=None)
        @given(st.sampled_from([data for _, data, _ in REQUESTS]), CUTS)
        def same(data: bytes, cuts: list[int]) -> None:
            self.assertEqual(outcome_of_request(cut(data, cuts)), outcome_of_request([data]))

        same()

    def test_byte_by_byte(self) -> None:
        """A head that drips is read as if it had come at once, and refused alike (R7, R47)."""
        for family, data, _ in REQUESTS:
            dripped = outcome_of_request([data[i : i + 1] for i in range(len(data))])
            self.assertEqual(dripped, outcome_of_request([data]), family)

    def test_as_sent(self) -> None:
        """Target and fields come out byte for byte, in order, repeated ones repeated (C32, C33)."""
        head = parse_request(
            b"POST /olla/a%2Fb?x=%C3%A4&x=1 HTTP/1.1\r\n"
            b"Host: h\r\nx-A: 1 \r\nX-a:2\r\nEmpty:\r\nContent-Length: 07\r\n\r\n"
        )
        self.assertEqual((head.method, head.target), (b"POST", b"/olla/a%2Fb?x=%C3%A4&x=1"))
        self.assertEqual(
            head.fields,
            [(b"Host", b"h"), (b"x-A", b"1"), (b"X-a", b"2"), (b"Empty", b"")],
        )
        self.assertEqual(head.length, 7)
        self.assertEqual(head.index[b"x-a"], b"1")

    def test_rest(self) -> None:
        """What follows a head is handed back untouched, for the body or the next request (R12)."""
        head, rest = RequestGatherer(4096).take(get() + b"GET /next") or (b"", b"")
        self.assertEqual((head, rest), (get(), b"GET /next"))

    def test_persistence(self) -> None:
        """A connection is kept unless any ``Connection`` field says otherwise, whatever else it says."""
        for fields, kept in (
            ((), True),
            ((b"Connection: close",), False),
            ((b"Connection: keep-alive, X-Foo",), True),
            ((b"Connection: X-Foo", b"connection: , Close "), False),
        ):
            self.assertIs(parse_request(get(*fields)).persistent, kept, fields)
        self.assertFalse(parse_request(b"GET / HTTP/1.0\r\n\r\n").persistent)
        self.assertTrue(parse_request(b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").persistent)

    def test_too_large(self) -> None:
        """A head above the limit is refused with 431, before and after its end has come (R50)."""
        endless = b"X: " + b"a" * 5000
        for pieces in ([get(endless)], [GET + HOST + endless], [GET[:4] + b"/" * 5000]):
            self.assertIs(outcome_of_request(pieces), HeadersTooLarge)

    def test_too_many_fields(self) -> None:
        """A thousand fields are read, one more is refused with 431 (http-api.md §9.4)."""
        self.assertEqual(len(parse_request(get(*[b"a: b"] * 999)).fields), 1000)
        self.assertRaises(HeadersTooLarge, parse_request, get(*[b"a: b"] * 1000))

    def test_policy_size(self) -> None:
        """Names, values, four bytes for each field and the request line count (http-api.md §9.4)."""
        self.assertEqual(policy_size(get(b"ab:cde")), len(GET) - 2 + (4 + 1 + 4) + (2 + 3 + 4))


class ReplyTests(SynchronousTestCase):
    """Replies of backends, up to the end of their connection."""

    def test_families(self) -> None:
        """Each payload of the families R8, R9, R23–R28 is read, refused or seen to be cut, as the table says."""
        wrong = []
        for family, data, expected in REPLIES:
            outcome = outcome_of_reply([data])
            found = outcome[1] if isinstance(outcome, tuple) else outcome
            if found != expected:
                wrong.append((family, found, expected))
        self.assertEqual(wrong, [])

    def test_any_cut(self) -> None:
        """However the bytes of a reply are cut, head, body and end are the same (issue 4)."""

        @settings(max_examples=600, deadline=None)
        @given(st.sampled_from([data for _, data, _ in REPLIES]), CUTS, st.booleans())
        def same(data: bytes, cuts: list[int], head_only: bool) -> None:
            self.assertEqual(
                outcome_of_reply(cut(data, cuts), head_only=head_only),
                outcome_of_reply([data], head_only=head_only),
            )

        same()

    def test_byte_by_byte(self) -> None:
        """A reply that drips is read as if it had come at once."""
        for family, data, _ in REPLIES:
            dripped = outcome_of_reply([data[i : i + 1] for i in range(len(data))])
            self.assertEqual(dripped, outcome_of_reply([data]), family)

    def test_any_chunks(self) -> None:
        """A body comes out as it was put into chunks, whatever their sizes and however the bytes were cut."""

        @settings(max_examples=200, deadline=None)
        @given(st.lists(st.binary(min_size=1, max_size=40), max_size=8), CUTS)
        def same(chunks: list[bytes], cuts: list[int]) -> None:
            data = OK + b"Transfer-Encoding: chunked\r\n\r\n"
            data += b"".join(b"%x;e=1\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
            outcome = outcome_of_reply(cut(data, cuts))
            self.assertEqual(outcome[1:] if isinstance(outcome, tuple) else outcome, (b"".join(chunks), True, False))

        same()

    def test_not_passed_on(self) -> None:
        """Framing, hop-by-hop fields and those that ``Connection`` names are taken out (R14, C24)."""
        reader = ReplyReader(head_only=False, recent=Recent(float))
        reader.feed(
            b"HTTP/1.1 200 Fine\r\nServer: s\r\nConnection: close, X-Foo\r\nX-Foo: 1\r\nx-bar: 2\r\n"
            b"Keep-Alive: 5\r\nTrailer: X\r\nProxy-Authenticate: p\r\nProxy-Connection: c\r\nTE: t\r\n"
            b"Upgrade: u\r\nX-Bar: 3\r\nContent-Length: 3\r\n\r\n"
        )
        assert reader.head is not None
        self.assertEqual(reader.head.fields, [(b"Server", b"s"), (b"x-bar", b"2"), (b"X-Bar", b"3")])
        self.assertEqual((reader.head.status, reader.head.reason, reader.head.length), (200, b"Fine", 3))

    def test_persistence(self) -> None:
        """A connection is kept after a reply whose end is known, when the backend does not say otherwise (R27)."""
        for text, kept in (
            (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", True),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: Close\r\n\r\n", False),
            (b"HTTP/1.1 200 OK\r\n\r\n", False),
            (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", False),
            (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n", True),
            (b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n", False),
            (b"HTTP/1.1 204 No\r\n\r\n", True),
        ):
            reader = ReplyReader(head_only=False, recent=Recent(float))
            reader.feed(text)
            self.assertIs(reader.persistent, kept, text)

    def test_bodiless(self) -> None:
        """An answer to ``HEAD``, a 204 and a 304 end with their heads; what follows is surplus (R26)."""
        for text, head_only, length in (
            (OK + b"Content-Length: 5\r\n\r\n", True, 5),
            (OK + b"Transfer-Encoding: chunked\r\n\r\n", True, None),
            (OK + b"\r\n", True, None),
            (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", False, 5),
            (b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", False, None),
        ):
            reader = ReplyReader(head_only=head_only, recent=Recent(float))
            reader.feed(text)
            assert reader.head is not None
            self.assertIsInstance(reader.body, NoBody)
            self.assertEqual((reader.ended, reader.persistent, reader.head.length), (True, True, length), text)
            self.assertEqual(reader.feed(b"junk"), b"")
            self.assertTrue(reader.surplus)

    def test_surplus(self) -> None:
        """Bytes behind the end of a reply are noticed and never taken for its body (R26)."""
        second = OK + b"Content-Length: 6\r\n\r\nsecret"
        for first in (
            OK + b"Content-Length: 1\r\n\r\na",
            OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
        ):
            for pieces in ([first + second], [first, second]):
                reader = ReplyReader(head_only=False, recent=Recent(float))
                self.assertEqual(b"".join(map(reader.feed, pieces)), b"a")
                self.assertTrue(reader.ended)
                self.assertTrue(reader.surplus)

    def test_bounded_head(self) -> None:
        """A head is refused above 256 KiB, interim ones included, or above a thousand fields (R29)."""
        reader = ReplyReader(head_only=False, recent=Recent(float))
        piece = b"X: " + b"a" * 16000 + b"\r\n"
        reader.feed(OK)

        def feed(data: bytes, times: int) -> None:
            for _ in range(times):
                reader.feed(data)

        self.assertRaises(BadReply, feed, piece, MAX_REPLY_HEAD // len(piece) + 1)
        reader = ReplyReader(head_only=False, recent=Recent(float))
        interim = b"HTTP/1.1 102 Processing\r\n\r\n"
        self.assertRaises(BadReply, feed, interim, MAX_REPLY_HEAD // len(interim) + 1)
        reader = ReplyReader(head_only=False, recent=Recent(float))
        self.assertRaises(BadReply, feed, OK + b"a: b\r\n" * 1001 + b"\r\n", 1)

    def test_bounded_framing(self) -> None:
        """Chunk extensions and trailers without end are refused; nothing of them is kept (R8, R29)."""
        for start in (b"3;a=", b"3\r\nabc\r\n0\r\nX: "):
            reader = ReplyReader(head_only=False, recent=Recent(float))
            reader.feed(OK + b"Transfer-Encoding: chunked\r\n\r\n")
            reader.feed(start)

            def feed(reader: ReplyReader = reader) -> None:
                for _ in range(100):
                    reader.feed(b"a" * 1000)

            self.assertRaises(BadReply, feed)

    def test_next_reply(self) -> None:
        """One reader serves all the replies of a connection."""
        reader = ReplyReader(head_only=True, recent=Recent(float))
        reader.feed(OK + b"Content-Length: 5\r\n\r\n")
        reader.expect(head_only=False)
        self.assertEqual((reader.head, reader.ended), (None, False))
        self.assertEqual(reader.feed(OK + b"Content-Length: 2\r\n\r\nhi"), b"hi")
        self.assertTrue(reader.ended)
