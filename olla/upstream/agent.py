"""
The upstream of engine ``sherpa``: Twisted's own Agent, its pool, and a streaming body producer.

What Agent lacks for a proxy is added around it and not inside: each connection runs through a :class:`Guard`,
which reads along strictly (Agent's parser folds lines, strips white space and bounds nothing) and knows whether
the connection has served before; an :class:`_Attempt` keeps the deadlines; and the request's target goes out byte
for byte, where ``Agent.request`` would take a URI apart and put it together again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from attrs import Factory, define, field
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.python.failure import Failure
from twisted.web.client import URI, Agent, HTTPConnectionPool
from twisted.web.iweb import IAgentEndpointFactory, IBodyProducer, IResponse
from zope.interface import implementer

from olla.domain.endpoint import Endpoint
from olla.domain.message import Outgoing
from olla.errors import BadReply, BrokenBody, ClosedEarly, HeadTimeout, UpstreamFailure
from olla.interfaces import IReply, IUpstream
from olla.pending import Pending
from olla.turns import in_parts
from olla.upstream.agent_reply import AgentReply
from olla.upstream.dial import Dialler, failure_of
from olla.upstream.guard import Guard, Guarded, GuardFactory
from olla.upstream.limits import Patience, Sockets
from olla.upstream.producer import BodyProducer
from olla.wire.head import ReplyHead
from olla.wire.headers import Prepared
from olla.wire.recent import Recent

NEVER = float("inf")


@implementer(IStreamClientEndpoint)
@define(eq=False)
class _Connection:
    """What the pool is given to connect with: knows for which attempt."""

    attempt: _Attempt
    _dialler: Dialler

    def connect(self, protocolFactory: Any) -> Deferred[Any]:
        self.attempt.connecting = self._dialler.connect(GuardFactory(protocolFactory))
        return self.attempt.connecting.addCallback(lambda guard: guard.wrappedProtocol)


class _Pool(HTTPConnectionPool):
    """
    Twisted's pool; tells each attempt which connection it got.

    :ivar dropped: nothing is kept any more: what is busy now is closed after its answer.
    """

    dropped = False

    def getConnection(self, key: Any, endpoint: Any) -> Deferred[Any]:
        attempt: _Attempt = endpoint.attempt

        def got(protocol: Any) -> Any:
            attempt.connected(protocol.transport)
            return protocol

        # A second try must not meet another connection that the backend has closed as well.
        getting = self._newConnection if attempt.must_be_new else super().getConnection
        return getting(key, endpoint).addCallback(got)

    def _putConnection(self, key: Any, connection: Any) -> None:
        # Private, and the one way by which a connection comes back.
        if self.dropped:
            connection.transport.loseConnection()
        else:
            super()._putConnection(key, connection)

    def drop(self) -> Deferred[Any]:
        """Keep nothing from now on; fires when what is idle has been closed."""
        self.dropped = True
        closing: Deferred[Any] = self.closeCachedConnections()
        return closing


@implementer(IAgentEndpointFactory)
class _NoEndpoints:
    """Agent wants an endpoint factory; here each request brings its own endpoint."""

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        raise NotImplementedError(uri)


class _ExactAgent(Agent):
    """Twisted's Agent, asked with a target that is not taken apart."""

    def ask(self, connection: _Connection, outgoing: Outgoing, uri: URI, body: IBodyProducer | None) -> Deferred[Any]:
        """
        Send ``outgoing``.

        :param uri: of the endpoint; only its address counts.
        :return: what ``Agent.request`` returns.
        """
        headers = Prepared(outgoing.blocks, outgoing.fields)
        key = (uri.scheme, uri.host, uri.port)
        # Private, and the reason for the upper bound on Twisted's version: every other way in parses a URI.
        return self._requestWithEndpoint(key, connection, outgoing.method, uri, headers, body, outgoing.target)


@define(eq=False)
class _Route:
    """What is kept for one endpoint: its address, and its own agent and pool."""

    uri: URI
    dialler: Dialler
    agent: _ExactAgent
    pool: _Pool


