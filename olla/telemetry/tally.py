"""What is counted of requests, whoever they are counted for."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection

from attrs import Factory, define, field


@define(eq=False)
class Tally:
    """
    Counts of requests that one endpoint, one model or everybody has served.

    :ivar bytes: relayed to clients, whatever became of the request.
    :ivar seconds: that all successes took together, as the client saw it.
    :ivar shortest: seconds of the quickest success; ``0.0`` without any.
    :ivar last_used: seconds on the reactor's clock; 0.0 before the first use.
    :ivar errors_in_row: failures since the last success.
    """

    succeeded: int = 0
    failed: int = 0
    bytes: int = 0
    seconds: float = 0.0
    shortest: float = 0.0
    longest: float = 0.0
    last_used: float = 0.0
    errors_in_row: int = 0

    def success(self, seconds: float, size: int, now: float) -> None:
        """Count one."""
        if not self.succeeded or seconds < self.shortest:
            self.shortest = seconds
        if seconds > self.longest:  # max() costs four times as much, for each request
            self.longest = seconds
        self.succeeded += 1
        self.bytes += size
        self.seconds += seconds
        self.last_used = now
        self.errors_in_row = 0

    def failure(self, size: int, now: float) -> None:
        """Count one."""
        self.failed += 1
        self.bytes += size
        self.last_used = now
        self.errors_in_row += 1

    def add(self, other: Tally) -> None:
        """Take over the counts of one that will be forgotten."""
        self.succeeded += other.succeeded
        self.failed += other.failed
        self.bytes += other.bytes
        self.seconds += other.seconds

    @property
    def requests(self) -> int:
        """All that came to an end."""
        return self.succeeded + self.failed

    @property
    def success_rate(self) -> float | None:
        """Percent of successes; ``None`` without a request."""
        return 100.0 * self.succeeded / self.requests if self.requests else None

    @property
    def mean(self) -> float | None:
        """Seconds that a success takes; ``None`` without one."""
        return self.seconds / self.succeeded if self.succeeded else None


@define(eq=False)
class Histogram:
    """
    How many measurements fell into which bucket.

    :ivar bounds: upper bounds, ascending, each within its bucket.
    :ivar counts: of each bucket, and last of what is above all.
    :ivar sum: of all measurements.
    """

    bounds: tuple[float, ...]
    counts: list[int] = field(init=False, default=Factory(lambda h: [0] * (len(h.bounds) + 1), takes_self=True))
    sum: float = field(init=False, default=0.0)

    def add(self, value: float) -> None:
        """Count one measurement."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def fold(self, other: Histogram) -> None:
        """Take over the measurements of one with the same bounds that will be forgotten."""
        self.counts = [one + another for one, another in zip(self.counts, other.counts, strict=True)]
        self.sum += other.sum


def percentile(samples: Collection[float], percent: int) -> float:
    """
    Give the sample at index ``floor(n * percent / 100)`` of the sorted ones; ``0.0`` without any.

    :param percent: 0 … 99.
    """
    return sorted(samples)[len(samples) * percent // 100] if samples else 0.0
