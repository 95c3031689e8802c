"""How many clients may be connected: who comes when the house is full hears so at once, and has to leave."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from twisted.internet.interfaces import IAddress, IProtocolNegotiationFactory
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.tcp import Connection
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from olla.turns import in_parts

LINGER = 2.0
MOST_LEAVING = 100


class TurnedAway(Protocol):
    """
    One client too many.

    It gets its answer before it has asked.  What it sends is thrown away for a while, for a socket that is closed
    with bytes unread resets the connection, and the answer would be lost with it.
    """

    transport: Any
    factory: Door

    def connectionMade(self) -> None:
        """Say so, and close."""
        door, transport = self.factory, self.transport
        if len(door.leaving) >= MOST_LEAVING:
            transport.abortConnection()
            return
        door.leaving[self] = door.clock() + LINGER
        transport.write(door.refusal())
        if isinstance(transport, Connection) and not transport.TLS:
            transport.loseWriteConnection()
        else:
            transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """It has left."""
        self.factory.leaving.pop(self, None)


@implementer(IProtocolNegotiationFactory)
class Door(Factory):
    """
    Lets in so many clients.

    :ivar front: makes the connections of those who are let in.
    :ivar limit: how many may be in at once.
    :ivar inside: counts those who are.
    :ivar others: counts those who are in at other processes.
    :ivar counted: told how many are inside, one that is just being let in included, whenever that has changed.
    :ivar clock: seconds, never going back.
    :ivar refusal: makes the whole response to one that is turned away.
    :ivar leaving: those that were turned away and are not gone, with the time until which they may stay.
    :ivar busy: no one who is turned away is waited for.
    :ivar connected: nor may they ask.
    """

    noisy = False
    busy = connected = 0
    _log = Logger()

    def __init__(
        self,
        front: Any,
        limit: int,
        inside: Callable[[], int],
        others: Callable[[], int],
        counted: Callable[[int], None],
        clock: Callable[[], float],
        refusal: Callable[[], bytes],
    ) -> None:
        """Get collaborators; see the class."""
        self.front = front
        self.limit = limit
        self.inside = inside
        self.counted = counted
        self.others = others
        self.clock = clock
        self.refusal = refusal
        self.leaving: dict[TurnedAway, float] = {}
        self._turned_away = 0
        self._told = 0

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """Make the connection of one client."""
        inside = self.inside()
        if inside + self.others() < self.limit:
            self._count(inside + 1)
            return self.front.buildProtocol(addr)
        if not self._turned_away:
            self._log.warn("Too many clients: those who come now are turned away", max_connections=self.limit)
        self._turned_away += 1
        turned_away = TurnedAway()
        turned_away.factory = self
        return turned_away

    def acceptableProtocols(self) -> list[bytes]:
        """Name what the connections speak, for TLS clients that ask (RFC 7301)."""
        return [b"http/1.1"]

    def startFactory(self) -> None:
        """A port begins to listen."""
        self.front.doStart()

    def stopFactory(self) -> None:
        """No port listens any more."""
        self.front.doStop()

    def sweep(self, now: float) -> Iterator[None]:
        """See out those who linger, in parts, and take note of who has left; to be called a few times a second."""
        late = {client for client, until in self.leaving.items() if now >= until}
        yield from in_parts(late, lambda client: client.transport.abortConnection())
        inside = self.inside()
        self._count(inside)
        if self._turned_away and inside + self.others() < self.limit:
            turned_away, self._turned_away = self._turned_away, 0
            self._log.info("There is room for clients again", turned_away=turned_away)

    def drain(self) -> None:
        """Do nothing: who is turned away leaves anyway."""

    def retire(self) -> None:
        """Do nothing, either."""

    def abort(self) -> None:
        """Cut every connection."""
        for client in tuple(self.leaving):
            client.transport.abortConnection()

    def _count(self, inside: int) -> None:
        if inside != self._told:
            self._told = inside
            self.counted(inside)
