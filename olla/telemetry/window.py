"""How often requests succeeded of late."""

from __future__ import annotations

from collections import deque

from attrs import define, field

MINUTE = 60.0
MINUTES = 15


@define(eq=False)
class Window:
    """Counts successes and failures of the last fifteen minutes, by the minute."""

    _minutes: deque[list[int]] = field(init=False, factory=lambda: deque(maxlen=MINUTES))  # [which, good, bad]

    def add(self, good: bool, now: float) -> None:
        """Count one request that ended at ``now``, in seconds."""
        which = int(now / MINUTE)
        minutes = self._minutes
        if not minutes or minutes[-1][0] < which:
            minutes.append([which, 0, 0])
        minutes[-1][1 if good else 2] += 1

    def success_rate(self, now: float) -> float | None:
        """Give the percentage of successes; ``None`` without a request."""
        oldest = int(now / MINUTE) - MINUTES + 1
        recent = [minute for minute in self._minutes if minute[0] >= oldest]
        good = sum(minute[1] for minute in recent)
        total = good + sum(minute[2] for minute in recent)
        return 100.0 * good / total if total else None
