"""Telemetry as one part: who listens to what, and where the lines go."""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from attrs import define, field
from twisted.application.service import Service

from olla.events import (
    AttemptFailed,
    Finished,
    HealthChanged,
    Limited,
    ListingFailed,
    ModelsListed,
    SizeRefused,
    StillUnwell,
)
from olla.telemetry.access import AccessLog, CompletionLog, RequestLog
from olla.telemetry.bus import Bus
from olla.telemetry.journal import Journal
from olla.telemetry.lag import Lag
from olla.telemetry.lines import Lines
from olla.telemetry.logs import FILE, LogObserver, Rotation, form_for, to_file, to_stream
from olla.telemetry.records import Stamps, shown_from
from olla.telemetry.stats import Statistics
from olla.telemetry.violations import Violations
from olla.telemetry.vitals import CpuMeter, GarbageWatch


@define(eq=False)
class Telemetry:
    """
    Listens on the bus.

    :ivar level: from which lines are written: ``debug``, ``info``, ``warn``, ``error``.
    :ivar format: ``json`` or ``text``.
    :ivar access: whether there is a line for each request.
    :ivar bus: what is told.
    :ivar outputs: each takes lines of the log.
    :ivar counts: whether it keeps the counters behind the status pages; another process does otherwise.
    """

    level: str
    format: str
    access: bool
    bus: Bus
    _reactor: Any
    outputs: Sequence[Callable[[bytes], object]]
    counts: bool = True
    wall: Callable[[], float] = time.time
    lines: Lines = field(init=False)
    observer: LogObserver = field(init=False)
    statistics: Statistics = field(init=False, factory=Statistics)
    violations: Violations = field(init=False)
    lag: Lag = field(init=False)
    cpu: CpuMeter = field(init=False)
    garbage: GarbageWatch = field(init=False)
    _access_log: AccessLog = field(init=False)
    _completions: CompletionLog = field(init=False)
    _requests: RequestLog = field(init=False)

    def __attrs_post_init__(self) -> None:
        clock = self._reactor.seconds
        stamps = Stamps(self.wall, clock)
        form = form_for(self.format, sys.stdout.isatty(), "OLLA_LOGGING_FORMAT" in os.environ)
        self.lines = Lines(self.outputs, self._reactor, self.bus.settle)
        shown = shown_from(self.level)
        self.observer = LogObserver(self.lines, form, stamps.at, shown)
        self._access_log = AccessLog(form, shown)
        self._completions = CompletionLog(form, shown)
        makers = [self._completions.lines, *([self._access_log.lines] if self.access else [])]
        self._requests = RequestLog(self.lines.write, stamps.of, makers)
        self.violations = Violations(clock)
        self.lag = Lag(self._reactor)
        self.cpu = CpuMeter(time.process_time, self._reactor)
        hooks: Any = gc.callbacks  # typeshed and we disagree on how exactly a hook is typed
        self.garbage = GarbageWatch(hooks, time.perf_counter, self.wall)
        self._listen(Journal(clock))

    @property
    def services(self) -> tuple[Service, ...]:
        """What is to be started and stopped; the lines come first and go last."""
        return (self.lines, self.lag, self.cpu, self.garbage)

    def show_from(self, level: str) -> None:
        """Write lines from another level on."""
        shown = shown_from(level)
        self.observer.shown = self._access_log.shown = self._completions.shown = shown

    def sweep(self, now: float) -> None:
        """Forget what has not been seen for long."""
        self.statistics.sweep(now)

    def _listen(self, journal: Journal) -> None:
        listen = self.bus.listen
        if self.counts:
            listen(Finished, self.statistics.finished)
            listen(AttemptFailed, self.statistics.attempt_failed)
            listen(Limited, self.violations.limited)
            listen(SizeRefused, self.violations.size_refused)
        listen(Finished, self._requests.finished)
        listen(AttemptFailed, journal.attempt_failed)
        listen(Limited, journal.limited)
        listen(HealthChanged, journal.health_changed)
        listen(StillUnwell, journal.still_unwell)
        listen(ModelsListed, journal.models_listed)
        listen(ListingFailed, journal.listing_failed)


def outputs_of_a_process(also_to_file: bool, log_file: str = "") -> list[Callable[[bytes], object]]:
    """
    Give where a process of its own writes its log: standard output, and a rotating file beside it if asked.

    A folder that cannot be written to is said on standard error, and is no reason not to start (config.md K80).

    :param log_file: takes the place of standard output, which a daemon has none of.
    :raise OSError: when that file cannot be written to.
    """
    outputs: list[Callable[[bytes], object]] = [
        to_file(Path(log_file), Rotation.of(os.environ)) if log_file else to_stream(sys.stdout.buffer)
    ]
    if also_to_file:
        folder = Path(os.environ.get("OLLA_LOG_DIR", "logs"))
        try:
            outputs.append(to_file(folder / FILE, Rotation.of(os.environ)))
        except OSError as error:
            print(f"olla: no log file in {folder}: {error.strerror}", file=sys.stderr)
    return outputs
