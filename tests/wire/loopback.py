"""
Clients, our channel, our connections and backends, all on real sockets of loopback.

``test_loopback`` runs these cases on each reactor; ``python -m twisted.trial --reactor=NAME tests.wire.loopback`` on
the one you name.
"""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet import ssl
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource
from twisted.web.server import Site

from olla.domain.endpoint import Endpoint
from olla.domain.message import Head, Outgoing
from olla.errors import BrokenBody, Refusal, TLSFailed, UpstreamFailure
from olla.interfaces import IExchange
from olla.pending import Task
from olla.upstream.agent import AgentUpstream
from olla.upstream.dial import Dialler
from olla.upstream.direct import DirectUpstream
from olla.upstream.limits import Patience, Sockets
from olla.wire.front import ChannelFactory
from olla.wire.sizes import Sizes
from olla.wire.transport import at_once
from tests.wire.ends import FLOOD, Client, Engine, Engines, Page, certificate
from tests.wire.payloads import CHUNKED, OK

REACTOR: Any = installed
ASK = b"GET /olla/x HTTP/1.1\r\nHost: a\r\n\r\n"
ANSWER = OK + b"Content-Length: 2\r\n\r\nhi"
TOKEN = b"1\r\na\r\n"
LIMIT = 8_000_000


