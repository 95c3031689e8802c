"""
The journey of one request: admit, read, narrow, lease, adapt, send, relay, tell.

:meth:`Forwarder.forward` is that list.  It knows neither engine: the client's side is an
:class:`~olla.interfaces.IExchange`, the other an :class:`~olla.interfaces.IUpstream`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from functools import partial

from attrs import define, frozen

from olla.balance.affinity import Stay
from olla.balance.eligible import Plan
from olla.balance.fleet import Fleet, Lease, Member
from olla.dialect.envelope import abort_event
from olla.dialect.inflate import inflated
from olla.dialect.inspect import requirements
from olla.dialect.retry_after import retry_after
from olla.dialect.usage import tap_for
from olla.domain.endpoint import Endpoint
from olla.domain.message import Fields, Head, Request
from olla.domain.requirements import Requirements
from olla.domain.routing import Scope
from olla.errors import (
    BackendFailed,
    BackendProtocolError,
    BackendTimeout,
    BackendTLSError,
    BadReply,
    BrokenBody,
    ClosedEarly,
    ConnectFailed,
    HeadTimeout,
    InternalError,
    InvalidEndpoint,
    Refusal,
    TLSFailed,
    UpstreamFailure,
)
from olla.events import AttemptFailed, Event
from olla.interfaces import IExchange, IReply, IUpstream
from olla.pending import Cancelled, Pending
from olla.proxy.adapt import Adapter
from olla.proxy.admission import PROXY, Admission
from olla.proxy.answers import Answers
from olla.proxy.gathering import Gathering, gathers
from olla.proxy.objects import Keep, Learning, Objects
from olla.proxy.renaming import Renaming, naming_back
from olla.proxy.routes import Route, Routes
from olla.proxy.session import Sessions
from olla.proxy.story import Story

IDEMPOTENT = frozenset({b"GET", b"HEAD", b"OPTIONS"})
DESCRIBED = "described"
TARGET = b"x-olla-target-endpoint"
REPEATABLE = (
    "/embeddings",
    "/embed",
    "/rerank",
    "/tokenize",
    "/detokenize",
    "/moderations",
    "/score",
    "/classify",
)


@frozen
class RetryRules:
    """
    When another endpoint is tried (http-api.md §6.3).

    :ivar enabled: whether at all.
    :ivar on_connection_failure: after a connection that could not be made, or was reset before any answer.
    :ivar on_unanswered: after a time-out or a closed connection as well, whatever the method: the operator
        accepts that two backends may work on one request.
    :ivar max_attempts: endpoints tried for one request; ``0`` for each candidate once.
    :ivar on_status: statuses of a backend after which the next one is asked.
    """

    enabled: bool = True
    on_connection_failure: bool = True
    on_unanswered: bool = False
    max_attempts: int = 0
    on_status: Collection[int] = frozenset({429, 503})

    def allow(self, request: Request, path: str, failure: UpstreamFailure) -> bool:
        """
        Say whether ``request`` may go to another endpoint after ``failure``.

        A reset connection means that the backend has not read all of the request (its kernel resets when unread
        bytes are thrown away); a clean close or a silence may mean that a generation is running, so only what
        has no effect is repeated then.
        """
        if isinstance(failure, ConnectFailed) or (isinstance(failure, ClosedEarly) and failure.reset):
            return self.on_connection_failure and not getattr(failure, "answered", False)
        if isinstance(failure, BadReply):
            return False
        return self.on_unanswered or request.method in IDEMPOTENT or path.endswith(REPEATABLE)


@define(eq=False)
class Forwarder:
    """
    Carries requests to endpoints and their answers back.

    :ivar narrow: finds the endpoints that can serve a request; may have to wait for a listing.
    :ivar adapter: makes the request for one endpoint: target, fields, the model's name there.
    :ivar sessions: keeps conversations where they are; ``None`` when that is switched off.
    :ivar objects: knows which endpoint has what it made for a client.
    :ivar profile: when what a backend sends is flushed: ``auto``, ``streaming``, ``standard``.
    :ivar names_back: whether the model in an answer gets the name that the client has used.
    :ivar error_events: whether a broken stream says so in its own dialect before it is cut.
    :ivar tell_later: told what makes an event, and how many bytes that holds on to.
    :ivar crashed: told of a fault of ours, with the request's id.
    :ivar wall: seconds since 1970, to understand dates of backends.
    """

    admission: Admission
    routes: Routes
    narrow: Callable[[Scope, Requirements], Plan | Awaitable[Plan]]
    fleet: Fleet
    adapter: Adapter
    upstream: IUpstream
    answers: Answers
    retry: RetryRules
    tell: Callable[[Event], None]
    tell_later: Callable[[Callable[[], Event], int], None]
    clock: Callable[[], float]
    sessions: Sessions | None
    objects: Objects
    profile: str
    names_back: bool
    error_events: bool
    crashed: Callable[[str], None]
    wall: Callable[[], float]

    async def forward(self, exchange: IExchange) -> None:
        """Take one request from its arrival to its end, whatever happens on the way."""
        request = exchange.request
        story = Story(request, exchange.surface)
        try:
            limits = self.admission.admit(request, PROXY, self.clock())  # 1 admit
            if isinstance(limits, Pending):
                limits = await limits
            route = self.routes.find(request.target)
            wanted = self._read(request, route, story)  # 2 read
            plan = self._named(request) if route.managing else self.narrow(route.scope, wanted)  # 3 narrow
            if not isinstance(plan, Plan):
                plan = await plan
            story.decision = plan.decision
            if wanted.object:
                place = self.objects.narrow(plan, wanted)
                plan = await place if isinstance(place, Pending) else place
            if plan.refusal is not None:
                raise plan.refusal
            stay = self._recall(request, wanted, plan)
            if isinstance(stay, Pending):
                stay = await stay
            lease, reply = await self._obtain(request, route, wanted, plan, stay, story)  # 4 lease 5 adapt 6 send
            try:
                session = self._settle(stay, lease, wanted, story)
                names = naming_back(request, _described(reply.head), story.model, wanted) if self.names_back else None
                self._respond(exchange, reply, [*limits, *session], story, renamed=names is not None)
                if names is not None:
                    exchange = Renaming(exchange, names)
                await self._relay(exchange, reply, lease, wanted, story)  # 7 relay
            finally:
                lease.release()
        except Refusal as refusal:
            self._refuse(exchange, refusal, story)
        except Cancelled:
            exchange.abort()
        except Exception:
            self.crashed(request.id)
            self._refuse(exchange, InternalError(), story)
        finally:
            story.end(self.clock())
            self.tell_later(story.event, story.bytes_out)  # 8 tell

    def _read(self, request: Request, route: Route, story: Story) -> Requirements:
        unsupported = self.routes.unsupported(route)
        if unsupported is not None:
            raise unsupported
        packed = request.get(b"content-encoding")
        wanted = requirements(
            route.path,
            request.target.partition(b"?")[2],
            request.get(b"content-type"),
            request.body if packed is None else inflated(request.body, packed),
            request.get(b"x-olla-session-id"),
        )
        story.model, story.stream, story.session = wanted.model, wanted.stream, wanted.session
        return wanted

    def _named(self, request: Request) -> Plan:
        """Let the client choose: what changes an endpoint is for that one alone (http-api.md §2.4)."""
        name = (request.get(TARGET) or b"").decode("latin-1").strip()
        member = self.fleet.get(name)
        if member is None or member.profile != "ollama":
            raise InvalidEndpoint("X-Olla-Target-Endpoint must name an Ollama endpoint")
        return Plan((member,))

    async def _obtain(
        self,
        request: Request,
        route: Route,
        wanted: Requirements,
        plan: Plan,
        stay: Stay | None,
        story: Story,
    ) -> tuple[Lease, IReply]:
        """
        Get a reply, from the second endpoint if not from the first.

        :return: the reply whose head has come, and the lease on its endpoint, which the caller releases.
        :raise Refusal: when nobody answers.
        """
        left = plan.candidates
        tried: list[tuple[str, str]] = []
        failed: UpstreamFailure | None = None
        while True:
            try:
                preferred = stay.preferred if stay is not None else None
                lease = self.fleet.lease(left, wanted, self.clock(), preferred, plan.cold)
                if isinstance(lease, Pending):
                    lease = await self._queue(lease, story)
            except Refusal:
                if failed is not None:
                    raise self._gave_up(failed, tried, request) from None
                raise
            story.attempts += 1
            left = tuple(member for member in left if member is not lease.member)
            endpoint = story.endpoint = lease.endpoint
            story.model = plan.names.get(endpoint.name, wanted.model)
            try:
                outgoing = self.adapter.adapt(request, route.rest, wanted, lease.member, story.model)
                reply = await self.upstream.send(endpoint, outgoing)
            except UpstreamFailure as failure:
                self.fleet.failed(lease, failure, self.clock())
                lease.release()
                failed = failure
                tried.append((endpoint.name, failure.detail))
                self._note(story, endpoint, failure, len(left))
                if not left or not self._may_go_on(request, wanted, failure, story.attempts):
                    raise self._gave_up(failure, tried, request) from failure
                continue
            except BaseException:
                self.fleet.abandoned(lease)
                lease.release()
                raise
            status = reply.head.status
            again = None
            if status in self.retry.on_status:
                again = retry_after(_first(reply.head.fields, b"retry-after") or b"", self.wall)
            self.fleet.answered(lease, status, again, self.clock())
            if status == 404 and wanted.object and request.method == b"GET" and self._has_next(left, story.attempts):
                reply.abort()  # another may have it
                lease.release()
                tried.append((endpoint.name, f"answered {status}"))
                continue
            if status in self.retry.on_status and self.retry.enabled and self._has_next(left, story.attempts):
                reply.abort()
                lease.release()
                tried.append((endpoint.name, f"answered {status}"))
                self._note(story, endpoint, UpstreamFailure(f"answered {status}"), len(left))
                continue
            return lease, reply

    def _recall(self, request: Request, wanted: Requirements, plan: Plan) -> Stay | Pending[Stay] | None:
        if self.sessions is None:
            return None
        return self.sessions.recall(request, wanted, plan.candidates, self.clock())

    def _settle(self, stay: Stay | None, lease: Lease, wanted: Requirements, story: Story) -> Fields:
        if self.sessions is None or stay is None:
            return []
        story.sticky, fields = self.sessions.settle(stay, lease.member, wanted, self.clock())
        return fields

    async def _queue(self, waiting: Pending[Lease], story: Story) -> Lease:
        since = self.clock()
        lease = await waiting
        story.queued += self.clock() - since
        return lease

    def _may_go_on(self, request: Request, wanted: Requirements, failure: UpstreamFailure, attempts: int) -> bool:
        if not self.retry.enabled or (self.retry.max_attempts and attempts >= self.retry.max_attempts):
            return False
        return self.retry.allow(request, wanted.path, failure)

    def _has_next(self, left: tuple[Member, ...], attempts: int) -> bool:
        if self.retry.max_attempts and attempts >= self.retry.max_attempts:
            return False
        return self.fleet.any_ready(left, self.clock())

    def _note(self, story: Story, endpoint: Endpoint, failure: UpstreamFailure, remaining: int) -> None:
        self.tell(
            AttemptFailed(story.request.id, endpoint, reason_of(failure), failure.detail, story.attempts, remaining)
        )

    def _respond(self, exchange: IExchange, reply: IReply, extra: Fields, story: Story, *, renamed: bool) -> None:
        now = self.clock()
        story.status, story.head_at, story.reply = reply.head.status, now, reply
        head = self.answers.relayed(reply.head, story, extra, now)
        if renamed:
            head.length = None  # a name's length is not another's
        exchange.respond(head)
        exchange.request.commit()

    async def _relay(
        self, exchange: IExchange, reply: IReply, lease: Lease, wanted: Requirements, story: Story
    ) -> None:
        kind, packed = _described(reply.head)
        tap = tap_for(kind, packed, reply.head.length)
        keep: Keep | None = tap.keep if tap is not None else None
        if wanted.makes and story.status < 300 and packed is None and story.request.method == b"POST":
            keep = Learning(lambda name: self.objects.place(name, lease.member.name)).beside(keep)
        if gathers(reply.head, kind, self.profile, story.stream):
            exchange = Gathering(exchange)
        try:
            await reply.relay(exchange, keep)
        except BrokenBody as broken:
            story.outcome, story.error = "failed", broken.detail
            self.fleet.failed(lease, broken, self.clock())
            self._note(story, lease.endpoint, broken, 0)
            if self.error_events:
                event = abort_event(kind, exchange.surface, broken.detail, packed)
                length = reply.head.length
                if length is None or len(event) < length - reply.copied:  # or the client would take it for the rest
                    exchange.write(event)
            exchange.abort()
        except Cancelled:
            self.fleet.abandoned(lease)
            raise
        else:
            exchange.finish()
            if tap is not None:
                story.cost = partial(tap.finish, self.adapter.measures.get(lease.member.profile))
            story.outcome = "success" if story.status < 500 else "error"
            self.fleet.succeeded(lease, self.clock())

    def _refuse(self, exchange: IExchange, refusal: Refusal, story: Story) -> None:
        story.outcome = "failed" if story.attempts else "rejected"
        if exchange.responded:
            story.error = refusal.message
            exchange.abort()
        else:
            self.answers.refuse(exchange, refusal, story)

    def _gave_up(self, last: UpstreamFailure, tried: list[tuple[str, str]], request: Request) -> BackendFailed:
        attempts = tuple(tried)
        if isinstance(last, TLSFailed):
            return BackendTLSError(f"Proxy error: {last.detail}", attempts)
        if isinstance(last, ConnectFailed):
            details = "; ".join(f"{name}: {text}" for name, text in attempts)
            return BackendFailed(f"Proxy error: all endpoints failed with connection errors: {details}", attempts)
        if isinstance(last, HeadTimeout):
            spent = self.clock() - request.received
            return BackendTimeout(f"Proxy error: request timeout after {spent:.1f}s - {last.detail}", attempts)
        return BackendProtocolError(f"Proxy error: {last.detail}", attempts)


def _described(head: Head) -> tuple[bytes | None, bytes | None]:
    """Give type and encoding of a reply's body."""
    described: tuple[bytes | None, bytes | None] | None = head.made.get(DESCRIBED)
    if described is None:
        described = _first(head.fields, b"content-type"), _first(head.fields, b"content-encoding")
        head.made[DESCRIBED] = described
    return described


def _first(fields: Fields, name: bytes) -> bytes | None:
    return next((value for key, value in fields if key.lower() == name), None)


def reason_of(failure: UpstreamFailure) -> str:
    """Name the class of a failure as the statistics do: ``connect timeout protocol stream status``."""
    if isinstance(failure, ConnectFailed):
        return "connect"
    if isinstance(failure, HeadTimeout):
        return "timeout"
    if isinstance(failure, BrokenBody):
        return "stream"
    return "protocol" if isinstance(failure, (ClosedEarly, BadReply)) else "status"
