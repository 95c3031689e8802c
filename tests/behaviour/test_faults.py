"""Backends that fail, and clients that leave."""

from __future__ import annotations

import json
from typing import Any

from tests.support import (
    Backend,
    BackendConnection,
    ProxyCase,
    Seen,
    answer,
    on_each_engine,
    request,
    resets,
    says,
    says_and_closes,
)

SSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
FIRST = {"load_balancer": "priority"}


@on_each_engine
class Failover(ProxyCase):
    """Two endpoints, the first of which is preferred and fails."""

    def begin(self, first: Backend | None, proxy: dict[str, Any] | None = None, **more: Any) -> Backend:
        """Start with ``first`` preferred; gives the second."""
        second = Backend(play=says(answer({"from": "b"})))
        if first is None:
            first = Backend()
        self.first = first
        endpoints = [
            {"name": name, "url": f"http://127.0.0.1:{port}", "type": "openai", "priority": priority}
            for name, port, priority in (("a", 9000, 100), ("b", 9001, 50))
        ]
        self.network.listeners.update({9000: first, 9001: second})
        self.start({}, discovery={"static": {"endpoints": endpoints}}, proxy={**FIRST, **(proxy or {})}, **more)
        return second

    def refuse(self) -> None:
        """Let the first endpoint refuse connections from now on."""
        del self.network.listeners[9000]

    def test_refused(self) -> None:
        """A refused POST is answered by the other endpoint, once; the first is offline (C41, B71, B72, R34)."""
        second = self.begin(None)
        self.refuse()
        client = self.post(body={"model": "m", "n": 1})
        self.assertEqual((client.status, client.json), (200, {"from": "b"}))
        self.assertEqual(client.field("X-Olla-Attempts"), "2")
        self.assertEqual([json.loads(seen.body) for seen in second.seen], [{"model": "m", "n": 1}])
        status = json.loads(self.get("/internal/status/endpoints").body)
        self.assertEqual({one["name"]: one["status"] for one in status["endpoints"]}, {"a": "offline", "b": "healthy"})

    def test_reset(self) -> None:
        """A connection reset before any answer moves the request on (R34)."""
        self.begin(Backend(play=resets))
        self.assertEqual(self.post().json, {"from": "b"})

    def test_blackholed(self) -> None:
        """No answer to the connection within ``connection_timeout``: the other endpoint has it (B77, R35)."""
        self.begin(None, proxy={"connection_timeout": "2s"})
        self.refuse()
        self.network.unanswered.add(9000)
        client = self.post()
        self.network.wait(3.0)
        self.assertEqual((client.status, client.json), (200, {"from": "b"}))

    def test_listed_status(self) -> None:
        """503 and 429 of one endpoint are another's chance (B79, http-api.md §6.3)."""
        for status in (429, 503):
            self.setUp()
            self.begin(Backend(play=says(answer({"busy": 1}, status))))
            self.assertEqual(self.post().json, {"from": "b"})
            self.stop()

    def test_last_status_is_relayed(self) -> None:
        """With nobody left to ask, the busy answer itself comes, its Retry-After too (C58, R39)."""
        self.start({"a": Backend(play=says(answer(b"busy", 503, Retry_After="7")))})
        client = self.post()
        self.assertEqual((client.status, client.body, client.field("Retry-After")), (503, b"busy", "7"))

    def test_other_status_is_final(self) -> None:
        """A 500 is an answer: nobody else is asked (B75)."""
        second = self.begin(Backend(play=says(answer(b"no", 500))))
        self.assertEqual(self.post().status, 500)
        self.assertEqual(second.seen, [])

    def test_silence_is_not_repeated(self) -> None:
        """A POST whose backend says nothing may be at work: 502 in time, and no second backend (C35, C45, R32)."""
        second = self.begin(Backend(), proxy={"response_header_timeout": "3s"})
        client = self.post()
        self.network.wait(4.0)
        self.assertEqual((client.status, client.json["error"]["code"]), (502, "BACKEND_TIMEOUT"))
        self.assertEqual(second.seen, [])

    def test_silence_to_get_is_repeated(self) -> None:
        """A GET has no effect, and goes to the other endpoint (http-api.md §6.3)."""
        self.begin(Backend(), proxy={"response_header_timeout": "3s"})
        client = self.get("/olla/proxy/v1/x")
        self.network.wait(4.0)
        self.assertEqual(client.json, {"from": "b"})

    def test_all_refused(self) -> None:
        """With all refusing it is 502 with each attempt, none twice (B73, R41, R42)."""
        self.begin(None)
        self.refuse()
        del self.network.listeners[9001]
        error = self.post().json["error"]
        self.assertEqual(
            (error["code"], [one["endpoint"] for one in error["attempts"]]), ("BACKEND_UNREACHABLE", ["a", "b"])
        )

    def test_stale_connection(self) -> None:
        """A kept connection that the backend closed is replaced, for POST too; the endpoint is well (R37, B76)."""
        answered: list[BackendConnection] = []

        def play(connection: BackendConnection, seen: Seen) -> None:
            if connection in answered:
                connection.transport.loseConnection()
            else:
                answered.append(connection)
                connection.transport.write(answer({"n": len(answered)}))

        self.start({"a": Backend(play=play)})
        self.assertEqual(self.post().json, {"n": 1})
        client = self.post()
        self.assertEqual((client.status, client.json, client.field("X-Olla-Attempts")), (200, {"n": 2}, None))
        status = json.loads(self.get("/internal/status/endpoints").body)
        self.assertEqual(status["endpoints"][0]["status"], "healthy")

    def test_breaker(self) -> None:
        """Five 503 in a row close an endpoint off for thirty seconds; then one request tries it (B25, B26, B30)."""
        first = Backend(play=says(answer({}, 503, Retry_After="0")))
        self.begin(first)
        for _ in range(5):
            self.assertEqual(self.post().json, {"from": "b"})
            self.network.wait(3.0, 0.5)
        self.assertEqual(len(first.seen), 5)
        for _ in range(3):
            self.assertEqual(self.post().status, 200)
        self.assertEqual(len(first.seen), 5)
        self.network.wait(31.0, 1.0)
        first.play = says(answer({"from": "a"}))
        self.assertEqual(self.post().json, {"from": "a"})

    def test_queue(self) -> None:
        """At ``max_concurrent_requests`` a request waits, has the freed slot, and is refused when the queue is full."""
        waiting: list[BackendConnection] = []
        backend = Backend(play=lambda connection, seen: waiting.append(connection))
        self.start({"a": backend}, endpoint={"max_concurrent_requests": 1}, proxy={"queue": {"max_waiting": 1}})
        first, second, third = self.post(), self.post(), self.post()
        self.assertEqual((len(backend.seen), second.got), (1, b""))
        self.assertEqual((third.status, third.json["error"]["code"]), (503, "QUEUE_FULL"))
        waiting[0].transport.write(answer({"n": 1}))
        self.network.pump()
        waiting[1].transport.write(answer({"n": 2}))
        self.network.pump()
        self.assertEqual([first.json, second.json], [{"n": 1}, {"n": 2}])


