"""Answers that are cut, malformed, or followed by bytes that belong nowhere."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable

from twisted.internet.error import ConnectionLost

from tests.support import (
    HEADER_END,
    SSE,
    Backend,
    BackendConnection,
    Client,
    ProxyCase,
    Seen,
    answer,
    chunk,
    on_each_engine,
    request,
    says,
    says_and_closes,
)

Play = Callable[[BackendConnection, Seen], None]
NDJSON = SSE.replace(b"text/event-stream", b"application/x-ndjson")
BINARY = SSE.replace(b"text/event-stream", b"application/octet-stream")
SECRET = b"SMUGGLED"


class Broken(ProxyCase):
    """One endpoint, ``a``, and a second one that must never be asked."""

    def play(self, play: Play, path: str = "/olla/proxy/v1/chat/completions") -> Client:
        """Start anew with a backend that does ``play``, and send it one request."""
        self.stop()
        self.setUp()
        self.other = Backend(play=says(answer({"from": "other"})))
        self.backend = Backend(play=play)
        self.start({"a": self.backend, "b": self.other}, proxy={"load_balancer": "priority"})
        client = self.post(path)
        self.network.wait(0.5)
        return client

    def resets_after(self, data: bytes) -> Play:
        """Write ``data``, and reset the connection once it has been read."""

        def play(connection: BackendConnection, seen: Seen) -> None:
            connection.transport.write(data)
            self.network.callLater(0.1, connection.transport.abortConnection)

        return play

    def says_in_two(self, first: bytes, second: bytes) -> Play:
        """Write ``first``, and ``second`` a little later."""

        def play(connection: BackendConnection, seen: Seen) -> None:
            connection.transport.write(first)
            self.network.callLater(0.1, connection.transport.write, second)

        return play

    def assertCut(self, client: Client, data: bytes) -> None:
        """Check that ``client`` got an answer that breaks off visibly, and nobody else was asked."""
        self.assertEqual(client.status, 200, data)
        self.assertFalse(client.whole, data)
        self.assertIsNotNone(client.lost, data)
        self.assertEqual(self.other.seen, [], data)

    def assertRefused(self, client: Client, data: bytes) -> None:
        """Check that ``client`` got our own 502, whole, with nothing of the backend in it."""
        self.assertEqual((client.status, client.whole), (502, True), data)
        error = client.json["error"]
        self.assertEqual((error["type"], error["code"]), ("bad_gateway", "BACKEND_PROTOCOL_ERROR"), data)
        self.assertNotIn(SECRET, client.got)
        self.assertEqual(self.other.seen, [], data)


@on_each_engine
class Cut(Broken):
    """The body ends before its end."""

    def test_closed_or_reset(self) -> None:
        """However a body is cut, closed or reset, the client never sees a clean end (B74, B87, R23, R40)."""
        for data in (
            BINARY + b"5\r\nhello\r\n",
            BINARY + b"5\r\nhel",
            BINARY + b"5\r\nhello",
            BINARY + b"5\r\nhello\r\n0\r\n",
            BINARY + b"5\r\nhello\r\n0\r\nX-Trailer: a",
            b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfive!",
            b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n",
            b"HTTP/1.0 200 OK\r\nContent-Length: 10\r\n\r\nfive!",
        ):
            for play in (says_and_closes(data), self.resets_after(data)):
                self.assertCut(self.play(play), data)

    def test_reset_of_a_body_without_length(self) -> None:
        """A body that ends with the connection is whole when that is closed, cut when it is reset (R23, R27)."""
        for version in (b"1.0", b"1.1"):
            data = b"HTTP/" + version + b" 200 OK\r\nContent-Type: text/plain\r\n\r\nhalf"
            self.assertCut(self.play(self.resets_after(data)), data)
            client = self.play(says_and_closes(data))
            self.assertEqual((client.body, client.whole), (b"half", True))

    def test_malformed_chunk(self) -> None:
        """A malformed chunk after good ones cuts the answer, and is not passed on (R24)."""
        for bad in (b"zz\r\n", b"-5\r\nhello\r\n", b"0x5\r\nhello\r\n", b"5\r\nhelloXX", b"f" * 20 + b"\r\n", b"\r\n"):
            client = self.play(self.says_in_two(BINARY + b"2\r\nok\r\n", bad + SECRET))
            self.assertCut(client, bad)
            self.assertNotIn(SECRET, client.got)

    def test_error_event_of_sse(self) -> None:
        """A cut event stream says so in an event of its own, without ``[DONE]`` (C42, http-api.md §6.4)."""
        for play in (says_and_closes(SSE + chunk(b"data: 1")), self.resets_after(SSE + chunk(b"data: 1"))):
            client = self.play(play)
            self.assertCut(client, b"")
            before, _, after = client.body.partition(b"\n\ndata: {")
            error = json.loads(b"{" + after)["error"]
            self.assertEqual(
                (before, error["type"], error["code"]), (b"data: 1", "bad_gateway", "BACKEND_STREAM_ABORTED")
            )
            self.assertTrue(after.endswith(b"\n\n"))
            self.assertNotIn(b"[DONE]", client.body)

    def test_error_event_to_an_old_client(self) -> None:
        """A client of HTTP/1.0 gets that event as well, then a reset: nothing else ends its body (http-api.md §6.4)."""
        self.start({"a": Backend(play=says_and_closes(SSE + chunk(b"data: 1")))})
        client = self.send(b"GET /olla/proxy/x HTTP/1.0\r\nHost: h\r\n\r\n")
        self.network.wait(0.5)
        self.assertIn(b"BACKEND_STREAM_ABORTED", client.got)
        assert client.lost is not None
        self.assertIs(client.lost.type, ConnectionLost)

    def test_error_line_of_ndjson(self) -> None:
        """A cut stream of lines ends with a line that holds an error (C42, http-api.md §6.4)."""
        client = self.play(says_and_closes(NDJSON + chunk(b'{"a":1}\n{"b"')))
        self.assertCut(client, b"")
        first, second, last, end = client.body.split(b"\n")
        self.assertEqual((first, second, end), (b'{"a":1}', b'{"b"', b""))
        self.assertTrue(json.loads(last)["error"])

    def test_counted_stream(self) -> None:
        """An event never fills up a cut stream whose length was announced: that would look whole (C42, B87)."""
        bare = SSE.replace(b"Transfer-Encoding: chunked\r\n", b"")
        event = len(self.play(says_and_closes(SSE + chunk(b"data: 1"))).body) - len(b"data: 1")
        for left in (1, event - 1, event, event + 1, 5 * event):
            head = bare.replace(b"\r\n\r\n", b"\r\nContent-Length: %d\r\n\r\n" % (7 + left))
            client = self.play(says_and_closes(head + b"data: 1"))
            self.assertCut(client, head)
            self.assertEqual(b"BACKEND_STREAM_ABORTED" in client.body, left > event, head)

    def test_nothing_in_other_bodies(self) -> None:
        """Nothing is put into a body that is no stream of events (http-api.md §6.4)."""
        client = self.play(says_and_closes(BINARY + chunk(b"bytes")))
        self.assertEqual(client.body, b"bytes")

    def test_counted_as_failure(self) -> None:
        """A stream that breaks is a failure in the statistics, and leaves the breaker closed (B74)."""
        self.play(says_and_closes(SSE + chunk(b"data: 1")))
        status = self.status()
        self.assertEqual(status["system"]["total_failures"], 1)
        self.assertEqual({one["circuit"] for one in status["endpoints"]}, {"closed"})

    def test_without_error_events(self) -> None:
        """``stream_error_events: false`` leaves only the cut (http-api.md §6.4)."""
        backend = Backend(play=says_and_closes(SSE + chunk(b"data: 1\n\n")))
        self.start({"a": backend}, proxy={"stream_error_events": False})
        client = self.post()
        self.network.pump(0.1)
        self.assertEqual((client.body, client.whole, client.lost is None), (b"data: 1\n\n", False, False))


@on_each_engine
class Malformed(Broken):
    """What comes is not an answer."""

    def test_heads(self) -> None:
        """A malformed or ambiguous head is 502, and none of it reaches the client (R24, R28)."""
        ok = b"HTTP/1.1 200 OK\r\n"
        for data in (
            b"SSH-2.0-OpenSSH_9.2 " + SECRET + b"\r\n\r\n",
            b"\x15\x03\x01\x00\x02\x02\x28" + SECRET,
            b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 OK\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
            ok + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
            ok + b"Content-Length: 3, 4\r\n\r\nabc",
            ok + b"Content-Length: -3\r\n\r\nabc",
            ok + b"Content-Length: +3\r\n\r\nabc",
            ok + b"Content-Length: 0x3\r\n\r\nabc",
            ok + b"Content-Length: 99999999999999999999999\r\n\r\nabc",
            ok + b"Content-Length: 8\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            ok + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
            ok + b"Transfer-Encoding: gzip\r\n\r\n",
            ok + b"X: a\r\n folded: " + SECRET + b"\r\nContent-Length: 0\r\n\r\n",
            ok + b"X : " + SECRET + b"\r\nContent-Length: 0\r\n\r\n",
            ok + b"no colon " + SECRET + b"\r\nContent-Length: 0\r\n\r\n",
            ok + b": " + SECRET + b"\r\nContent-Length: 0\r\n\r\n",
            ok + b"X: a\x00" + SECRET + b"\r\nContent-Length: 0\r\n\r\n",
            ok + b"X: a\r" + SECRET + b"\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n" + SECRET,
            b"HTTP/1.1 200",
            ok + b"Content-Le",
        ):
            self.assertRefused(self.play(says_and_closes(data)), data)

    def test_huge_head(self) -> None:
        """A head without an end is cut off while it comes, whatever still follows (R29)."""
        line = b"X-Pad: " + b"x" * 8000 + b"\r\n"

        def play(connection: BackendConnection, seen: Seen) -> None:
            connection.transport.write(b"HTTP/1.1 200 OK\r\n")
            for _ in range(500):
                connection.transport.write(line)

        client = self.play(play)
        self.assertRefused(client, b"huge")
        self.assertIsNotNone(next(one for one in self.backend.connections if one.transport.sent.count(line)).lost)

    def test_interim_answers_without_end(self) -> None:
        """Interim answers by the thousand are not waited for any longer than the real one (R25, R32)."""
        interim = b"HTTP/1.1 102 Processing\r\n\r\n"
        self.start({"a": Backend(play=says(interim * 2000))}, proxy={"response_header_timeout": "30s"})
        client = self.post()
        self.network.wait(31.0)
        self.assertEqual(client.status, 502)


@on_each_engine
class Surplus(Broken):
    """Bytes where no body can be, and bytes that must stay as they are."""

    def test_nothing_after_the_end(self) -> None:
        """Bytes after an answer never reach a client, nor become the next answer (R26)."""
        extra = answer(SECRET)
        for line, data in (
            ("HEAD", answer(SECRET)),
            ("GET", b"HTTP/1.1 204 No Content\r\n\r\n" + extra),
            ("GET", b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n" + extra),
            ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 8\r\n\r\n" + extra),
            ("GET", answer(b"short") + extra),
            ("GET", SSE + b"0\r\n\r\n" + extra),
        ):
            self.setUp()

            def play(connection: BackendConnection, seen: Seen, data: bytes = data) -> None:
                connection.transport.write(data if len(seen.line) and b"/first" in seen.line else answer(b"clean"))

            self.start({"a": Backend(play=play)})
            client = self.send(request(line, "/olla/proxy/first"))
            self.network.pump(0.1)
            self.assertNotIn(SECRET, client.got, data)
            self.assertIsNone(client.lost)
            client.got = b""
            client.transport.write(request("GET", "/olla/proxy/second"))
            self.network.pump(0.1)
            self.assertEqual(client.body, b"clean", data)
            self.stop()

    def test_length_of_head(self) -> None:
        """The length that HEAD announces is the backend's, and no body is waited for (R26)."""
        self.start({"a": Backend(play=says(b"HTTP/1.1 200 OK\r\nContent-Length: 4711\r\n\r\n"))})
        client = self.send(request("HEAD", "/olla/proxy/x"))
        self.assertEqual((client.status, client.field("Content-Length")), (200, "4711"))
        self.assertEqual((client.got.partition(HEADER_END)[2], client.lost), (b"", None))

    def test_bytes_as_they_are(self) -> None:
        """Packed and binary bodies pass byte for byte, packed as they were; a bomb stays small (B86, C39, R30)."""
        for body in (gzip.compress(b"0" * 10_000_000), bytes(range(256)) * 300, b""):
            self.setUp()
            self.start({"a": Backend(play=says(answer(body, Content_Encoding="gzip")))})
            client = self.post(Accept_Encoding="gzip")
            self.assertEqual((client.body, client.field("Content-Encoding")), (body, "gzip"))
            self.stop()

    def test_trailers_are_dropped(self) -> None:
        """Trailers do not become fields or body of anything (R9, R27)."""
        data = SSE + chunk(b"data: 1\n\n") + b"0\r\nContent-Length: 5\r\nX-Evil: " + SECRET + b"\r\n\r\n"
        self.start({"a": Backend(play=says(data))})
        client = self.post()
        self.assertEqual((client.body, client.whole), (b"data: 1\n\n", True))
        self.assertNotIn(SECRET, client.got)

    def test_fields_named_in_connection(self) -> None:
        """A backend's Connection names stay behind, and do not close the client's connection (C24, R14)."""
        self.start({"a": Backend(play=says(answer(b"x", Connection="close, X-Foo", X_Foo="1", Keep_Alive="9")))})
        client = self.post()
        self.assertEqual((client.body, client.field("X-Foo"), client.field("Keep-Alive")), (b"x", None, None))
        self.network.pump(0.1)
        self.assertIsNone(client.lost)

    def test_redirects_pass(self) -> None:
        """A redirect is relayed, never followed (R20)."""
        backend = Backend(play=says(answer(b"", 307, Location="http://127.0.0.1:9001/other")))
        self.other = Backend(play=says(answer(SECRET)))
        self.network.listeners[9001] = self.other
        self.start({"a": backend})
        client = self.post()
        self.assertEqual((client.status, client.field("Location")), (307, "http://127.0.0.1:9001/other"))
        self.assertEqual((len(backend.seen), self.other.connections), (1, []))
