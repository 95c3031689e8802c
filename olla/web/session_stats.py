"""How sticky sessions fare: ``/internal/stats/sticky`` (http-api.md §11.9)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from attrs import define

from olla.web.counters import Sessions
from olla.web.page import NO_STORE, Page, json_page

Query = Mapping[bytes, Sequence[bytes]]


@define(eq=False)
class SessionStatsPage:
    """
    Makes the page.

    :ivar counts: what has happened so far; ``None`` when sessions are switched off.
    :ivar active: gives how many are remembered.
    :ivar most: remembered at most; 0 for no limit.
    :ivar idle_ttl: seconds without a request after which one is forgotten.
    """

    counts: Sessions | None
    active: Callable[[], int]
    most: int
    idle_ttl: float

    def page(self, query: Query) -> Page:
        """Make it."""
        counts = self.counts
        if counts is None:
            return json_page({"enabled": False}, NO_STORE)
        return json_page(
            {
                "enabled": True,
                "active_sessions": self.active(),
                "insertions": counts.insertions,
                "hits": counts.hits,
                "misses": counts.misses,
                "repins": counts.repins,
                "evictions": counts.evictions,
                "max_sessions": self.most,
                "idle_ttl_seconds": int(self.idle_ttl),
            },
            NO_STORE,
        )
