"""The states that an endpoint can be in, and what one check says of it (behaviour.md §3)."""

from __future__ import annotations

from enum import Enum

from attrs import frozen


class Status(Enum):
    """
    What is known of an endpoint's health.

    :ivar weight: its share of traffic compared to a healthy one; ``0.0`` gets none.
    :ivar routable: whether it gets traffic at all.
    """

    weight: float
    routable: bool

    UNKNOWN = "unknown"
    HEALTHY = "healthy", 1.0
    BUSY = "busy", 0.3
    WARMING = "warming", 0.1
    UNHEALTHY = "unhealthy"
    OFFLINE = "offline"
    CONFIG_ERROR = "config_error"
    RATE_LIMITED = "rate_limited"

    def __new__(cls, name: str, weight: float = 0.0) -> Status:
        """Make the value out of the name alone, so that ``Status("busy")`` finds it."""
        status = object.__new__(cls)
        status._value_ = name
        status.weight = weight
        status.routable = weight > 0.0
        return status


@frozen
class CheckOutcome:
    """
    What one check found.

    :ivar status: HTTP status of the answer; ``0`` when there was none, or nothing that is HTTP.
    :ivar latency: seconds that the last attempt took.
    :ivar error: why there was no answer; ``""`` when there was one.
    :ivar retry_after: seconds, from a ``Retry-After`` field in either form; ``None`` without a legible one.
    :ivar asleep: whether the server is well but says that its engine sleeps.
    """

    status: int = 0
    latency: float = 0.0
    error: str = ""
    retry_after: float | None = None
    asleep: bool = False

    @property
    def trouble(self) -> str:
        """What is wrong, in a few words; ``""`` when nothing is."""
        if self.status == 0:
            return self.error or "no answer"
        if self.asleep:
            return "the engine sleeps"
        return "" if 200 <= self.status < 300 else f"HTTP {self.status}"


def classify(outcome: CheckOutcome, busy_latency: float) -> Status:
    """
    Name the state that one check speaks for.

    :param busy_latency: seconds; a good answer that took longer means busy.
    """
    if outcome.status == 0 or 300 <= outcome.status < 400:  # what could be followed has been: nobody is there
        return Status.OFFLINE
    if outcome.status in (401, 403):
        return Status.CONFIG_ERROR
    if outcome.status == 429:
        return Status.RATE_LIMITED
    if outcome.asleep or not 200 <= outcome.status < 300:
        return Status.UNHEALTHY
    return Status.BUSY if outcome.latency > busy_latency else Status.HEALTHY
