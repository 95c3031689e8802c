"""Tests of :mod:`olla.balance.fleet`."""

from __future__ import annotations

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from olla.balance.fleet import Fleet, Lease, Member, Rules, Status
from olla.balance.least_connections import LeastConnections
from olla.errors import (
    BadReply,
    BrokenBody,
    CircuitOpen,
    ClosedEarly,
    ConnectFailed,
    ConnectTimeout,
    HeadTimeout,
    NothingLeft,
    QueueFull,
    TLSFailed,
    UpstreamFailure,
)
from olla.interfaces import ICandidate
from olla.pending import Cancelled, Pending
from tests.balance.support import DOWN, GOOD, WANTED, First, Scene, endpoint, set_status

SILENT = HeadTimeout("no answer", "response_header", 30.0)


class ChoosingTests(SynchronousTestCase):
    """Who gets a request."""

    def setUp(self) -> None:
        self.selector = First()
        self.scene = Scene(selector=self.selector)
        self.a, self.b, self.c = self.all = self.scene.healthy(endpoint("a"), endpoint("b"), endpoint("c"))

    def test_candidate(self) -> None:
        """A member is what selectors are promised."""
        verifyObject(ICandidate, self.a)

    def test_counts_once(self) -> None:
        """A lease counts from the beginning and is given back exactly once (B61, B141)."""
        lease = self.scene.lease(self.all)
        self.assertEqual(self.a.in_flight, 1)
        lease.release()
        lease.release()
        self.assertEqual(self.a.in_flight, 0)

    def test_all_healthy(self) -> None:
        """The selector sees all candidates in configured order (B9)."""
        self.scene.name(self.all)
        self.assertEqual(self.selector.asked, [("a", "b", "c")])

    def test_healthy_first(self) -> None:
        """Busy and warming ones get nothing while a healthy one is there (B10)."""
        set_status(self.a, Status.BUSY)
        set_status(self.b, Status.WARMING)
        self.assertEqual(self.scene.name(self.all), "c")
        self.assertEqual(self.scene.name((self.a, self.b)), "a")
        self.assertEqual(self.selector.asked, [("c",), ("a", "b")])

    def test_lost_since(self) -> None:
        """One that was lost after the request was narrowed is tried only when nothing else is left (B73)."""
        set_status(self.a, Status.OFFLINE)
        set_status(self.b, Status.WARMING)
        self.assertEqual(self.scene.name((self.a, self.b)), "b")
        self.assertEqual(self.scene.name((self.a,)), "a")

    def test_preferred(self) -> None:
        """The preferred one has it, busy or not, whatever the selector thinks (behaviour.md §11)."""
        self.assertEqual(self.scene.name(self.all, preferred=self.b), "b")
        set_status(self.b, Status.BUSY)
        self.assertEqual(self.scene.name(self.all, preferred=self.b), "b")

    def test_preferred_is_gone(self) -> None:
        """A preferred one that is no candidate, or cools down, is not insisted on (B63)."""
        self.assertEqual(self.scene.name((self.a, self.c), preferred=self.b), "a")
        self.scene.fleet.answered(self.scene.lease((self.b,)), 429, 10.0, 1.0)
        self.assertEqual(self.scene.name(self.all, preferred=self.b), "a")

    def test_stranger(self) -> None:
        """A selector that chooses nobody at hand lets the first candidate have it."""

        class Nobody:
            def select(self, candidates: object, wanted: object) -> None:
                return None

        self.scene.fleet.selector = Nobody()  # type: ignore[assignment]  # a stranger's does not say so
        self.assertEqual(self.scene.name((self.b, self.c)), "b")

    def test_any_ready(self) -> None:
        """Ready are those that would take a request at once: not lost, full, cooling or refused."""
        self.assertTrue(self.scene.fleet.any_ready(self.all, 1.0))
        self.assertFalse(self.scene.fleet.any_ready((), 1.0))
        self.scene.fleet.answered(self.scene.lease((self.a,)), 503, None, 1.0)
        set_status(self.b, Status.OFFLINE)
        self.c.capacity = 1
        self.scene.lease((self.c,))
        self.assertFalse(self.scene.fleet.any_ready(self.all, 1.0))
        self.assertTrue(self.scene.fleet.any_ready(self.all, 3.0))
        for _ in range(4):
            self.scene.fleet.failed(self.scene.lease((self.a,), 3.0), SILENT, 3.0)
        self.assertFalse(self.scene.fleet.any_ready(self.all, 3.0))


