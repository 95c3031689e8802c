"""Tests of :mod:`olla.balance.health`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from olla.balance.fleet import CheckOutcome, Rules, Status
from olla.balance.member import until_check
from olla.errors import ConnectFailed
from olla.events import HealthChanged, StillUnwell
from tests.balance.support import DOWN, GOOD, Scene, endpoint


class HealthTests(SynchronousTestCase):
    """What checks make of a member."""

    def setUp(self) -> None:
        self.scene = Scene()
        self.scene.fleet.replace([endpoint("a")])
        (self.member,) = self.scene.fleet.members
        self.now = 100.0

    def check(self, outcome: CheckOutcome, times: int = 1) -> list[str]:
        """Check when checks are due, and tell the states that followed."""
        states = []
        for _ in range(times):
            self.scene.fleet.checked(self.member, outcome, self.now)
            states.append(self.member.status.value)
            self.now = self.member.next_check
        return states

    def test_first(self) -> None:
        """The first good check makes an unknown endpoint healthy, and is no recovery (B14, B20)."""
        change = self.scene.fleet.checked(self.member, GOOD, 1.0)
        assert change is not None
        self.assertEqual((change.before, change.after, change.recovered), (Status.UNKNOWN, Status.HEALTHY, False))
        self.assertTrue(self.member.clear)

    def test_loading(self) -> None:
        """A llama.cpp that loads its model says so by 503, and is asked again each second (profiles.md §8.5)."""
        loading = CheckOutcome(503)
        self.member.profile = "llamacpp"
        self.assertEqual(self.check(loading, 30), ["unhealthy"] * 30)
        self.assertAlmostEqual(self.now, 130.0)
        self.assertEqual(self.check(GOOD, 3), ["warming", "warming", "healthy"])
        self.check(CheckOutcome(500), 3)
        self.assertGreater(self.member.next_check - self.member.last_check, 15.0)
        self.member.profile = "vllm"
        self.check(loading)
        self.assertGreater(self.member.next_check - self.member.last_check, 15.0)

    def test_warming(self) -> None:
        """After an outage two good checks are warming and the next one is healthy (B14)."""
        self.check(DOWN)
        self.assertEqual(self.check(GOOD, 4), ["warming", "warming", "healthy", "healthy"])

    def test_warming_again(self) -> None:
        """A failure while it warms starts the warming anew."""
        self.check(DOWN)
        self.check(GOOD)
        self.check(DOWN)
        self.assertEqual(self.check(GOOD, 3), ["warming", "warming", "healthy"])

    def test_busy(self) -> None:
        """A good check that took more than half of its time means busy, or more than the operator's limit (§3)."""
        self.check(GOOD)
        self.assertEqual(self.check(CheckOutcome(200, 1.1)), ["busy"])
        self.assertEqual((self.member.failures, self.member.weight, self.member.clear), (0, 0.3, False))
        self.scene = Scene(Rules(busy_latency=0.005))
        self.scene.fleet.replace([endpoint("a")])
        (self.member,) = self.scene.fleet.members
        self.assertEqual(self.check(GOOD), ["busy"])

    def test_waits(self) -> None:
        """Under constant failure the next checks are due after 5, 10, 20, 40, 60, 60 seconds (B16)."""
        waits = []
        for _ in range(6):
            self.check(DOWN)
            waits.append(self.member.next_check - self.member.last_check)
        self.assertEqual(waits, [5.0, 10.0, 20.0, 40.0, 60.0, 60.0])
        self.assertEqual(self.member.failures, 6)

    def test_success_resets(self) -> None:
        """One success resets multiplier and failures, and the next check is an interval away (B17)."""
        self.check(DOWN, 5)
        self.check(CheckOutcome(200, 1.5))
        self.assertEqual((self.member.failures, self.member.multiplier, self.member.last_error), (0, 1, ""))
        self.assertEqual(self.member.next_check - self.member.last_check, 5.0)

    def test_rate_limited(self) -> None:
        """A 429 keeps checks away as long as it asks, 30 seconds if it does not say (B18)."""
        self.check(CheckOutcome(429, retry_after=120.0))
        self.assertEqual(self.member.next_check - self.member.last_check, 120.0)
        self.check(GOOD, 3)
        self.assertEqual(self.check(CheckOutcome(429)), ["rate_limited"])
        self.assertEqual(self.member.next_check - self.member.last_check, 30.0)
        self.assertEqual(self.check(GOOD), ["warming"])

    def test_jitter(self) -> None:
        """Waits vary, but never so that a backend is asked before the time it named (B18)."""
        self.scene = Scene(jitter=-0.1)
        self.scene.fleet.replace([endpoint("a")])
        (self.member,) = self.scene.fleet.members
        self.check(GOOD)
        self.assertAlmostEqual(self.member.next_check - self.member.last_check, 4.5)
        self.check(CheckOutcome(429, retry_after=120.0))
        self.assertEqual(self.member.next_check - self.member.last_check, 120.0)

    def test_told_once(self) -> None:
        """A change is told when it happens, and no more than once."""
        self.check(GOOD, 3)
        self.check(CheckOutcome(500, 0.1), 3)
        first, second = (event for event in self.scene.told if isinstance(event, HealthChanged))
        self.assertEqual((first.before, first.after, first.error), ("unknown", "healthy", ""))
        self.assertEqual((second.before, second.after, second.error), ("healthy", "unhealthy", "HTTP 500"))
        self.assertEqual((second.failures, second.next_check), (1, 5.0))

    def test_told_while_it_lasts(self) -> None:
        """Each further bad check is told as one of a row; one that finds another fault is a change (§4)."""
        self.check(GOOD, 2)
        self.check(DOWN, 3)
        self.check(CheckOutcome(500, 0.1))
        told = [(event.status, event.failures) for event in self.scene.told if isinstance(event, StillUnwell)]
        self.assertEqual(told, [("offline", 2), ("offline", 3)])

    def test_recovery(self) -> None:
        """A recovery is seen by the check that notices it, and by no other (B20)."""
        self.check(DOWN, 2)
        changes = [self.scene.fleet.checked(self.member, GOOD, self.now + tick) for tick in range(4)]
        self.assertEqual([change is not None and change.recovered for change in changes], [True, False, False, False])

    def test_recovery_after_traffic(self) -> None:
        """What a request found offline is back with the next good check, and that is a recovery (B80)."""
        self.check(GOOD)
        lease = self.scene.lease((self.member,), 101.0)
        self.scene.fleet.failed(lease, ConnectFailed("refused"), 101.0)
        self.assertEqual(self.scene.lost, [self.member])
        change = self.scene.fleet.checked(self.member, GOOD, 105.0)
        assert change is not None
        self.assertTrue(change.recovered)

    def test_lost(self) -> None:
        """Pins are dropped whenever an endpoint stops taking requests, not when it becomes busy (§4)."""
        self.check(GOOD)
        self.check(CheckOutcome(200, 1.5))
        self.assertEqual(self.scene.lost, [])
        self.check(CheckOutcome(401, 0.1), 2)
        self.check(DOWN)
        self.assertEqual(self.scene.lost, [self.member])

    def test_listing(self) -> None:
        """After a recovery the listing is stale until it is read again, or for ten seconds (§4)."""
        self.check(GOOD)
        self.scene.fleet.listed(self.member, 100.0)
        self.assertTrue(self.member.listing_is_fresh(101.0))
        self.scene.fleet.checked(self.member, DOWN, 105.0)
        self.scene.fleet.checked(self.member, GOOD, 110.0)
        self.assertFalse(self.member.listing_is_fresh(119.9))
        self.assertTrue(self.member.listing_is_fresh(120.0))
        self.scene.fleet.listed(self.member, 111.0)
        self.assertTrue(self.member.listing_is_fresh(111.0))

    def test_until_check(self) -> None:
        """Clients are told to come back after the next check, in a second at least (http-api.md §8.3)."""
        self.assertIsNone(until_check([self.member], 100.0))
        self.check(DOWN)
        self.assertEqual(until_check([self.member], 101.5), 4)
        self.assertEqual(until_check([self.member], 109.0), 1)
