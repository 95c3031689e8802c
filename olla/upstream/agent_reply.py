"""An answer that came through Twisted's Agent."""

from __future__ import annotations

import typing
from collections.abc import Callable
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.web.iweb import IResponse
from zope.interface import implementer

from olla.domain.message import Head
from olla.errors import BrokenBody
from olla.interfaces import IExchange, IPaced, IReply
from olla.pending import Pending
from olla.wire.head import ReplyReader


class Answering(typing.Protocol):
    """
    The attempt that an answer belongs to.

    :ivar reader: has read along, and knows whether the body is whole.
    :ivar was_reset: the connection ended otherwise than by a close.
    """

    reader: ReplyReader
    was_reset: bool

    def clock(self) -> float:
        """Give the time: seconds, never going back."""

    def hang_up(self) -> None:
        """Cut the connection, whatever goes on over it."""

    def over(self, *, whole: bool) -> None:
        """The body has ended."""


@implementer(IReply, IPaced)
class AgentReply(Protocol):
    """
    The answer of an Agent; relays its body as Twisted delivers it.

    :ivar paused: whether the client is slower than the backend right now.
    """

    def __init__(self, response: IResponse, attempt: Answering, head: Head) -> None:
        self.head = head
        self.copied = 0
        self.first_at = 0.0
        self.paused = False
        self._response = response
        self._attempt = attempt
        self._exchange: IExchange | None = None
        self._tap: Callable[[bytes], object] | None = None
        self._gathered: list[bytes] | None = None
        self._limit = 0
        self._ended = False
        self._copying: Pending[Any] = Pending(self.abort)

    def relay(self, exchange: IExchange, tap: Callable[[bytes], object] | None) -> Pending[None]:
        """Copy the body; see :class:`IReply`."""
        self._exchange, self._tap = exchange, tap
        self._response.deliverBody(self)
        if not self._ended:
            exchange.pace(self)
            if not self.copied:
                exchange.flush()
        return self._copying

    def gather(self, limit: int) -> Pending[bytes]:
        """Read the body whole; see :class:`IReply`."""
        self._gathered, self._limit = [], limit
        self._response.deliverBody(self)
        return self._copying

    def abort(self) -> None:
        """Hang up on the backend."""
        if not self._ended:
            self._ended = True
            self._release()
            self._attempt.hang_up()

    def expire(self, error: BrokenBody) -> None:
        """End it with ``error``: a limit has passed."""
        self.abort()
        self._copying.fail(error)

    def pauseProducing(self) -> None:
        """The client reads slowly: hold the backend back."""
        self.paused = True
        if not self._ended:
            IPushProducer(self.transport).pauseProducing()

    def resumeProducing(self) -> None:
        """The client has caught up."""
        self.paused = False
        if not self._ended:
            IPushProducer(self.transport).resumeProducing()

    def dataReceived(self, data: bytes) -> None:
        """Pass a piece on at once."""
        if self._ended:
            return
        if not self.copied:
            self.first_at = self._attempt.clock()
        self.copied += len(data)
        if self._exchange is not None:
            self._exchange.write(data)
            if self._tap is not None:
                self._tap(data)
        elif self._gathered is not None:
            self._gathered.append(data)
            if self.copied > self._limit:
                self.expire(BrokenBody(f"the answer is larger than {self._limit} bytes"))

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008  Twisted's signature
        """The body has ended, whole or not."""
        if self._ended:
            return
        attempt = self._attempt
        # Agent takes even a reset for the end of a body that only the connection's end delimits.
        whole = attempt.reader.ended or (not attempt.was_reset and attempt.reader.close())
        self._ended = True
        attempt.over(whole=whole)
        self._release()
        if whole:
            self._copying.fire(b"".join(self._gathered) if self._gathered is not None else None)
        else:
            self._copying.fail(BrokenBody("the backend broke off its answer"))

    def _release(self) -> None:
        if self._exchange is not None:
            self._exchange.pace(None)
