"""
The journey of one request: admit, read, narrow, lease, adapt, send, relay, tell.

:meth:`Forwarder.forward` is that list.  It knows neither engine: the client's side is an
:class:`~olla.interfaces.IExchange`, the other an :class:`~olla.interfaces.IUpstream`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from attrs import define
from msgspec.structs import replace

from olla.balance.affinity import Stay
from olla.balance.eligible import Plan
from olla.balance.fleet import Fleet, Lease
from olla.dialect.envelope import abort_event
from olla.dialect.inflate import inflated
from olla.dialect.inspect import requirements
from olla.dialect.objects import REALTIME, SECRETS, in_path, made, made_secret, shown_secret
from olla.dialect.usage import tap_for
from olla.domain.message import Fields, Head, Request, first
from olla.domain.requirements import Requirements
from olla.domain.routing import Scope
from olla.errors import BrokenBody, InternalError, InvalidEndpoint, Refusal
from olla.events import Event
from olla.interfaces import IExchange, IReply
from olla.pending import Cancelled, Pending
from olla.proxy.adapt import Adapter
from olla.proxy.admission import PROXY, Admission
from olla.proxy.answers import Answers
from olla.proxy.failover import Failover
from olla.proxy.gathering import Gathering, gathers
from olla.proxy.objects import Keep, Learning, Objects
from olla.proxy.renaming import Renaming, naming_back
from olla.proxy.routes import Route, Routes
from olla.proxy.session import Sessions, told
from olla.proxy.story import LEFT, Story

DESCRIBED = "described"
TARGET = b"x-olla-target-endpoint"


@define(eq=False)
class Forwarder:
    """
    Carries requests to endpoints and their answers back.

    :ivar narrow: finds the endpoints that can serve a request; may have to wait for a listing.
    :ivar adapter: knows what each kind of backend tells of its costs.
    :ivar failover: gets a reply from one of the endpoints.
    :ivar sessions: keeps conversations where they are; ``None`` when that is switched off.
    :ivar objects: knows which endpoint has what it made for a client.
    :ivar profile: when what a backend sends is flushed: ``auto``, ``streaming``, ``standard``.
    :ivar names_back: whether the model in an answer gets the name that the client has used.
    :ivar error_events: whether a broken stream says so in its own dialect before it is cut.
    :ivar tell_later: told what makes an event, and how many bytes that holds on to.
    :ivar crashed: told of a fault of ours, with the request's id.
    """

    admission: Admission
    routes: Routes
    narrow: Callable[[Scope, Requirements], Plan | Awaitable[Plan]]
    fleet: Fleet
    adapter: Adapter
    failover: Failover
    answers: Answers
    tell_later: Callable[[Callable[[], Event], int], None]
    clock: Callable[[], float]
    sessions: Sessions | None
    objects: Objects
    profile: str
    names_back: bool
    error_events: bool
    crashed: Callable[[str], None]

    async def forward(self, exchange: IExchange) -> None:
        """Take one request from its arrival to its end, whatever happens on the way."""
        request = exchange.request
        story = Story(request, exchange.surface)
        stay: Stay | None = None
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
            recalled = self._recall(request, wanted, plan)
            stay = await recalled if isinstance(recalled, Pending) else recalled
            preferred = stay.preferred if stay is not None else None
            lease, reply = await self.failover.obtain(  # 4 lease 5 adapt 6 send
                request, route.rest, wanted, plan, preferred, story
            )
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
            self._refuse(exchange, refusal, story, stay)
        except Cancelled:
            story.status = LEFT
            exchange.abort()
        except Exception:
            self.crashed(request.id)
            self._refuse(exchange, InternalError(), story)
        finally:
            story.end(self.clock())
            self.tell_later(story.event, story.bytes_out)  # 8 tell

    def _read(self, request: Request, route: Route, story: Story) -> Requirements:
        unsupported = self.routes.unsupported(request.method, route)
        if unsupported is not None:
            raise unsupported
        packed = request.get(b"content-encoding")
        wanted = requirements(
            route.path,
            request.target.partition(b"?")[2],
            request.get(b"content-type"),
            request.body if packed is None else inflated(request.body, packed),
            request.get(b"x-olla-session-id"),
            route.rest,
        )
        if REALTIME in route.path and not wanted.object:
            wanted = replace(wanted, object=shown_secret(request.get(b"authorization")))
        story.model, story.stream, story.session = wanted.model, wanted.stream, wanted.session
        return wanted

    def _named(self, request: Request) -> Plan:
        """Let the client choose: what changes an endpoint is for that one alone (http-api.md §2.4)."""
        name = (request.get(TARGET) or b"").decode("latin-1").strip()
        member = self.fleet.get(name)
        if member is None or member.profile != "ollama":
            raise InvalidEndpoint("X-Olla-Target-Endpoint must name an Ollama endpoint")
        return Plan((member,))

    def _recall(self, request: Request, wanted: Requirements, plan: Plan) -> Stay | Pending[Stay] | None:
        if self.sessions is None:
            return None
        return self.sessions.recall(request, wanted, plan.candidates, self.clock())

    def _settle(self, stay: Stay | None, lease: Lease, wanted: Requirements, story: Story) -> Fields:
        if self.sessions is None or stay is None:
            return []
        story.sticky, fields = self.sessions.settle(stay, lease.member, wanted, self.clock())
        return fields

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
        if wanted.makes and story.status < 300 and story.request.method == b"POST":
            keep = self._learning(reply.head, wanted.path, lease.member.name, keep)
        if gathers(reply.head, kind, self.profile, story.stream):
            exchange = Gathering(exchange)
        try:
            await reply.relay(exchange, keep)
        except BrokenBody as broken:
            story.outcome, story.error = "failed", broken.detail
            self.fleet.failed(lease, broken, self.clock())
            self.failover.note(story, lease.endpoint, broken, 0)
            if self.error_events:
                number = tap.next_number() if tap is not None else None
                event = abort_event(kind, exchange.surface, broken.detail, packed, number)
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

    def _learning(self, head: Head, path: str, maker: str, keep: Keep | None) -> Keep | None:
        """Remember who has made an object, once the head of the answer or the beginning of its body names it."""
        name = in_path((first(head.fields, b"location") or b"").decode("latin-1"))
        if name:
            self.objects.place(name, maker)
        elif _described(head)[1] is None:
            read = made_secret if path.endswith(SECRETS) else made
            return Learning(read, lambda name: self.objects.place(name, maker)).beside(keep)
        return keep

    def _refuse(self, exchange: IExchange, refusal: Refusal, story: Story, stay: Stay | None = None) -> None:
        story.outcome = "failed" if story.attempts else "rejected"
        if exchange.responded:
            story.error = refusal.message
            exchange.abort()
        else:
            self.answers.refuse(exchange, refusal, story, _unsettled(stay, story))


def _unsettled(stay: Stay | None, story: Story) -> Fields:
    """Tell of the session of a request that was sent and not answered; it stays where it is (http-api.md §4.3)."""
    if stay is None or story.endpoint is None:
        return []
    story.sticky = stay.outcome(story.endpoint.name)
    return told(stay, story.sticky, story.session)


def _described(head: Head) -> tuple[bytes | None, bytes | None]:
    """Give type and encoding of a reply's body."""
    described: tuple[bytes | None, bytes | None] | None = head.made.get(DESCRIBED)
    if described is None:
        described = first(head.fields, b"content-type"), first(head.fields, b"content-encoding")
        head.made[DESCRIBED] = described
    return described
