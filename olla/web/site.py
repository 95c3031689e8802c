"""The port where clients meet Twisted's server: makes its channels, sweeps over them, lets them go."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from twisted.internet.interfaces import IAddress
from twisted.web.resource import IResource
from twisted.web.server import Site

from olla.domain.message import Request
from olla.errors import Refusal
from olla.pending import Pending
from olla.turns import in_parts
from olla.web.channel import FrontChannel, FrontRequest
from olla.wire.head import RequestHead
from olla.wire.recent import Recent
from olla.wire.sizes import Sizes


class FrontSite(Site):
    """
    Makes channels, and sweeps over them.

    :ivar sizes: limits of size and time.
    :ivar clock: seconds, never going back.
    :ivar admit: lets in a request whose body has yet to come, which keeps what the limiters say; may raise a
        :class:`~olla.errors.Refusal`, or give what raises it later while the body comes.
    :ivar refusal: makes the whole response, head and body, to a request that is refused before it was read.
    :ivar draining: whether each connection is closed after the next answer that begins.
    :ivar recent: heads of late.
    """

    protocol: Any = FrontChannel  # plain: HTTP/2 would not know our limits
    noisy = False

    def __init__(
        self,
        resource: IResource,
        sizes: Sizes,
        clock: Callable[[], float],
        admit: Callable[[Request], Pending[Any] | None],
        refusal: Callable[[Refusal, Request], bytes],
        reactor: Any,
    ) -> None:
        """Get collaborators; see the class.  ``reactor`` is for Twisted's own timer alone."""
        super().__init__(
            resource,
            requestFactory=FrontRequest,
            timeout=None,
            parsePOSTFormSubmission=False,
            reactor=reactor,
        )
        self.sizes = sizes
        self.clock = clock
        self.admit = admit
        self.refusal = refusal
        self.draining = False
        self.recent: Recent[RequestHead] = Recent(clock)
        self._channels: set[FrontChannel] = set()

    def log(self, request: Any) -> None:
        """Our own access log is told more."""

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """Make the channel of one connection."""
        channel: Any = super().buildProtocol(addr)
        return channel

    def opened(self, channel: FrontChannel) -> None:
        """Watch over ``channel``."""
        self._channels.add(channel)

    def closed(self, channel: FrontChannel) -> None:
        """It is gone."""
        self._channels.discard(channel)

    def sweep(self, now: float) -> Iterator[None]:
        """Enforce the deadlines, in parts; to be called a few times a second."""
        self.recent.sweep(now)
        yield from in_parts(self._channels, lambda channel: channel.check(now))

    def drain(self) -> None:
        """Have every answer that begins from now on be the last one on its connection."""
        self.draining = True

    def retire(self) -> None:
        """Close what is idle now, and each other connection after its answer."""
        for channel in tuple(self._channels):
            channel.persistent = False
            if not channel.busy:
                channel.loseConnection()

    @property
    def busy(self) -> int:
        """Connections on which a request is being read or answered."""
        return sum(channel.busy for channel in self._channels)

    @property
    def connected(self) -> int:
        """Connections that are open."""
        return len(self._channels)

    def abort(self) -> None:
        """Cut every connection."""
        for channel in tuple(self._channels):
            channel.transport.abortConnection()
