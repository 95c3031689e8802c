"""Listens for one engine."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.server import Request, Site

from olla.demo.engine import LARGEST, Engine


class EngineRequest(Request):
    """Keeps no more of a body than tells that it is too large."""

    content: Any

    def handleContentChunk(self, data: bytes) -> None:
        """Take a piece of the body."""
        if self.content.tell() <= LARGEST:
            super().handleContentChunk(data)


class EngineChannel(HTTPChannel):
    """One connection, known to its site while it stands."""

    factory: Any
    transport: Any

    def connectionMade(self) -> None:
        """Join the connections that stand."""
        self.factory.standing.add(self)
        super().connectionMade()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Leave them."""
        super().connectionLost(reason)
        self.factory.lost(self)


class Refusal(Protocol):
    """Resets its connection as it comes."""

    transport: Any

    def connectionMade(self) -> None:
        """Reset."""
        self.transport.abortConnection()


class EngineSite(Site):
    """
    Serves one engine; refuses connections while the engine is to, and can cut those that stand.

    :ivar standing: the connections.
    """

    noisy = False
    protocol: Any = EngineChannel  # plain: HTTP/2 is not for a demonstration

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine, EngineRequest, reactor=engine.clock, parsePOSTFormSubmission=False)
        self.standing: set[EngineChannel] = set()
        self._engine = engine
        self._emptied: Deferred[None] | None = None

    def buildProtocol(self, addr: Any) -> Any:
        """Make what talks on one connection."""
        return Refusal() if self._engine.faults.refuses() else super().buildProtocol(addr)

    def startFactory(self) -> None:
        """Open no log, nor keep its time every second: the proxy in front keeps the log."""

    def log(self, request: Any) -> None:
        """Write nothing."""

    def lost(self, channel: EngineChannel) -> None:
        """Be told that a connection has ended."""
        self.standing.discard(channel)
        if self._emptied is not None and not self.standing:
            emptied, self._emptied = self._emptied, None
            emptied.callback(None)

    def cut(self) -> Deferred[None]:
        """Cut every connection; fires when the last has ended."""
        if not self.standing:
            return succeed(None)
        emptied = self._emptied = Deferred()
        for channel in tuple(self.standing):
            channel.transport.abortConnection()
        return emptied
