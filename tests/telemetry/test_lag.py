"""Tests of :mod:`olla.telemetry.lag` and :mod:`olla.telemetry.vitals`."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from olla.telemetry.lag import Lag
from olla.telemetry.vitals import CpuMeter, GarbageWatch, Hook


class LagTests(SynchronousTestCase):
    """How late the reactor is."""

    def setUp(self) -> None:
        """Begin to look."""
        self.clock = Clock()
        self.lag = Lag(self.clock)
        self.lag.startService()

    def test_in_time(self) -> None:
        """A reactor in time has no lag."""
        self.assertEqual((self.lag.mean, self.lag.longest), (0.0, 0.0))
        self.clock.pump([0.1] * 50)
        self.assertLess(self.lag.longest, 1e-6)

    def test_late(self) -> None:
        """A reactor held up shows it: in the mean for ten seconds, in the maximum for a minute (§11.10)."""
        self.clock.pump([0.1] * 10)
        self.clock.advance(0.55)
        self.assertAlmostEqual(self.lag.longest, 0.45, places=6)
        self.assertAlmostEqual(self.lag.mean, 0.45 / 11, places=6)
        self.clock.pump([0.05] + [0.1] * 110)
        self.assertLess(self.lag.mean, 1e-6)
        self.assertAlmostEqual(self.lag.longest, 0.45, places=6)
        self.clock.pump([0.1] * 600)
        self.assertLess(self.lag.longest, 1e-6)

    def test_stop(self) -> None:
        """Stopping leaves no timer behind."""
        self.successResultOf(self.lag.stopService())
        self.assertEqual(self.clock.getDelayedCalls(), [])


class CpuMeterTests(SynchronousTestCase):
    """Processor time."""

    def test_percent(self) -> None:
        """The share of the last ten seconds is told, older times are not (§11.10)."""
        clock, used = Clock(), [0.0]
        meter = CpuMeter(lambda: used[0], clock)
        meter.startService()
        self.assertEqual(meter.percent, 0.0)
        for _ in range(10):
            used[0] += 0.5
            clock.advance(1.0)
        self.assertAlmostEqual(meter.percent, 50.0)
        clock.pump([1.0] * 10)
        self.assertAlmostEqual(meter.percent, 0.0)
        self.successResultOf(meter.stopService())
        self.assertEqual(clock.getDelayedCalls(), [])


class GarbageWatchTests(SynchronousTestCase):
    """What the garbage collector does."""

    def test_counts(self) -> None:
        """Collections, their time and what they freed are summed while it runs, and not after (§11.10)."""
        hooks: list[Hook] = []
        clock = Clock()
        watch = GarbageWatch(hooks, clock.seconds, lambda: 1_700_000_000.0 + clock.seconds())
        watch.startService()
        self.assertIsNone(watch.last)
        for collected in (5, 7):
            hooks[0]("start", {"generation": 0})
            clock.advance(0.25)
            hooks[0]("stop", {"generation": 0, "collected": collected})
        self.assertEqual((watch.cycles, watch.seconds, watch.collected), (2, 0.5, 12))
        self.assertEqual(watch.last, 1_700_000_000.5)
        watch.stopService()
        self.assertEqual(hooks, [])