class QueueingTests(SynchronousTestCase):
    """Requests before endpoints that work at their limit."""

    def setUp(self) -> None:
        self.scene = Scene(Rules(max_waiting=2, queue_timeout=5.0))
        self.a, self.b = self.all = self.scene.healthy(endpoint("a", 1), endpoint("b", 1))

    def test_second_choice(self) -> None:
        """One with a free slot takes what a full one cannot."""
        self.scene.lease(self.all)
        self.assertEqual(self.scene.name(self.all), "b")

    def test_full_counts_as_busy(self) -> None:
        """A healthy endpoint at its limit is shown as busy, and a warming one with a free slot goes before it."""
        set_status(self.b, Status.WARMING)
        self.scene.lease(self.all)
        self.assertIs(self.a.shown, Status.BUSY)
        self.assertEqual(self.scene.name(self.all), "b")

    def test_freed_slot(self) -> None:
        """A freed slot goes to the first waiter that may use that endpoint (design.md §5)."""
        on_a, on_b = self.scene.lease((self.a,)), self.scene.lease((self.b,))
        only_a, any_one = self.scene.wait((self.a,)), self.scene.wait(self.all)
        on_b.release()
        self.assertEqual((only_a.done, any_one.done), (False, True))
        self.assertIs(any_one.result().member, self.b)
        on_a.release()
        self.assertIs(only_a.result().member, self.a)
        self.assertEqual((self.a.in_flight, self.b.in_flight), (1, 1))

    def test_queue_full(self) -> None:
        """With the queue full the next one is refused and told to come back."""
        self.scene.lease((self.a,))
        self.scene.wait((self.a,))
        self.scene.wait((self.a,))
        error = self.assertRaises(QueueFull, self.scene.fleet.lease, (self.a,), WANTED, 1.0)
        self.assertEqual((error.retry_after, self.scene.fleet.waiting), (1, 2))

    def test_too_long(self) -> None:
        """A waiter is turned away when its time is over, and takes no slot then."""
        lease = self.scene.lease((self.a,))
        pending = self.scene.wait((self.a,), 1.0)
        self.scene.fleet.sweep(6.0)
        self.assertRaises(QueueFull, pending.result)
        lease.release()
        self.assertEqual(self.a.in_flight, 0)

    def test_client_leaves_queue(self) -> None:
        """A client that leaves the queue takes no slot."""
        lease = self.scene.lease((self.a,))
        pending = self.scene.wait((self.a,))
        pending.cancel()
        self.assertRaises(Cancelled, pending.result)
        lease.release()
        self.assertEqual((self.a.in_flight, self.scene.fleet.waiting), (0, 0))

    def test_nobody_barges_in(self) -> None:
        """A slot that becomes usable as time passes belongs to the waiter, not to who comes just then."""
        self.scene.fleet.answered(busy := self.scene.lease((self.a,)), 503, 2.0, 1.0)
        self.scene.lease((self.b,))
        waiting = self.scene.wait(self.all)
        busy.release()
        self.assertFalse(waiting.done)
        self.scene.wait((self.a,), 4.0)
        self.assertIs(waiting.result().member, self.a)

    def test_sweep_serves(self) -> None:
        """A waiter gets an endpoint whose rest is over without anybody else's doing."""
        self.scene.fleet.answered(busy := self.scene.lease((self.a,)), 503, 2.0, 1.0)
        self.scene.lease((self.b,))
        waiting = self.scene.wait(self.all)
        busy.release()
        self.scene.fleet.sweep(3.0)
        self.assertIs(waiting.result().member, self.a)

    def test_recovery_serves(self) -> None:
        """A waiter gets an endpoint that has come back."""
        set_status(self.a, Status.OFFLINE)
        self.scene.lease((self.b,))
        waiting = self.scene.wait(self.all)
        self.scene.fleet.checked(self.a, GOOD, 2.0)
        self.assertIs(waiting.result().member, self.a)

    def test_breaker_opens_meanwhile(self) -> None:
        """A waiter whose last endpoint's breaker opens learns it when the slot is free."""
        self.scene = Scene(Rules(failure_threshold=1))
        (member,) = self.scene.healthy(endpoint("a", 1))
        lease = self.scene.lease((member,))
        waiting = self.scene.wait((member,))
        self.scene.fleet.failed(lease, SILENT, 2.0)
        lease.release()
        self.assertRaises(CircuitOpen, waiting.result)


