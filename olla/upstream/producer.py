"""A request's body on its way to a backend, as fast as the connection takes it."""

from __future__ import annotations

from collections.abc import Iterator

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IConsumer
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from olla.domain.message import Body


@implementer(IBodyProducer)
class BodyProducer:
    """
    Writes a body as fast as the connection takes it.

    :ivar length: bytes that it will write.
    """

    # What only a large body needs; Agent keeps us as long as it keeps the reply.
    _pieces: Iterator[bytes] = iter(())
    _consumer: IConsumer | None = None
    _paused = False
    _done: Deferred[None]

    def __init__(self, body: Body) -> None:
        self.length = body.size
        self._body: Body | None = body

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """Begin; the result fires when all has been written."""
        body, self._body = self._body, None
        assert body is not None, "a body is produced once"
        if self.length <= 65536:
            if self.length:
                consumer.write(body.whole())
            return succeed(None)
        self._pieces, self._consumer, self._done = body.pieces(), consumer, Deferred()
        self.resumeProducing()
        return self._done

    def pauseProducing(self) -> None:
        """Hold on: the connection's buffer is full."""
        self._paused = True

    def resumeProducing(self) -> None:
        """Write until told to hold on."""
        self._paused = False
        while not self._paused and self._consumer is not None:
            piece = next(self._pieces, None)
            if piece is None:
                self._consumer = None
                self._done.callback(None)
            else:
                self._consumer.write(piece)

    def stopProducing(self) -> None:
        """Write no more: the request is over."""
        self._consumer = None
