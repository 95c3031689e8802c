"""Tests of :mod:`olla.balance.queue`."""

from __future__ import annotations

from attrs import define, field
from twisted.trial.unittest import SynchronousTestCase

from olla.balance.queue import Queue
from olla.errors import QueueFull
from olla.pending import Cancelled, Pending


@define
class Slots:
    """What is waited for."""

    free: list[int] = field(factory=list)

    def take(self) -> int | None:
        """Take one if there is one."""
        return self.free.pop(0) if self.free else None


class QueueTests(SynchronousTestCase):
    """Who waits, and who is served."""

    def setUp(self) -> None:
        self.slots = Slots()
        self.queue: Queue[int] = Queue(3, 10.0)

    def join(self, now: float = 0.0) -> Pending[int]:
        return self.queue.join(self.slots.take, now)

    def test_in_order(self) -> None:
        """Slots go to those who came first."""
        waiting = [self.join() for _ in range(3)]
        self.slots.free = [1, 2]
        self.queue.serve()
        self.assertEqual([one.done for one in waiting], [True, True, False])
        self.assertEqual([one.result() for one in waiting[:2]], [1, 2])

    def test_not_for_me(self) -> None:
        """Who cannot use what is free does not keep others from it (design.md §5)."""
        picky: Pending[int] = self.queue.join(lambda: None, 0.0)
        other = self.join()
        self.slots.free = [1]
        self.queue.serve()
        self.assertEqual((picky.done, other.done), (False, True))

    def test_full(self) -> None:
        """No more than so many wait."""
        for _ in range(3):
            self.join()
        self.assertRaises(QueueFull, self.join)
        self.assertEqual(len(self.queue), 3)

    def test_too_long(self) -> None:
        """Who has waited for the whole time is turned away, who came later is not."""
        early, late = self.join(0.0), self.join(5.0)
        self.queue.sweep(9.9)
        self.assertFalse(early.done)
        self.queue.sweep(10.0)
        self.assertRaises(QueueFull, early.result)
        self.assertFalse(late.done)

    def test_cancel(self) -> None:
        """Who is cancelled is gone, and no slot is wasted on it."""
        first, second = self.join(), self.join()
        first.cancel()
        self.assertRaises(Cancelled, first.result)
        self.slots.free = [1]
        self.queue.serve()
        self.assertEqual((second.result(), len(self.queue)), (1, 0))

    def test_failure(self) -> None:
        """A fault in the choice for one waiter is that waiter's alone."""

        def broken() -> int | None:
            raise ValueError("no idea")

        first, second = self.queue.join(broken, 0.0), self.join()
        self.slots.free = [1]
        self.queue.serve()
        self.assertRaises(ValueError, first.result)
        self.assertEqual(second.result(), 1)

    def test_hundreds(self) -> None:
        """Waiters that fail as soon as they are served do not pile up on the stack."""
        queue: Queue[int] = Queue(3000, 10.0)
        served: list[int] = []

        def give_back() -> None:
            served.append(1)
            self.slots.free = [1]
            queue.serve()

        for _ in range(3000):
            queue.join(self.slots.take, 0.0).when_done(give_back)
        self.slots.free = [1]
        queue.serve()
        self.assertEqual(len(served), 3000)
