"""The health of endpoints: what checks and failed attempts make of it (behaviour.md §3, §4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from attrs import define, frozen

from olla.balance.member import Member
from olla.balance.rules import Rules
from olla.balance.schedule import jittered, raised, suppression, wait_after_failure
from olla.balance.status import CheckOutcome, Status, classify
from olla.events import Event, HealthChanged, StillUnwell

LOADING: Final[Mapping[str, int]] = {"llamacpp": 503}  # by kind: what it answers while it loads its model
LOADING_PAUSE = 1.0


@frozen
class HealthChange:
    """A member's status is another than before."""

    member: Member
    before: Status
    after: Status

    @property
    def recovered(self) -> bool:
        """Whether an outage is over, so that its models have to be listed anew, once."""
        return self.after.routable and not self.before.routable and self.before is not Status.UNKNOWN


@define(eq=False)
class Health:
    """
    Moves members from one status to another.

    :ivar on_lost: told when a member takes no more requests, so that nothing stays pinned to it.
    :ivar jitter: gives the part of a wait to add to it, such as -0.1 … 0.1.
    """

    rules: Rules
    tell: Callable[[Event], None]
    on_lost: Callable[[Member], None]
    jitter: Callable[[], float]

    def checked(self, member: Member, outcome: CheckOutcome, now: float) -> HealthChange | None:
        """
        Take note of a check and set when the next one is due.

        :return: what changed, ``None`` when the status stays.
        """
        status = classify(outcome, self._busy_latency(member))
        if status.routable:
            wait = member.endpoint.check_interval
            member.failures, member.multiplier = 0, 1
            if member.warming:
                member.warming -= 1
                status = Status.WARMING
        elif LOADING.get(member.profile) == outcome.status:
            wait = min(LOADING_PAUSE, member.endpoint.check_interval)
        elif outcome.asleep:
            wait = member.endpoint.check_interval  # nothing is wrong: whoever wakes it wants it back soon
        else:
            wait = self._failed(member)
        wait = jittered(wait, self.jitter())
        if status is Status.RATE_LIMITED:
            wait = max(wait, suppression(outcome.retry_after))
        member.last_check, member.next_check = now, now + wait
        member.latency, member.last_error = outcome.latency, outcome.trouble
        if status is member.status and not status.routable:
            self.tell(StillUnwell(member.endpoint, status.value, member.last_error, member.failures))
        return self._move(member, status, now)

    def lost(self, member: Member, error: str, now: float) -> None:
        """
        Mark offline what traffic could not reach, unless checks had found it out already.

        The check that is due anyway will tell when it is back.  The failures of many requests at once are one
        failure.
        """
        if member.status.routable:
            self._failed(member)
            member.last_error = error
            self._move(member, Status.OFFLINE, now)

    def _busy_latency(self, member: Member) -> float:
        limit = self.rules.busy_latency
        return member.endpoint.check_timeout / 2 if limit is None else limit

    def _failed(self, member: Member) -> float:
        """Count one more failure, and give the seconds to wait after it."""
        wait = wait_after_failure(member.endpoint.check_interval, member.multiplier)
        member.failures += 1
        member.multiplier = raised(member.multiplier)
        return wait

    def _move(self, member: Member, after: Status, now: float) -> HealthChange | None:
        before = member.status
        if after is before:
            return None
        change = HealthChange(member, before, after)
        member.status = after
        if not after.routable:
            member.warming = self.rules.warming_successes
        if change.recovered:
            member.recovered_at = now
        member.settle()
        until = max(0.0, member.next_check - now)
        self.tell(HealthChanged(member.endpoint, before.value, after.value, member.last_error, member.failures, until))
        if before.routable and not after.routable:
            self.on_lost(member)
        return change