class LoopbackTests(TestCase):
    """A proxy with nothing but its two ends, clients before it and a backend behind it."""

    timeout = 20
    scheme = "http"
    tls: dict[str, Any] = {}

    def setUp(self) -> None:
        """Start both."""
        self.network = at_once(REACTOR, Logger())
        self.assertIsNot(self.network, REACTOR, "fell back to Twisted's transports")
        self.clients: list[Client] = []
        self.errors: list[Any] = []
        self.engines = Engines(lambda engine: engine.transport.write(ANSWER))
        self.backend = self.listen_backend()
        self.endpoint = Endpoint("e", self.scheme, "localhost", self.backend.getHost().port, **self.tls)
        self.upstream = self.make_upstream()
        page = Resource()
        page.putChild(b"page", Page())
        site = Site(page)
        site.noisy = False
        self.front = ChannelFactory(
            site,
            Sizes(body=LIMIT),
            REACTOR.seconds,
            lambda method, target: target.startswith(b"/olla/"),
            self.begin,
            lambda request: None,
            self.refuse,
        )
        self.port = self.network.listenTCP(0, self.front, interface="127.0.0.1")
        self.sweep = LoopingCall(lambda: deque(self.front.sweep(REACTOR.seconds())))
        self.sweep.start(0.05)

    def make_upstream(self) -> DirectUpstream | AgentUpstream:
        """Make the side of the proxy that is tried out."""
        return DirectUpstream(
            lambda endpoint: Dialler(self.network, endpoint, 5.0, 5.0, Sockets()), REACTOR.seconds, Patience()
        )

    def listen_backend(self) -> Any:
        """Start the backend."""
        return self.network.listenTCP(0, self.engines, interface="127.0.0.1")

    async def tearDown(self) -> None:
        """Stop everything."""
        for one in (*self.clients, *self.engines.all):
            if not one.gone.called:
                one.transport.abortConnection()
            await one.gone
        await self.upstream.close()
        await self.until(lambda: not self.front.channels)
        self.sweep.stop()
        await self.port.stopListening()
        await self.backend.stopListening()
        self.assertEqual(self.errors, [])

    def begin(self, exchange: IExchange) -> Task:
        """Send the request on, and its reply back."""
        task = Task(self.forward(exchange), self.errors.append)
        task.start()
        return task

    async def forward(self, exchange: IExchange) -> None:
        """A journey without stops."""
        asked = exchange.request
        outgoing = Outgoing(asked.method, b"/x", [(b"Host", b"b")], asked.body)
        try:
            reply = await self.upstream.send(self.endpoint, outgoing)
        except UpstreamFailure as failure:
            exchange.respond(Head(502, type(failure).__name__.encode(), [], 0))
            exchange.finish()
            return
        exchange.respond(reply.head)
        try:
            await reply.relay(exchange, None)
        except BrokenBody:
            exchange.abort()
        else:
            exchange.finish()

    def refuse(self, refusal: Refusal, request: Any) -> bytes:
        """Answer what is refused."""
        return b"HTTP/1.1 %d refused\r\nContent-Length: 0\r\n\r\n" % refusal.status

    async def client(self, said: bytes, until: bytes = b"") -> Client:
        """Connect a client, and wait until it has heard ``until``."""
        client = Client(said)
        self.clients.append(client)
        endpoint = TCP4ClientEndpoint(REACTOR, "127.0.0.1", self.port.getHost().port)
        await endpoint.connect(Factory.forProtocol(lambda: client))
        await self.until(lambda: client.heard.endswith(until))
        return client

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait until ``true``, for ten seconds at most."""
        for _ in range(1000):
            if true():
                return
            await deferLater(REACTOR, 0.01)
        self.fail("waited in vain")

    async def flooded(self) -> Client:
        """Connect a client that stops reading what a backend floods it with; gives it when that has come to rest."""
        self.engines.act = Engine.flood
        client = await self.client(ASK)
        client.transport.pauseProducing()
        await self.until(lambda: bool(self.engines.all and self.engines.all[0].sent))
        sent = -1
        while sent != self.engines.all[0].sent:
            sent = self.engines.all[0].sent
            await deferLater(REACTOR, 0.3)
        self.assertLess(sent, FLOOD)
        return client

    async def uploads(self) -> None:
        """See that a backend that stops reading in the midst of an upload later has every byte of it."""
        body = b"".join(b"%08d" % number for number in range(LIMIT // 8 - 1)) + b"....\r\n\r\n"

        def nap(engine: Engine) -> None:
            engine.transport.pauseProducing()
            REACTOR.callLater(0.2, engine.transport.resumeProducing)

        def answer(engine: Engine) -> None:
            if engine.heard.endswith(body):
                engine.transport.write(ANSWER)

        self.engines.begun, self.engines.act = nap, answer
        said = b"POST /olla/x HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body)
        await self.client(said + body, ANSWER)
        self.assertTrue(self.engines.all[0].heard.endswith(b"\r\n\r\n" + body))

    async def flows_again(self, client: Client) -> None:
        """See that everything arrives once the client reads again."""
        client.transport.resumeProducing()
        await self.until(lambda: self.engines.all[0].sent == FLOOD)
        await self.until(lambda: len(client.heard) > FLOOD * 60_000)


class PlainTests(LoopbackTests):
    """Without TLS."""

    async def test_round_trips(self) -> None:
        """Requests are answered one after the other, over one connection to the backend."""
        client = await self.client(ASK * 3, ANSWER * 3)
        self.assertEqual((client.heard, len(self.engines.all)), (ANSWER * 3, 1))

    async def test_other_server(self) -> None:
        """A page of the other server is reached on the same port, after a request of ours too."""
        page = b"GET /page HTTP/1.1\r\nHost: a\r\n\r\n"
        for said in (page, ASK + page):
            await self.client(said, b"a page")

    async def test_client_leaves(self) -> None:
        """When the client leaves, by FIN or RST, the backend's connection is closed at once (R45)."""
        self.engines.act = lambda engine: engine.transport.write(CHUNKED + TOKEN)
        for leave in ("loseConnection", "abortConnection", "loseWriteConnection"):
            client = await self.client(ASK, TOKEN)
            getattr(client.transport, leave)()
            await self.engines.all[-1].gone

    async def test_client_leaves_before_the_head(self) -> None:
        """The same before an answer has begun (R45)."""
        self.engines.act = lambda engine: None
        client = await self.client(ASK)
        await self.until(lambda: bool(self.engines.all and self.engines.all[0].heard))
        client.transport.loseConnection()
        await self.engines.all[0].gone

    async def test_slow_reader(self) -> None:
        """A client that does not read slows the backend down, and what is held for it is bounded (R49)."""
        client = await self.flooded()
        (channel,) = self.front.channels
        held = len(channel.transport.dataBuffer) + channel.transport._tempDataLen
        self.assertLess(held, 4 * 65536)
        await self.flows_again(client)

    async def test_slow_backend(self) -> None:
        """A backend that takes an upload slowly gets all of it, in order (R51)."""
        await self.uploads()

    async def test_broken_body(self) -> None:
        """A backend that dies in the middle is seen to: the connection closes without an end (R23, R40)."""

        def die(engine: Engine) -> None:
            engine.transport.write(CHUNKED + TOKEN)
            engine.transport.loseConnection()

        self.engines.act = die
        client = await self.client(ASK)
        await client.gone
        self.assertTrue(client.heard.endswith(b"\r\n\r\n" + TOKEN))

    async def test_refused_upload(self) -> None:
        """A client that sends on after it was refused still gets to read why (R53)."""
        client = await self.client(b"POST /olla/x HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n")
        for _ in range(20):
            client.transport.write(bytes(100_000))
            await deferLater(REACTOR, 0.005)
        await self.until(lambda: client.heard.startswith(b"HTTP/1.1 413 "))

    async def test_no_descriptors(self) -> None:
        """Without descriptors left connections are dropped and not the process; then it serves again (R52)."""
        await deferLater(REACTOR, 0.0)  # the reactor needs some for itself when it starts
        address = ("127.0.0.1", self.port.getHost().port)
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        more = [socket.socket() for _ in range(10)]
        highest = max(int(name) for name in os.listdir("/proc/self/fd"))
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, limits[1]))
        try:
            fill = []
            with contextlib.suppress(OSError):
                while True:
                    fill.append(os.dup(0))
            for one in more:
                one.connect(address)
            await deferLater(REACTOR, 0.3)
            self.assertEqual(self.front.channels, set())
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            for number in fill:
                os.close(number)
            for one in more:
                one.close()
        await self.client(ASK, ANSWER)

    async def test_resets(self) -> None:
        """Clients that reset their connections leave no socket behind (R51)."""
        before = sockets()
        self.engines.act = lambda engine: None
        for _ in range(50):
            one = socket.create_connection(("127.0.0.1", self.port.getHost().port))
            one.sendall(ASK)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            await deferLater(REACTOR, 0.002)
            one.close()
        await self.until(lambda: sockets() <= before)


