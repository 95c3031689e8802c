"""A network in memory: a reactor whose connections deliver when told to; tests need no socket and no sleep."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from errno import EMFILE
from typing import Any

from attrs import define, field
from twisted.internet.address import IPv4Address
from twisted.internet.error import (
    ConnectBindError,
    ConnectionAborted,
    ConnectionDone,
    ConnectionLost,
    ConnectionRefusedError,
)
from twisted.internet.interfaces import (
    IHostnameResolver,
    IPushProducer,
    IReactorPluggableNameResolver,
    IReactorTCP,
    IReactorTime,
    IReadDescriptor,
    ITCPTransport,
    IWriteDescriptor,
)
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

HIGH_WATER = 65536


@implementer(ITCPTransport, IPushProducer, IReadDescriptor, IWriteDescriptor)
class MemoryTransport:
    """
    One end of a connection in memory; bytes travel when the network is pumped.

    :ivar sent: everything ever written at this end.
    :ivar waiting: bytes written that have not been delivered.
    :ivar paused: whether this end's protocol has asked to be given nothing.
    :ivar stalled: whether the reactor at the other end has yet to notice what waits.
    """

    TLS = False
    connected = 1

    def __init__(self, network: Network, host: str, peer: str, port: int = 1) -> None:
        self.sent = bytearray()
        self.waiting: deque[bytes] = deque()
        self.paused = False
        self.disconnecting = False
        self.disconnected = False
        self.stalled = False
        self.no_delay = False
        self.protocol: Any = None
        self.other: MemoryTransport
        self._network = network
        self._host, self._peer, self._port = host, peer, port
        self._producer: Any = None
        self._producer_paused = False
        self._pulls = False
        self._half_closed = False
        self._reset = False

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", self._host, self._port)

    def getPeer(self) -> IPv4Address:
        return IPv4Address("TCP", self._peer, self._port)

    def setTcpNoDelay(self, on: bool) -> None:
        self.no_delay = on

    def getTcpNoDelay(self) -> bool:
        return self.no_delay

    def setTcpKeepAlive(self, on: bool) -> None:
        """Nothing to keep alive here."""

    def write(self, data: bytes) -> None:
        assert isinstance(data, bytes), data
        if self.disconnected or self.disconnecting or not data:
            return
        self.sent += data
        self.waiting.append(data)
        self._check_water()

    def writeSequence(self, pieces: Any) -> None:
        self.write(b"".join(pieces))

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        assert self._producer is None, "two producers at once"
        if self.disconnected:
            producer.stopProducing()
            return
        self._producer, self._producer_paused, self._pulls = producer, False, not streaming
        if not streaming:
            producer.resumeProducing()

    def unregisterProducer(self) -> None:
        self._producer = None

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False

    def stopProducing(self) -> None:
        self.loseConnection()

    def loseConnection(self) -> None:
        self.disconnecting = True

    def loseWriteConnection(self) -> None:
        self._half_closed = True

    def abortConnection(self) -> None:
        if not self.disconnected:
            self._reset = True
            self.disconnecting = True
            self.waiting.clear()

    def doRead(self) -> None:
        """Have what waits for this end, noticed or not."""
        while self.other.waiting:
            self.protocol.dataReceived(self.other.waiting.popleft())

    def doWrite(self) -> None:
        """Have what waits at this end delivered, as far as the other takes it."""
        while self.waiting and not (self.other.paused or self.other.disconnected):
            self.other.protocol.dataReceived(self.waiting.popleft())

    def fileno(self) -> int:
        return -1

    def logPrefix(self) -> str:
        return "memory"

    def size(self) -> int:
        """Bytes that wait to be delivered."""
        return sum(map(len, self.waiting))

    def deliver(self) -> bool:
        """Do one thing that is due at this end; say whether there was any."""
        if self.disconnected:
            return False
        if self._reset:
            self._lose(ConnectionAborted())
            self.other._lose(ConnectionLost())
            return True
        if self.waiting and not self.other.paused and not self.stalled:
            data = self.waiting.popleft()
            if not self.other.disconnected:
                self.other.protocol.dataReceived(data)
            self._check_water()
            return True
        if self.disconnecting and not self.waiting:
            self._lose(ConnectionDone())
            if not self.other.paused:
                self.other._lose(ConnectionDone())
            return True
        if self._half_closed and not self.waiting:
            self._half_closed = False
            self.other._lose(ConnectionDone())
            return True
        if self.other.disconnected and not self.paused:
            self._lose(ConnectionDone())
            return True
        return False

    def _lose(self, reason: Exception) -> None:
        if not self.disconnected:
            self.disconnected = True
            self.connected = 0
            producer, self._producer = self._producer, None
            if producer is not None:
                producer.stopProducing()
            self.protocol.connectionLost(Failure(reason))

    def _check_water(self) -> None:
        if self._producer is None:
            return
        if self._pulls:
            if not self.waiting:
                self._producer.resumeProducing()
        elif not self._producer_paused and self.size() > HIGH_WATER:
            self._producer_paused = True
            self._producer.pauseProducing()
        elif self._producer_paused and not self.waiting:
            self._producer_paused = False
            self._producer.resumeProducing()


@define
class _Connector:
    host: str
    port: int
    transport: MemoryTransport | None = None
    stopped: bool = False

    def disconnect(self) -> None:
        if self.transport is not None:
            self.transport.loseConnection()

    def stopConnecting(self) -> None:
        self.stopped = True
        self.disconnect()

    def getDestination(self) -> IPv4Address:
        return IPv4Address("TCP", self.host, self.port)


@define
class _Port:
    network: Network
    number: int
    factory: Any

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", "127.0.0.1", self.number)

    def stopListening(self) -> None:
        if self.network.listeners.pop(self.number, None) is not None:
            self.factory.doStop()


@implementer(IReactorTCP, IReactorTime, IReactorPluggableNameResolver, IHostnameResolver)
@define(eq=False)
class Network(Clock):
    """
    A reactor of its own; everything connects to ``listeners`` by port.

    :ivar listeners: factory by port; a port that is not there refuses.
    :ivar unanswered: ports that never answer a connection.
    :ivar exhausted: whether no descriptor is left to connect with.
    :ivar transports: every end of every connection ever made.
    """

    listeners: dict[int, Any] = field(factory=dict)
    unanswered: set[int] = field(factory=set)
    exhausted: bool = False
    transports: list[MemoryTransport] = field(factory=list)
    running: bool = True

    def __attrs_post_init__(self) -> None:
        Clock.__init__(self)

    def callLater(self, delay: float, callable: Callable[..., object], *args: object, **kw: object) -> Any:
        """See :class:`~twisted.internet.interfaces.IReactorTime`; refuses what real reactors refuse."""
        assert delay >= 0, f"{delay} is not greater than or equal to 0 seconds"
        return super().callLater(delay, callable, *args, **kw)

    @property
    def nameResolver(self) -> Network:
        return self

    def resolveHostName(self, receiver: Any, name: str, portNumber: int = 0, *arguments: Any) -> Any:
        receiver.resolutionBegan(self)
        if not name.endswith(".invalid"):
            receiver.addressResolved(IPv4Address("TCP", "127.0.0.1" if name[0].isalpha() else name, portNumber))
        receiver.resolutionComplete()
        return self

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> _Port:
        number = port or 50000 + len(self.listeners)
        self.listeners[number] = factory
        factory.doStart()
        return _Port(self, number, factory)

    def connectTCP(self, host: str, port: int, factory: Any, timeout: float = 30, bindAddress: Any = None) -> Any:
        factory.doStart()
        connector = _Connector(host, port)
        factory.startedConnecting(connector)
        if port in self.unanswered:
            return connector
        if self.exhausted or port not in self.listeners:
            reason = ConnectBindError(EMFILE, "Too many open files") if self.exhausted else ConnectionRefusedError()
            self.callLater(0, factory.clientConnectionFailed, connector, Failure(reason))
            return connector
        self.callLater(0, self._join, factory, self.listeners[port], connector, host)
        return connector

    def connect(self, protocol: Any, port: int, peer: str = "192.0.2.7") -> MemoryTransport:
        """Connect ``protocol`` as a client to what listens on ``port``; gives the client's end."""
        ours, _ = self._pair(protocol, self.listeners[port].buildProtocol(IPv4Address("TCP", peer, 1)), peer)
        return ours

    def pump(self, seconds: float = 0.0) -> None:
        """Let ``seconds`` pass, and deliver until nothing is left to deliver."""
        self.advance(seconds)
        for _ in range(100_000):
            moved = [transport.deliver() for transport in tuple(self.transports)]
            self.advance(0)
            if not any(moved):
                return
        raise AssertionError("the network does not come to rest")

    def wait(self, seconds: float, step: float = 0.25) -> None:
        """Let ``seconds`` pass in small steps, so that sweeps and timers run in between."""
        for _ in range(round(seconds / step)):
            self.pump(step)

    def callFromThread(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> None:
        self.callLater(0, function, *arguments, **named)

    def callWhenRunning(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> None:
        self.callLater(0, function, *arguments, **named)

    def _join(self, factory: Any, listener: Any, connector: _Connector, host: str) -> None:
        if connector.stopped:
            return
        client = factory.buildProtocol(IPv4Address("TCP", host, 1))
        server = listener.buildProtocol(IPv4Address("TCP", "127.0.0.1", 1))
        if server is None:
            factory.clientConnectionFailed(connector, Failure(ConnectionRefusedError()))
            return
        connector.transport, _ = self._pair(client, server, "127.0.0.1")

    def _pair(self, client: Any, server: Any, peer: str) -> tuple[MemoryTransport, MemoryTransport]:
        near, far = MemoryTransport(self, peer, "127.0.0.1"), MemoryTransport(self, "127.0.0.1", peer)
        near.other, far.other = far, near
        near.protocol, far.protocol = client, server
        self.transports = [one for one in self.transports if not one.disconnected]
        self.transports += [near, far]
        far.protocol.makeConnection(far)
        near.protocol.makeConnection(near)
        return near, far
