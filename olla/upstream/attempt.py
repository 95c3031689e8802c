"""One request on a connection of our own, and the reply to it: held back until it is wanted, then copied."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from zope.interface import implementer

from olla.domain.endpoint import Endpoint
from olla.domain.message import Head, Outgoing
from olla.errors import BrokenBody, ClosedEarly, ConnectFailed, ConnectTimeout, HeadTimeout, UpstreamFailure
from olla.interfaces import IExchange, IPaced, IReply
from olla.pending import Pending
from olla.upstream.limits import Patience
from olla.wire.compose import request_head
from olla.wire.connection import BackendConnection

DONE: Pending[None] = Pending.ready(None)
SENT = Outgoing(b"", b"", [])
"""Stands where a request was that need not be sent again."""


class Way(Protocol):
    """
    The way to the endpoint.

    :ivar where: its address, for texts.
    :ivar endpoint: where it leads.
    :ivar clock: seconds, never going back.
    """

    endpoint: Endpoint
    clock: Callable[[], float]

    @property
    def where(self) -> str: ...

    def serve(self, attempt: Attempt) -> None:
        """Get ``attempt`` a connection, at once or later."""

    def abandon(self, attempt: Attempt) -> None:
        """``attempt`` waits for a connection no more."""

    def over(self, attempt: Attempt) -> None:
        """``attempt`` needs no watching any more."""


@implementer(IReply, IPaced)
class Attempt:
    """
    A request on its way, and once its head is here the reply; see :class:`IReply`.

    :ivar must_be_new: no kept connection will do.
    :ivar connecting: the connection in the making.
    :ivar paused: whether the client is slower than the backend right now.
    """

    # Of most attempts most of these never change: what is said here need not be said for each.
    head: Head
    copied = 0
    first_at = 0.0
    must_be_new = False
    connecting: Deferred[Any] | None = None
    paused = False
    _connection: BackendConnection | None = None
    _pending: Pending[IReply] | None = None
    _copying: Pending[Any] | None = None
    _exchange: IExchange | None = None
    _error: UpstreamFailure | None = None
    _tap: Callable[[bytes], object] | None = None
    _write: Callable[[bytes], object]
    _held: list[bytes]
    _answered = False
    _taken = False
    _whole = False
    _limit = 0

    def __init__(self, way: Way, outgoing: Outgoing) -> None:
        """
        Be ready to start.

        :raise ValueError: when a field of it could not be sent as one line.
        """
        self._way = way
        self._outgoing = outgoing
        self._text = request_head(outgoing)
        self._started = self._quiet_since = way.clock()

    def start(self) -> Pending[IReply]:
        """Send it."""
        pending: Pending[IReply] = Pending(self.abort)
        self._pending = pending
        self._way.serve(self)
        return pending

    def use(self, connection: BackendConnection) -> None:
        """Send the request on ``connection``."""
        self._connection = connection
        self._quiet_since = self._way.clock()
        connection.ask(self._outgoing, self._text, self)

    # What the connection tells ---------------------------------------------------------------------------------

    def head_came(self, head: Head, piece: bytes, ended: bool) -> None:
        """See :class:`olla.wire.connection.Listener`."""
        self.head = head
        self._answered = True
        if piece:
            self._held = [piece]
            self.copied = len(piece)
            self.first_at = self._way.clock()
        else:
            self._held = []
        connection, pending = self._connection, self._pending
        self._pending = None  # it knows us by its canceller: let there be no cycle
        self._outgoing, self._text = SENT, b""  # nobody sends it again, and a stream may be held for an hour
        if ended:
            self._whole = True
            self._let_go()
        else:
            self._write = self._held.append
        assert pending is not None
        pending.fire(self)
        if not (ended or self._taken) and connection is not None:
            connection.pause()

    def body_came(self, piece: bytes) -> None:
        """See :class:`olla.wire.connection.Listener`."""
        if not self.copied:
            self.first_at = self._way.clock()
        self.copied += len(piece)
        self._write(piece)
        if self._tap is not None:
            self._tap(piece)

    def ended(self, piece: bytes) -> None:
        """See :class:`olla.wire.connection.Listener`."""
        self._whole = True
        exchange, copying = self._exchange, self._copying
        if exchange is not None:
            self._write = exchange.write_last
        if piece:
            self.body_came(piece)
        self._let_go()
        if copying is not None:
            copying.fire(None if exchange is not None else b"".join(self._held))

    def failed(self, error: UpstreamFailure) -> None:
        """See :class:`olla.wire.connection.Listener`."""
        stale = isinstance(error, ClosedEarly) and error.reused and not error.answered
        if stale and not self.must_be_new:
            self.must_be_new = True
            self._connection = None
            self._way.serve(self)
            return
        self._error = error
        copying, pending = self._copying, self._pending
        self._pending = None
        self._let_go()
        if pending is not None:
            pending.fail(error)
        if copying is not None:
            copying.fail(error)

    # What the journey wants ------------------------------------------------------------------------------------

    def relay(self, exchange: IExchange, tap: Callable[[bytes], object] | None) -> Pending[None]:
        """Copy the body; see :class:`IReply`."""
        self._taken = True
        held = self._held
        last = held[-1] if self._whole and held else None
        for piece in held:
            write = exchange.write if piece is not last else exchange.write_last
            write(piece)
            if tap is not None:
                tap(piece)
        if self._connection is None:
            return DONE if self._error is None else Pending.failed(self._error)
        if not held:
            exchange.flush()
        self._write, self._tap, self._exchange = exchange.write, tap, exchange
        exchange.pace(self)
        return self._go_on()

    def gather(self, limit: int) -> Pending[bytes]:
        """Read the whole body; see :class:`IReply`."""
        self._taken = True
        if self.copied > limit:
            self.abort()
            return Pending.failed(_too_large(limit))
        if self._connection is None:
            return Pending.failed(self._error) if self._error is not None else Pending.ready(b"".join(self._held))
        self._limit, self._write = limit, self._collect
        return self._go_on()

    def abort(self) -> None:
        """Hang up on the backend, whatever it is that we wait for; see :class:`IReply`."""
        connection, connecting = self._connection, self.connecting
        self.connecting = self._pending = None
        self._let_go()
        if connection is not None:
            connection.abort()
        elif connecting is not None:
            connecting.cancel()
        elif not self._answered:
            self._way.abandon(self)

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

    # What time brings ------------------------------------------------------------------------------------------

    def check(self, now: float, patience: Patience) -> None:
        """Give up when a limit has passed."""
        connection = self._connection
        if patience.total and now - self._started >= patience.total:
            self._expire("response", patience.total)
        elif connection is None:
            if self.connecting is None and patience.connect and now - self._started >= patience.connect:
                self.give_up(ConnectTimeout(f"no free connection to {self._way.where} in time"))
        elif not self._answered:
            upload = connection.upload
            if upload is not None and upload.moved:
                upload.moved = False
                self._quiet_since = now
            else:
                self._check_head(now, patience)
        elif connection.heard or self.paused:
            connection.heard = False
            self._quiet_since = now
        elif patience.silence and now - self._quiet_since >= patience.silence:
            self._expire("read", patience.silence)

    def _check_head(self, now: float, patience: Patience) -> None:
        limit = self._outgoing.patience or self._way.endpoint.head_timeout or patience.head
        if limit and now - self._quiet_since >= limit:
            self._expire("response_header", limit)

    def give_up(self, error: UpstreamFailure) -> None:
        """Hang up, and say why."""
        copying, pending = self._copying, self._pending
        self.abort()
        self._error = error
        if pending is not None:
            pending.fail(error)
        if copying is not None:
            copying.fail(error)

    def stop(self) -> None:
        """Give up because everything ends."""
        text = "the proxy is stopping"
        self.give_up(BrokenBody(text) if self._answered else ConnectFailed(text))

    def _expire(self, which: str, limit: float) -> None:
        text = f"{which} timeout of {limit:g}s exceeded"
        self.give_up(BrokenBody(text) if self._answered else HeadTimeout(text, which=which, limit=limit))

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
            self.give_up(_too_large(self._limit))

    def _let_go(self) -> None:
        """Let go of both sides."""
        exchange = self._exchange
        self._connection = self._copying = self._exchange = None
        self._way.over(self)
        if exchange is not None:
            exchange.pace(None)


def _too_large(limit: int) -> BrokenBody:
    return BrokenBody(f"the answer is larger than {limit} bytes")
