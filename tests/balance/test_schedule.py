"""Tests of :mod:`olla.balance.schedule`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from olla.balance.schedule import jittered, raised, suppression, wait_after_failure


class ScheduleTests(SynchronousTestCase):
    """When the next check is due."""

    def test_sequence(self) -> None:
        """Under constant failure the waits are 5, 10, 20, 40, 60, 60 seconds (B16)."""
        multiplier, waits, multipliers = 1, [], []
        for _ in range(6):
            waits.append(wait_after_failure(5.0, multiplier))
            multiplier = raised(multiplier)
            multipliers.append(multiplier)
        self.assertEqual(waits, [5.0, 10.0, 20.0, 40.0, 60.0, 60.0])
        self.assertEqual(multipliers, [2, 4, 8, 12, 12, 12])

    @given(st.floats(0.1, 3600), st.sampled_from([1, 2, 4, 8, 12]))
    def test_bounds(self, interval: float, multiplier: int) -> None:
        """A wait is never shorter than the interval, and longer than a minute only if the interval is."""
        wait = wait_after_failure(interval, multiplier)
        self.assertGreaterEqual(wait, interval)
        self.assertLessEqual(wait, max(60.0, interval))

    def test_jitter(self) -> None:
        """A wait varies by the part given."""
        self.assertAlmostEqual(jittered(10.0, -0.1), 9.0)
        self.assertAlmostEqual(jittered(10.0, 0.1), 11.0)

    def test_suppression(self) -> None:
        """A backend that asks for a rest has it, 30 seconds if it does not say, an hour at most (B18)."""
        self.assertEqual(suppression(120.0), 120.0)
        self.assertEqual(suppression(None), 30.0)
        self.assertEqual(suppression(-3.0), 0.0)
        self.assertEqual(suppression(1e12), 3600.0)
