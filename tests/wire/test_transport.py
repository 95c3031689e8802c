"""Transports that send at once behave as Twisted's do, on every reactor."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet import reactor, tcp
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, serverFromString
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.logger import Logger
from twisted.trial.unittest import SynchronousTestCase, TestCase

from olla.wire.transport import AtOnceReactor, AtOnceServer, at_once, fault


class Talk(Protocol):
    """
    Notes what it hears.

    :ivar made: fires when the connection stands.
    :ivar lost: fires when it is gone.
    """

    def __init__(self) -> None:
        self.made: Deferred[Any] = Deferred()
        self.lost: Deferred[Any] = Deferred()
        self.heard = b""
        self.awaited: tuple[int, Deferred[bytes]] | None = None

    def connectionMade(self) -> None:
        """It stands."""
        self.made.callback(self)

    def hear(self, count: int) -> Deferred[bytes]:
        """Fire when ``count`` bytes have come in all."""
        waiting: Deferred[bytes] = Deferred()
        self.awaited = (count, waiting)
        self.dataReceived(b"")
        return waiting

    def dataReceived(self, data: bytes) -> None:
        """Note it."""
        self.heard += data
        if self.awaited is not None and len(self.heard) >= self.awaited[0]:
            self.awaited[1].callback(self.heard)
            self.awaited = None

    def connectionLost(self, reason: Any = None) -> None:
        """It is gone."""
        self.lost.callback(None)


class Talks(Factory):
    """Makes a protocol that was there before."""

    noisy = False

    def __init__(self) -> None:
        self.talk = Talk()

    def buildProtocol(self, addr: Any) -> Talk:
        """Give it."""
        return self.talk


class Pull:
    """A pull producer of ``count`` pieces."""

    def __init__(self, consumer: Any, count: int) -> None:
        self.consumer = consumer
        self.left = count

    def resumeProducing(self) -> None:
        """Write one."""
        if self.left:
            self.left -= 1
            self.consumer.write(bytes(1000))
        else:
            self.consumer.unregisterProducer()

    def stopProducing(self) -> None:
        """Nothing to be done."""


class Push:
    """A push producer that only notes whether it is held back."""

    paused = False

    def pauseProducing(self) -> None:
        """Hold on."""
        self.paused = True

    def resumeProducing(self) -> None:
        """Go on."""
        self.paused = False

    def stopProducing(self) -> None:
        """Nothing to be done."""


class LoopbackTests(TestCase):
    """Real sockets on loopback."""

    timeout = 20

    def setUp(self) -> Any:
        """Connect a client with a server."""
        self.reactor = at_once(reactor, Logger())
        self.assertIsInstance(self.reactor, AtOnceReactor)
        self.server, self.client = Talks(), Talks()
        self.port = self.reactor.listenTCP(0, self.server, interface="127.0.0.1")
        self.addCleanup(self.port.stopListening)
        TCP4ClientEndpoint(self.reactor, "127.0.0.1", self.port.getHost().port).connect(self.client)
        self.addCleanup(self.hang_up)
        return gatherResults([self.server.talk.made, self.client.talk.made])

    def hang_up(self) -> Any:
        """Close both ends."""
        for talk in (self.server.talk, self.client.talk):
            talk.transport.abortConnection()  # type: ignore[union-attr]  # a TCP transport
        return gatherResults([self.server.talk.lost, self.client.talk.lost])

    async def test_both_ways(self) -> None:
        """Bytes go both ways, on transports of ours, and nothing waits for the reactor."""
        for one, other in ((self.server, self.client), (self.client, self.server)):
            transport: Any = one.talk.transport
            self.assertNotIsInstance(transport, (tcp.Server,) if one is self.client else (tcp.Client,))
            transport.write(b"a")
            transport.writeSequence([b"b", b"c"])
            self.assertFalse(transport._tempDataLen or transport.dataBuffer)
            self.assertEqual(await other.talk.hear(3), b"abc")

    async def test_large(self) -> None:
        """More than the socket takes arrives whole and in order, and then the connection closes."""
        data = b"".join(b"%07d " % number for number in range(1_000_000))
        transport: Any = self.server.talk.transport
        for at in range(0, len(data), 100_000):
            transport.write(data[at : at + 100_000])
        transport.loseConnection()
        heard = await self.client.talk.hear(len(data))
        self.assertTrue(heard == data)

    async def test_pull(self) -> None:
        """A pull producer is asked for piece after piece."""
        transport: Any = self.server.talk.transport
        transport.registerProducer(Pull(transport, 50), False)
        self.assertEqual(len(await self.client.talk.hear(50_000)), 50_000)

    async def test_full(self) -> None:
        """A producer is held back as soon as the socket is full, and no more than one write is kept (R49)."""
        server: Any = self.server.talk.transport
        self.client.talk.transport.pauseProducing()  # type: ignore[union-attr]  # a TCP transport
        push = Push()
        server.registerProducer(push, True)
        while not push.paused:
            server.write(bytes(20_000))
            self.assertLessEqual(len(server.dataBuffer) + server._tempDataLen, 20_000)
        self.assertGreater(server._tempDataLen, 0)

    async def test_gone(self) -> None:
        """Writing to a connection that the other end has reset never raises; ``connectionLost`` tells."""
        client: Any = self.client.talk.transport
        client.abortConnection()
        await self.client.talk.lost
        for _ in range(3):
            self.server.talk.transport.write(b"a")  # type: ignore[union-attr]  # a TCP transport
        await self.server.talk.lost


class ReactorTests(TestCase):
    """The stand-in for a reactor."""

    timeout = 20

    async def connected(self, port: Any, server: Talks, host: str) -> None:
        """Connect to ``port`` by name or address, and see that the connection is of our kind."""
        client = Talks()
        await HostnameEndpoint(at_once(reactor, Logger()), host, port.getHost().port).connect(client)
        await server.talk.made
        self.assertIsInstance(server.talk.transport, AtOnceServer)
        client.talk.transport.loseConnection()  # type: ignore[union-attr]  # it stands
        await gatherResults([client.talk.lost, server.talk.lost])
        await port.stopListening()

    async def test_endpoints(self) -> None:
        """Twisted's endpoints listen and connect through it."""
        server = Talks()
        endpoint = serverFromString(at_once(reactor, Logger()), "tcp:0:interface=127.0.0.1")
        await self.connected(await endpoint.listen(server), server, "127.0.0.1")

    async def test_adopt(self) -> None:
        """A listening socket that was inherited is taken over (pitfall 2: a non-blocking one)."""
        listening = socket.create_server(("127.0.0.1", 0))
        listening.setblocking(False)
        server = Talks()
        port = at_once(reactor, Logger()).adoptStreamPort(listening.fileno(), socket.AF_INET, server)
        listening.close()
        await self.connected(port, server, "127.0.0.1")

    async def test_leaves_nobody(self) -> None:
        """Who has connected and is not accepted when a port is closed is accepted then, and not reset (R64)."""
        for close, made in (("leave_nobody", True), ("stopListening", False)):
            server = Talks()
            port = at_once(reactor, Logger()).listenTCP(0, server, interface="127.0.0.1")
            port.stopReading()
            with socket.create_connection(("127.0.0.1", port.getHost().port)) as client:
                await getattr(port, close)()
                self.assertEqual(server.talk.made.called, made, close)
                if made:
                    server.talk.transport.write(b"here")
                    self.assertEqual(client.recv(10), b"here")
                    server.talk.transport.loseConnection()
                    await server.talk.lost

    async def test_ipv6(self) -> None:
        """IPv6 too."""
        server = Talks()
        try:
            port = at_once(reactor, Logger()).listenTCP(0, server, interface="::1")
        except Exception:
            self.skipTest("no IPv6 here")
        await self.connected(port, server, "::1")


