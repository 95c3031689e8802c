"""How each translator is used: ``/internal/stats/translators`` (http-api.md §11.8)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from attrs import define

from olla.web.counters import Statistics, TranslatorCounters
from olla.web.figures import latency, percent, timestamp
from olla.web.page import NO_STORE, Page, json_page

Query = Mapping[bytes, Sequence[bytes]]
Json = dict[str, Any]

FALLBACKS = ("no_compatible_endpoints", "translator_does_not_support_passthrough", "cannot_passthrough")


@define(eq=False)
class TranslatorStatsPage:
    """
    Makes the page.

    :ivar wall: seconds since 1970.
    """

    stats: Statistics
    wall: Callable[[], float]

    def page(self, query: Query) -> Page:
        """Make it, the most used translator first."""
        translators = self.stats.translators
        ranked = sorted(translators.items(), key=lambda item: (-_requests(item[1]), item[0]))
        return json_page(
            {
                "timestamp": timestamp(self.wall()),
                "translators": [_translator(name, figures) for name, figures in ranked],
                "summary": _summary(translators.values()),
            },
            NO_STORE,
        )


def _translator(name: str, figures: TranslatorCounters) -> Json:
    passed, translated = figures.passthrough, figures.translation
    requests, succeeded = _requests(figures), passed.succeeded + translated.succeeded
    return {
        "translator_name": name,
        "total_requests": requests,
        "successful_requests": succeeded,
        "failed_requests": requests - succeeded,
        "success_rate": _rate(succeeded, requests),
        "passthrough_rate": _rate(passed.requests, requests),
        "passthrough_requests": passed.requests,
        "translation_requests": translated.requests,
        "streaming_requests": figures.streaming,
        "non_streaming_requests": requests - figures.streaming,
        **{f"fallback_{reason}": figures.fallbacks.get(reason, 0) for reason in FALLBACKS},
        "average_latency": latency((passed.seconds + translated.seconds) / succeeded if succeeded else None),
    }


def _summary(translators: Iterable[TranslatorCounters]) -> Json:
    every = list(translators)
    requests, streamed = sum(map(_requests, every)), sum(one.streaming for one in every)
    passed = sum(one.passthrough.requests for one in every)
    succeeded = sum(one.passthrough.succeeded + one.translation.succeeded for one in every)
    return {
        "total_translators": len(every),
        "active_translators": sum(_requests(one) > 0 for one in every),
        "total_requests": requests,
        "overall_success_rate": _rate(succeeded, requests),
        "total_passthrough": passed,
        "total_translations": requests - passed,
        "overall_passthrough_rate": _rate(passed, requests),
        "total_streaming": streamed,
        "total_non_streaming": requests - streamed,
    }


def _requests(figures: TranslatorCounters) -> int:
    return figures.passthrough.requests + figures.translation.requests


def _rate(part: int, whole: int) -> str:
    return percent(100.0 * part / whole if whole else 0.0)
