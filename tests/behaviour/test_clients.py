"""Clients that leave, read slowly, or ask much over one connection."""

from __future__ import annotations

import json

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
)

WHOLE = bytes(range(256)) * 8192
HELD = 96 * 1024  # of one slow client, so that 4,000 of them take 384 MiB


def bodies(raw: bytes) -> list[bytes]:
    """Split answers with lengths, one after the other, into their bodies."""
    found = []
    while raw:
        head, _, rest = raw.partition(HEADER_END)
        length = int(Seen(head, b"").fields("Content-Length")[0])
        found.append(rest[:length])
        raw = rest[length:]
    return found


@on_each_engine
class Leaving(ProxyCase):
    """Clients that go before the end."""

    def leave(self, first: bytes, *, reset: bool) -> None:
        """Let ten clients go after the backend has said ``first``; nothing may be left, nobody be blamed."""
        backend, other = Backend(play=says(first)), Backend(play=says(first))
        self.start({"a": backend, "b": other}, proxy={"load_balancer": "priority"})
        for _ in range(10):
            client = self.post()
            if reset:
                client.transport.abortConnection()
            else:
                client.transport.loseConnection()
            self.network.pump(0.2)
            busy = [one for one in backend.connections if one.lost is None and b"POST" in one.transport.other.sent]
            self.assertEqual(busy, [])
        self.assertEqual((len(backend.seen), other.seen), (10, []))
        status = self.status()
        system = status["system"]
        self.assertEqual((system["client_disconnects"], system["total_failures"]), (10, 0))
        self.assertEqual(system["active_connections"], 0)
        self.assertEqual({one["circuit"] for one in status["endpoints"]}, {"closed"})
        self.assertEqual({one["status"] for one in status["endpoints"]}, {"healthy"})

    def test_before_the_head(self) -> None:
        """Leaving before an answer hangs up on the backend in 0.2 s, and blames nobody (C134, B29, B78, R45)."""
        self.leave(b"", reset=True)

    def test_before_the_head_in_good_order(self) -> None:
        """The same for a client that closes instead of resetting (R45)."""
        self.leave(b"", reset=False)

    def test_mid_stream(self) -> None:
        """Leaving in the midst of a stream does the same (C43, B85, R45)."""
        self.leave(SSE + chunk(b"data: 1\n\n"), reset=True)

    def test_mid_stream_in_good_order(self) -> None:
        """The same for a client that closes instead of resetting (R45)."""
        self.leave(SSE + chunk(b"data: 1\n\n"), reset=False)

    def test_while_connecting(self) -> None:
        """Leaving while we still connect leaves no connection and no timer behind (B78)."""
        backend = Backend()
        self.start({"a": backend})
        self.network.unanswered.add(9000)
        for connection in backend.connections:
            connection.transport.loseConnection()
        self.network.pump(0.1)
        client = self.post()
        client.transport.abortConnection()
        self.network.pump(0.2)
        self.assertEqual(self.status()["system"]["active_connections"], 0)
        self.assertEqual(backend.seen, [])

    def test_while_sending(self) -> None:
        """A client that leaves in the midst of its body reaches no backend (R51, R70)."""
        backend = Backend()
        self.start({"a": backend})
        for framing in (b"Content-Length: 10\r\n\r\nhe", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhe"):
            client = self.send(b"POST /olla/openai/v1/x HTTP/1.1\r\nHost: h\r\n" + framing)
            client.transport.abortConnection()
            self.network.pump(0.2)
        self.assertEqual(backend.seen, [])
        self.assertEqual(self.status()["system"]["active_connections"], 0)

    def test_logged(self) -> None:
        """A client that left has one line in the access log: 499, whenever it did (C126, http-api.md §6.5)."""
        backend = Backend()
        self.start({"a": backend})
        for name, first in (("early", b""), ("late", SSE + chunk(b"data: 1\n\n"))):
            backend.play = says(first)
            client = self.post(X_Request_ID=name)
            client.transport.abortConnection()
            self.network.pump(0.2)
        told = [(one["request_id"], one["msg"], one["status"]) for one in self.records() if "request_id" in one]
        self.assertEqual(
            [one for one in told if one[1] == "Request"], [("early", "Request", 499), ("late", "Request", 499)]
        )
        cancelled = [(one[0], one[2]) for one in told if one[1] == "Request cancelled"]
        self.assertEqual(cancelled, [("early", 499), ("late", 499)])


@on_each_engine
class Slow(ProxyCase):
    """Clients that read slowly."""

    def begin(self) -> tuple[Client, BackendConnection]:
        """Start, and ask for 2 MiB with a client that reads nothing; gives it, and the backend's connection."""
        held: list[BackendConnection] = []

        def play(connection: BackendConnection, seen: Seen) -> None:
            held.append(connection)
            connection.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(WHOLE))
            for at in range(0, len(WHOLE), 16384):
                connection.transport.write(WHOLE[at : at + 16384])

        self.backend = Backend(play=play)
        self.start({"a": self.backend})
        client = self.connect()
        client.transport.paused = True
        client.transport.write(request("POST", "/olla/proxy/big", {"model": "m"}, self.detour))
        self.network.wait(2.0)
        return client, held[0]

    def test_backend_is_held_back(self) -> None:
        """What a client does not read stays at the backend; later it gets every byte (C44, B82, R49)."""
        client, backend = self.begin()
        self.assertLessEqual(client.transport.other.size(), HELD)
        self.assertGreater(backend.transport.size(), 1024 * 1024)
        client.transport.paused = False
        self.network.wait(0.5)
        self.assertTrue(client.whole)
        self.assertEqual(client.body, WHOLE)

    def test_stop_and_go(self) -> None:
        """A client that stops and goes again and again gets every byte in order (B82, B86)."""
        client, _ = self.begin()
        for _ in range(200):
            client.transport.paused = False
            client.transport.other.deliver()
            client.transport.paused = True
            self.network.pump(0.01)
            self.assertLessEqual(client.transport.other.size(), HELD)
        client.transport.paused = False
        self.network.wait(0.5)
        self.assertEqual(client.body, WHOLE)

    def test_connection_is_kept_and_runs(self) -> None:
        """A connection to the backend that was held back serves the next request as any other (R49)."""
        client, backend = self.begin()
        client.transport.paused = False
        self.network.wait(0.5)
        self.backend.play = lambda connection, seen: connection.transport.write(answer(seen.body))
        self.assertEqual(self.post(body={"model": "m", "n": 2}).json, {"model": "m", "n": 2})
        self.assertEqual(backend.transport.other.sent.count(b"POST "), 2)

    def test_leaves_while_held_back(self) -> None:
        """A slow client that leaves frees the backend at once (R45, R49)."""
        client, backend = self.begin()
        client.transport.abortConnection()
        self.network.pump(0.2)
        self.assertIsNotNone(backend.lost)
        self.assertEqual(self.status()["system"]["active_connections"], 0)

    def test_others_are_not_held_back(self) -> None:
        """A slow client costs nobody else anything (C44)."""
        self.begin()
        self.backend.play = says(answer(b"quick"))
        self.assertEqual(self.post().body, b"quick")