class _Attempt(Guarded):
    """
    One request on its way to one endpoint, and its deadlines.

    :ivar clock: seconds, never going back.
    :ivar must_be_new: no pooled connection will do.
    :ivar connecting: the connection in the making.
    """

    def __init__(self, upstream: AgentUpstream, endpoint: Endpoint, outgoing: Outgoing) -> None:
        self.pending: Pending[IReply] = Pending(self._cancel)
        super().__init__(upstream.recent)
        self.clock = upstream.clock
        self.must_be_new = False
        self.connecting: Deferred[Any] | None = None
        self.reply: AgentReply | None = None
        self._upstream = upstream
        self._endpoint = endpoint
        self._method = outgoing.method
        self._patience = outgoing.patience
        self._outgoing: Outgoing | None = outgoing
        self._guard: Guard | None = None
        self._started = upstream.clock()
        self._quiet_since = self._started
        self._waiting_since = NEVER
        self._asking: Deferred[Any] | None = None
        self._expired: UpstreamFailure | None = None

    def start(self, route: _Route) -> None:
        """Send it."""
        outgoing = self._outgoing
        assert outgoing is not None, "nothing is sent twice after a reply"
        body = BodyProducer(outgoing.body) if outgoing.body.size or outgoing.framed else None
        self._guard, self.answered, self.was_reset = None, False, False
        self._asking = route.agent.ask(_Connection(self, route.dialler), outgoing, route.uri, body)
        self._asking.addCallbacks(self._has_head, self._failed)
        self._asking.addErrback(self._crashed)

    def connected(self, guard: Guard) -> None:
        """The request goes out on this connection now."""
        self._guard = guard
        self._waiting_since = self.clock()
        guard.serve(self, self._method)

    def _has_head(self, response: IResponse) -> None:
        self._quiet_since = self.clock()
        self._outgoing = None
        head = self.reader.head
        assert head is not None, "Agent has read a head that the guard has not"
        self.reply = AgentReply(response, self, head)
        self.pending.fire(self.reply)

    def _failed(self, failure: Failure) -> None:
        guard, where = self._guard, self._endpoint.authority
        if guard is not None:
            guard.release(self)
            if guard.requests > 1 and not self.answered and self._expired is None and not self.pending.done:
                # The backend closed an idle connection at the moment we used it: not its fault, nor the client's.
                self.must_be_new = True
                self._upstream.again(self, self._endpoint)
                return
        self._upstream.forget(self)
        self.pending.fail(self._expired or self._condition(failure, guard, where))

    def _condition(self, failure: Failure, guard: Guard | None, where: str) -> UpstreamFailure:
        if self.broken is not None:
            return self.broken
        if guard is None:
            return failure_of(failure.value or ConnectionDone(), where)
        if self.answered and not self.was_reset:
            return BadReply(f"{where} closed the connection inside the head of its reply")
        return ClosedEarly(
            f"{where} {'reset' if self.was_reset else 'closed'} the connection before it answered",
            reset=self.was_reset,
            reused=guard.requests > 1,
            answered=self.answered,
        )

    def _crashed(self, failure: Failure) -> None:
        self._upstream.forget(self)
        self._upstream.crashed(failure)
        self.pending.fail(BadReply("the reply could not be read"))

    def _cancel(self) -> None:
        self._upstream.forget(self)
        if self.reply is None and self._asking is not None:
            self._asking.cancel()

    def hang_up(self) -> None:
        """Cut the connection, whatever goes on over it."""
        self._upstream.forget(self)
        if self._guard is not None and self._guard.attempt is self:
            self._guard.transport.abortConnection()

    def over(self, *, whole: bool) -> None:
        """The body has ended."""
        self._upstream.forget(self)
        if self._guard is not None and whole:
            self._guard.release(self)

    def check(self, now: float, patience: Patience) -> None:
        """Give up when a limit has passed."""
        if self.heard:
            self.heard = False
            self._quiet_since = now
        if patience.total and now - self._started >= patience.total:
            self._expire("response", patience.total)
        elif self.reply is None:
            limit = self._patience or self._endpoint.head_timeout or patience.head
            if limit and now - self._waiting_since >= limit:
                self._expire("response_header", limit)
        elif self.reply.paused:
            self._quiet_since = now  # a slow client is not a silent backend
        elif patience.silence and now - self._quiet_since >= patience.silence:
            self._expire("read", patience.silence)

    def _expire(self, which: str, limit: float) -> None:
        text = f"{which} timeout of {limit:g}s exceeded"
        if self.reply is not None:
            self.reply.expire(BrokenBody(text))
        else:
            self._expired = HeadTimeout(text, which=which, limit=limit)
            if self._asking is not None:
                self._asking.cancel()


