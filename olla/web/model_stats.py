"""How each model is used: ``/internal/stats/models`` (http-api.md §11.7)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import define

from olla.web.counters import ModelCounters, Statistics, Tally
from olla.web.figures import ago, latency, milliseconds, percent, size, timestamp
from olla.web.page import NO_STORE, Page, json_page

Query = Mapping[bytes, Sequence[bytes]]
Json = dict[str, Any]

HOUR = 3600.0


@define(eq=False)
class ModelStatsPage:
    """
    Makes the page; models beyond the fifty that are told apart count in its summary alone.

    :ivar clock: seconds that never go back.
    :ivar wall: seconds since 1970.
    """

    stats: Statistics
    clock: Callable[[], float]
    wall: Callable[[], float]

    def page(self, query: Query) -> Page:
        """Make it; endpoints are shown where ``include_endpoints`` and ``include_summary`` say ``true``."""
        now, tracked = self.clock(), self.stats.models.tracked
        ranked = sorted(tracked.items(), key=lambda item: (-item[1].tally.requests, item[0]))
        apart = query.get(b"include_endpoints") == [b"true"]
        endpoints = query.get(b"include_summary") == [b"true"]
        return json_page(
            {
                "timestamp": timestamp(self.wall()),
                "models": [_model(name, figures, apart, now) for name, figures in ranked],
                "endpoints": {name: _record(name, figures.tally, now) for name, figures in self.stats.endpoints.items()}
                if endpoints
                else {},
                "summary": self._summary(ranked, now),
            },
            NO_STORE,
        )

    def _summary(self, ranked: Sequence[tuple[str, ModelCounters]], now: float) -> Json:
        tallies = [self.stats.models.other.tally, *(figures.tally for _, figures in ranked)]
        requests = sum(tally.requests for tally in tallies)
        succeeded = sum(tally.succeeded for tally in tallies)
        return {
            "total_models": len(ranked),
            "active_models": sum(now - figures.tally.last_used <= HOUR for _, figures in ranked),
            "total_requests": requests,
            "overall_success_rate": percent(100.0 * succeeded / requests if requests else 0.0),
            "total_traffic": size(sum(tally.bytes for tally in tallies)),
            "most_popular_model": ranked[0][0] if ranked else "",
            "least_popular_model": ranked[-1][0] if ranked else "",
        }


def _model(name: str, figures: ModelCounters, apart: bool, now: float) -> Json:
    tally = figures.tally
    value: Json = {
        "name": name,
        "total_requests": tally.requests,
        "successful_requests": tally.succeeded,
        "failed_requests": tally.failed,
        "success_rate": percent(tally.success_rate or 0.0),
        "total_traffic": size(tally.bytes),
        "average_latency": latency(tally.mean),
        "p95_latency": latency(figures.slowest(95)),
        "p99_latency": latency(figures.slowest(99)),
        "last_requested": ago(now - tally.last_used),
        "unique_clients": figures.unique_clients(now),
        "routing_hits": figures.hits,
        "routing_misses": figures.misses,
        "routing_fallbacks": figures.fallbacks,
    }
    if figures.input_tokens or figures.output_tokens:
        value["input_tokens"] = figures.input_tokens
        value["output_tokens"] = figures.output_tokens
    if figures.tokens_per_second.value is not None:
        value["avg_tokens_per_second"] = round(figures.tokens_per_second.value, 2)
    if figures.ttft.value is not None:
        value["avg_ttft_ms"] = milliseconds(figures.ttft.value)
    if apart:
        value["endpoint_breakdown"] = {
            endpoint: _record(endpoint, one, now) for endpoint, one in figures.by_endpoint.items()
        }
    return value


def _record(name: str, tally: Tally, now: float) -> Json:
    return {
        "endpoint_name": name,
        "request_count": tally.requests,
        "success_rate": round(tally.success_rate or 0.0, 2),
        "average_latency": latency(tally.mean),
        "last_used": ago(now - tally.last_used if tally.last_used else None),
        "consecutive_errors": tally.errors_in_row,
    }
