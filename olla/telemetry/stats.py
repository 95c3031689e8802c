"""The counters behind the status pages, fed by events alone (http-api.md §11.4–11.7, behaviour.md §17)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from attrs import define, field

from olla.events import AttemptFailed, Finished
from olla.telemetry.models import ModelTable
from olla.telemetry.tally import Histogram, Tally
from olla.telemetry.translators import TranslatorFigures
from olla.telemetry.window import Window

PROXIED = frozenset({"proxy", "anthropic"})
CLIENT_LEFT = 499
OUR_FAULT = "INTERNAL_ERROR"
DURATIONS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
QUEUED = (0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
FIRST_BYTES = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


@define(eq=False)
class EndpointFigures:
    """
    Counts of one endpoint; each attempt counts, so that a failover is a failure here and a success elsewhere.

    :ivar failures: by reason: ``connect timeout protocol stream status status_5xx``.
    :ivar durations: seconds of whole requests that it answered well.
    :ivar first_bytes: seconds until the first byte of these.
    :ivar queued: seconds for which requests waited for a free slot; of those that had to.
    """

    tally: Tally = field(init=False, factory=Tally)
    failures: defaultdict[str, int] = field(init=False, factory=lambda: defaultdict(int))
    durations: Histogram = field(init=False, factory=lambda: Histogram(DURATIONS))
    first_bytes: Histogram = field(init=False, factory=lambda: Histogram(FIRST_BYTES))
    queued: Histogram = field(init=False, factory=lambda: Histogram(QUEUED))


@define(eq=False)
class Statistics:
    """
    Counts what became of requests: each once, under its last endpoint and the model's real name.

    :ivar total: proxied requests that were answered or failed; those refused or abandoned are not among them.
    :ivar recent: the same of the last fifteen minutes.
    :ivar models: by model.
    :ivar responses: answers by surface and class of status (2 … 5, or 499).
    :ivar disconnects: clients that left before the end.
    :ivar failovers: attempts after the first of a request.
    :ivar translators: by name; those that are switched on are there before their first request.
    """

    total: Tally = field(init=False, factory=Tally)
    recent: Window = field(init=False, factory=Window)
    models: ModelTable = field(init=False, factory=ModelTable)
    responses: defaultdict[tuple[str, int], int] = field(init=False, factory=lambda: defaultdict(int))
    disconnects: int = field(init=False, default=0)
    failovers: int = field(init=False, default=0)
    translators: dict[str, TranslatorFigures] = field(init=False, factory=dict)
    _endpoints: dict[str, EndpointFigures] = field(init=False, factory=dict)
    _blamed: dict[str, str] = field(init=False, factory=dict)  # request to the endpoint that failed it last

    @property
    def endpoints(self) -> Mapping[str, EndpointFigures]:
        """Those asked so far, by name."""
        return self._endpoints

    def endpoint(self, name: str) -> EndpointFigures:
        """Give the figures of one endpoint, all zero before its first request."""
        figures = self._endpoints.get(name)
        if figures is None:
            figures = self._endpoints[name] = EndpointFigures()
        return figures

    def finished(self, event: Finished) -> None:
        """Count a request that is over."""
        status = event.status
        self.responses[event.surface, CLIENT_LEFT if status == CLIENT_LEFT else status // 100] += 1
        blamed = self._blamed.pop(event.id, None) if self._blamed else None
        if event.surface not in PROXIED:
            return
        if event.surface in self.translators:
            self.translators[event.surface].add(event, event.started + event.duration)
        outcome = event.outcome
        if outcome == "cancelled":
            self.disconnects += 1
        if not event.attempts or event.endpoint is None:
            return
        now = event.started + event.duration
        if event.attempts > 1:
            self.failovers += event.attempts - 1
        name = event.endpoint.name
        figures = self.endpoint(name)
        if event.queued:
            figures.queued.add(event.queued)
        if outcome == "success":
            self._succeeded(event, name, figures, now)
        elif outcome == "cancelled":
            self.total.bytes += event.bytes_out
            figures.tally.bytes += event.bytes_out
        else:
            self._failed(event, name, figures, now, blamed == name or event.code == OUR_FAULT)

    def attempt_failed(self, event: AttemptFailed) -> None:
        """Count an attempt that came to nothing."""
        figures = self.endpoint(event.endpoint.name)
        figures.tally.failed += 1
        figures.tally.errors_in_row += 1
        figures.failures[event.reason] += 1
        self._blamed[event.id] = event.endpoint.name

    def sweep(self, now: float) -> None:
        """Forget models that nobody has asked for in a long time."""
        self.models.sweep(now)

    def _succeeded(self, event: Finished, name: str, figures: EndpointFigures, now: float) -> None:
        duration, size = event.duration, event.bytes_out
        self.total.success(duration, size, now)
        self.recent.add(True, now)
        figures.tally.success(duration, size, now)
        figures.durations.add(duration)
        if event.first_byte_after:
            figures.first_bytes.add(event.first_byte_after)
        if event.model:
            self.models.of(event.model, now).add(event, name, True, now)

    def _failed(self, event: Finished, name: str, figures: EndpointFigures, now: float, counted: bool) -> None:
        """Count a failure; of the endpoint too, unless its attempt is counted already or it is not to blame."""
        size = event.bytes_out
        self.total.failure(size, now)
        self.recent.add(False, now)
        if counted:
            figures.tally.bytes += size
            figures.tally.last_used = now
        else:
            figures.tally.failure(size, now)
            figures.failures["status_5xx" if event.outcome == "error" else "stream"] += 1
        if event.model:
            self.models.of(event.model, now).add(event, name, False, now)
