"""Stand-ins and short cuts for the tests of this package."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import Factory, define, field
from zope.interface import implementer

from olla.balance.fleet import CheckOutcome, Fleet, Lease, Member, Rules
from olla.balance.status import Status
from olla.domain.endpoint import Endpoint
from olla.domain.requirements import Requirements
from olla.events import Event
from olla.interfaces import ICandidate, ISelector
from olla.pending import Pending

WANTED = Requirements("/v1/chat/completions", "llama3")
GOOD = CheckOutcome(200, 0.01)
DOWN = CheckOutcome(0, 0.01, "connection refused")


def endpoint(name: str, capacity: int = 0, **others: object) -> Endpoint:
    """Make an endpoint."""
    return Endpoint(name, "http", name, 80, max_concurrent_requests=capacity, **others)  # type: ignore[arg-type]


@implementer(ISelector)
@define(eq=False)
class First:
    """Chooses the first, and remembers between whom it could choose."""

    asked: list[tuple[str, ...]] = field(init=False, factory=list)

    def select(self, candidates: Sequence[ICandidate], wanted: Requirements) -> ICandidate:
        """Choose the first."""
        self.asked.append(tuple(candidate.endpoint.name for candidate in candidates))
        return candidates[0]


@define(eq=False)
class Scene:
    """A fleet with what it told."""

    rules: Rules = Factory(Rules)
    selector: ISelector = Factory(First)
    jitter: float = 0.0
    told: list[Event] = field(init=False, factory=list)
    lost: list[Member] = field(init=False, factory=list)
    fleet: Fleet = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.fleet = Fleet(self.selector, self.rules, self.told.append, self.lost.append, lambda: self.jitter)

    def healthy(self, *endpoints: Endpoint) -> tuple[Member, ...]:
        """Have these endpoints, all of them healthy."""
        self.fleet.replace(endpoints)
        for member in self.fleet.members:
            self.fleet.checked(member, GOOD, 0.0)
        self.told.clear()
        return tuple(self.fleet.members)

    def lease(self, candidates: Sequence[Member], now: float = 1.0, preferred: Member | None = None) -> Lease:
        """Lease where nothing has to be waited for."""
        lease = self.fleet.lease(candidates, WANTED, now, preferred)
        assert isinstance(lease, Lease)
        return lease

    def wait(self, candidates: Sequence[Member], now: float = 1.0) -> Pending[Lease]:
        """Lease where everything is at its limit."""
        pending = self.fleet.lease(candidates, WANTED, now)
        assert isinstance(pending, Pending)
        return pending

    def name(self, candidates: Sequence[Member], now: float = 1.0, preferred: Member | None = None) -> str:
        """Say who is chosen, and give the lease back."""
        lease = self.lease(candidates, now, preferred)
        lease.release()
        return lease.endpoint.name


def set_status(member: Member, status: Status) -> None:
    """Put a member into a state without telling how it came there."""
    member.status = status
    member.settle()
