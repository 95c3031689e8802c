"""What the process costs: its processor time, and what its garbage collector does."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from attrs import define, field
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

PAUSE = 1.0
SAMPLES = 11

Hook = Callable[[str, dict[str, int]], Any]


@define(eq=False)
class CpuMeter(Service):
    """Notes once a second how much processor time the process has had."""

    _used: Callable[[], float]  # seconds of processor time so far
    _clock: IReactorTime
    _samples: deque[tuple[float, float]] = field(init=False, factory=lambda: deque(maxlen=SAMPLES))
    _loop: LoopingCall = field(init=False)
    _stopped: Deferred[Any] | None = field(init=False, default=None)

    def startService(self) -> None:
        """Begin to look."""
        super().startService()
        self._loop = LoopingCall(self._note)
        self._loop.clock = self._clock
        self._stopped = self._loop.start(PAUSE)

    def stopService(self) -> Deferred[Any] | None:
        """Stop looking."""
        super().stopService()
        if self._stopped is not None:
            self._loop.stop()
        return self._stopped

    @property
    def percent(self) -> float:
        """Of one processor, over the last ten seconds; ``0.0`` in the first."""
        if len(self._samples) < 2:
            return 0.0
        (began, before), (ended, after) = self._samples[0], self._samples[-1]
        return 100.0 * (after - before) / (ended - began)

    def _note(self) -> None:
        self._samples.append((self._clock.seconds(), self._used()))


@define(eq=False)
class GarbageWatch(Service):
    """
    Notes what the garbage collector does.

    :ivar cycles: collections so far.
    :ivar seconds: that they took together.
    :ivar collected: objects that they freed.
    :ivar last: seconds since 1970 of the latest one; ``None`` before the first.
    """

    _hooks: list[Hook]  # gc.callbacks
    _timer: Callable[[], float]  # seconds, exact
    _wall: Callable[[], float]
    cycles: int = field(init=False, default=0)
    seconds: float = field(init=False, default=0.0)
    collected: int = field(init=False, default=0)
    last: float | None = field(init=False, default=None)
    _began: float = field(init=False, default=0.0)

    def startService(self) -> None:
        """Begin to look."""
        super().startService()
        self._hooks.append(self._note)

    def stopService(self) -> None:
        """Stop looking."""
        super().stopService()
        self._hooks.remove(self._note)

    def _note(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._began = self._timer()
            return
        self.cycles += 1
        self.seconds += self._timer() - self._began
        self.collected += info.get("collected", 0)
        self.last = self._wall()
