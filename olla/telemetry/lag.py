"""How late the reactor is."""

from __future__ import annotations

from collections import deque
from typing import Any

from attrs import define, field
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

PAUSE = 0.1
TEN_SECONDS = 100
MINUTE = 600


@define(eq=False)
class Lag(Service):
    """Wakes up ten times a second, and notes by how much too late."""

    _clock: IReactorTime
    _delays: deque[float] = field(init=False, factory=lambda: deque(maxlen=MINUTE))
    _due: float = field(init=False, default=0.0)
    _loop: LoopingCall = field(init=False)
    _stopped: Deferred[Any] | None = field(init=False, default=None)

    def startService(self) -> None:
        """Begin to look."""
        super().startService()
        self._due = self._clock.seconds() + PAUSE
        self._loop = LoopingCall(self._note)
        self._loop.clock = self._clock
        self._stopped = self._loop.start(PAUSE, now=False)

    def stopService(self) -> Deferred[Any] | None:
        """Stop looking."""
        super().stopService()
        if self._stopped is not None:
            self._loop.stop()
        return self._stopped

    @property
    def mean(self) -> float:
        """Seconds, over the last ten; ``0.0`` before the first look."""
        recent = list(self._delays)[-TEN_SECONDS:]
        return sum(recent) / len(recent) if recent else 0.0

    @property
    def longest(self) -> float:
        """Seconds, of the last minute."""
        return max(self._delays, default=0.0)

    def _note(self) -> None:
        now = self._clock.seconds()
        self._delays.append(max(0.0, now - self._due))
        # The loop keeps to its beat, and leaves out what it has missed.
        self._due += PAUSE * max(1, int((now - self._due) / PAUSE) + 1)
