"""Stand-ins for sockets: a transport in memory, and what makes connections to it."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IStreamClientEndpoint, ITCPTransport
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer

GONE = Failure(ConnectionDone())
RESET = Failure(ConnectionLost())
ABORTED = Failure(ConnectionAborted())


@implementer(ITCPTransport)
class Wire(StringTransport):
    """
    A connection in memory, seen from our end.

    :ivar writes: what was written, write by write.
    :ivar aborted: whether we cut it.
    :ivar half: whether we closed our half of it.
    :ivar no_delay: whether Nagle is off.
    """

    def __init__(self, **address: Any) -> None:
        super().__init__(**address)
        self.writes: list[bytes] = []
        self.aborted = False
        self.half = False
        self.no_delay = False

    @property
    def written(self) -> bytes:
        """All that was written."""
        return b"".join(self.writes)

    @property
    def paused(self) -> bool:
        """Whether nothing is to be read."""
        return self.producerState == "paused"

    @property
    def closed(self) -> bool:
        """Whether we closed or cut it."""
        return self.aborted or bool(self.disconnecting)

    def write(self, data: bytes) -> None:
        """Note it."""
        super().write(data)
        self.writes.append(data)

    def abortConnection(self) -> None:
        """Cut it; whoever plays the reactor says that it is lost."""
        self.aborted = True

    def loseWriteConnection(self) -> None:
        """Close our half."""
        self.half = True

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Note it."""
        self.no_delay = bool(enabled)

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """Nothing to be done."""

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Ask a pull producer for its first piece, as a real transport does."""
        super().registerProducer(producer, streaming)
        if not streaming:
            producer.resumeProducing()

    def pull(self) -> None:
        """Play a socket that has sent everything: a pull producer is to give more."""
        assert self.producer is not None
        self.producer.resumeProducing()


@implementer(IStreamClientEndpoint)
class Backend:
    """
    Plays the way to a backend.

    :ivar wires: connections that stand, in order.
    :ivar refusal: what the next connections fail with.
    :ivar slow: connections only stand when :meth:`answer` is called.
    """

    def __init__(self) -> None:
        self.wires: list[Wire] = []
        self.protocols: list[Any] = []
        self.refusal: Exception | None = None
        self.slow = False
        self.cancelled = 0
        self._pending: list[tuple[Any, Deferred[Any]]] = []

    def connect(self, protocolFactory: Any) -> Deferred[Any]:
        """Connect, or be about to."""
        connecting: Deferred[Any] = Deferred(self._cancel)
        self._pending.append((protocolFactory, connecting))
        if not self.slow:
            self.answer()
        return connecting

    def answer(self) -> None:
        """Let the oldest connection that is being made stand, or fail."""
        factory, connecting = self._pending.pop(0)
        if self.refusal is not None:
            connecting.errback(self.refusal)
            return
        wire, protocol = Wire(), factory.buildProtocol(None)
        self.wires.append(wire)
        self.protocols.append(protocol)
        protocol.makeConnection(wire)
        connecting.callback(protocol)

    def say(self, data: bytes, number: int = -1) -> None:
        """Send bytes to us on connection ``number``."""
        self.protocols[number].dataReceived(data)

    def hang_up(self, reason: Failure = GONE, number: int = -1) -> None:
        """Close connection ``number``."""
        self.protocols[number].connectionLost(reason)

    def _cancel(self, connecting: Deferred[Any]) -> None:
        self.cancelled += 1
        self._pending = [pair for pair in self._pending if pair[1] is not connecting]
