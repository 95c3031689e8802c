"""
What a worker has in place of its own limiters, sessions and slots: parts that ask the owner.

Each asks only where something strict depends on it; what is not limited is decided in the worker.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from attrs import define, field

from olla.balance.affinity import Affinity, Key, Stay
from olla.balance.eligible import Plan
from olla.balance.fleet import COUNTED, Fleet, Lease, Member, Replaced
from olla.balance.status import Status
from olla.crew.desk import Desk, then
from olla.crew.messages import (
    Abandoned,
    Admit,
    Answered,
    Busy,
    Failed,
    Find,
    Found,
    Made,
    Recall,
    Recalled,
    Released,
    Settled,
    State,
    Succeeded,
    Take,
    Taken,
    Verdict,
    detail_of,
)
from olla.domain.endpoint import Endpoint
from olla.domain.message import Request
from olla.domain.requirements import Requirements
from olla.errors import Draining, UpstreamFailure
from olla.interfaces import ILimiter
from olla.limits.rate import Unlimited
from olla.pending import Pending
from olla.proxy.admission import PROXY, Admission, Limits
from olla.proxy.objects import Objects

ALLOWANCE = 5.0
STOPPING = "The proxy is stopping"


def concerns(limiters: Sequence[tuple[str, ILimiter]], kind: str) -> bool:
    """Say whether one of ``limiters`` may have a say in requests of ``kind``; a stranger's may in all."""
    return any(not isinstance(one, Unlimited) and getattr(one, "kind", kind) == kind for _, one in limiters)


@define(kw_only=True)
class AskingAdmission(Admission):
    """
    Lets in what the owner's limiters let in.

    :ivar limited: whether there is any limiter for a kind of request; without one nobody is asked.
    """

    desk: Desk
    limited: Callable[[str], bool]

    def admit(self, request: Request, kind: str, now: float) -> Limits | Pending[Limits]:
        """See :class:`Admission`."""
        if self.closed and kind == PROXY:
            raise Draining(STOPPING)
        if request.admitted is not None:
            return request.admitted
        if not self.limited(kind):
            return ()
        if request.asked is None:
            request.asked = self.desk.ask(Admit(request.client, kind))
        asked = request.asked

        def judged(verdict: Verdict) -> Limits:
            if not verdict.allowed:
                raise self.refusal(request, kind, verdict)
            request.admitted = verdict.fields
            return request.admitted

        return then(asked, judged, asked.cancel)


@define(eq=False, kw_only=True)
class AskedAffinity(Affinity):
    """Makes keys, and has the owner remember where they belong."""

    desk: Desk

    def recall(  # type: ignore[override]  # the one who calls it waits, if it has to
        self, key: Key | None, candidates: Sequence[Member], now: float
    ) -> Stay | Pending[Stay]:
        """Look up, at the owner's, what endpoint a request should go to."""
        if key is None:
            return Stay()
        asked = self.desk.ask(Recall(key.source, key.digest, tuple(member.name for member in candidates)))

        def known(told: Recalled) -> Stay:
            preferred = next((member for member in candidates if member.name == told.preferred), None)
            return Stay(key, preferred, told.spilled, told.pinned)

        return then(asked, known, asked.cancel)

    def settle(self, stay: Stay, member: Member, now: float) -> str:
        """Have the owner take note of who answered; see :class:`Affinity`."""
        if stay.key is not None:
            self.desk.say(Settled(stay.key.source, stay.key.digest, stay.spilled, member.name))
        return stay.outcome(member.name)

    def forget(self, member: Member) -> None:
        """Do nothing: the owner finds it out by itself."""


@define(eq=False, kw_only=True)
class AskedObjects(Objects):
    """Knows where the objects were made that were made here, and asks the owner for the others."""

    desk: Desk

    def narrow(self, plan: Plan, wanted: Requirements) -> Plan | Pending[Plan]:
        """See :class:`Objects`."""
        if self.place_of(wanted.object) is not None:
            return self.narrowed(plan, wanted.object)
        asked = self.desk.ask(Find(wanted.object))

        def found(told: Found) -> Plan:
            if told.endpoint:
                super(AskedObjects, self).place(wanted.object, told.endpoint)
            return self.narrowed(plan, wanted.object)

        return then(asked, found, asked.cancel)

    def place(self, name: str, endpoint: str) -> None:
        """Take note of the endpoint that has the object ``name``, and tell the owner."""
        super().place(name, endpoint)
        self.desk.say(Made(name, endpoint))


@define(eq=False)
class AskedLease(Lease):
    """
    The right to send one request, taken at the owner's.

    :ivar number: of the question; 0 for a lease that was taken here.
    """

    number: int = 0


