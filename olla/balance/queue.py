"""The queue before endpoints that work at their limit."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from typing import Generic, TypeVar

from attrs import define, field

from olla.errors import QueueFull
from olla.pending import Pending

T = TypeVar("T")


@define(eq=False)
class _Waiter(Generic[T]):
    take: Callable[[], T | None]
    deadline: float
    places: Collection[object]
    pending: Pending[T] = field(init=False)


@define(eq=False)
class Queue(Generic[T]):
    """
    Lets requests wait, and serves the first one that can be served.

    :ivar longest: how many may wait.
    :ivar timeout: seconds that each of them waits at most.
    """

    longest: int
    timeout: float
    _waiters: deque[_Waiter[T]] = field(init=False, factory=deque)
    _serving: bool = field(init=False, default=False)

    def __len__(self) -> int:
        """Count who waits."""
        return len(self._waiters)

    def waiting_for(self, place: object) -> int:
        """Count who waits for a place."""
        return sum(place in waiter.places for waiter in self._waiters)

    def join(self, take: Callable[[], T | None], now: float, places: Collection[object] = ()) -> Pending[T]:
        """
        Wait at the end.

        :param take: tries to get what is waited for; ``None`` when it cannot be had yet.
        :param places: for which of those that can be counted this one waits.
        :return: fires with what ``take`` got, or fails with what it raised or with
            :exc:`~olla.errors.QueueFull` when that took too long.  Cancelling leaves the queue.
        :raise QueueFull: when too many wait already.
        """
        if len(self._waiters) >= self.longest:
            raise QueueFull("Every endpoint for this request works at its limit", 1)
        waiter = _Waiter(take, now + self.timeout, places)
        waiter.pending = Pending(lambda: self._waiters.remove(waiter))
        self._waiters.append(waiter)
        return waiter.pending

    def serve(self) -> None:
        """Serve those who can be served, in the order in which they came."""
        if self._serving:
            return  # a waiter just served is at work further up the stack; the loop there goes on after it
        self._serving = True
        try:
            while self._serve_first():
                pass
        finally:
            self._serving = False

    def sweep(self, now: float) -> None:
        """Turn away those who have waited too long."""
        while self._waiters and self._waiters[0].deadline <= now:
            self._waiters.popleft().pending.fail(QueueFull("No endpoint became free in time", 1))

    def _serve_first(self) -> bool:
        for waiter in self._waiters:
            try:
                taken = waiter.take()
            except Exception as error:  # a refusal, or a stranger's selector gone wrong: this waiter's alone
                self._waiters.remove(waiter)
                waiter.pending.fail(error)
                return True
            if taken is not None:
                self._waiters.remove(waiter)
                waiter.pending.fire(taken)
                return True
        return False
