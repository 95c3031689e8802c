"""Who asked for more than is allowed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from attrs import define, field

from olla.events import Limited, SizeRefused

REMEMBERED = 3600.0
MOST_CLIENTS = 10_000


@define(eq=False)
class Violations:
    """
    Counts refusals, and remembers for an hour whom the limiters have refused.

    :ivar rate_limits: requests refused by a limiter.
    :ivar size_limits: requests refused for their size.
    """

    _clock: Callable[[], float]  # seconds that never go back
    rate_limits: int = field(init=False, default=0)
    size_limits: int = field(init=False, default=0)
    _blocked: OrderedDict[str, float] = field(init=False, factory=OrderedDict)

    def limited(self, event: Limited) -> None:
        """Count a refusal by a limiter."""
        self.rate_limits += 1
        self._blocked[event.client] = self._clock()
        self._blocked.move_to_end(event.client)
        if len(self._blocked) > MOST_CLIENTS:
            self._blocked.popitem(last=False)

    def size_refused(self, event: SizeRefused) -> None:
        """Count a refusal for size."""
        self.size_limits += 1

    @property
    def total(self) -> int:
        """All refusals."""
        return self.rate_limits + self.size_limits

    @property
    def blocked(self) -> int:
        """How many clients the limiters have refused within the last hour."""
        oldest = self._clock() - REMEMBERED
        while self._blocked:
            client = next(iter(self._blocked))
            if self._blocked[client] > oldest:
                break
            del self._blocked[client]
        return len(self._blocked)
