"""The endpoints and all that is known of them at this moment: the one place that chooses and keeps count."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence

from attrs import Factory, define, field, frozen

from olla.balance.breaker import Breaker
from olla.balance.health import Health, HealthChange
from olla.balance.member import Member, alike, allowed_of
from olla.balance.queue import Queue
from olla.balance.rules import Rules
from olla.balance.status import CheckOutcome, Status
from olla.balance.warmth import warm
from olla.domain.endpoint import Endpoint
from olla.domain.requirements import Requirements
from olla.errors import (
    BrokenBody,
    CircuitOpen,
    ClosedEarly,
    ConnectFailed,
    NothingLeft,
    QueueFull,
    UpstreamFailure,
)
from olla.events import Event
from olla.interfaces import ISelector
from olla.pending import Pending

__all__ = ["CheckOutcome", "Fleet", "HealthChange", "Lease", "Member", "Replaced", "Rules", "Status"]

COUNTED = frozenset({502, 503, 504})
LONGEST_REST = 60.0
UNTOLD_REST = 2.0
FULL = "Every endpoint for this request works at its limit, and as many wait for it as may"


@frozen
class Replaced:
    """Who came and who went when the endpoints were replaced."""

    added: tuple[Member, ...]
    removed: tuple[Member, ...]


@define(eq=False)
class Lease:
    """
    The right to send one request to one endpoint.

    :ivar token: of the endpoint's breaker.
    :ivar judged: whether the breaker knows the result; later ones do not count.
    :ivar answered: whether the head of a reply has come.
    """

    member: Member
    _fleet: Fleet
    token: int = 0
    judged: bool = False
    answered: bool = False
    _held: bool = True

    @property
    def endpoint(self) -> Endpoint:
        """The endpoint to send to."""
        return self.member.endpoint

    def release(self) -> None:
        """Give it back; only the first call counts.  Who waits for the slot has it before this returns."""
        if self._held:
            self._held = False
            self._fleet.released(self)


@define(eq=False)
class Fleet:
    """
    The one owner of what changes about endpoints.  It has none until :meth:`replace` names them.

    ``now`` is always seconds on a clock that never goes back.

    :ivar selector: has the last word among those that can take a request equally well.
    :ivar tell: told :class:`~olla.events.HealthChanged`.
    :ivar on_lost: told when a member takes no more requests, so that nothing stays pinned to it.
    :ivar jitter: gives the part of a wait to add to it, such as -0.1 … 0.1.
    :ivar members: in configured order.
    """

    selector: ISelector
    rules: Rules
    tell: Callable[[Event], None]
    on_lost: Callable[[Member], None]
    jitter: Callable[[], float]
    members: list[Member] = field(init=False, factory=list)
    _health: Health = field(
        init=False,
        default=Factory(lambda self: Health(self.rules, self.tell, self.on_lost, self.jitter), takes_self=True),
    )
    _queue: Queue[Lease] = field(
        init=False,
        default=Factory(lambda self: Queue(self.rules.max_waiting, self.rules.queue_timeout), takes_self=True),
    )
    _now: float = field(init=False, default=0.0)

    def replace(self, endpoints: Iterable[Endpoint]) -> Replaced:
        """
        Have these endpoints from now on.

        One that is configured as before stays the member that it was, with its endpoint and its state.  Leases on
        members that go are honoured.
        """
        before, known = self.members, {member.name: member for member in self.members}
        self.members = [self._enlist(endpoint, known.get(endpoint.name)) for endpoint in endpoints]
        removed = tuple(member for member in before if member not in self.members)
        for member in removed:
            self.on_lost(member)
        return Replaced(tuple(member for member in self.members if member not in before), removed)

    def get(self, name: str) -> Member | None:
        """Find a member by its endpoint's name."""
        return next((member for member in self.members if member.name == name), None)

    @property
    def waiting(self) -> int:
        """How many requests wait for a free slot."""
        return len(self._queue)

    # Choosing --------------------------------------------------------------------------------------------------

    def lease(
        self,
        candidates: Sequence[Member],
        wanted: Requirements,
        now: float,
        preferred: Member | None = None,
        cold: Collection[str] = (),
    ) -> Lease | Pending[Lease]:
        """
        Choose an endpoint and count the request as in flight there.

        Out of those whose breaker lets it through it takes the first group that is not empty: those routable and
        not cooling, those routable, the others (lost since the request was narrowed).  Those that have had their
        requests of this minute are passed over.  Of the group it takes one with a free slot, a healthy one before
        a busy or warming one.

        :param candidates: members that can serve the request, in configured order, never empty, never mutated.
        :param preferred: has it if it has a free slot in that group, whatever the selector thinks.
        :param cold: names of those that would have to load the model first: the last of equals to be chosen.
        :return: the lease, or what fires with it once a slot is free; that fails with
            :exc:`olla.errors.QueueFull` when it takes too long.  Cancelling it leaves the queue.
        :raise CircuitOpen: when every breaker refuses.
        :raise RateLimited: when all have had their requests of this minute.
        :raise QueueFull: when all are at their limit and the queue is full.
        """
        for member in candidates:
            if not member.clear:
                return self._lease_with_care(candidates, wanted, now, preferred, cold)
        if preferred is None or preferred not in candidates:
            preferred = self._ask(candidates, wanted, cold)
        preferred.in_flight += 1
        return Lease(preferred, self)

    def any_ready(self, members: Iterable[Member], now: float) -> bool:
        """Say whether one of ``members`` would take a request at once and gladly."""
        return any(
            member.status.routable
            and not member.full
            and not member.cooling(now)
            and not member.until_allowed(now)
            and member.breaker.allows(now)
            for member in members
        )

    def sweep(self, now: float) -> None:
        """Turn away who has waited too long, and serve who can be served since; called every second or so."""
        self._now = now
        self._queue.sweep(now)
        self._queue.serve()

    def released(self, lease: Lease) -> None:
        """Take back a slot; called by :meth:`Lease.release` alone."""
        lease.member.in_flight -= 1
        if lease.token:
            self._forget(lease)
        if self._queue:
            self._queue.serve()

    def _lease_with_care(
        self,
        candidates: Sequence[Member],
        wanted: Requirements,
        now: float,
        preferred: Member | None,
        cold: Collection[str],
    ) -> Lease | Pending[Lease]:
        self._now = now
        self._queue.serve()  # what became usable by the passing of time belongs to whoever waits longest

        def take() -> Lease | None:
            return self._take(candidates, wanted, preferred, cold)

        return take() or self._queue_up(candidates, take, now)

    def _queue_up(self, candidates: Sequence[Member], take: Callable[[], Lease | None], now: float) -> Pending[Lease]:
        """Wait for those that are full, as far as more may wait for them."""
        full = [member for member in candidates if member.full]
        queue, places = self._queue, []
        for member in full:
            longest = member.endpoint.max_queue
            if longest is None or queue.waiting_for(member) < longest:
                places.append(member)
        if full and not places:
            raise QueueFull(FULL, 1)
        return queue.join(take, now, places)

    def _take(
        self, candidates: Sequence[Member], wanted: Requirements, preferred: Member | None, cold: Collection[str]
    ) -> Lease | None:
        now = self._now
        usable = [member for member in candidates if member.breaker.allows(now)]
        if not usable:
            wait = min(member.breaker.wait(now) for member in candidates)
            raise CircuitOpen("No endpoint is accepting requests", max(1, math.ceil(wait)))
        routable = [member for member in usable if member.status.routable]
        allowed = allowed_of(routable or usable, now)
        ready = [member for member in allowed if not member.cooling(now)]
        free = [member for member in ready or allowed if not member.full]
        if not free:
            return None
        if preferred is None or preferred not in free:
            healthy = [member for member in free if member.status is Status.HEALTHY]
            preferred = self._ask(healthy or free, wanted, cold) if routable else free[0]
        if preferred.bucket is not None:
            preferred.bucket.take(now)
        preferred.in_flight += 1
        return Lease(preferred, self, preferred.breaker.acquire(now) or 0)

    def _ask(self, candidates: Sequence[Member], wanted: Requirements, cold: Collection[str]) -> Member:
        if cold:
            candidates = warm(self.selector, candidates, cold)
        chosen = self.selector.select(candidates, wanted)
        for member in candidates:
            if member is chosen:
                return member
        return candidates[0]

    # What traffic tells ----------------------------------------------------------------------------------------

    def answered(self, lease: Lease, status: int, retry_after: float | None, now: float) -> None:
        """
        Take note of the head of a reply.

        :param status: of the reply; some make the endpoint rest, 502, 503 and 504 count for its breaker.
        :param retry_after: seconds for which it asks to be left alone; without any it rests for two.
        """
        lease.answered = True
        rested = self.rules.rested
        if status not in rested and status not in COUNTED:
            return
        self._now, member = now, lease.member
        if status in rested:
            rest = retry_after if retry_after and retry_after > 0.0 else UNTOLD_REST
            member.cool_until = max(member.cool_until, now + min(rest, LONGEST_REST))
        if status in COUNTED:
            self._count(lease, lease.member.breaker.failed)
        else:
            self._forget(lease)
        member.settle()

    def succeeded(self, lease: Lease, now: float) -> None:
        """Take note that a reply was relayed whole.  This does not change the endpoint's health."""
        self._now = now
        if not lease.judged:
            lease.judged = True
            breaker = lease.member.breaker
            if breaker.failures or not breaker.closed:
                breaker.succeeded(lease.token)
                lease.member.settle()

    def failed(self, lease: Lease, failure: UpstreamFailure, now: float) -> None:
        """Take note that an attempt failed, before its reply or in the midst of it (behaviour.md §12)."""
        self._now = now
        if isinstance(failure, ClosedEarly) and failure.reused and not failure.answered:
            self._forget(lease)  # the backend had given up an idle connection: a sign of nothing
            return
        if isinstance(failure, NothingLeft):
            self._forget(lease)
            return
        breaker = lease.member.breaker
        self._count(lease, breaker.cut if isinstance(failure, BrokenBody) else breaker.failed)
        if isinstance(failure, (ConnectFailed, ClosedEarly)):
            self._health.lost(lease.member, failure.detail, now)

    def abandoned(self, lease: Lease) -> None:
        """Take note that the client left: a success if an answer was under way, otherwise nothing at all."""
        if lease.answered:
            self.succeeded(lease, self._now)
        else:
            self._forget(lease)

    def _count(self, lease: Lease, count: Callable[[int, float], None]) -> None:
        if not lease.judged:
            lease.judged = True
            count(lease.token, self._now)
            lease.member.settle()

    def _forget(self, lease: Lease) -> None:
        if not lease.judged:
            lease.judged = True
            lease.member.breaker.forget(lease.token)

    # What checks and listings tell -----------------------------------------------------------------------------

    def checked(self, member: Member, outcome: CheckOutcome, now: float) -> HealthChange | None:
        """
        Take note of a check and set when the member's next one is due.

        One that ends an outage lets the next request try the member, however long its breaker would refuse.

        :return: what changed; ``None`` when the status stays, or the member is of the fleet no more.
        """
        self._now = now
        if member not in self.members:
            return None
        change = self._health.checked(member, outcome, now)
        if change is not None and change.recovered:
            member.breaker.try_again(now)
        if change is not None and self._queue:
            self._queue.serve()
        return change

    def detected(self, member: Member, profile: str) -> None:
        """Take note of the kind of a member whose type was ``auto``."""
        if profile != member.profile:
            member.profile, member.size = profile, member.capacity

    def sized(self, member: Member, slots: int) -> None:
        """Take note of how many requests a member says that it works on at once; a limit of the operator's counts."""
        member.size = member.capacity or slots

    def listed(self, member: Member, now: float) -> None:
        """Take note that a member's models have been listed."""
        member.listed_at = now

    def _enlist(self, endpoint: Endpoint, known: Member | None) -> Member:
        if known is not None and alike(known.endpoint, endpoint):
            return known
        rules = self.rules
        breaker = Breaker(rules.failure_threshold, rules.open_duration, rules.lost_after, rules.half_open_max)
        return Member(endpoint, breaker)