@on_each_engine
class Keeping(ProxyCase):
    """Many requests over one connection."""

    def setUp(self) -> None:
        super().setUp()
        self.backend = Backend(play=lambda connection, seen: connection.transport.write(answer(seen.line)))

    def test_pipelined(self) -> None:
        """Requests sent at once are answered in order, each with its own answer (R12)."""
        self.start({"a": self.backend})
        client = self.send(b"".join(request("GET", f"/olla/proxy/{number}") for number in range(20)))
        self.assertEqual(bodies(client.got), [b"GET /%d HTTP/1.1" % number for number in range(20)])

    def test_pipelined_with_bodies(self) -> None:
        """Bodies, framed either way, end where they end; pages of ours in between keep their place (R12)."""
        self.start({"a": self.backend})
        sent = (
            request("POST", "/olla/proxy/1", b"GET /no HTTP/1.1\r\n\r\n"),
            request("GET", "/internal/health"),
            request("POST", "/olla/proxy/2", b"GET /no HTTP/1.1\r\n\r\n", detour=True),
            request("GET", "/olla/proxy/3"),
            request("GET", "/nope"),
        )
        client = self.send(b"".join(sent))
        first, health, second, third, missing = bodies(client.got)
        lines = [b"POST /1 HTTP/1.1", b"POST /2 HTTP/1.1", b"GET /3 HTTP/1.1"]
        self.assertEqual([first, second, third], lines)
        self.assertEqual(json.loads(health), {"status": "healthy"})
        self.assertEqual(json.loads(missing)["error"]["code"], "ROUTE_NOT_FOUND")
        self.assertEqual([seen.line for seen in self.backend.seen], lines)

    def test_pipelined_behind_a_slow_one(self) -> None:
        """A request behind an unanswered one waits for its turn, and is not answered before it (R12)."""
        held: list[tuple[BackendConnection, Seen]] = []
        self.backend.play = lambda connection, seen: held.append((connection, seen))
        self.start({"a": self.backend})
        client = self.send(request("GET", "/olla/proxy/slow") + request("GET", "/internal/health"))
        self.network.wait(1.0)
        self.assertEqual(client.got, b"")
        connection, seen = held[0]
        connection.transport.write(answer(seen.line))
        self.network.pump()
        first, second = bodies(client.got)
        self.assertEqual((first, json.loads(second)), (b"GET /slow HTTP/1.1", {"status": "healthy"}))

    def test_byte_by_byte(self) -> None:
        """A request is the same in however small pieces it comes (R12)."""
        self.start({"a": self.backend})
        client = self.connect()
        for byte in request("POST", "/olla/proxy/1", {"model": "m"}, self.detour) + request("GET", "/olla/proxy/2"):
            client.transport.write(bytes([byte]))
        self.network.pump()
        self.assertEqual(bodies(client.got), [b"POST /1 HTTP/1.1", b"GET /2 HTTP/1.1"])

    def test_client_wants_to_close(self) -> None:
        """``Connection: close`` and HTTP/1.0 are answered, then closed (http-api.md §1.1)."""
        self.start({"a": self.backend})
        for raw in (
            request("GET", "/olla/proxy/x", Connection="close"),
            b"GET /olla/proxy/x HTTP/1.0\r\nHost: h\r\n\r\n",
            request("GET", "/internal/health", Connection="close"),
        ):
            client = self.send(raw)
            self.network.pump(0.1)
            self.assertEqual((client.status, client.whole), (200, True), raw)
            self.assertIsNotNone(client.lost, raw)

    def test_stream_to_an_old_client(self) -> None:
        """A client of HTTP/1.0 gets a stream without chunks, ended by the connection's end (R27)."""
        self.backend.play = says(SSE + chunk(b"data: 1\n\n") + b"0\r\n\r\n")
        self.start({"a": self.backend})
        client = self.send(b"GET /olla/proxy/x HTTP/1.0\r\nHost: h\r\n\r\n")
        self.network.pump(0.1)
        self.assertEqual(client.got.partition(HEADER_END)[2], b"data: 1\n\n")
        self.assertIsNone(client.field("Transfer-Encoding"))
        self.assertIsNotNone(client.lost)

    def test_expects_to_go_on(self) -> None:
        """``Expect: 100-continue`` is answered within a second, and the request served (R15)."""
        self.start({"a": self.backend})
        client = self.send(
            b"POST /olla/proxy/x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
        )
        self.network.pump(0.5)
        self.assertTrue(client.got.startswith(b"HTTP/1.1 100 "))
        client.got = b""
        client.transport.write(b"{}")
        self.network.pump()
        self.assertEqual((client.status, self.backend.seen[0].body), (200, b"{}"))
        self.assertEqual(self.backend.seen[0].fields("Expect"), [])

    def test_unread_rest(self) -> None:
        """Early answers close the connection: what follows is never taken for a request (R12, http-api.md §1.2)."""
        self.start({"a": self.backend}, server={"request_limits": {"max_body_size": 100}})
        inner = request("GET", "/olla/proxy/inner")
        client = self.send(b"POST /olla/proxy/x HTTP/1.1\r\nHost: h\r\nContent-Length: 5000\r\n\r\n" + inner)
        self.network.pump(0.5)
        self.assertEqual((client.status, client.got.count(b"HTTP/1.1 ")), (413, 1))
        self.assertEqual(self.backend.seen, [])
