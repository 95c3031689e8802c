"""
A result that one coroutine waits for, and the task that runs the coroutine.

A request waits twice (for the head of the reply and for the end of its body), some hundred thousand times a
minute.  A Deferred for each of these, with its chain of callbacks, would cost more than the forwarding itself;
this is the part of it that a journey needs: one waiter, a canceller, and resumption in the same reactor turn.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Cancelled(Exception):
    """Nobody wants the result any more: the client has gone, or the process is stopping."""


def nothing() -> None:
    """Do nothing: for what needs no canceller, or has nobody to call."""


class Pending(Generic[T]):
    """
    A result that comes later, awaited by at most one task.

    The first of :meth:`fire`, :meth:`fail` and :meth:`cancel` counts, later ones are ignored.
    """

    __slots__ = ("_cancel", "_error", "_value", "_wake", "done")

    def __init__(self, cancel: Callable[[], None] = nothing) -> None:
        """
        Wait for a result.

        :param cancel: stops the work behind it; called at most once, and not after the result is there.
        """
        self.done = False
        self._value: T | None = None
        self._error: Exception | None = None
        self._wake: Callable[[], None] | None = None
        self._cancel = cancel

    @classmethod
    def ready(cls, value: T) -> Pending[T]:
        """Make one that has its result already."""
        pending: Pending[T] = cls()
        pending.fire(value)
        return pending

    @classmethod
    def failed(cls, error: Exception) -> Pending[T]:
        """Make one that has failed already."""
        pending: Pending[T] = cls()
        pending.fail(error)
        return pending

    def fire(self, value: T) -> None:
        """Give the result; the waiting task goes on before this returns."""
        if not self.done:
            self.done = True
            self._value = value
            self._go_on()

    def fail(self, error: Exception) -> None:
        """Let the waiting task see ``error`` raised."""
        if not self.done:
            self.done = True
            self._error = error
            self._go_on()

    def cancel(self) -> None:
        """Stop the work behind it and raise :exc:`Cancelled` in the waiting task."""
        if not self.done:
            self.done = True
            self._error = Cancelled()
            self._cancel()
            self._go_on()

    def when_done(self, wake: Callable[[], None]) -> None:
        """Call ``wake`` once the result is there; only the last one given is called."""
        self._wake = wake

    def result(self) -> T:
        """
        Give the result.

        :raise Exception: what it failed with.
        """
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[return-value]  # None only where T admits it

    def _go_on(self) -> None:
        """Wake the waiting task, and let go of it: it holds us as well, and the collector would have to part us."""
        wake, self._wake = self._wake, None
        if wake is not None:
            wake()

    def __await__(self) -> Generator[Pending[T], None, T]:
        """Suspend the task until the result is there."""
        if not self.done:
            yield self
        return self.result()


class Task:
    """
    Runs one coroutine that awaits nothing but :class:`Pending`.

    :ivar running: whether it has not ended yet.
    """

    __slots__ = ("_awaited", "_cancelled", "_coroutine", "_failed", "_stepping", "running")

    def __init__(self, coroutine: Coroutine[Any, None, None], failed: Callable[[Exception], None]) -> None:
        """
        Prepare to run; :meth:`start` runs.

        :param failed: called with what the coroutine raised, unless that is :exc:`Cancelled`.
        """
        self.running = True
        self._coroutine = coroutine
        self._failed = failed
        self._awaited: Pending[Any] | None = None
        self._cancelled = False
        self._stepping = False

    def start(self) -> None:
        """Run until the first wait."""
        self._step()

    def cancel(self) -> None:
        """Raise :exc:`Cancelled` where the coroutine waits; if it runs right now, at its next wait."""
        if not self.running:
            return
        self._cancelled = True
        if not self._stepping and self._awaited is not None:
            self._awaited.cancel()

    def _step(self) -> None:
        if not self.running or self._stepping:
            return
        self._stepping = True
        try:
            while True:
                awaited = self._awaited = self._coroutine.send(None)
                if self._cancelled:
                    awaited.cancel()
                if not awaited.done:
                    awaited.when_done(self._step)
                    return
        except StopIteration:
            self.running = False
        except Cancelled:
            self.running = False
        except Exception as error:
            self.running = False
            self._failed(error)
        finally:
            self._stepping = False
