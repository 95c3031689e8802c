"""Keeps as many workers running as there should be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from attrs import define, field
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

SHORTEST_PAUSE = 0.1
LONGEST_PAUSE = 10.0
LONG_ENOUGH = 10.0
GRACE = 2.0


class Worker(Protocol):
    """A worker's process."""

    def begin(self, number: int) -> None:
        """Serve, as the worker of that number; until then it only waits."""

    def stop(self) -> None:
        """Have it finish what runs, and end."""

    def kill(self) -> None:
        """End it on the spot."""


@define(eq=False)
class _Place:
    """Where one worker runs, one after the other; number 0 is the spare's."""

    number: int
    pause: float = SHORTEST_PAUSE
    began: float = 0.0
    worker: Worker | None = None
    next: IDelayedCall | None = None


@define(eq=False)
class Crew(Service):
    """
    Starts workers, and others in their place when they end.

    A process needs a second until it has imported everything, so one more than are wanted waits ready: it takes
    the place of one that has died after a tenth of a second.  Where they die again and again within ten seconds
    the pauses become longer, up to ten seconds.

    :ivar size: how many.
    :ivar launch: starts a process; it calls what it is given, with a reason, when that has ended.
    """

    size: int
    launch: Callable[[Callable[[str], None]], Worker]
    _clock: IReactorTime
    _places: list[_Place] = field(init=False, factory=list)
    _spare: _Place = field(init=False, factory=lambda: _Place(0))
    _held: dict[int, _Place] = field(init=False, factory=dict)  # processes started so far, and where they are now
    _gone: Deferred[Any] | None = field(init=False, default=None)
    _log = Logger()

    def startService(self) -> None:
        """Start all."""
        super().startService()
        self._places = [_Place(number) for number in range(1, self.size + 1)]
        for place in self._places:
            self._fill(place)
        self._fill(self._spare)

    def stop(self, budget: float) -> Deferred[Any]:
        """
        Have all end; fires when they have.

        :param budget: seconds that they have for what runs; soon after that they are killed.
        """
        gone: Deferred[Any] = Deferred()
        self._gone = gone
        for place in self._all():
            if place.next is not None and place.next.active():
                place.next.cancel()
            if place.worker is not None:
                place.worker.stop()
        late = self._clock.callLater(budget + GRACE, self._kill)

        def over(result: Any) -> Any:
            if late.active():
                late.cancel()
            return result

        gone.addBoth(over)
        self._look()
        return gone

    def _all(self) -> list[_Place]:
        return [*self._places, self._spare]

    def _fill(self, place: _Place) -> None:
        """Have a worker at ``place``: the spare one if there is one, which is replaced at leisure."""
        if place is not self._spare and self._spare.worker is not None:
            place.worker, self._spare.worker = self._spare.worker, None
            for key, held in self._held.items():
                if held is self._spare:
                    self._held[key] = place
            self._again(self._spare)
        else:
            place.worker = self._launch(place)
        place.began = self._clock.seconds()
        if place.number:
            place.worker.begin(place.number)

    def _launch(self, place: _Place) -> Worker:
        key = max(self._held, default=0) + 1
        self._held[key] = place
        return self.launch(lambda reason: self._ended(key, reason))

    def _ended(self, key: int, reason: str) -> None:
        place = self._held.pop(key)
        place.worker = None
        if self._gone is not None:
            self._look()
            return
        if self._clock.seconds() - place.began >= LONG_ENOUGH:
            place.pause = SHORTEST_PAUSE
        self._log.error("Worker ended, another takes its place", number=place.number, reason=reason)
        self._again(place)

    def _again(self, place: _Place) -> None:
        place.next = self._clock.callLater(place.pause, self._fill, place)
        place.pause = min(place.pause * 2.0, LONGEST_PAUSE)

    def _look(self) -> None:
        if self._gone is not None and not self._gone.called and not any(place.worker for place in self._all()):
            self._gone.callback(None)

    def _kill(self) -> None:
        for place in self._all():
            if place.worker is not None:
                self._log.warn("Worker has not ended in time", number=place.number)
                place.worker.kill()
