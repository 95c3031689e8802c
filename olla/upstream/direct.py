"""
The upstream of engine ``olla``: our own pooled connections (:mod:`olla.wire.connection`).

Each request is an :class:`~olla.upstream.attempt.Attempt`, which keeps its deadlines and becomes the reply.  Here
is what they share: for each endpoint the way to connect, kept connections, and the queue for a limited number.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.tcp import Connection
from twisted.python.failure import Failure
from zope.interface import implementer

from olla.domain.endpoint import Endpoint
from olla.domain.message import Outgoing
from olla.interfaces import IReply, IUpstream
from olla.pending import Pending
from olla.turns import in_parts
from olla.upstream.attempt import Attempt
from olla.upstream.dial import failure_of
from olla.upstream.limits import Patience
from olla.wire.connection import BackendConnection
from olla.wire.head import ReplyHead
from olla.wire.pool import Pool
from olla.wire.recent import Recent


class _Connections(Factory):
    """Makes the protocol of each new connection."""

    noisy = False

    def __init__(self, recent: Recent[ReplyHead]) -> None:
        self._recent = recent

    def buildProtocol(self, addr: IAddress | None) -> BackendConnection:
        return BackendConnection(self._recent)


@define(eq=False)
class _Route:
    """
    The way to one endpoint.

    :ivar limit: connections at once; ``0`` for no limit.
    :ivar connections: makes the protocol of each.
    :ivar clock: seconds, never going back.
    :ivar over: told of each attempt that needs no watching any more.
    :ivar opened: told of each connection that stands.
    :ivar closed: told of each connection that is closed.
    :ivar dropped: the endpoint is configured no more.
    """

    endpoint: Endpoint
    dialler: IStreamClientEndpoint
    pool: Pool
    limit: int
    connections: Factory
    clock: Callable[[], float]
    over: Callable[[Attempt], None]
    opened: Callable[[BackendConnection], None]
    closed: Callable[[BackendConnection], None]
    dropped: bool = False
    _count: int = 0
    _waiting: deque[Attempt] = field(factory=deque)

    @property
    def where(self) -> str:
        """The endpoint's address, for texts."""
        return self.endpoint.authority

    def serve(self, attempt: Attempt) -> None:
        """Get ``attempt`` a connection, at once or later."""
        if attempt.must_be_new and self.limit:
            self.pool.drop(self.endpoint)  # or a kept connection, stale as well perhaps, would be in its place
        kept = None if attempt.must_be_new else self.pool.take(self.endpoint)
        if kept is not None:
            attempt.use(kept)
        elif self.limit and self._count >= self.limit:
            self._waiting.append(attempt)
        else:
            self._dial(attempt)

    def abandon(self, attempt: Attempt) -> None:
        """Serve ``attempt`` no more."""
        if attempt in self._waiting:
            self._waiting.remove(attempt)

    def idle(self, connection: BackendConnection) -> None:
        """See :class:`olla.wire.connection.Owner`."""
        if self.dropped:
            connection.close()
        else:
            self.pool.put(self.endpoint, connection)
            if self._waiting:
                self._serve_next()

    def gone(self, connection: BackendConnection) -> None:
        """See :class:`olla.wire.connection.Owner`."""
        self._count -= 1
        self.pool.forget(connection)
        self._serve_next()

    def _dial(self, attempt: Attempt) -> None:
        self._count += 1
        connecting = attempt.connecting = self.dialler.connect(self.connections)
        connecting.addCallbacks(self._connected, self._refused, callbackArgs=(attempt,), errbackArgs=(attempt,))

    def _connected(self, connection: BackendConnection, attempt: Attempt) -> None:
        transport = connection.transport
        if isinstance(transport, Connection):
            transport.protocol = connection  # Twisted's endpoints leave a wrapper there that each read would pass
        connection.owner = self
        self.opened(connection)
        attempt.connecting = None
        attempt.use(connection)

    def _refused(self, reason: Failure, attempt: Attempt) -> None:
        self._count -= 1
        if attempt.connecting is not None:  # else it has given up by itself
            attempt.connecting = None
            cause: BaseException = reason.value  # type: ignore[assignment]  # a Failure in hand has one
            attempt.failed(failure_of(cause, self.where))
        self._serve_next()

    def _serve_next(self) -> None:
        if self._waiting:
            self.serve(self._waiting.popleft())


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
    _recent: Recent[ReplyHead] = field(init=False)
    _connections: Factory = field(init=False)
    _routes: dict[Endpoint, _Route] = field(init=False, factory=dict)
    _attempts: set[Attempt] = field(init=False, factory=set)
    _open: set[BackendConnection] = field(init=False, factory=set)
    _closing: Deferred[None] | None = field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        self._recent = Recent(self.clock)
        self._connections = _Connections(self._recent)
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
            route = self._routes[endpoint] = _Route(
                endpoint,
                dialler,
                self._pool,
                self.max_per_host,
                self._connections,
                self.clock,
                self._attempts.discard,
                self._open.add,
                self._closed,
            )
        attempt = Attempt(route, outgoing)
        self._attempts.add(attempt)
        return attempt.start()

    def sweep(self, now: float) -> Iterator[None]:
        """Enforce the limits, in parts; to be called a few times a second."""
        self._pool.sweep(now)
        self._recent.sweep(now)
        yield from in_parts(self._attempts, lambda attempt: attempt.check(now, self.patience))

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
            attempt.stop()
        for connection in tuple(self._open):
            connection.abort()
        self._check_closed()
        return closing

    def _closed(self, connection: BackendConnection) -> None:
        self._open.discard(connection)
        self._check_closed()

    def _check_closed(self) -> None:
        closing = self._closing
        if closing is not None and not self._open and not closing.called:
            closing.callback(None)
