"""What the pages need to know of the counters; telemetry has parts that provide it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Tally(Protocol):
    """Counts of requests; :class:`olla.telemetry.tally.Tally` tells what each means."""

    @property
    def succeeded(self) -> int: ...
    @property
    def failed(self) -> int: ...
    @property
    def requests(self) -> int: ...
    @property
    def bytes(self) -> int: ...
    @property
    def success_rate(self) -> float | None: ...
    @property
    def mean(self) -> float | None: ...
    @property
    def shortest(self) -> float: ...
    @property
    def longest(self) -> float: ...
    @property
    def last_used(self) -> float: ...
    @property
    def errors_in_row(self) -> int: ...


class Mean(Protocol):
    """A mean, ``None`` of nothing."""

    @property
    def value(self) -> float | None: ...


class Recent(Protocol):
    """How it went of late."""

    def success_rate(self, now: float) -> float | None: ...


class EndpointCounters(Protocol):
    """Counts of one endpoint."""

    @property
    def tally(self) -> Tally: ...


class ModelCounters(Protocol):
    """Counts of one model; see :class:`olla.telemetry.models.ModelFigures`."""

    @property
    def tally(self) -> Tally: ...
    @property
    def hits(self) -> int: ...
    @property
    def misses(self) -> int: ...
    @property
    def fallbacks(self) -> int: ...
    @property
    def input_tokens(self) -> int: ...
    @property
    def output_tokens(self) -> int: ...
    @property
    def tokens_per_second(self) -> Mean: ...
    @property
    def ttft(self) -> Mean: ...
    @property
    def by_endpoint(self) -> Mapping[str, Tally]: ...

    def slowest(self, percent: int) -> float: ...

    def unique_clients(self, now: float) -> int: ...


class Models(Protocol):
    """The models told apart, and the rest."""

    @property
    def tracked(self) -> Mapping[str, ModelCounters]: ...
    @property
    def other(self) -> ModelCounters: ...


class Statistics(Protocol):
    """All counters of requests; see :class:`olla.telemetry.stats.Statistics`."""

    @property
    def total(self) -> Tally: ...
    @property
    def recent(self) -> Recent: ...
    @property
    def models(self) -> Models: ...
    @property
    def endpoints(self) -> Mapping[str, EndpointCounters]: ...
    @property
    def disconnects(self) -> int: ...

    def endpoint(self, name: str) -> EndpointCounters: ...


class Violations(Protocol):
    """Refusals; see :class:`olla.telemetry.violations.Violations`."""

    @property
    def rate_limits(self) -> int: ...
    @property
    def size_limits(self) -> int: ...
    @property
    def total(self) -> int: ...
    @property
    def blocked(self) -> int: ...


class Lag(Protocol):
    """How late the reactor is, in seconds."""

    @property
    def mean(self) -> float: ...
    @property
    def longest(self) -> float: ...


class Cpu(Protocol):
    """How busy the process is."""

    @property
    def percent(self) -> float: ...


class Garbage(Protocol):
    """What the garbage collector has done; see :class:`olla.telemetry.vitals.GarbageWatch`."""

    @property
    def cycles(self) -> int: ...
    @property
    def seconds(self) -> float: ...
    @property
    def collected(self) -> int: ...
    @property
    def last(self) -> float | None: ...