def sockets() -> int:
    """Count the open sockets of this process."""
    links = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            links.append(os.readlink(f"/proc/self/fd/{name}"))
    return sum(link.startswith("socket:") for link in links)


def listen_tls(folder: str, name: str, factory: Any) -> tuple[Any, str]:
    """Listen with a certificate for ``name``; gives the port, and the certificate's file."""
    os.mkdir(folder)
    key, pem = certificate(folder, name)
    context = ssl.DefaultOpenSSLContextFactory(key, pem)
    return REACTOR.listenSSL(0, factory, context, interface="127.0.0.1"), pem


class TlsTests(LoopbackTests):
    """A backend with TLS."""

    scheme = "https"

    def listen_backend(self) -> Any:
        """Start the backend, with a certificate that the proxy trusts."""
        port, pem = listen_tls(self.mktemp(), "localhost", self.engines)
        self.tls = {"tls_ca_file": pem}
        return port

    async def test_round_trips(self) -> None:
        """A backend with a good certificate is spoken to, on a connection that is kept."""
        await self.client(ASK * 3, ANSWER * 3)
        self.assertEqual(len(self.engines.all), 1)

    async def test_slow_reader(self) -> None:
        """Back-pressure works through TLS as well (R49)."""
        await self.flows_again(await self.flooded())

    async def test_slow_backend(self) -> None:
        """An upload goes through TLS as well, as slowly as the backend takes it (R51)."""
        await self.uploads()


class AgentTests(PlainTests):
    """Twisted's Agent as the other side, on the same transports."""

    def make_upstream(self) -> AgentUpstream:
        """Make Agent's."""
        return AgentUpstream(self.network, REACTOR.seconds, Patience(), 25, 90.0, Sockets(), self.errors.append)


class AgentTlsTests(TlsTests):
    """The same with TLS."""

    make_upstream = AgentTests.make_upstream


class BadCertificateTests(LoopbackTests):
    """A backend whose certificate is for another name."""

    scheme = "https"

    def listen_backend(self) -> Any:
        """Start the backend, with a certificate whose signer the proxy trusts."""
        port, pem = listen_tls(self.mktemp(), "elsewhere.example", self.engines)
        self.tls = {"tls_ca_file": pem}
        return port

    async def test_nothing_is_sent(self) -> None:
        """Nothing is sent to a backend that cannot prove its name (R38)."""
        client = await self.client(ASK, b"\r\n\r\n")
        self.assertIn(TLSFailed.__name__.encode(), client.heard)
        self.assertEqual([engine.heard for engine in self.engines.all], [b""] * len(self.engines.all))


del LoopbackTests
