"""A reply on one of our own connections: held back until somebody wants its body, then copied piece by piece."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from zope.interface import implementer

from olla.domain.message import Head
from olla.errors import BrokenBody, UpstreamFailure
from olla.interfaces import IExchange, IPaced, IReply
from olla.pending import Pending
from olla.wire.connection import BackendConnection


def _nothing() -> None:
    """Nobody is to be told."""


@implementer(IReply, IPaced)
class DirectReply:
    """
    A reply on one of our connections.

    :ivar paused: whether the client is slower than the backend right now.
    :ivar taken: whether somebody has asked for the body.
    :ivar over: called when the connection is done with it, before anybody else hears of it.
    """

    __slots__ = (
        "_connection",
        "_copying",
        "_error",
        "_exchange",
        "_held",
        "_limit",
        "_tap",
        "_write",
        "clock",
        "copied",
        "first_at",
        "head",
        "over",
        "paused",
        "taken",
        "whole",
    )

    def __init__(
        self, head: Head, piece: bytes, connection: BackendConnection | None, clock: Callable[[], float]
    ) -> None:
        """
        Begin.

        :param piece: what came of the body together with the head.
        :param connection: that the rest comes on; ``None`` when ``piece`` is all.
        """
        self.head = head
        self.copied = len(piece)
        self.first_at = clock() if piece else 0.0
        self.paused = False
        self.taken = False
        self.whole = connection is None
        self.over: Callable[[], None] = _nothing
        self.clock = clock
        self._connection = connection
        self._copying: Pending[Any] | None = None
        self._error: UpstreamFailure | None = None
        self._exchange: IExchange | None = None
        self._held = [piece] if piece else []
        self._limit = 0
        self._tap: Callable[[bytes], object] | None = None
        self._write: Callable[[bytes], object] = self._held.append

    def relay(self, exchange: IExchange, tap: Callable[[bytes], object] | None) -> Pending[None]:
        """Copy the body; see :class:`IReply`."""
        self.taken = True
        self._write, self._tap = exchange.write, tap
        held, self._held = self._held, []
        for index, piece in enumerate(held, 1):
            write = _last_write(exchange) if self.whole and index == len(held) else exchange.write
            write(piece)
            if tap is not None:
                tap(piece)
        if self._connection is None:
            return Pending.ready(None) if self._error is None else Pending.failed(self._error)
        if not held:
            exchange.flush()
        self._exchange = exchange
        exchange.pace(self)
        return self._go_on()

    def gather(self, limit: int) -> Pending[bytes]:
        """Read the whole body; see :class:`IReply`."""
        self.taken = True
        self._limit, self._write = limit, self._collect
        if self._connection is not None and self.copied <= limit:
            return self._go_on()
        self.abort()
        if self.copied > limit:
            return Pending.failed(_too_large(limit))
        return Pending.ready(b"".join(self._held)) if self._error is None else Pending.failed(self._error)

    def abort(self) -> None:
        """Hang up on the backend; see :class:`IReply`."""
        connection = self._end()
        if connection is not None:
            connection.abort()

    def body_came(self, piece: bytes) -> None:
        """See :class:`olla.wire.connection.Listener`."""
        if not self.copied:
            self.first_at = self.clock()
        self.copied += len(piece)
        self._write(piece)
        if self._tap is not None:
            self._tap(piece)

    def ended(self, piece: bytes) -> None:
        """See :class:`olla.wire.connection.Listener`."""
        self.whole = True
        gathered = self._held if self._exchange is None else None
        if self._exchange is not None:
            self._write = _last_write(self._exchange)
        if piece:
            self.body_came(piece)
        self._end()
        copying, self._copying = self._copying, None
        if copying is not None:
            copying.fire(None if gathered is None else b"".join(gathered))

    def failed(self, error: UpstreamFailure) -> None:
        """See :class:`olla.wire.connection.Listener`."""
        self._error = error
        self._end()
        copying, self._copying = self._copying, None
        if copying is not None:
            copying.fail(error)

    def head_came(self, head: Head, piece: bytes, ended: bool) -> None:
        """See :class:`olla.wire.connection.Listener`."""
        raise AssertionError("a second head")

    def expire(self, error: BrokenBody) -> None:
        """A limit has passed."""
        self.abort()
        self.failed(error)

    def pauseProducing(self) -> None:
        """The client reads slowly: hold the backend back."""
        self.paused = True
        if self._connection is not None:
            self._connection.pause()

    def resumeProducing(self) -> None:
        """The client has caught up."""
        self.paused = False
        if self._connection is not None:
            self._connection.resume()

    def _go_on(self) -> Pending[Any]:
        """Have the rest sent on as it comes."""
        copying: Pending[Any] = Pending(self.abort)
        self._copying = copying
        if self._connection is not None and not self.paused:
            self._connection.resume()
        return copying

    def _collect(self, piece: bytes) -> None:
        self._held.append(piece)
        if self.copied > self._limit:
            self.expire(_too_large(self._limit))

    def _end(self) -> BackendConnection | None:
        """Let go of both sides; gives the connection if it was still ours."""
        connection, self._connection = self._connection, None
        exchange, self._exchange = self._exchange, None
        over, self.over = self.over, _nothing
        over()
        if exchange is not None:
            exchange.pace(None)
        return connection


def _last_write(exchange: IExchange) -> Callable[[bytes], object]:
    """Give what sends the last piece: our own exchange can send it together with the end of the body."""
    last: Callable[[bytes], object] = getattr(exchange, "write_last", exchange.write)
    return last


def _too_large(limit: int) -> BrokenBody:
    return BrokenBody(f"the answer is larger than {limit} bytes")