class FallbackTests(SynchronousTestCase):
    """Where it cannot be."""

    def lines(self, given: Any) -> tuple[Any, list[str]]:
        """Give what :func:`at_once` makes of a reactor, and what it logs."""
        events: list[Any] = []
        made = at_once(given, Logger(observer=events.append))  # type: ignore[arg-type]  # an observer
        return made, [event["reason"] for event in events]

    def test_this_twisted(self) -> None:
        """The Twisted that is pinned passes."""
        self.assertEqual(fault(), "")
        self.assertEqual(self.lines(reactor)[1], [])

    def test_another_reactor(self) -> None:
        """A reactor of another kind is used as it is, with one line in the log."""
        clock = Clock()
        made, lines = self.lines(clock)
        self.assertIs(made, clock)
        self.assertEqual(len(lines), 1)

    def test_another_twisted(self) -> None:
        """A Twisted whose private names differ is used as it is, with one line in the log."""
        for name in ("startWriting", "registerProducer"):
            patched = self.patch(AtOnceServer, name, lambda *_: None)
            made, lines = self.lines(reactor)
            self.assertIs(made, reactor)
            self.assertEqual(len(lines), 1)
            patched.restore()
        self.patch(tcp.Port, "transport", None)
        self.assertEqual(self.lines(reactor)[0], reactor)
