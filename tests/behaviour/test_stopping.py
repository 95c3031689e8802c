"""How the proxy stops."""

from __future__ import annotations

import gc
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.web.resource import Resource
from twisted.web.server import Site

from olla.service import proxyResource
from tests.support import (
    PORT,
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

THEIRS = 8080
"""The port of somebody's own site."""


def sends_much(connection: BackendConnection, seen: Seen) -> None:
    """Answer with 4 MiB in small pieces."""
    connection.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4194304\r\n\r\n")
    for _ in range(256):
        connection.transport.write(b"x" * 16384)


@on_each_engine
class Stopping(ProxyCase):
    """A stream runs, and the process is told to stop; that nothing is left is proved by each test's end."""

    def begin(self, budget: str = "5s", **more: Any) -> Client:
        """Start, and have a stream running; :attr:`held` are the connections at the backend."""
        self.held: list[BackendConnection] = []

        def play(connection: BackendConnection, seen: Seen) -> None:
            self.held.append(connection)
            connection.transport.write(SSE + chunk(b"data: 1\n\n"))

        self.backend = Backend(play=play)
        self.start({"a": self.backend}, server={"shutdown_timeout": budget}, **more)
        return self.post()

    def stop_now(self) -> Deferred[Any]:
        """Tell it to stop, without waiting; gives what fires when it has."""
        assert self.proxy is not None
        proxy, self.proxy = self.proxy, None
        self.stopped = proxy.stopService()
        self.network.pump(0.05)
        self.addCleanup(self.assertNothingLeft)
        return self.stopped

    def assertNothingLeft(self) -> None:
        """Check that it has stopped, and that no timer and no connection is left (B134)."""
        self.network.wait(12.0, 0.05)
        self.successResultOf(self.stopped)
        self.assertEqual([str(call) for call in self.network.getDelayedCalls()], [])
        self.assertEqual([one for one in self.backend.connections if one.lost is None], [])

    def embedded(self) -> Client:
        """Have a stream running under a site of somebody's application, where the proxy hangs below ``/llm``."""
        self.begin()
        self.held.pop().transport.write(b"0\r\n\r\n")
        assert self.proxy is not None
        root = Resource()
        root.putChild(b"llm", proxyResource(self.proxy))
        self.theirs = Site(root, timeout=None, reactor=self.network)
        self.network.listenTCP(THEIRS, self.theirs)
        client = self.ask_there()
        self.assertEqual(client.status, 200)
        return client

    def ask_there(self) -> Client:
        """Ask for a chat at somebody's site."""
        client = Client()
        path = "/llm/olla/openai/v1/chat/completions"
        self.network.connect(client, THEIRS).write(request("POST", path, {"model": "m"}))
        self.network.pump()
        return client

    def test_embedded(self) -> None:
        """In an application of somebody's, whose site keeps the connections, a stop waits for streams too (B131)."""
        client = self.embedded()
        stopped = self.stop_now()
        self.network.wait(2.0)
        self.assertNoResult(stopped)
        self.assertEqual(self.ask_there().status, 503)
        self.held[0].transport.write(chunk(b"data: 2\n\n") + b"0\r\n\r\n")
        self.network.wait(0.5, 0.05)
        self.assertTrue(client.whole)
        self.successResultOf(stopped)
        self.theirs.stopFactory()

    def test_embedded_too_slow(self) -> None:
        """There too what takes longer than the budget is cut, visibly (B132)."""
        client = self.embedded()
        stopped = self.stop_now()
        self.network.wait(6.0, 0.05)
        self.assertFalse(client.whole)
        self.assertIsNotNone(client.lost)
        self.successResultOf(stopped)
        self.theirs.stopFactory()

    def test_stream_ends_in_time(self) -> None:
        """A stream that ends within the budget is whole; that is when the process is done (B131, R64)."""
        client = self.begin()
        stopped = self.stop_now()
        self.network.wait(2.0)
        self.assertNoResult(stopped)
        self.held[0].transport.write(chunk(b"data: 2\n\n") + b"0\r\n\r\n")
        self.network.wait(0.5, 0.05)
        self.assertEqual((client.body, client.whole), (b"data: 1\n\ndata: 2\n\n", True))
        self.network.wait(0.5, 0.05)
        self.successResultOf(stopped)

    def test_stream_takes_too_long(self) -> None:
        """What exceeds the budget is cut visibly, and the process is done within a second of it (B132, R64)."""
        client = self.begin()
        stopped = self.stop_now()
        self.network.wait(4.5)
        self.assertIsNone(client.lost)
        self.network.wait(1.5, 0.05)
        self.assertFalse(client.whole)
        self.successResultOf(stopped)

    def test_no_new_connections(self) -> None:
        """The port is closed at once (B131)."""
        self.begin()
        self.stop_now()
        self.assertNotIn(PORT, self.network.listeners)

    def test_half_sent_requests(self) -> None:
        """A request that is whole too late is not begun: 503, and closed; health says so too (C78, B135, R64)."""
        self.begin()
        asking, probing = request("POST", "/olla/openai/v1/x", b"{}"), request("GET", "/internal/health", b"{}")
        clients = [self.send(asking[:-1]), self.send(probing[:-1])]
        self.stop_now()
        self.network.wait(0.6, 0.05)
        for client in clients:
            client.transport.write(b"}")
        self.network.wait(0.3, 0.05)
        self.assertEqual([client.status for client in clients], [503, 503])
        self.assertEqual(clients[0].json["error"]["type"], "service_unavailable")
        self.assertEqual(clients[1].json, {"status": "draining"})
        self.assertEqual(len(self.backend.seen), 1)
        self.assertNotIn(None, [client.lost for client in clients])

    def test_last_call(self) -> None:
        """
        Who is connected may ask once more for a moment, and hears that this was the last time (R67).

        A client that sends its request just as we stop has it answered; health says at once that we stop.
        """
        self.begin()
        self.backend.play = says(answer(b"yes"))
        kept, new, half, probing = self.get("/olla/proxy/x"), self.connect(), self.connect(), self.connect()
        asking = request("POST", "/olla/openai/v1/x", b"{}")
        half.transport.write(asking[:-1])
        self.network.pump()
        kept.got = b""
        self.stop_now()
        self.network.wait(0.2, 0.05)
        for client, data in ((kept, asking), (new, asking), (half, b"}")):
            client.transport.write(data)
        probing.transport.write(request("GET", "/internal/health"))
        self.network.wait(0.2, 0.05)
        for client in (kept, new, half):
            self.assertEqual((client.status, client.body), (200, b"yes"))
            self.assertEqual(client.field("Connection"), "close")
            self.assertIsNotNone(client.lost)
        self.assertEqual((probing.status, probing.json), (503, {"status": "draining"}))

    def test_idle_connections(self) -> None:
        """Connections on which nothing runs do not hold it up (B131)."""
        self.begin()
        self.held[0].transport.write(b"0\r\n\r\n")
        idle = self.get("/internal/health")
        self.network.pump(0.1)
        stopped = self.stop_now()
        self.network.wait(0.6, 0.05)
        self.assertIsNotNone(idle.lost)
        self.successResultOf(stopped)

    def test_before_the_head(self) -> None:
        """A request that still waits for its backend's head is served like a stream, or cut like one (B131, B132)."""
        self.begin()
        self.held[0].transport.write(b"0\r\n\r\n")
        self.backend.play = lambda connection, seen: self.held.append(connection)
        patient, hopeless = self.post(), self.post()
        self.stop_now()
        self.network.wait(1.0)
        self.held[1].transport.write(SSE + b"0\r\n\r\n")
        self.network.wait(6.0, 0.05)
        self.assertEqual((patient.status, patient.whole), (200, True))
        self.assertFalse(hopeless.got.startswith(b"HTTP/1.1 200"))
        self.assertIsNotNone(hopeless.lost)

    def test_while_waiting_in_the_queue(self) -> None:
        """One that waits for a free endpoint does not survive the budget (B132)."""
        self.begin(endpoint={"max_concurrent_requests": 1})
        waiting = self.post()
        stopped = self.stop_now()
        self.network.wait(6.0, 0.05)
        self.successResultOf(stopped)
        self.assertIsNotNone(waiting.lost)
        self.assertEqual(len(self.backend.seen), 1)

    def test_slow_reader(self) -> None:
        """A client that does not read cannot hold it up beyond the budget (B132)."""
        self.begin()
        self.held[0].transport.write(b"0\r\n\r\n")
        self.network.pump()
        self.backend.play = sends_much
        client = self.connect()
        client.transport.paused = True
        client.transport.write(request("GET", "/olla/proxy/big"))
        self.network.wait(1.0)
        stopped = self.stop_now()
        self.network.wait(6.5, 0.05)
        self.successResultOf(stopped)
        client.transport.paused = False
        self.network.wait(0.5, 0.05)
        self.assertFalse(client.whole)

    def test_slow_reader_in_time(self) -> None:
        """A client that has yet to read the end of its answer gets it, within the budget (B131)."""
        self.begin()
        self.held[0].transport.write(b"0\r\n\r\n")
        self.network.pump()
        self.backend.play = says(answer(bytes(1 << 20)))
        client = self.connect()
        client.transport.paused = True
        client.transport.write(request("GET", "/olla/proxy/big"))
        self.network.wait(1.0)
        stopped = self.stop_now()
        self.network.wait(3.0, 0.05)
        self.assertNoResult(stopped)
        client.transport.paused = False
        self.network.wait(1.0, 0.05)
        self.successResultOf(stopped)
        self.assertTrue(client.whole)

    def test_twice(self) -> None:
        """Stopping twice is harmless (B134)."""
        self.begin()
        proxy = self.proxy
        assert proxy is not None
        stopped = self.stop_now()
        again = proxy.stopService()
        self.network.wait(7.0, 0.05)
        self.successResultOf(stopped)
        self.successResultOf(again)
        del stopped, again, proxy
        self.stopped = succeed(None)
        gc.collect()
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_hurry(self) -> None:
        """Told to hurry, it waits no longer (R64)."""
        client = self.begin("600s")
        proxy = self.proxy
        assert proxy is not None
        stopped = self.stop_now()
        self.network.wait(1.0)
        self.assertNoResult(stopped)
        proxy.hurry()
        self.network.wait(1.0, 0.05)
        self.successResultOf(stopped)
        self.assertFalse(client.whole)

    def test_checks_go_on(self) -> None:
        """Endpoints are looked at until the last stream has ended (B133)."""
        self.begin("60s")
        before = len(self.backend.probes)
        self.stop_now()
        self.network.wait(20.0, 0.5)
        self.assertGreater(len(self.backend.probes), before)
        self.held[0].transport.write(b"0\r\n\r\n")

    def test_while_connecting(self) -> None:
        """A connection that never comes about is given up when it stops (B134)."""
        self.begin("1s")
        self.network.unanswered.add(9000)
        self.post()
        self.stop_now()
