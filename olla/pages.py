"""The pages of ours, each connected to what it shows."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import psutil

from olla import __version__
from olla.balance.member import Member
from olla.catalog.formats import Formats, organizations
from olla.catalog.rules import Rules
from olla.proxy.routes import RUNNING, Listing
from olla.upstream.ask import Unanswered
from olla.web.app import Pages, Query
from olla.web.metrics import MetricsPage, measured
from olla.web.model_stats import ModelStatsPage
from olla.web.models import ModelPages
from olla.web.openapi import OpenApiPage
from olla.web.page import Page
from olla.web.process import ProcessPage, measured_memory, memory_limit, watched
from olla.web.running import RunningPage
from olla.web.session_stats import SessionStatsPage
from olla.web.status import Setup, StatusPages
from olla.web.translator_stats import TranslatorStatsPage
from olla.web.version import CAPABILITIES, Build, version_page

if TYPE_CHECKING:
    from olla.parts import Parts

LARGEST = 1 << 20
PATIENCE = 2.0
NOT_YET = frozenset({"message_translation", "translation_anthropic", "passthrough_anthropic"})
LINKS = {
    "homepage": "https://pypi.org/project/olla/",
    "documentation": "https://pypi.org/project/olla/",
    "releases": "https://pypi.org/project/olla/#history",
}


def make_pages(parts: Parts, reactor: Any) -> Pages:
    """Make every page for the proxy that consists of ``parts``."""
    models = ModelPages(
        parts.catalog,
        Formats(parts.catalog, organizations(Rules())),
        lambda: {name: profile.response_format for name, profile in parts.profiles.items()},
        parts.endpoint_views,
        time.time,
        parts.config.discovery.list_aliases,
    )

    def listing(asked: Listing, query: Query) -> Page:
        if asked.id:
            return models.listed(asked.profiles, asked.id)
        return models.listing(asked.profiles, asked.format, query)

    async def running(member: Member) -> bytes:
        try:
            answer = await parts.asker.ask(member.endpoint, member.endpoint.url + RUNNING, "Status", LARGEST, PATIENCE)
        except Unanswered:
            return b""
        return answer.body if answer.whole and answer.status == 200 else b""

    status = _status_pages(parts)
    fixed: dict[str, Callable[[Query], Page]] = {}
    document = OpenApiPage(
        __version__,
        lambda: fixed,
        lambda: parts.routes.prefixes,
        lambda: parts.routes.listings,
        lambda: parts.routes.running,
    )
    fixed.update(
        {
            "/internal/health": status.health,
            "/internal/status": status.status,
            "/internal/status/endpoints": status.endpoints,
            "/internal/status/models": models.registry,
            "/internal/stats/models": ModelStatsPage(parts.telemetry.statistics, parts.clock, time.time).page,
            "/internal/stats/translators": TranslatorStatsPage(parts.telemetry.statistics, time.time).page,
            "/internal/stats/sticky": _session_page(parts).page,
            "/internal/metrics": _metrics_page(parts).page,
            "/internal/process": _process_page(parts, reactor).page,
            "/version": lambda query: version_page(_build(), _capabilities(), LINKS, query),
            "/openapi.json": document.page,
        }
    )
    counted = {path: _settled(page, parts.bus.settle) for path, page in fixed.items()}
    return Pages(counted, models.unified, models.one, listing, RunningPage(lambda: parts.fleet.members, running).page)


def _settled(page: Callable[[Query], Page], settle: Callable[[], None]) -> Callable[[Query], Page]:
    """Make a page that shows what is counted up to now."""

    def settled(query: Query) -> Page:
        settle()
        return page(query)

    return settled


def _build() -> Build:
    return Build(f"v{__version__}")


def _capabilities() -> list[str]:
    return [name for name in CAPABILITIES if name not in NOT_YET]


def _setup(parts: Parts) -> Setup:
    proxy = parts.config.proxy
    return Setup(proxy.engine, proxy.profile, proxy.load_balancer)


def _session_page(parts: Parts) -> SessionStatsPage:
    sticky, affinity = parts.config.proxy.sticky_sessions, parts.affinity
    counts = affinity.counts if sticky.enabled else None
    return SessionStatsPage(counts, lambda: len(affinity), sticky.max_sessions, sticky.idle_ttl_seconds)


def _metrics_page(parts: Parts) -> MetricsPage:
    telemetry = parts.telemetry
    return MetricsPage(
        _build(),
        lambda: _setup(parts),
        lambda: parts.fleet.members,
        telemetry.statistics,
        telemetry.violations,
        parts.catalog.count,
        parts.affinity.counts if parts.config.proxy.sticky_sessions.enabled else None,
        telemetry.lag,
        lambda: measured(parts.processes()),
        parts.clock(),
        parts.clock,
    )


def _status_pages(parts: Parts) -> StatusPages:
    return StatusPages(
        _build(),
        lambda: _setup(parts),
        lambda: parts.fleet.members,
        parts.telemetry.statistics,
        parts.telemetry.violations,
        parts.catalog.count,
        lambda: parts.admission.draining,
        parts.clock(),
        parts.clock,
        time.time,
    )


def _process_page(parts: Parts, reactor: Any) -> ProcessPage:
    process, limit, telemetry = psutil.Process(), memory_limit(), parts.telemetry
    return ProcessPage(
        process,
        lambda: watched(reactor),
        lambda: measured_memory(process, limit),
        telemetry.lag,
        telemetry.cpu,
        telemetry.garbage,
        parts.clock(),
        parts.clock,
        time.time,
        parts.workers,
        parts.worker_id,
    )