@implementer(IUpstream)
@define(eq=False)
class AgentUpstream:
    """
    Sends requests with Twisted's Agent.

    :ivar reactor: makes the connections.
    :ivar clock: seconds, never going back.
    :ivar patience: the limits; enforced by :meth:`sweep`.
    :ivar max_idle: idle connections kept for each endpoint.
    :ivar idle_timeout: seconds that they are kept.
    :ivar sockets: how the sockets of connections are set.
    :ivar crashed: told of a fault of our own.
    :ivar recent: what was read in heads of late.
    """

    reactor: Any
    clock: Callable[[], float]
    patience: Patience
    max_idle: int
    idle_timeout: float
    sockets: Sockets
    crashed: Callable[[Failure], object]
    recent: Recent[ReplyHead] = field(init=False, default=Factory(lambda self: Recent(self.clock), takes_self=True))
    _routes: dict[Endpoint, _Route] = field(init=False, factory=dict)
    _attempts: set[_Attempt] = field(init=False, factory=set)

    def send(self, endpoint: Endpoint, outgoing: Outgoing) -> Pending[IReply]:
        """
        Send one request; see :class:`IUpstream`.

        :raise ValueError: when a field of it could not be sent as one line.
        """
        attempt = _Attempt(self, endpoint, outgoing)
        self._attempts.add(attempt)
        try:
            route = self._route(endpoint)
        except (OSError, ValueError) as error:
            self._attempts.discard(attempt)
            return Pending.failed(failure_of(error, endpoint.authority))
        try:
            attempt.start(route)
        except ValueError:
            self._attempts.discard(attempt)
            raise
        return attempt.pending

    def again(self, attempt: _Attempt, endpoint: Endpoint) -> None:
        """Send once more, on a connection that is surely new."""
        attempt.start(self._route(endpoint))

    def forget(self, attempt: _Attempt) -> None:
        """Watch no longer over ``attempt``."""
        self._attempts.discard(attempt)

    def sweep(self, now: float) -> Iterator[None]:
        """Enforce the limits, in parts; to be called a few times a second."""
        self.recent.sweep(now)
        yield from in_parts(self._attempts, lambda attempt: attempt.check(now, self.patience))

    def close(self) -> Deferred[Any]:
        """Close the idle connections; fires when they are gone."""
        routes, self._routes = list(self._routes.values()), {}
        return gatherResults([route.pool.drop() for route in routes])

    def drop(self, endpoint: Endpoint) -> None:
        """Forget an endpoint that is configured no more."""
        route = self._routes.pop(endpoint, None)
        if route is not None:
            route.pool.drop()

    def _route(self, endpoint: Endpoint) -> _Route:
        route = self._routes.get(endpoint)
        if route is None:
            route = self._routes[endpoint] = self._make_route(endpoint)
        return route

    def _make_route(self, endpoint: Endpoint) -> _Route:
        pool = _Pool(self.reactor, persistent=True)
        pool.maxPersistentPerHost = self.max_idle
        pool.cachedConnectionTimeout = self.idle_timeout  # type: ignore[assignment]  # callLater takes a float
        pool.retryAutomatically = False  # it would retry GET by itself, and never POST
        return _Route(
            URI.fromBytes(f"{endpoint.scheme}://{endpoint.authority}/".encode()),
            Dialler(self.reactor, endpoint, self.patience.connect, self.patience.handshake, self.sockets),
            _ExactAgent.usingEndpointFactory(self.reactor, _NoEndpoints(), pool),
            pool,
        )
