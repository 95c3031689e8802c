"""The port where clients meet our own channels: makes them, sweeps over them, lets them go."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from twisted.internet.interfaces import IAddress, IProtocolNegotiationFactory
from twisted.internet.protocol import Factory
from zope.interface import implementer

from olla.domain.message import Request
from olla.errors import Refusal
from olla.interfaces import IExchange
from olla.pending import Pending, Task
from olla.turns import in_parts
from olla.wire.channel import Channel
from olla.wire.head import RequestHead
from olla.wire.recent import Recent
from olla.wire.sizes import Sizes


@implementer(IProtocolNegotiationFactory)
class ChannelFactory(Factory):
    """
    Makes channels, and sweeps over them.

    :ivar site: has the connections that are handed over; it keeps its own limits and is swept by its owner.
    :ivar sizes: limits of size and time.
    :ivar clock: seconds, never going back.
    :ivar takes: says of method and target whether a plain request for it is ours.
    :ivar begin: starts to answer a whole request.
    :ivar admit: lets in a request whose body has yet to come, which keeps what the limiters say; may raise a
        :class:`~olla.errors.Refusal`, or give what raises it later while the body comes.
    :ivar refuse: makes the whole response, head and body, to a request that is refused before it was read.
    :ivar channels: those that are open.
    :ivar recent: the heads of plain requests of late.
    :ivar draining: whether each connection is closed after the next answer that begins.
    """

    noisy = False

    def __init__(
        self,
        site: Any,
        sizes: Sizes,
        clock: Callable[[], float],
        takes: Callable[[bytes, bytes], bool],
        begin: Callable[[IExchange], Task],
        admit: Callable[[Request], Pending[Any] | None],
        refuse: Callable[[Refusal, Request], bytes],
    ) -> None:
        """Get collaborators; see the class."""
        self.site = site
        self.sizes = sizes
        self.clock = clock
        self.takes = takes
        self.begin = begin
        self.admit = admit
        self.refuse = refuse
        self.channels: set[Channel] = set()
        self.recent: Recent[RequestHead] = Recent(clock)
        self.draining = False

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """Make the channel of one connection."""
        channel = Channel()
        channel.factory = self
        return channel

    def acceptableProtocols(self) -> list[bytes]:
        """Name the one protocol that is spoken here, for TLS clients that ask (RFC 7301)."""
        return [b"http/1.1"]

    def startFactory(self) -> None:
        """A port begins to listen."""
        self.site.doStart()

    def stopFactory(self) -> None:
        """No port listens any more."""
        self.site.doStop()

    def sweep(self, now: float) -> Iterator[None]:
        """Enforce the deadlines, in parts; to be called a few times a second."""
        self.recent.sweep(now)
        yield from in_parts(self.channels, lambda channel: channel.check(now))

    def drain(self) -> None:
        """Have every answer that begins from now on be the last one on its connection."""
        self.draining = True
        for channel in tuple(self.channels):
            channel.drain()

    def retire(self) -> None:
        """Close what is idle now, and each other connection after its answer."""
        for channel in tuple(self.channels):
            channel.retire()

    @property
    def busy(self) -> int:
        """Connections on which a request is being read or answered."""
        return sum(channel.busy for channel in self.channels)

    @property
    def connected(self) -> int:
        """Connections that are open."""
        return len(self.channels)

    def abort(self) -> None:
        """Cut every connection."""
        for channel in tuple(self.channels):
            channel.transport.abortConnection()
