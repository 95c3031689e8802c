"""How long we wait for backends and for clients."""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionDone

from olla import turns
from tests.support import (
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
)


class Held(ProxyCase):
    """A backend that is led by the test."""

    def begin(self, first: bytes = b"", **sections: Any) -> Client:
        """Start with a backend that says ``first``, and send one request; :attr:`held` are its connections."""
        self.held: list[BackendConnection] = []

        def play(connection: BackendConnection, seen: Seen) -> None:
            self.held.append(connection)
            connection.transport.write(first)

        self.backend = Backend(play=play)
        self.start({"a": self.backend}, **sections)
        return self.post()

    def say(self, data: bytes) -> None:
        """Let the backend say ``data``."""
        self.held[0].transport.write(data)
        self.network.pump()

    def assertCut(self, client: Client) -> None:
        """Check that the answer broke off for the client, and the backend was hung up on."""
        self.assertEqual((client.status, client.whole), (200, False))
        self.assertIsNotNone(client.lost)
        self.assertIsNotNone(self.held[0].lost)


@on_each_engine
class ForBackends(Held):
    """Silence and slowness of a backend."""

    def test_idle_hour(self) -> None:
        """A stream that is silent for an hour is in flight all the time, on every page, and counts as before (B113)."""
        client = self.begin(
            SSE + chunk(b"data: 1\n\n"),
            proxy={"read_timeout": "3h", "response_timeout": "0s"},
            endpoint={"check_interval": "20m"},
        )
        for _ in range(2):
            endpoint = self.get("/internal/status/endpoints").json["endpoints"][0]
            self.assertEqual((endpoint["active_connections"], self.status()["system"]["active_connections"]), (1, 1))
            self.assertRegex(self.get("/internal/metrics").body.decode(), r"olla_endpoint_connections\{[^}]*\} 1\b")
            self.network.wait(4000.0, 10.0)
        self.say(chunk(b"data: 2\n\n") + b"0\r\n\r\n")
        self.assertTrue(client.whole)
        endpoint = self.get("/internal/status/endpoints").json["endpoints"][0]
        self.assertEqual((endpoint["active_connections"], endpoint["request_count"]), (0, 1))

    def test_no_head(self) -> None:
        """No head within ``response_header_timeout`` is 502, and the backend is hung up on (C35, R32)."""
        client = self.begin(proxy={"response_header_timeout": "3s"})
        self.network.wait(2.8)
        self.assertEqual(client.got, b"")
        self.network.wait(1.0)
        self.assertEqual((client.status, client.json["error"]["code"]), (502, "BACKEND_TIMEOUT"))
        self.assertRegex(client.json["error"]["message"], r"^Proxy error: request timeout after 3\.\ds - ")
        self.assertIsNotNone(self.held[0].lost)

    def test_dripping_head(self) -> None:
        """A head that drips is not waited for any longer (R32)."""
        client = self.begin(b"HTTP/1.1 200 OK\r\n", proxy={"response_header_timeout": "3s"})
        for _ in range(16):
            self.say(b"X: y\r\n")
            self.network.wait(0.25)
        self.assertEqual((client.status, client.json["error"]["code"]), (502, "BACKEND_TIMEOUT"))

    def test_slow_head_in_time(self) -> None:
        """A head just within the limit is an answer (C35)."""
        client = self.begin(proxy={"response_header_timeout": "3s"})
        self.network.wait(2.5)
        self.say(answer(b"late"))
        self.assertEqual((client.status, client.body), (200, b"late"))

    def test_crowd(self) -> None:
        """Each of many has its time, though no look at all of them is taken at once (C35)."""
        self.patch(turns, "PART", 2)
        clients = [self.begin(proxy={"response_header_timeout": "2s"})] + [self.post() for _ in range(8)]
        self.network.wait(1.5)
        self.assertEqual([client.got for client in clients], [b""] * 9)
        self.network.wait(2.0)
        self.assertEqual([client.status for client in clients], [502] * 9)

    def test_crowd_at_the_end(self) -> None:
        """A look that is not over when all ends leaves nothing behind."""
        self.patch(turns, "PART", 1)
        self.begin()
        for _ in range(8):
            self.post()
        self.network.advance(0.21)
        self.stop()

    def test_silence(self) -> None:
        """Silence for ``read_timeout`` cuts within a second of it; each byte starts the time anew (B83, B84)."""
        client = self.begin(SSE, proxy={"read_timeout": "5s", "response_header_timeout": "2s"})
        for _ in range(4):
            self.network.wait(4.5)
            self.say(chunk(b"data: x\n\n"))
        self.assertIsNone(client.lost)
        self.network.wait(4.8)
        self.assertIsNone(client.lost)
        self.network.wait(1.0)
        self.assertCut(client)

    def test_silence_of_a_body_with_length(self) -> None:
        """The same holds for a body of a known length (B83)."""
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"
        client = self.begin(head, proxy={"read_timeout": "5s"})
        self.network.wait(6.0)
        self.assertCut(client)

    def test_total(self) -> None:
        """``response_timeout`` cuts what trickles for ever; ``0s`` does not (C35)."""
        for limit, lost in (("8s", True), ("0s", False)):
            self.setUp()
            client = self.begin(SSE, proxy={"response_timeout": limit})
            for _ in range(5):
                self.say(chunk(b"data: x\n\n"))
                self.network.wait(2.0)
            self.assertEqual(client.lost is not None, lost)
            client.transport.abortConnection()
            self.stop()

    def test_total_to_the_second(self) -> None:
        """``response_timeout: 2s`` ends an answer of five seconds after two, ``0s`` never does (K22)."""
        for limit, lasted in (("2s", range(16, 24)), ("0s", range(50, 51))):
            self.setUp()
            client, parts = self.begin(SSE, proxy={"response_timeout": limit}), 0
            while client.lost is None and parts < 50:
                self.say(chunk(b"data: x\n\n"))
                self.network.wait(0.1, 0.1)
                parts += 1
            self.assertIn(parts, lasted, limit)
            if client.lost is None:
                self.say(b"0\r\n\r\n")
            self.assertEqual(client.whole, limit == "0s")
            client.transport.abortConnection()
            self.stop()

    def test_slow_client(self) -> None:
        """A client that does not read for twice ``read_timeout`` gets all of it later (B139, R49)."""
        whole = bytes(range(256)) * 4096
        self.begin(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", proxy={"read_timeout": "5s"})
        self.backend.play = says(answer(whole))
        client = self.connect()
        client.transport.paused = True
        client.transport.write(request("GET", "/olla/proxy/big"))
        self.network.wait(11.0)
        client.transport.paused = False
        self.network.wait(0.5)
        self.assertTrue(client.whole)
        self.assertEqual(client.body, whole)

    def test_no_timer_is_left(self) -> None:
        """An answer that came in time is not cut by a limit of an earlier one on its connection (R68)."""
        limits = {"response_header_timeout": "2s", "read_timeout": "2s", "response_timeout": "3s"}
        client = self.begin(answer(b"1"), proxy=limits)
        self.network.wait(2.5)
        self.backend.play = lambda connection, seen: None
        client.got = b""
        client.transport.write(request("GET", "/olla/proxy/x"))
        self.network.wait(1.5)
        self.say(answer(b"2"))
        self.assertEqual((client.status, client.body), (200, b"2"))


@on_each_engine
class ForClients(ProxyCase):
    """Silence and slowness of a client."""

    def setUp(self) -> None:
        super().setUp()
        self.backend = Backend(play=says(answer(b"yes")))

    def test_silent_from_the_start(self) -> None:
        """A connection on which nothing comes is closed, without a word, in ``read_header_timeout`` (C2, R47)."""
        self.start({"a": self.backend}, server={"read_header_timeout": "4s"})
        for first in (b"", b"G", b"GET /olla/proxy/x HTTP/1.1\r\n", b"GET /olla/proxy/x HTTP/1.1\r\nHost: h\r\n"):
            client = self.send(first)
            self.network.wait(3.5)
            self.assertIsNone(client.lost, first)
            self.network.wait(1.5)
            self.assertIsNotNone(client.lost, first)
            self.assertEqual(client.got, b"", first)

    def test_dripping_head(self) -> None:
        """A head that drips gets no more time than one that stops, on a used connection too (C2, R47)."""
        self.start({"a": self.backend}, server={"read_header_timeout": "4s", "idle_timeout": "60s"})
        client = self.get("/olla/proxy/x")
        client.got = b""
        self.network.wait(10.0)
        self.assertIsNone(client.lost)
        client.transport.write(b"GET /olla/proxy/x HTTP/1.1\r\n")
        for _ in range(10):
            client.transport.write(b"X: y\r\n")
            self.network.wait(0.5)
        self.assertIsNotNone(client.lost)
        self.assertEqual(client.got, b"")

    def test_stalled_body(self) -> None:
        """A body that stops is a 4xx or a closed connection; no address in it, no backend asked (C131, R70)."""
        self.start({"a": self.backend}, server={"read_timeout": "3s"})
        for framing in (b"Content-Length: 10\r\n\r\nhe", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhe"):
            client = self.send(b"POST /olla/openai/v1/x HTTP/1.1\r\nHost: h\r\n" + framing)
            self.network.wait(6.5)
            self.assertIsNotNone(client.lost)
            if client.got:
                self.assertTrue(400 <= client.status < 500)
            self.assertNotIn(b"192.0.2.7", client.got)
        self.assertEqual(self.backend.seen, [])

    def test_slow_body_in_time(self) -> None:
        """A body that comes slowly, but within ``read_timeout``, is served whole (http-api.md §1.1)."""
        self.start({"a": self.backend}, server={"read_timeout": "10s", "read_header_timeout": "2s"})
        client = self.send(b"POST /olla/openai/v1/x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n")
        for letter in (b"h", b"e", b"l", b"l", b"o"):
            self.network.wait(1.5)
            client.transport.write(letter)
        self.network.pump()
        self.assertEqual((client.status, self.backend.seen[0].body), (200, b"hello"))

    def test_idle(self) -> None:
        """A connection that is not used again is closed after ``idle_timeout``, without a reset (http-api.md §1.1)."""
        self.start({"a": self.backend}, server={"idle_timeout": "5s"})
        for path in ("/olla/proxy/x", "/internal/health"):
            client = self.get(path)
            self.network.wait(4.5)
            self.assertIsNone(client.lost, path)
            self.network.wait(1.5)
            assert client.lost is not None, path
            self.assertIs(client.lost.type, ConnectionDone)
            self.assertTrue(client.whole)

    def test_idle_while_read(self) -> None:
        """What a slow client has yet to read of the last answer is not lost to ``idle_timeout`` (C39)."""
        self.start({"a": self.backend}, server={"idle_timeout": "5s"})
        for path in ("/olla/proxy/x", "/internal/metrics"):
            client = self.connect()
            client.transport.pauseProducing()
            client.transport.write(request("GET", path))
            self.network.wait(10.0)
            client.transport.resumeProducing()
            self.network.wait(1.0)
            self.assertEqual((client.status, client.whole), (200, True), path)

    def test_last_part_of_an_answer(self) -> None:
        """A client that is behind with reading gets the end of its answer, however late that is (B139)."""
        whole = bytes(range(256)) * 4096
        self.backend.play = says(answer(whole))
        self.start({"a": self.backend}, server={"idle_timeout": "2s"})
        for fields in ({}, {"Connection": "close"}):
            client = self.connect()
            client.transport.paused = True
            client.transport.write(request("GET", "/olla/proxy/big", **fields))
            self.network.wait(60.0)
            client.transport.paused = False
            self.network.wait(1.0)
            self.assertTrue(client.whole, fields)
            self.assertEqual(client.body, whole)
            self.assertIsNotNone(client.lost)

    def test_who_never_reads(self) -> None:
        """A client that reads nothing more is not waited for without end, ``write_timeout`` at most (R49)."""
        self.backend.play = says(answer(bytes(1 << 20)))
        self.start({"a": self.backend}, server={"idle_timeout": "2s", "write_timeout": "40s"})
        for fields in ({}, {"Connection": "close"}):
            client = self.connect()
            client.transport.paused = True
            client.transport.write(request("GET", "/olla/proxy/big", **fields))
            self.network.wait(30.0)
            self.assertFalse(client.transport.disconnected)
            self.network.wait(15.0)
            self.assertTrue(client.transport.disconnected)

    def test_long_answers(self) -> None:
        """None of the limits for clients ends an answer that is under way (B84, http-api.md §1.1)."""
        held: list[BackendConnection] = []
        self.backend.play = lambda connection, seen: held.append(connection)
        limits = {"read_timeout": "2s", "read_header_timeout": "2s", "idle_timeout": "2s"}
        self.start({"a": self.backend}, server=limits)
        client = self.post()
        self.network.wait(10.0)
        held[0].transport.write(SSE + chunk(b"data: 1\n\n"))
        self.network.wait(10.0)
        held[0].transport.write(b"0\r\n\r\n")
        self.network.pump()
        self.assertTrue(client.whole)