@define(eq=False, kw_only=True)
class AskedFleet(Fleet):
    """
    The endpoints as the owner says that they are.

    Where all candidates are well and without a limit the choice is made here; in every other case, a limit of
    concurrency or of requests, a breaker, a rest, the owner makes it, whose queue is the only one.

    :ivar exact: whether the owner hears at once of each request that begins or ends: that a session's endpoint has
        too much to do is found by them.  Otherwise it hears of all of them a few times a second.
    """

    desk: Desk
    exact: bool
    _others: Mapping[str, int] = field(init=False, factory=dict)
    _asked: Counter[Member] = field(init=False, factory=Counter)

    def replace(self, endpoints: Iterable[Endpoint]) -> Replaced:
        """See :class:`Fleet`."""
        replaced = super().replace(endpoints)
        for member in replaced.added:
            member.in_flight += self._others.get(member.name, 0)
        for member in replaced.removed:
            self._asked.pop(member, None)
        return replaced

    def lease(
        self,
        candidates: Sequence[Member],
        wanted: Requirements,
        now: float,
        preferred: Member | None = None,
        cold: Collection[str] = (),
    ) -> Lease | Pending[Lease]:
        """See :class:`Fleet`."""
        if all(member.clear for member in candidates):
            lease = super().lease(candidates, wanted, now, preferred, cold)
            if self.exact and isinstance(lease, Lease):
                self._tell(lease.member)
            return lease
        names = tuple(member.name for member in candidates)
        name = preferred.name if preferred is not None else ""
        asked = self.desk.ask(Take(names, wanted, name, tuple(cold)), self.rules.queue_timeout + ALLOWANCE)
        number = self.desk.number()

        def taken(told: Taken) -> Lease:
            member = next(member for member in candidates if member.name == told.endpoint)
            member.in_flight += 1
            self._asked[member] += 1
            return AskedLease(member, self, number=number)

        return then(asked, taken, asked.cancel)

    def answered(self, lease: Lease, status: int, retry_after: float | None, now: float) -> None:
        """See :class:`Fleet`; the owner hears of what says something of the endpoint."""
        super().answered(lease, status, retry_after, now)
        if status in self.rules.rested or status in COUNTED:
            self.desk.say(Answered(_number(lease), lease.member.name, status, retry_after))

    def succeeded(self, lease: Lease, now: float) -> None:
        """See :class:`Fleet`; the owner hears of it where its breaker has seen failures, or has lent the slot."""
        breaker = lease.member.breaker
        if not lease.judged and (_number(lease) or breaker.failures or not breaker.closed):
            self.desk.say(Succeeded(_number(lease), lease.member.name))
        super().succeeded(lease, now)

    def failed(self, lease: Lease, failure: UpstreamFailure, now: float) -> None:
        """See :class:`Fleet`; here the endpoint is avoided from now on, and everywhere once the owner says so."""
        kind, detail = type(failure).__name__, detail_of(failure)
        self.desk.say(Failed(_number(lease), lease.member.name, lease.judged, kind, detail))
        super().failed(lease, failure, now)

    def abandoned(self, lease: Lease) -> None:
        """See :class:`Fleet`."""
        number = _number(lease)
        if number:
            self.desk.say(Abandoned(number))
        super().abandoned(lease)

    def released(self, lease: Lease) -> None:
        """See :class:`Fleet`."""
        super().released(lease)
        number = _number(lease)
        if number:
            self._asked[lease.member] -= 1
            self.desk.say(Released(number))
        elif self.exact:
            self._tell(lease.member)

    def follow(self, state: State) -> Member | None:
        """
        Take over what the owner knows of an endpoint.

        :return: the member, if its kind has been found out; ``None`` otherwise.
        """
        member = self.get(state.endpoint)
        if member is None:
            return None
        detected = member.profile != state.profile
        member.profile, member.size, member.status = state.profile, state.size, Status(state.status)
        member.failures, member.last_error = state.failures, state.last_error
        member.last_check, member.next_check, member.latency = state.last_check, state.next_check, state.latency
        member.recovered_at, member.listed_at = state.recovered_at, state.listed_at
        member.cool_until = state.cool_until
        member.breaker.follow(state.closed, state.breaker_failures, state.opens_at)
        if member.bucket is not None:
            member.bucket.tokens, member.bucket.used = state.tokens, state.used
        member.settle()
        return member if detected else None

    def share(self, others: Mapping[str, int]) -> None:
        """Count the requests of others as well: selectors look at all that an endpoint works on."""
        before, self._others = self._others, others
        for member in self.members:
            member.in_flight += others.get(member.name, 0) - before.get(member.name, 0)

    def load(self) -> dict[str, int]:
        """Count the requests at each endpoint that hold no slot of the owner's."""
        loads = {member.name: self._load(member) for member in self.members}
        return {name: count for name, count in loads.items() if count}

    def _load(self, member: Member) -> int:
        return member.in_flight - self._others.get(member.name, 0) - self._asked[member]

    def _tell(self, member: Member) -> None:
        if self.get(member.name) is member:  # and no other has taken its place by a reload
            self.desk.say(Busy(member.name, self._load(member)))


def _number(lease: Lease) -> int:
    return lease.number if isinstance(lease, AskedLease) else 0