class TrafficTests(SynchronousTestCase):
    """What attempts make of an endpoint: the table of behaviour.md §12."""

    def setUp(self) -> None:
        self.scene = Scene()
        self.a, self.b = self.all = self.scene.healthy(endpoint("a"), endpoint("b"))

    def fail_with(self, failure: UpstreamFailure, times: int = 1) -> None:
        for _ in range(times):
            lease = self.scene.lease((self.a,))
            self.scene.fleet.failed(lease, failure, 1.0)
            lease.release()

    def answer(self, status: int, times: int = 1, retry_after: float | None = None) -> None:
        for _ in range(times):
            lease = self.scene.lease((self.a,))
            self.scene.fleet.answered(lease, status, retry_after, 1.0)
            self.scene.fleet.succeeded(lease, 1.0)
            lease.release()

    def test_unreachable(self) -> None:
        """No connection marks offline and counts (B71)."""
        for failure in (
            ConnectFailed("refused"),
            ConnectTimeout("too slow"),
            TLSFailed("bad certificate"),
            ClosedEarly("reset", reset=True),
            ClosedEarly("closed"),
            ClosedEarly("closed within the head", reused=True, answered=True),
        ):
            self.setUp()
            self.fail_with(failure)
            self.assertEqual((self.a.status, self.a.breaker.failures), (Status.OFFLINE, 1), failure)
            self.assertEqual((self.a.failures, self.a.multiplier, self.a.last_error), (1, 2, failure.detail))

    def test_answers_too_late(self) -> None:
        """Silence, garbage and a broken body count, and leave the health to the checks."""
        for failure in (SILENT, BadReply("garbage"), BrokenBody("cut")):
            self.setUp()
            self.fail_with(failure)
            self.assertEqual((self.a.status, self.a.breaker.failures), (Status.HEALTHY, 1), failure)

    def test_stale_connection(self) -> None:
        """A kept connection that had been given up says nothing (B76)."""
        self.fail_with(ClosedEarly("reset", reset=True, reused=True), 9)
        self.assertEqual((self.a.status, self.a.breaker.failures), (Status.HEALTHY, 0))

    def test_nothing_left(self) -> None:
        """What we have no descriptor for says nothing about the endpoint (R52)."""
        self.fail_with(NothingLeft("too many files are open"), 9)
        self.assertEqual((self.a.status, self.a.breaker.failures), (Status.HEALTHY, 0))

    def test_one_outage(self) -> None:
        """A hundred requests that fail together are one failed check, one event and one drop of pins (R43)."""
        leases = [self.scene.lease((self.a,)) for _ in range(100)]
        for lease in leases:
            self.scene.fleet.failed(lease, ConnectFailed("refused"), 1.0)
            lease.release()
        self.assertEqual((self.a.failures, self.a.multiplier), (1, 2))
        self.assertEqual((len(self.scene.told), self.scene.lost), (1, [self.a]))

    def test_one_death(self) -> None:
        """Twenty streams that break off when their server dies leave its breaker closed (R44)."""
        leases = [self.scene.lease((self.a,)) for _ in range(20)]
        for lease in leases:
            self.scene.fleet.failed(lease, BrokenBody("cut"), 1.0)
            lease.release()
        self.assertEqual((self.a.breaker.failures, self.a.breaker.closed), (1, True))

    def test_back_after_an_outage(self) -> None:
        """The check that ends an outage lets one request try, and its success lets everybody (R44)."""
        leases = [self.scene.lease((self.a,)) for _ in range(9)]
        for lease in leases:
            self.scene.fleet.failed(lease, ConnectFailed("refused"), 1.0)
            lease.release()
        self.assertFalse(self.a.breaker.allows(6.0))
        self.scene.fleet.checked(self.a, GOOD, 6.0)
        trial = self.scene.lease((self.a,), 6.0)
        self.assertRaises(CircuitOpen, self.scene.lease, (self.a,), 6.0)
        self.scene.fleet.succeeded(trial, 7.0)
        self.assertTrue(self.a.breaker.closed)

    def test_check_without_an_outage(self) -> None:
        """As long as checks find it well, failing requests keep it closed off for its time (B25)."""
        self.answer(503, 5)
        self.scene.fleet.checked(self.a, GOOD, 6.0)
        self.assertFalse(self.a.breaker.allows(30.9))

    def test_survivor(self) -> None:
        """When one of two dies under a hundred requests the other gets each of them once (R43)."""
        leases = [self.scene.lease(self.all) for _ in range(100)]
        for lease in leases:
            self.scene.fleet.failed(lease, ConnectFailed("refused"), 1.0)
            lease.release()
        again = [self.scene.lease(tuple(m for m in self.all if m is not lease.member)) for lease in leases]
        self.assertTrue(all(lease.member is self.b for lease in again))
        self.assertEqual((self.a.in_flight, self.b.in_flight), (0, 100))

    def test_503(self) -> None:
        """A 503 makes the endpoint rest for two seconds, or for as long as it asks, a minute at most (§6.3)."""
        for asked, rest in ((None, 2.0), (0.0, 2.0), (-9.0, 2.0), (7.0, 7.0), (600.0, 60.0)):
            self.setUp()
            self.answer(503, retry_after=asked)
            self.assertEqual(self.scene.name(self.all, 1.0 + rest - 0.1), "b")
            self.assertEqual(self.scene.name(self.all, 1.0 + rest), "a")
            self.assertTrue(self.a.clear)

    def test_shorter_rest(self) -> None:
        """A later answer does not cut a rest short."""
        self.answer(429, retry_after=50.0)
        self.answer(429, retry_after=1.0)
        self.assertTrue(self.a.cooling(50.0))

    def test_nothing_else_left(self) -> None:
        """When all are resting one of them gets the request all the same."""
        self.answer(503)
        self.assertEqual(self.scene.name((self.a,)), "a")

    def test_resting_before_lost(self) -> None:
        """One that is resting is better than one that is down."""
        set_status(self.a, Status.OFFLINE)
        set_status(self.b, Status.WARMING)
        self.scene.fleet.answered(self.scene.lease((self.b,)), 503, None, 1.0)
        self.assertEqual(self.scene.name(self.all), "b")

    def test_fast_503(self) -> None:
        """An endpoint that refuses quickly does not attract the traffic (R69)."""
        scene = Scene(selector=LeastConnections())
        bad, good = members = scene.healthy(endpoint("bad"), endpoint("good"))
        served = {bad: 0, good: 0}
        for tick in range(1000):  # a hundred requests a second; the good one takes 10 seconds for each
            lease = scene.lease(members, tick / 100)
            served[lease.member] += 1
            if lease.member is bad:
                scene.fleet.answered(lease, 503, None, tick / 100)
                lease.release()
        self.assertLessEqual(served[bad], 5)

    def test_counted_answers(self) -> None:
        """Five answers of 502, 503 or 504 in a row open the breaker, though each was relayed whole (B30)."""
        for status in (502, 503, 504):
            self.setUp()
            self.answer(status, 4)
            self.assertTrue(self.a.breaker.closed)
            self.answer(status)
            self.assertFalse(self.a.breaker.closed)
            self.assertIs(self.a.status, Status.HEALTHY)

    def test_uncounted_answers(self) -> None:
        """A 400, a 429 or a 500 is not the endpoint's failure (B30)."""
        for status in (400, 404, 429, 500):
            self.answer(status, 9)
        self.assertEqual((self.a.breaker.closed, self.a.breaker.failures), (True, 0))

    def test_success_resets(self) -> None:
        """A success between failures starts the count anew (B24)."""
        for _ in range(3):
            self.fail_with(SILENT, 4)
            self.answer(200)
        self.assertTrue(self.a.breaker.closed)

    def test_success_is_no_check(self) -> None:
        """Traffic that succeeds does not make a busy endpoint healthy (behaviour.md §3)."""
        set_status(self.a, Status.BUSY)
        self.answer(200)
        self.assertIs(self.a.status, Status.BUSY)

    def test_clients_leave(self) -> None:
        """Ten clients that give up waiting change nothing (B29, B78)."""
        for _ in range(10):
            lease = self.scene.lease((self.a,))
            self.scene.fleet.abandoned(lease)
            lease.release()
        self.assertEqual((self.a.breaker.failures, self.a.status, self.a.in_flight), (0, Status.HEALTHY, 0))

    def test_open_is_skipped(self) -> None:
        """An open breaker on one of two sends everything to the other (B28)."""
        self.fail_with(SILENT, 5)
        self.assertEqual({self.scene.name(self.all, 2.0) for _ in range(20)}, {"b"})

    def test_all_open(self) -> None:
        """With all breakers open the client is told when to come back (http-api.md §8.3)."""
        self.fail_with(SILENT, 5)
        error = self.assertRaises(CircuitOpen, self.scene.fleet.lease, (self.a,), WANTED, 10.5)
        self.assertEqual((error.message, error.retry_after), ("No endpoint is accepting requests", 21))

    def test_trial(self) -> None:
        """After 30 seconds one request of fifty is let through; its success lets all through (B25, B26)."""
        self.fail_with(SILENT, 5)
        trial = self.scene.lease((self.a,), 31.0)
        for _ in range(49):
            self.assertRaises(CircuitOpen, self.scene.fleet.lease, (self.a,), WANTED, 31.0)
        self.assertEqual(self.scene.name(self.all, 31.0), "b")
        self.scene.fleet.succeeded(trial, 32.0)
        trial.release()
        self.assertTrue(self.a.clear)
        self.assertEqual(self.scene.name(self.all, 32.0), "a")

    def test_trial_abandoned(self) -> None:
        """A trial whose client leaves without an answer makes way for another; with one it has succeeded."""
        self.fail_with(SILENT, 5)
        first = self.scene.lease((self.a,), 31.0)
        self.scene.fleet.abandoned(first)
        first.release()
        second = self.scene.lease((self.a,), 31.0)
        self.scene.fleet.answered(second, 200, None, 31.5)
        self.scene.fleet.abandoned(second)
        self.assertTrue(self.a.breaker.closed)

    def test_trial_without_a_word(self) -> None:
        """A trial that is given back without a result makes way for another."""
        self.fail_with(SILENT, 5)
        self.scene.lease((self.a,), 31.0).release()
        self.scene.lease((self.a,), 31.0)


