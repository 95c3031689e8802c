"""Tests of :mod:`olla.pending`."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from olla.pending import Cancelled, Pending, Task


class PendingTests(SynchronousTestCase):
    """One result."""

    def setUp(self) -> None:
        self.calls: list[str] = []

    def note(self, word: str) -> Callable[[], None]:
        """Make what notes that it was called."""
        return lambda: self.calls.append(word)

    def test_ready(self) -> None:
        """One made with its result has it."""
        self.assertEqual(Pending.ready(7).result(), 7)
        self.assertTrue(Pending.ready(None).done)
        self.assertRaises(KeyError, Pending.failed(KeyError()).result)

    def test_wakes_once(self) -> None:
        """Whoever waits is woken once, before the call that gives the result returns."""
        pending: Pending[int] = Pending()
        pending.when_done(self.note("never: another took its place"))
        pending.when_done(self.note("woken"))
        pending.fire(1)
        self.calls.append("returned")
        pending.fire(2)
        self.assertEqual((self.calls, pending.result()), (["woken", "returned"], 1))

    def test_cancel(self) -> None:
        """Cancelling stops the work, then wakes whoever waits."""
        pending: Pending[int] = Pending(self.note("stopped"))
        pending.when_done(self.note("woken"))
        pending.cancel()
        pending.cancel()
        self.assertEqual(self.calls, ["stopped", "woken"])
        self.assertRaises(Cancelled, pending.result)

    def test_cancel_too_late(self) -> None:
        """What is done is not stopped any more."""
        pending: Pending[int] = Pending(self.note("stopped"))
        pending.fire(1)
        pending.cancel()
        self.assertEqual((self.calls, pending.result()), ([], 1))

    def test_canceller_that_answers(self) -> None:
        """A result given by the stopped work itself comes too late, and wakes nobody twice."""
        pending: Pending[int] = Pending(lambda: pending.fire(1))
        pending.when_done(self.note("woken"))
        pending.cancel()
        self.assertEqual(self.calls, ["woken"])
        self.assertRaises(Cancelled, pending.result)

    @given(st.lists(st.sampled_from(["fire", "fail", "cancel"]), min_size=1, max_size=5), st.integers(0, 4))
    def test_first_counts(self, acts: list[str], listens: int) -> None:
        """In whatever order they come, the first result counts, and the waiter is woken for it alone."""
        stopped: list[int] = []
        woken: list[int] = []
        pending: Pending[int] = Pending(lambda: stopped.append(1))
        for number, act in enumerate(acts):
            if number == listens:
                pending.when_done(lambda: woken.append(1))
            if act == "fire":
                pending.fire(number)
            elif act == "fail":
                pending.fail(KeyError(number))
            else:
                pending.cancel()
        if acts[0] == "fire":
            self.assertEqual(pending.result(), 0)
        else:
            self.assertRaises(KeyError if acts[0] == "fail" else Cancelled, pending.result)
        self.assertEqual((len(stopped), len(woken)), (acts[0] == "cancel", listens == 0))


class TaskTests(SynchronousTestCase):
    """What runs a coroutine."""

    def setUp(self) -> None:
        self.failures: list[Exception] = []
        self.said: list[object] = []

    def run_(self, *awaited: Pending[int]) -> Task:
        """Start a task that awaits these, one after the other, and says what it gets."""

        async def journey() -> None:
            try:
                for pending in awaited:
                    self.said.append(await pending)
            except Cancelled:
                self.said.append("cancelled")
                raise

        task = Task(journey(), self.failures.append)
        task.start()
        return task

    def test_runs(self) -> None:
        """It goes on as soon as what it awaits is there, without another turn of the reactor."""
        first: Pending[int] = Pending()
        second: Pending[int] = Pending()
        task = self.run_(Pending.ready(0), first, second)
        self.assertEqual(self.said, [0])
        first.fire(1)
        self.assertEqual((self.said, task.running), ([0, 1], True))
        second.fire(2)
        self.assertEqual((self.said, task.running, self.failures), ([0, 1, 2], False, []))

    def test_fails(self) -> None:
        """What the coroutine raises is told, once."""
        pending: Pending[int] = Pending()
        task = self.run_(pending)
        error = KeyError("x")
        pending.fail(error)
        self.assertEqual((self.failures, task.running), ([error], False))

    def test_cancel(self) -> None:
        """Cancelling raises where it waits, stops that work, and is no failure."""
        stopped: list[int] = []
        task = self.run_(Pending(lambda: stopped.append(1)))
        task.cancel()
        task.cancel()
        self.assertEqual((self.said, stopped, task.running, self.failures), (["cancelled"], [1], False, []))

    def test_cancel_while_running(self) -> None:
        """A task cancelled while it runs is told at its next wait."""
        never: Pending[int] = Pending()

        async def journey() -> None:
            task.cancel()
            self.said.append("still running")
            try:
                await never
            finally:
                self.said.append("told")

        task = Task(journey(), self.failures.append)
        task.start()
        self.assertEqual((self.said, task.running, never.done), (["still running", "told"], False, True))

    def test_cancel_over(self) -> None:
        """A task that is over is not cancelled."""
        task = self.run_(Pending.ready(1))
        task.cancel()
        self.assertEqual((self.said, self.failures), ([1], []))

    def test_cancelled_catches(self) -> None:
        """A coroutine may tidy up after a cancellation, waiting for what is ready."""

        async def journey() -> None:
            try:
                await Pending()
            except Cancelled:
                self.said.append(await Pending.ready("tidy"))

        task = Task(journey(), self.failures.append)
        task.start()
        task.cancel()
        self.assertEqual((self.said, task.running), (["tidy"], False))

    def test_fired_inside(self) -> None:
        """A result that comes while the coroutine still runs does not run it twice at once."""
        pending: Pending[int] = Pending()

        async def journey() -> None:
            pending.fire(1)
            self.said.append(await pending)

        Task(journey(), self.failures.append).start()
        self.assertEqual(self.said, [1])

    def test_nested(self) -> None:
        """Tasks that wake each other run each to its next wait."""
        ping: Pending[int] = Pending()
        pong: Pending[int] = Pending()

        async def other() -> None:
            self.said.append(await ping)
            pong.fire(2)
            self.said.append("other done")

        async def one() -> None:
            ping.fire(1)
            self.said.append(await pong)

        Task(other(), self.failures.append).start()
        Task(one(), self.failures.append).start()
        self.assertEqual(self.said, [1, "other done", 2])

    @given(st.lists(st.booleans(), max_size=30))
    def test_any_order(self, ready: list[bool]) -> None:
        """However many results are there before they are awaited, each is seen once and in order."""
        self.setUp()
        pendings: list[Pending[int]] = [Pending() for _ in ready]
        for number, there in enumerate(ready):
            if there:
                pendings[number].fire(number)
        task = self.run_(*pendings)
        for number, pending in reversed(tuple(enumerate(pendings))):
            pending.fire(number)
        self.assertEqual((self.said, task.running), (list(range(len(ready))), False))