@on_each_engine
class Broken(ProxyCase):
    """Answers that are not whole, or not answers."""

    def test_cut_stream(self) -> None:
        """A stream that breaks ends with an error event and a visible cut; nobody else is asked (C42, B74, R40)."""
        play = says_and_closes(SSE + b"9\r\ndata: 1\n\n\r\n")
        self.start({"a": Backend(play=play), "b": Backend(play=play)})
        client = self.post()
        self.network.pump(0.1)
        self.assertTrue(client.body.startswith(b"data: 1\n\n"))
        self.assertIn(b"BACKEND_STREAM_ABORTED", client.body)
        self.assertNotIn(b"[DONE]", client.body)
        self.assertFalse(client.whole)
        self.assertIsNotNone(client.lost)

    def test_short_body(self) -> None:
        """Fewer bytes than announced never look whole (B87, R23)."""
        self.start({"a": Backend(play=says_and_closes(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"))})
        client = self.post()
        self.network.pump(0.1)
        self.assertFalse(client.whole)
        self.assertIsNotNone(client.lost)

    def test_reset_of_a_body_without_length(self) -> None:
        """A reset is not the end of a body that only its connection's end delimits (R23)."""

        def play(connection: BackendConnection, seen: Seen) -> None:
            connection.transport.write(b"HTTP/1.1 200 OK\r\n\r\nhalf")
            self.network.callLater(0.5, connection.transport.abortConnection)

        self.start({"a": Backend(play=play)})
        client = self.post()
        self.network.wait(1.0)
        self.assertFalse(client.whole)
        self.assertIsNotNone(client.lost)

    def test_garbage(self) -> None:
        """What is not a well-formed head is 502, and never reaches the client (R24, R25, R28)."""
        for reply in (
            b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nX: a\r\n folded\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        ):
            self.setUp()
            self.start({"a": Backend(play=says_and_closes(reply))})
            client = self.post()
            self.network.pump(0.1)
            self.assertEqual((client.status, client.json["error"]["type"]), (502, "bad_gateway"), reply)
            self.stop()

    def test_bytes_nobody_asked_for(self) -> None:
        """Bytes after an answer to HEAD, or after 204, never become the answer to the next request (R26)."""

        def play(connection: BackendConnection, seen: Seen) -> None:
            if seen.line.startswith(b"HEAD"):
                connection.transport.write(answer(b"a body where none belongs"))
            else:
                connection.transport.write(answer(b"clean"))

        self.start({"a": Backend(play=play)})
        head = self.send(request("HEAD", "/olla/proxy/v1/x"))
        self.network.pump(0.1)
        self.assertEqual((head.status, head.got.partition(b"\r\n\r\n")[2]), (200, b""))
        self.assertEqual(self.post().body, b"clean")

    def test_silent_stream(self) -> None:
        """Silence longer than ``read_timeout`` ends a stream with a cut; a shorter one does not (B83, B84, C35)."""
        held: list[BackendConnection] = []

        def play(connection: BackendConnection, seen: Seen) -> None:
            held.append(connection)
            connection.transport.write(SSE + b"2\r\nok\r\n")

        self.start({"a": Backend(play=play)}, proxy={"read_timeout": "5s"})
        client = self.post()
        self.network.wait(4.0)
        held[0].transport.write(b"2\r\nok\r\n")
        self.network.wait(4.0)
        self.assertIsNone(client.lost)
        self.network.wait(3.0)
        self.assertIsNotNone(client.lost)
        self.assertFalse(client.whole)
        self.assertIsNotNone(held[0].lost)

    def test_total_limit(self) -> None:
        """``response_timeout`` ends an answer that trickles for ever (K22, C35)."""

        def play(connection: BackendConnection, seen: Seen) -> None:
            connection.transport.write(SSE)
            for second in range(10):
                self.network.callLater(second, connection.transport.write, b"2\r\nok\r\n")

        self.start({"a": Backend(play=play)}, proxy={"response_timeout": "3s"})
        client = self.post()
        self.network.wait(4.5)
        self.assertIsNotNone(client.lost)
        self.assertFalse(client.whole)
        self.network.wait(8.0)


@on_each_engine
class Leaving(ProxyCase):
    """Clients that go before the end, or read slowly."""

    def test_leaves_mid_stream(self) -> None:
        """The backend is hung up on within 200 ms, and nobody is blamed (C43, B85, R45)."""
        backend = Backend(play=says(SSE + b"2\r\nok\r\n"))
        self.start({"a": backend})
        for _ in range(10):
            client = self.post()
            client.transport.abortConnection()
            self.network.pump(0.2)
        self.assertEqual([one.lost is None for one in backend.connections if one._backend.seen].count(True), 0)
        status = json.loads(self.get("/internal/status").body)
        self.assertEqual((status["system"]["client_disconnects"], status["system"]["total_failures"]), (10, 0))
        self.assertEqual(status["endpoints"][0]["circuit"], "closed")
        self.assertEqual(status["system"]["active_connections"], 0)

    def test_leaves_before_the_head(self) -> None:
        """The same before anything was answered; a second endpoint is not asked (C134, B29, B78)."""
        backends = {"a": Backend(), "b": Backend()}
        self.start(backends)
        for _ in range(10):
            client = self.post()
            client.transport.loseConnection()
            self.network.pump(0.2)
        self.assertEqual(sum(len(one.seen) for one in backends.values()), 10)
        status = json.loads(self.get("/internal/status").body)
        self.assertEqual({one["circuit"] for one in status["endpoints"]}, {"closed"})
        self.assertEqual(status["system"]["active_connections"], 0)

    def test_slow_reader(self) -> None:
        """A client that does not read holds the backend back; later it gets every byte (C44, B82, B139, R49)."""
        whole = bytes(range(256)) * 4096
        pieces = [whole[at : at + 16384] for at in range(0, len(whole), 16384)]
        connections: list[BackendConnection] = []

        def play(connection: BackendConnection, seen: Seen) -> None:
            connections.append(connection)
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
            connection.transport.write(head)
            for piece in pieces:
                connection.transport.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            connection.transport.write(b"0\r\n\r\n")

        self.start({"a": Backend(play=play)}, proxy={"read_timeout": "5s"})
        client = self.connect()
        client.transport.paused = True
        client.transport.write(request("POST", "/olla/openai/v1/chat/completions", {"model": "m"}, self.detour))
        self.network.wait(20.0)
        waiting = client.transport.other.size()
        self.assertLess(waiting, 256 * 1024)
        client.transport.paused = False
        self.network.wait(1.0)
        self.assertTrue(client.whole)
        self.assertEqual(client.body, whole)
        again = self.post(body={"model": "m", "again": 1})
        self.assertEqual(again.status, 200)
