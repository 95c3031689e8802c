"""Figures for Prometheus: ``/internal/metrics`` (http-api.md §12)."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter

import psutil
from attrs import define, frozen

from olla.balance.member import Member
from olla.balance.status import Status
from olla.web.counters import Lag, ModelCounters, Sessions, Statistics, Violations
from olla.web.exposition import CONTENT_TYPE, Exposition, Labels, Number
from olla.web.figures import milliseconds
from olla.web.page import NO_STORE, Page
from olla.web.status import Setup, healthy_of, is_healthy, security_status, system_status
from olla.web.version import Build

Query = Mapping[bytes, Sequence[bytes]]
Of = Callable[[ModelCounters], "Number | None"]

HOUR = 3600.0
LEVELS = {"critical": 0, "degraded": 1, "healthy": 2}
CLASSES = {2: "2xx", 3: "3xx", 4: "4xx", 5: "5xx", 499: "499"}
OTHER_MODELS = "_other"


@frozen
class Usage:
    """
    What the process uses of the machine.

    :ivar resident: bytes of memory, ``virtual`` likewise.
    :ivar cpu: seconds of processor time so far.
    :ivar open_files: descriptors.
    :ivar started: seconds since 1970.
    """

    resident: int
    virtual: int
    cpu: float
    open_files: int
    started: float


def measured(processes: Iterable[psutil.Process]) -> Usage:
    """Measure what some processes use together; one that has ended uses nothing."""
    used = [one for one in map(_measured, processes) if one is not None]
    return Usage(
        sum(one.resident for one in used),
        sum(one.virtual for one in used),
        sum(one.cpu for one in used),
        sum(one.open_files for one in used),
        min((one.started for one in used), default=0.0),
    )


def _measured(process: psutil.Process) -> Usage | None:
    try:
        with process.oneshot():
            memory, times = process.memory_info(), process.cpu_times()
            files = process.num_fds() if hasattr(process, "num_fds") else 0
            return Usage(memory.rss, memory.vms, times.user + times.system, files, process.create_time())
    except psutil.Error:
        return None


@define(eq=False)
class MetricsPage:
    """
    Makes the page out of what is counted anyway; nothing is counted for it alone.

    :ivar setup: gives what the configuration has chosen.
    :ivar members: gives the endpoints and their states.
    :ivar models_of: gives how many models the endpoint of that name lists.
    :ivar sessions: what has happened to sticky sessions; ``None`` when there are none.
    :ivar usage: measures the process.
    :ivar started: seconds on ``clock`` at which it began.
    :ivar clock: seconds that never go back.
    """

    build: Build
    setup: Callable[[], Setup]
    members: Callable[[], Iterable[Member]]
    stats: Statistics
    violations: Violations
    models_of: Callable[[str], int]
    sessions: Sessions | None
    lag: Lag
    usage: Callable[[], Usage]
    started: float
    clock: Callable[[], float]

    def page(self, query: Query) -> Page:
        """Make it."""
        out, now, members = Exposition(), self.clock(), list(self.members())
        self._add_system(out, members, now)
        self._add_security(out)
        self._add_endpoints(out, members, now)
        self._add_models(out, now)
        self._add_each_model(out, now)
        self._add_answers(out)
        self._add_process(out)
        fields = [(b"Content-Type", CONTENT_TYPE), (b"Cache-Control", NO_STORE)]
        return Page(200, fields, out.text(), zippable=True)

    def _add_system(self, out: Exposition, members: Sequence[Member], now: float) -> None:
        total, healthy, setup = self.stats.total, healthy_of(members), self.setup()
        info = {
            "version": self.build.version,
            "commit": self.build.commit,
            "engine": setup.engine,
            "profile": setup.profile,
            "balancer": setup.balancer,
        }
        level = LEVELS[system_status(healthy, len(members), self.stats.recent.success_rate(now))]
        out.family("olla_info", "gauge", "What is running", [(info, 1)])
        out.one("olla_system_status", "gauge", "2 healthy, 1 degraded, 0 critical", level)
        out.one("olla_endpoints_total", "gauge", "Endpoints configured", len(members))
        out.one("olla_endpoints_healthy", "gauge", "Endpoints that are healthy", healthy)
        out.one("olla_success_rate_percent", "gauge", "Requests that succeeded", total.success_rate)
        out.one("olla_avg_latency_ms", "gauge", "Mean duration of what succeeded", _ms(total.mean))
        out.one("olla_total_traffic_bytes", "gauge", "Bytes relayed to clients", total.bytes)
        out.one("olla_uptime_seconds", "gauge", "Seconds since the start", now - self.started)
        active = sum(member.in_flight for member in members)
        out.one("olla_active_connections", "gauge", "Requests at endpoints now", active)
        out.one("olla_requests_total", "counter", "Proxied requests that were answered or failed", total.requests)
        out.one("olla_failures_total", "counter", "Proxied requests that failed", total.failed)

    def _add_security(self, out: Exposition) -> None:
        violations = self.violations
        normal = security_status(violations) == "normal"
        out.one("olla_security_violations_total", "counter", "Requests refused by a limit", violations.total)
        out.one(
            "olla_security_rate_limit_violations_total", "counter", "Requests refused with 429", violations.rate_limits
        )
        out.one(
            "olla_security_size_limit_violations_total",
            "counter",
            "Requests refused with 413 or 431",
            violations.size_limits,
        )
        out.one("olla_security_blocked_ips", "gauge", "Clients limited within the last hour", violations.blocked)
        out.one("olla_security_status", "gauge", "1 normal, 0 elevated", int(normal))

    def _add_endpoints(self, out: Exposition, members: Sequence[Member], now: float) -> None:
        names = dict.fromkeys(member.name for member in members)
        known = [({"endpoint": name}, self.stats.endpoint(name)) for name in names]
        tallies = [(labels, figures.tally) for labels, figures in known]
        states = [({"endpoint": member.name}, member) for member in members]
        out.family("olla_endpoint_up", "gauge", "1 while healthy", map(_up, members))
        out.family("olla_endpoint_status", "gauge", "1 for the status that it has", _statuses(members))
        out.family("olla_endpoint_requests_total", "counter", "Attempts at it", [(la, t.requests) for la, t in tallies])
        out.family(
            "olla_endpoint_failures_total",
            "counter",
            "Attempts that failed",
            [({**la, "reason": reason}, n) for la, f in known for reason, n in sorted(f.failures.items())],
        )
        out.family("olla_endpoint_connections", "gauge", "Requests there now", [(la, m.in_flight) for la, m in states])
        out.family(
            "olla_endpoint_success_rate_percent",
            "gauge",
            "Attempts that succeeded",
            [(la, t.success_rate) for la, t in tallies],
        )
        out.family(
            "olla_endpoint_avg_latency_ms", "gauge", "Mean of successes", [(la, _ms(t.mean)) for la, t in tallies]
        )
        out.family("olla_endpoint_traffic_bytes", "counter", "Bytes relayed", [(la, t.bytes) for la, t in tallies])
        out.family("olla_endpoint_priority", "gauge", "As configured", [(la, m.endpoint.priority) for la, m in states])
        out.family(
            "olla_endpoint_models_count", "gauge", "Models listed", [(la, self.models_of(m.name)) for la, m in states]
        )
        opened = [(la, int(m.breaker.state(now) == "open")) for la, m in states]
        out.family("olla_endpoint_circuit_open", "gauge", "1 while its breaker is open", opened)
        meaning = "Duration of requests that succeeded"
        out.histogram("olla_request_duration_seconds", meaning, [(la, f.durations) for la, f in known])
        meaning = "Time to the first byte of the body, of requests that succeeded"
        out.histogram("olla_time_to_first_byte_seconds", meaning, [(la, f.first_bytes) for la, f in known])
        meaning = "Time spent waiting for a free slot, of requests that had to wait"
        out.histogram("olla_queue_wait_seconds", meaning, [(la, f.queued) for la, f in known])

    def _add_models(self, out: Exposition, now: float) -> None:
        """Add what all models have together, those that are told apart no more included."""
        tracked, tallies = self.stats.models.tracked, [figures.tally for figures in self._all_models().values()]
        requests, succeeded = (sum(getattr(one, what) for one in tallies) for what in ("requests", "succeeded"))
        active = sum(now - figures.tally.last_used <= HOUR for figures in tracked.values())
        rate = 100.0 * succeeded / requests if requests else None
        out.one("olla_models_total", "gauge", "Models told apart", len(tracked))
        out.one("olla_models_active", "gauge", "Models asked for in the last hour", active)
        out.one("olla_models_requests_total", "counter", "Requests that named a model", requests)
        out.one("olla_models_success_rate_percent", "gauge", "Of these, how many succeeded", rate)
        out.one("olla_models_traffic_bytes", "counter", "Bytes relayed for them", sum(one.bytes for one in tallies))

    def _add_each_model(self, out: Exposition, now: float) -> None:
        models = [({"model": name}, figures) for name, figures in self._all_models().items()]

        def add(name: str, kind: str, meaning: str, of: Of) -> None:
            samples = [(labels, of(figures)) for labels, figures in models]
            out.family(f"olla_model_{name}", "counter" if kind == "counter" else "gauge", meaning, samples)

        add("requests_total", "counter", "Requests for it", attrgetter("tally.requests"))
        add("successful_requests_total", "counter", "Those that succeeded", attrgetter("tally.succeeded"))
        add("failed_requests_total", "counter", "Those that failed", attrgetter("tally.failed"))
        add("success_rate_percent", "gauge", "Requests that succeeded", attrgetter("tally.success_rate"))
        add("traffic_bytes", "counter", "Bytes relayed", attrgetter("tally.bytes"))
        add("avg_latency_ms", "gauge", "Mean duration of successes", lambda model: _ms(model.tally.mean))
        add("p95_latency_ms", "gauge", "Of the last 100 successes", lambda model: milliseconds(model.slowest(95)))
        add("p99_latency_ms", "gauge", "Of the last 100 successes", lambda model: milliseconds(model.slowest(99)))
        add("unique_clients", "gauge", "Clients of the last hour", lambda model: model.unique_clients(now))
        add("routing_hits_total", "counter", "Answered by the first endpoint tried", attrgetter("hits"))
        add("routing_misses_total", "counter", "Needed another attempt", attrgetter("misses"))
        add("routing_fallbacks_total", "counter", "Sent elsewhere", attrgetter("fallbacks"))
        self._add_models_at_endpoints(out, models)
        meaning = "Time to the first byte of a stream"
        out.histogram("olla_time_to_first_token_seconds", meaning, [(la, m.first_tokens) for la, m in models])
        meaning = "Mean time between the tokens of a stream, one measurement for each stream"
        out.histogram("olla_inter_token_seconds", meaning, [(la, m.between_tokens) for la, m in models])
        tokens: list[tuple[Labels, Number]] = []
        for labels, model in models:
            tokens.append(({**labels, "direction": "input"}, model.input_tokens))
            tokens.append(({**labels, "direction": "output"}, model.output_tokens))
        out.family("olla_tokens_total", "counter", "Tokens, as far as backends told", tokens)

    def _add_models_at_endpoints(self, out: Exposition, models: Iterable[tuple[Labels, ModelCounters]]) -> None:
        apart = [
            ({**labels, "endpoint": name}, tally)
            for labels, model in models
            for name, tally in model.by_endpoint.items()
        ]
        start = "olla_model_endpoint_"
        out.family(f"{start}requests_total", "counter", "Requests for it there", [(la, t.requests) for la, t in apart])
        rates = [(la, t.success_rate) for la, t in apart]
        out.family(f"{start}success_rate_percent", "gauge", "Those that succeeded", rates)
        out.family(f"{start}avg_latency_ms", "gauge", "Mean of successes", [(la, _ms(t.mean)) for la, t in apart])
        in_row = [(la, t.errors_in_row) for la, t in apart]
        out.family(f"{start}consecutive_errors", "gauge", "Failures since the last success", in_row)

    def _add_answers(self, out: Exposition) -> None:
        stats = self.stats
        responses = [
            ({"class": CLASSES[answered], "surface": surface}, count)
            for (surface, answered), count in sorted(stats.responses.items())
            if answered in CLASSES
        ]
        out.family("olla_http_responses_total", "counter", "Answers to clients", responses)
        out.one("olla_client_disconnects_total", "counter", "Clients that left before the end", stats.disconnects)
        out.one("olla_failovers_total", "counter", "Attempts after the first of a request", stats.failovers)
        out.family("olla_translator_requests_total", "counter", "Requests in another dialect", self._translated())
        if self.sessions is not None:
            outcomes = ("hit", self.sessions.hits), ("miss", self.sessions.misses), ("repin", self.sessions.repins)
            told = [({"outcome": outcome}, count) for outcome, count in outcomes]
            out.family("olla_sticky_total", "counter", "What became of sticky sessions", told)

    def _translated(self) -> Iterator[tuple[Labels, Number]]:
        for name, figures in self.stats.translators.items():
            for mode, tally in (("passthrough", figures.passthrough), ("translation", figures.translation)):
                for outcome, count in (("success", tally.succeeded), ("failed", tally.failed)):
                    yield {"translator": name, "mode": mode, "outcome": outcome}, count

    def _add_process(self, out: Exposition) -> None:
        usage = self.usage()
        out.one("olla_reactor_lag_seconds", "gauge", "How late the reactor is, on average", self.lag.mean)
        out.one("process_resident_memory_bytes", "gauge", "Resident memory", usage.resident)
        out.one("process_virtual_memory_bytes", "gauge", "Virtual memory", usage.virtual)
        out.one("process_cpu_seconds_total", "counter", "Processor time, of user and system", usage.cpu)
        out.one("process_open_fds", "gauge", "Open file descriptors", usage.open_files)
        out.one("process_max_fds", "gauge", "Descriptors allowed", resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        out.one("process_start_time_seconds", "gauge", "Start, in seconds since 1970", usage.started)

    def _all_models(self) -> Mapping[str, ModelCounters]:
        models, other = self.stats.models, self.stats.models.other
        return {**models.tracked, OTHER_MODELS: other} if other.tally.requests else models.tracked


def _up(member: Member) -> tuple[Labels, Number]:
    return {"endpoint": member.name, "status": member.shown.value}, int(is_healthy(member))


def _statuses(members: Iterable[Member]) -> Iterator[tuple[Labels, Number]]:
    for member in members:
        for status in Status:
            yield {"endpoint": member.name, "status": status.value}, int(member.shown is status)


def _ms(seconds: float | None) -> int | None:
    return None if seconds is None else milliseconds(seconds)
