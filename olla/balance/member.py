"""An endpoint with all that changes about it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from attrs import Factory, astuple, define, field
from zope.interface import implementer

from olla.balance.breaker import Breaker
from olla.balance.status import Status
from olla.domain.bucket import Bucket
from olla.domain.endpoint import Endpoint
from olla.errors import RateLimited
from olla.interfaces import ICandidate

LISTING_PATIENCE = 10.0
SPENT = "Every endpoint for this request has had as many requests as it may be sent for now"


@implementer(ICandidate)
@define(eq=False)
class Member:
    """
    One endpoint and its state; only the :class:`~olla.balance.fleet.Fleet` changes it, others look.

    Times are seconds on the clock of ``now``; ``0.0`` stands for never.

    :ivar breaker: of request traffic.
    :ivar profile: canonical name of its kind; ``auto`` until it has been found out.
    :ivar in_flight: leases held on it.
    :ivar capacity: leases at once; 0 for no limit.
    :ivar size: requests that it works on at once: its limit, else what it says of itself; 0 for unknown.
    :ivar bucket: of the requests that it is sent; ``None`` for no limit.
    :ivar weight: of its status.
    :ivar clear: healthy, unlimited, breaker closed, not cooling: nothing to think about before it is chosen.
    :ivar cool_until: until when it is used only if nothing else is left.
    :ivar failures: bad checks in a row.
    :ivar multiplier: of the wait after the next bad check.
    :ivar warming: good checks that it still has to pass as ``warming``.
    :ivar latency: seconds that the last check took.
    :ivar last_error: what was wrong at the last check, ``""`` when nothing was.
    :ivar recovered_at: when it last became routable after an outage.
    :ivar listed_at: when its models were last listed.
    """

    endpoint: Endpoint
    breaker: Breaker
    profile: str = field(init=False, default=Factory(lambda self: self.endpoint.profile, takes_self=True))
    in_flight: int = field(init=False, default=0)
    capacity: int = field(
        init=False, default=Factory(lambda self: self.endpoint.max_concurrent_requests, takes_self=True)
    )
    size: int = field(init=False, default=Factory(lambda self: self.capacity, takes_self=True))
    bucket: Bucket | None = field(init=False, default=Factory(lambda self: _bucket_of(self.endpoint), takes_self=True))
    weight: float = field(init=False, default=0.0)
    clear: bool = field(init=False, default=False)
    status: Status = field(init=False, default=Status.UNKNOWN)
    cool_until: float = field(init=False, default=0.0)
    failures: int = field(init=False, default=0)
    multiplier: int = field(init=False, default=1)
    warming: int = field(init=False, default=0)
    last_check: float = field(init=False, default=0.0)
    next_check: float = field(init=False, default=0.0)
    latency: float = field(init=False, default=0.0)
    last_error: str = field(init=False, default="")
    recovered_at: float = field(init=False, default=0.0)
    listed_at: float = field(init=False, default=0.0)

    @property
    def name(self) -> str:
        """The endpoint's name."""
        return self.endpoint.name

    @property
    def full(self) -> bool:
        """Whether it works at its limit."""
        return 0 < self.capacity <= self.in_flight

    @property
    def shown(self) -> Status:
        """The status as pages show it: a healthy endpoint at its limit is busy."""
        return Status.BUSY if self.status is Status.HEALTHY and self.full else self.status

    def cooling(self, now: float) -> bool:
        """Say whether it asked for a rest that is not over."""
        if self.cool_until and now >= self.cool_until:
            self.cool_until = 0.0
            self.settle()
        return self.cool_until > 0.0

    def until_allowed(self, now: float) -> float:
        """Give the seconds until its limit of requests lets another through; ``0.0`` for at once."""
        return 0.0 if self.bucket is None else self.bucket.wait(now)

    def listing_is_fresh(self, now: float) -> bool:
        """Say whether its models were listed since its last outage, or should have been by now."""
        return self.listed_at >= self.recovered_at or now >= self.recovered_at + LISTING_PATIENCE

    def settle(self) -> None:
        """Derive ``weight`` and ``clear`` after any other part of the state has changed."""
        self.weight = self.status.weight
        unlimited = self.capacity == 0 and self.bucket is None
        self.clear = unlimited and self.status is Status.HEALTHY and self.breaker.closed and self.cool_until == 0.0


def _bucket_of(endpoint: Endpoint) -> Bucket | None:
    rate = endpoint.requests_per_minute
    return Bucket(rate / 60, endpoint.request_burst) if rate else None


def alike(one: Endpoint, other: Endpoint) -> bool:
    """Say whether two endpoints are configured in the same way."""
    return astuple(one, recurse=False) == astuple(other, recurse=False)


def allowed_of(members: Sequence[Member], now: float) -> list[Member]:
    """
    Leave out the members that have had their requests of this minute.

    :raise RateLimited: when nobody is left.
    """
    allowed = [member for member in members if not member.until_allowed(now)]
    if not allowed:
        raise RateLimited(SPENT, math.ceil(min(member.until_allowed(now) for member in members)))
    return allowed


def until_check(members: Iterable[Member], now: float) -> int | None:
    """
    Give the whole seconds, at least 1, until the first of ``members`` is checked.

    :return: for a ``Retry-After`` field; ``None`` when no check is known.
    """
    known = [member.next_check for member in members if member.next_check]
    return max(1, math.ceil(min(known) - now)) if known else None
