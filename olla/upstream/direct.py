"""
The upstream of engine ``olla``: our own pooled connections (:mod:`olla.wire.connection`).

One :class:`_Attempt` for each request gets it onto a connection and keeps its deadlines; a
:class:`~olla.upstream.relay.DirectReply` takes over from it once the head is here.  A request on a kept connection
that closes without a byte of an answer is sent once more, on a new one: the backend had closed it while idle.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.tcp import Connection
from twisted.python.failure import Failure
from zope.interface import implementer

from olla.domain.endpoint import Endpoint
from olla.domain.message import Head, Outgoing
from olla.errors import BrokenBody, ClosedEarly, ConnectFailed, ConnectTimeout, HeadTimeout, UpstreamFailure
from olla.interfaces import IReply, IUpstream
from olla.pending import Pending
from olla.upstream.dial import failure_of
from olla.upstream.limits import Patience
from olla.upstream.relay import DirectReply
from olla.wire.compose import request_head
from olla.wire.connection import BackendConnection
from olla.wire.pool import Pool


class _Connections(Factory):
    """Makes the protocol of each new connection."""

    protocol = BackendConnection
    noisy = False


@define(eq=False)
class _Route:
    """
    The way to one endpoint.

    :ivar limit: connections at once; ``0`` for no limit.
    :ivar dropped: the endpoint is configured no more.
    """

    endpoint: Endpoint
    dialler: IStreamClientEndpoint
    pool: Pool
    limit: int
    upstream: DirectUpstream
    dropped: bool = False
    _opened: int = 0
    _waiting: deque[_Attempt] = field(factory=deque)

    def serve(self, attempt: _Attempt) -> None:
        """Get ``attempt`` a connection, at once or later."""
        if attempt.must_be_new and self.limit:
            self.pool.drop(self.endpoint)  # or a kept connection, stale as well perhaps, would be in its place
        kept = None if attempt.must_be_new else self.pool.take(self.endpoint)
        if kept is not None:
            attempt.use(kept)
        elif self.limit and self._opened >= self.limit:
            self._waiting.append(attempt)
        else:
            self._dial(attempt)

    def abandon(self, attempt: _Attempt) -> None:
        """Serve ``attempt`` no more."""
        if attempt in self._waiting:
            self._waiting.remove(attempt)

    def idle(self, connection: BackendConnection) -> None:
        """See :class:`olla.wire.connection.Owner`."""
        if self.dropped:
            connection.close()
        else:
            self.pool.put(self.endpoint, connection)
            self._serve_next()

    def gone(self, connection: BackendConnection) -> None:
        """See :class:`olla.wire.connection.Owner`."""
        self._opened -= 1
        self.pool.forget(connection)
        self._serve_next()

    def closed(self, connection: BackendConnection) -> None:
        """See :class:`olla.wire.connection.Owner`."""
        self.upstream.closed(connection)

    def _dial(self, attempt: _Attempt) -> None:
        self._opened += 1
        connecting = attempt.connecting = self.dialler.connect(_Connections())
        connecting.addCallbacks(self._connected, self._refused, callbackArgs=(attempt,), errbackArgs=(attempt,))

    def _connected(self, connection: BackendConnection, attempt: _Attempt) -> None:
        transport = connection.transport
        if isinstance(transport, Connection):
            transport.protocol = connection  # Twisted's endpoints leave a wrapper there that each read would pass
        connection.owner = self
        self.upstream.opened(connection)
        attempt.connecting = None
        attempt.use(connection)

    def _refused(self, reason: Failure, attempt: _Attempt) -> None:
        self._opened -= 1
        if attempt.connecting is not None:  # else it has given up by itself
            attempt.connecting = None
            cause: BaseException = reason.value  # type: ignore[assignment]  # a Failure in hand has one
            attempt.failed(failure_of(cause, self.endpoint.authority))
        self._serve_next()

    def _serve_next(self) -> None:
        if self._waiting:
            self.serve(self._waiting.popleft())


class _Attempt:
    """
    One request on its way to one endpoint.

    :ivar must_be_new: no kept connection will do.
    :ivar connecting: the connection in the making.
    """

    __slots__ = (
        "_connection",
        "_head",
        "_outgoing",
        "_pending",
        "_quiet_since",
        "_reply",
        "_route",
        "_started",
        "_upstream",
        "connecting",
        "must_be_new",
    )

    def __init__(self, upstream: DirectUpstream, route: _Route, outgoing: Outgoing) -> None:
        """
        Be ready to start.

        :raise ValueError: when a field of it could not be sent as one line.
        """
        self.must_be_new = False
        self.connecting: Deferred[Any] | None = None
        self._connection: BackendConnection | None = None
        self._head = request_head(outgoing)
        self._outgoing = outgoing
        self._started = self._quiet_since = upstream.clock()
        self._pending: Pending[IReply] | None = None
        self._reply: DirectReply | None = None
        self._route = route
        self._upstream = upstream

    def start(self) -> Pending[IReply]:
        """Send it."""
        pending: Pending[IReply] = Pending(self.hang_up)
        self._pending = pending
        self._route.serve(self)
        return pending

    def use(self, connection: BackendConnection) -> None:
        """Send the request on ``connection``."""
        self._connection = connection
        self._quiet_since = self._upstream.clock()
        connection.ask(self._outgoing, self._head, self)

    def head_came(self, head: Head, piece: bytes, ended: bool) -> None:
        """See :class:`olla.wire.connection.Listener`."""
        connection, pending = self._connection, self._pending
        assert connection is not None
        assert pending is not None
        self._pending = None  # it knows us by its canceller: let there be no cycle
        clock = self._upstream.clock
        if ended:
            self._over()
            pending.fire(DirectReply(head, piece, None, clock))
            return
        reply = self._reply = DirectReply(head, piece, connection, clock)
        reply.over = self._over
        connection.listen(reply)
        pending.fire(reply)
        if not reply.taken:
            connection.pause()

    def body_came(self, piece: bytes) -> None:
        """See :class:`olla.wire.connection.Listener`; the reply is told instead."""
        raise AssertionError("a body before its head")

    def ended(self, piece: bytes) -> None:
        """See :class:`olla.wire.connection.Listener`; the reply is told instead."""
        raise AssertionError("an end before the head")

    def failed(self, error: UpstreamFailure) -> None:
        """See :class:`olla.wire.connection.Listener`."""
        self._connection = None
        stale = isinstance(error, ClosedEarly) and error.reused and not error.answered
        if stale and not self.must_be_new:
            self.must_be_new = True
            self._route.serve(self)
        else:
            self._fail(error)

    def check(self, now: float, patience: Patience) -> None:
        """Give up when a limit has passed."""
        connection, reply = self._connection, self._reply
        if patience.total and now - self._started >= patience.total:
            self._expire("response", patience.total)
        elif connection is None:
            if self.connecting is None and patience.connect and now - self._started >= patience.connect:
                where = self._route.endpoint.authority
                self.give_up(ConnectTimeout(f"no free connection to {where} in time"))
        elif reply is None:
            upload = connection.upload
            if upload is not None and upload.moved:
                upload.moved = False
                self._quiet_since = now
            elif patience.head and now - self._quiet_since >= patience.head:
                self._expire("response_header", patience.head)
        elif connection.heard or reply.paused:
            connection.heard = False
            self._quiet_since = now
        elif patience.silence and now - self._quiet_since >= patience.silence:
            self._expire("read", patience.silence)

    def _expire(self, which: str, limit: float) -> None:
        text = f"{which} timeout of {limit:g}s exceeded"
        self.give_up(HeadTimeout(text, which=which, limit=limit))

    def hang_up(self) -> None:
        """Give up, whatever it is that we wait for."""
        connection, connecting = self._connection, self.connecting
        self.connecting = None
        self._over()
        if connection is not None:
            connection.abort()
        elif connecting is not None:
            connecting.cancel()
        else:
            self._route.abandon(self)

    def give_up(self, error: UpstreamFailure) -> None:
        """Hang up, and say why."""
        if self._reply is not None:
            self._reply.expire(BrokenBody(error.detail))
        else:
            self.hang_up()
            self._fail(error)

    def _fail(self, error: UpstreamFailure) -> None:
        self._over()
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.fail(error)

    def _over(self) -> None:
        self._connection = self._reply = None
        self._upstream.forget(self)


@implementer(IUpstream)
@define(eq=False)
class DirectUpstream:
    """
    Sends requests over connections of our own.

    :ivar dial: makes what connects to an endpoint (:class:`olla.upstream.dial.Dialler`); may raise ``OSError`` or
        ``ValueError``.
    :ivar clock: seconds, never going back.
    :ivar patience: the limits; enforced by :meth:`sweep`, but for those of ``dial``.
    :ivar max_idle: idle connections kept in all.
    :ivar max_idle_per_host: idle connections kept for each endpoint.
    :ivar idle_timeout: seconds that they are kept.
    :ivar max_per_host: connections to each endpoint at once, others wait for them; ``0`` for no limit.
    """

    dial: Callable[[Endpoint], IStreamClientEndpoint]
    clock: Callable[[], float]
    patience: Patience
    max_idle: int = 100
    max_idle_per_host: int = 25
    idle_timeout: float = 90.0
    max_per_host: int = 0
    _pool: Pool = field(init=False)
    _routes: dict[Endpoint, _Route] = field(init=False, factory=dict)
    _attempts: set[_Attempt] = field(init=False, factory=set)
    _open: set[BackendConnection] = field(init=False, factory=set)
    _closing: Deferred[None] | None = field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        self._pool = Pool(self.max_idle, self.max_idle_per_host, self.idle_timeout)

    def send(self, endpoint: Endpoint, outgoing: Outgoing) -> Pending[IReply]:
        """
        Send one request; see :class:`IUpstream`.

        :raise ValueError: when a field of it could not be sent as one line.
        """
        route = self._routes.get(endpoint)
        if route is None:
            try:
                dialler = self.dial(endpoint)
            except (OSError, ValueError) as error:
                return Pending.failed(failure_of(error, endpoint.authority))
            route = self._routes[endpoint] = _Route(endpoint, dialler, self._pool, self.max_per_host, self)
        attempt = _Attempt(self, route, outgoing)
        self._attempts.add(attempt)
        return attempt.start()

    def sweep(self, now: float) -> None:
        """Enforce the limits; to be called a few times a second."""
        for attempt in tuple(self._attempts):
            attempt.check(now, self.patience)
        self._pool.sweep(now)

    def drop(self, endpoint: Endpoint) -> None:
        """Forget an endpoint that is configured no more; what runs there runs on."""
        route = self._routes.pop(endpoint, None)
        if route is not None:
            route.dropped = True
            self._pool.drop(endpoint)

    def close(self) -> Deferred[None]:
        """Close all connections, those in use as well; fires when they are gone."""
        closing = self._closing = Deferred()
        self._pool.close()
        for attempt in tuple(self._attempts):
            attempt.give_up(ConnectFailed("the proxy is stopping"))
        for connection in tuple(self._open):
            connection.abort()
        self._check_closed()
        return closing

    def opened(self, connection: BackendConnection) -> None:
        """Watch over ``connection``."""
        self._open.add(connection)

    def closed(self, connection: BackendConnection) -> None:
        """It is closed."""
        self._open.discard(connection)
        self._check_closed()

    def forget(self, attempt: _Attempt) -> None:
        """Watch no longer over ``attempt``."""
        self._attempts.discard(attempt)

    def _check_closed(self) -> None:
        closing = self._closing
        if closing is not None and not self._open and not closing.called:
            closing.callback(None)
