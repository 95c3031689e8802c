"""The numbers that the state of endpoints follows."""

from __future__ import annotations

from typing import Final

from attrs import frozen

RESTED: Final = frozenset({429, 503})


@frozen
class Rules:
    """
    The numbers of a fleet.  Times are seconds.

    :ivar max_waiting: requests that may wait for a free slot.
    :ivar queue_timeout: how long each of them waits at most.
    :ivar failure_threshold: failures in a row that open a breaker; 0 for no breakers.
    :ivar open_duration: how long a breaker refuses everybody.
    :ivar half_open_max: trials at once after that.
    :ivar lost_after: when a trial without a result makes way for another.
    :ivar warming_successes: good checks that an endpoint passes as ``warming`` after an outage.
    :ivar rested: statuses of replies after which an endpoint is left alone for a while.
    :ivar busy_latency: a good check that took longer means busy; ``None`` for half of the endpoint's own limit.
    """

    max_waiting: int = 100
    queue_timeout: float = 30.0
    failure_threshold: int = 5
    open_duration: float = 30.0
    half_open_max: int = 1
    lost_after: float = 30.0
    warming_successes: int = 2
    rested: frozenset[int] = RESTED
    busy_latency: float | None = None
