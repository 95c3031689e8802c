"""How we are: ``/internal/health``, ``/internal/status``, ``/internal/status/endpoints``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from attrs import Factory, define, field, frozen

from olla.balance.member import Member
from olla.balance.status import Status
from olla.web.counters import Statistics, Tally, Violations
from olla.web.figures import NEVER, ago, latency, milliseconds, percent, ratio, size, timestamp, until, uptime
from olla.web.page import NO_STORE, Page, json_page, status_page
from olla.web.version import Build

Query = Mapping[bytes, Sequence[bytes]]
Json = dict[str, Any]

DOWN = (Status.OFFLINE, Status.UNHEALTHY)
MANY_FAILURES = 3
ENOUGH_REQUESTS = 10
SLOW = 5.0
MANY_VIOLATIONS = 100
MANY_BLOCKED = 10
HEALTHY, DEGRADED, CRITICAL = "healthy", "degraded", "critical"


@frozen
class Setup:
    """
    What the configuration has chosen.

    :ivar engine: ``olla`` or ``sherpa``.
    :ivar profile: ``auto``, ``streaming`` or ``standard``.
    :ivar balancer: name of the selector.
    """

    engine: str
    profile: str
    balancer: str


def system_status(healthy: int, total: int, success_rate: float | None) -> str:
    """
    Judge the whole (http-api.md §11.4.1).

    :param success_rate: percent, of late; ``None`` without traffic.
    """
    share = healthy / total if total else 0.0
    rate = 100.0 if success_rate is None else success_rate
    if share < 0.5 or rate < 90.0:
        return CRITICAL
    return DEGRADED if share < 0.8 or rate < 95.0 else HEALTHY


def security_status(violations: Violations) -> str:
    """Judge whether we are being tried: ``normal`` or ``elevated``."""
    return "elevated" if violations.total > MANY_VIOLATIONS or violations.blocked > MANY_BLOCKED else "normal"


def issues(member: Member, tally: Tally, now: float) -> list[str]:
    """Name what is wrong with an endpoint, in the words of ``/internal/status``."""
    low = tally.requests > ENOUGH_REQUESTS and (tally.success_rate or 0.0) < 90.0
    found = (
        (member.failures > MANY_FAILURES, "consecutive failures"),
        (low, "low success rate"),
        ((tally.mean or 0.0) > SLOW, "high latency"),
        (member.status in DOWN, "unavailable"),
        (member.breaker.state(now) == "open", "circuit open"),
        (member.status is Status.CONFIG_ERROR, "misconfigured credentials"),
        (member.status is Status.RATE_LIMITED, "rate limited"),
    )
    return [name for there, name in found if there]


def issue(member: Member, tally: Tally) -> str:
    """Name the one thing that is most wrong with an endpoint, in the words of ``/internal/status/endpoints``."""
    if member.status in DOWN:
        return "unavailable"
    if member.failures > MANY_FAILURES:
        return "unstable"
    if member.status is Status.HEALTHY and member.failures == 0:
        return ""
    low = tally.requests > ENOUGH_REQUESTS and (tally.success_rate or 0.0) < 90.0
    return "low success rate" if low else ""


def is_healthy(member: Member) -> bool:
    """Say whether an endpoint counts as up."""
    return member.status is Status.HEALTHY


def healthy_of(members: Iterable[Member]) -> int:
    """Count the endpoints that are up."""
    return sum(map(is_healthy, members))


def shown_type(member: Member) -> str:
    """Give the type as the operator spells it, or what was found where that is left to us."""
    written = member.endpoint.type
    return written if written not in ("", "auto") else member.profile


@define(eq=False)
class StatusPages:
    """
    Makes the pages out of what is in memory; no backend is ever asked.

    :ivar setup: gives what the configuration has chosen.
    :ivar members: gives the endpoints and their states.
    :ivar models_of: gives how many models the endpoint of that name lists.
    :ivar draining: whether the process is stopping.
    :ivar started: seconds on ``clock`` at which it began.
    :ivar clock: seconds that never go back; of all the states, too.
    :ivar wall: seconds since 1970.
    """

    build: Build
    setup: Callable[[], Setup]
    members: Callable[[], Iterable[Member]]
    stats: Statistics
    violations: Violations
    models_of: Callable[[str], int]
    draining: Callable[[], bool]
    started: float
    clock: Callable[[], float]
    wall: Callable[[], float]
    # Measured once: were it measured for each page, a time would differ by a hair, and with it the page's tag.
    _epoch: float = field(init=False, default=Factory(lambda self: self.wall() - self.clock(), takes_self=True))

    def health(self, query: Query) -> Page:
        """Make ``/internal/health``: healthy while we serve, whatever the backends do (http-api.md §11.2)."""
        if self.draining():
            return json_page({"status": "draining"}, NO_STORE, 503)
        members = list(self.members())
        ready = any(member.status.routable for member in members)
        if _asked(query, b"ready") and not ready:
            return json_page({"status": "unavailable"}, NO_STORE, 503)
        value: Json = {"status": "healthy"}
        if _asked(query, b"detail"):
            value["endpoints"] = {"healthy": healthy_of(members), "total": len(members)}
            value["ready"] = ready
        return json_page(value, NO_STORE)

    def status(self, query: Query) -> Page:
        """Make ``/internal/status`` (http-api.md §11.4)."""
        now, members = self.clock(), self._sorted()
        violations, setup = self.violations, self.setup()
        return status_page(
            {
                "timestamp": timestamp(self.wall()),
                "proxy": {"engine": setup.engine, "profile": setup.profile, "balancer": setup.balancer},
                "endpoints": [self._endpoint(member, now) for member in members],
                "security": {
                    "status": security_status(violations),
                    "blocked_ips": violations.blocked,
                    "violations": {
                        "rate_limits": violations.rate_limits,
                        "size_limits": violations.size_limits,
                    },
                },
                "system": self._system(members, now),
            }
        )

    def endpoints(self, query: Query) -> Page:
        """Make ``/internal/status/endpoints`` (http-api.md §11.5)."""
        now, members = self.clock(), self._sorted()
        return status_page(
            {
                "timestamp": timestamp(self.wall()),
                "total_count": len(members),
                "healthy_count": healthy_of(members),
                "routable_count": sum(member.status.routable for member in members),
                "endpoints": [self._details(member, now) for member in members],
            }
        )

    def _system(self, members: Sequence[Member], now: float) -> Json:
        total, healthy = self.stats.total, healthy_of(members)
        return {
            "status": system_status(healthy, len(members), self.stats.recent.success_rate(now)),
            "endpoints_up": ratio(healthy, len(members)),
            "success_rate": percent(total.success_rate),
            "avg_latency": latency(total.mean),
            "total_traffic": size(total.bytes),
            "uptime": uptime(now - self.started),
            "start_time": self._time(self.started),
            "version": self.build.version,
            "commit": self.build.commit,
            "active_connections": sum(member.in_flight for member in members),
            "security_violations": self.violations.total,
            "total_requests": total.requests,
            "total_failures": total.failed,
            "client_disconnects": self.stats.disconnects,
            "has_traffic": total.requests > 0,
        }

    def _endpoint(self, member: Member, now: float) -> Json:
        endpoint, tally = member.endpoint, self.stats.endpoint(member.name).tally
        return {
            **self._common(member, tally, now),
            "avg_latency": latency(tally.mean),
            "traffic": size(tally.bytes),
            "connections": member.in_flight,
            "requests": tally.requests,
            "last_check": ago(now - member.last_check if member.last_check else None),
            "next_check": until(member.next_check - now if member.next_check else None),
            "issues": ", ".join(issues(member, tally, now)),
            "models": {
                "count": self.models_of(endpoint.name),
                "last_updated": self._time(member.listed_at) if member.listed_at else NEVER,
            },
        }

    def _details(self, member: Member, now: float) -> Json:
        tally = self.stats.endpoint(member.name).tally
        value = {
            **self._common(member, tally, now),
            "model_count": self.models_of(member.name),
            "request_count": tally.requests,
            "active_connections": member.in_flight,
            "health_check": ago(now - member.last_check) if member.last_check else "",
            "consecutive_failures": member.failures,
        }
        if member.last_check:
            value["response_time"] = latency(member.latency)
        if member.listed_at:
            value["last_model_sync"] = ago(now - member.listed_at)
            value["last_model_sync_at"] = self._time(member.listed_at)
        if trouble := issue(member, tally):
            value["issues"] = trouble
        if member.last_error:
            value["last_error"] = member.last_error
        return value

    def _common(self, member: Member, tally: Tally, now: float) -> Json:
        endpoint = member.endpoint
        value: Json = {
            "id": endpoint.id,
            "name": endpoint.name,
            "url": endpoint.url,
            "type": shown_type(member),
            "status": member.shown.value,
            "priority": endpoint.priority,
            "success_rate": percent(tally.success_rate),
            "min_latency_ms": milliseconds(tally.shortest),
            "max_latency_ms": milliseconds(tally.longest),
            "circuit": member.breaker.state(now),
        }
        if tally.mean is not None:
            value["avg_latency_ms"] = milliseconds(tally.mean)
        if endpoint.tags:
            value["tags"] = dict(endpoint.tags)
        if member.last_check:
            value["health_check_at"] = self._time(member.last_check)
        if member.next_check:
            value["next_check_at"] = self._time(member.next_check)
        return value

    def _sorted(self) -> list[Member]:
        def place(member: Member) -> tuple[int, bool, str, str]:
            endpoint = member.endpoint
            return -endpoint.priority, member.shown is not Status.HEALTHY, endpoint.name, endpoint.id

        return sorted(self.members(), key=place)

    def _time(self, then: float) -> str:
        return timestamp(self._epoch + then)


def _asked(query: Query, name: bytes) -> bool:
    return list(query.get(name, ()))[:1] == [b"true"]
