"""What a journey waits for, for those who wait for a Deferred."""

from __future__ import annotations

from typing import TypeVar

from twisted.internet.defer import Deferred

from olla.pending import Cancelled, Pending

T = TypeVar("T")


def as_deferred(pending: Pending[T]) -> Deferred[T]:
    """
    Give a Deferred that fires or fails as ``pending`` does.

    Cancelling it cancels ``pending``, which nobody else may wait for.
    """
    waiting: Deferred[T] = Deferred(lambda _: pending.cancel())

    def over() -> None:
        try:
            value = pending.result()
        except Cancelled:
            pass  # the Deferred itself has been cancelled, and says so
        except Exception as error:  # whatever it failed with
            waiting.errback(error)
        else:
            waiting.callback(value)

    if pending.done:
        over()
    else:
        pending.when_done(over)
    return waiting