class CheckTests(SynchronousTestCase):
    """What the fleet does with checks beyond :mod:`olla.balance.health`."""

    def test_stranger(self) -> None:
        """A check of an endpoint that is of the fleet no more is ignored (B8)."""
        scene = Scene()
        (old,) = scene.healthy(endpoint("a"))
        scene.fleet.replace([])
        self.assertIsNone(scene.fleet.checked(old, DOWN, 5.0))
        self.assertEqual(scene.fleet.members, [])
        self.assertIs(old.status, Status.HEALTHY)

    def test_learned(self) -> None:
        """The kind found out and the time of the listing are kept with the member (C136)."""
        scene = Scene()
        (member,) = scene.healthy(endpoint("a"))
        scene.fleet.detected(member, "vllm")
        scene.fleet.listed(member, 7.0)
        self.assertEqual((member.profile, member.listed_at), ("vllm", 7.0))


class ReplaceTests(SynchronousTestCase):
    """A reload."""

    def setUp(self) -> None:
        self.scene = Scene()
        self.a, self.b = self.scene.healthy(endpoint("a"), endpoint("b"))

    def test_unchanged(self) -> None:
        """What is configured as before keeps its state, whatever its place in the list."""
        first = self.a.endpoint
        self.scene.fleet.replace([endpoint("b"), evolve(first)])
        self.assertEqual(self.scene.fleet.members, [self.b, self.a])
        self.assertIs(self.a.endpoint, first)
        self.assertIs(self.scene.fleet.get("a"), self.a)

    def test_changed(self) -> None:
        """What is configured differently, a secret even, begins anew; the old one loses its pins."""
        changed = self.scene.fleet.replace([endpoint("a", credential=(b"Authorization", b"Bearer new")), endpoint("b")])
        (new,) = changed.added
        self.assertEqual((new.name, new.status, changed.removed), ("a", Status.UNKNOWN, (self.a,)))
        self.assertEqual(self.scene.lost, [self.a])
        self.assertIsNone(self.scene.fleet.get("z"))

    def test_leases_outlive(self) -> None:
        """A lease on an endpoint that goes is given back like any other."""
        lease = self.scene.lease((self.a,))
        self.scene.fleet.replace([])
        self.scene.fleet.failed(lease, ConnectFailed("refused"), 2.0)
        lease.release()
        self.assertEqual(self.a.in_flight, 0)


ENDS = st.sampled_from(["succeed", "fail", "reset", "503", "abandon", "cancel", "check", "sweep"])


class AnyOrderTests(SynchronousTestCase):
    """Whatever happens, in whatever order."""

    @given(
        st.lists(st.tuples(st.sampled_from(["lease", "end"]), ENDS, st.integers(0, 9)), max_size=80),
        st.integers(0, 2),
    )
    def test_counts(self, steps: list[tuple[str, str, int]], capacity: int) -> None:
        """No limit is ever exceeded, and every slot comes back in the end (B61, B141)."""
        scene = Scene(Rules(max_waiting=5, queue_timeout=20.0, failure_threshold=2), LeastConnections())
        members = scene.healthy(endpoint("a", capacity), endpoint("b", capacity), endpoint("c", capacity))
        held: list[Lease] = []
        waiting: list[Pending[Lease]] = []
        now = 1.0
        for step, end, number in steps:
            now += 1.0
            if step == "lease":
                self._lease(scene.fleet, members[: 1 + number % 3], now, held, waiting)
            else:
                self._end(scene.fleet, members, end, number, now, held, waiting)
            for pending in [one for one in waiting if one.done]:
                waiting.remove(pending)
                held += _result(pending)
            for member in members:
                self.assertEqual(member.in_flight, sum(lease.member is member for lease in held))
                self.assertTrue(capacity == 0 or member.in_flight <= capacity)
        for pending in waiting:
            pending.cancel()
        for lease in held:
            lease.release()
        self.assertEqual([member.in_flight for member in members], [0, 0, 0])
        self.assertEqual(scene.fleet.waiting, 0)

    def _lease(
        self,
        fleet: Fleet,
        candidates: tuple[Member, ...],
        now: float,
        held: list[Lease],
        waiting: list[Pending[Lease]],
    ) -> None:
        try:
            lease = fleet.lease(candidates, WANTED, now)
        except (CircuitOpen, QueueFull):
            return
        if isinstance(lease, Lease):
            held.append(lease)
        else:
            waiting.append(lease)

    def _end(
        self,
        fleet: Fleet,
        members: tuple[Member, ...],
        end: str,
        number: int,
        now: float,
        held: list[Lease],
        waiting: list[Pending[Lease]],
    ) -> None:
        if end == "check":
            fleet.checked(members[number % 3], GOOD if number % 2 else DOWN, now)
        elif end == "sweep":
            fleet.sweep(now)
        elif end == "cancel":
            if waiting:
                waiting[number % len(waiting)].cancel()
        elif held:
            lease = held.pop(number % len(held))
            if end == "succeed":
                fleet.succeeded(lease, now)
            elif end == "fail":
                fleet.failed(lease, SILENT, now)
            elif end == "reset":
                fleet.failed(lease, ClosedEarly("reset", reset=True), now)
            elif end == "503":
                fleet.answered(lease, 503, None, now)
            else:
                fleet.abandoned(lease)
            lease.release()
            lease.release()

    @given(st.lists(st.sampled_from([0, 1, 2]), min_size=1, max_size=20), st.permutations(range(3)))
    def test_queue_order(self, wishes: list[int], order: list[int]) -> None:
        """Waiters for the same endpoint are served in the order in which they came."""
        scene = Scene(Rules(max_waiting=20))
        members = scene.healthy(endpoint("a", 1), endpoint("b", 1), endpoint("c", 1))
        held = {member: scene.lease((member,)) for member in members}
        served: list[int] = []
        waiting = [scene.wait((members[wish],)) for wish in wishes]
        for number, pending in enumerate(waiting):
            pending.when_done(lambda number=number: served.append(number))  # type: ignore[misc]
        for index in order:
            mine = [number for number, wish in enumerate(wishes) if wish == index]
            held[members[index]].release()
            for number in mine:
                self.assertEqual(served[-1], number)
                waiting[number].result().release()
        self.assertEqual(sorted(served), list(range(len(wishes))))


def _result(pending: Pending[Lease]) -> list[Lease]:
    try:
        return [pending.result()]
    except (Cancelled, CircuitOpen, QueueFull):
        return []
