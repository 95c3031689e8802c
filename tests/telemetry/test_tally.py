"""Tests of :mod:`olla.telemetry.tally` and :mod:`olla.telemetry.window`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from olla.telemetry.tally import Histogram, Tally, percentile
from olla.telemetry.window import Window


class TallyTests(SynchronousTestCase):
    """Counts."""

    def test_empty(self) -> None:
        """Without requests there is no rate and no mean, rather than zero."""
        tally = Tally()
        self.assertEqual((tally.requests, tally.success_rate, tally.mean), (0, None, None))

    def test_counts(self) -> None:
        """Rate, mean, extremes, bytes and errors in a row follow from what was counted."""
        tally = Tally()
        tally.success(0.3, 10, 1.0)
        tally.success(0.1, 20, 2.0)
        tally.failure(5, 3.0)
        tally.failure(0, 4.0)
        self.assertEqual((tally.requests, tally.success_rate, tally.bytes), (4, 50.0, 35))
        self.assertAlmostEqual(tally.mean, 0.2)
        self.assertEqual((tally.shortest, tally.longest), (0.1, 0.3))
        self.assertEqual((tally.errors_in_row, tally.last_used), (2, 4.0))
        tally.success(0.2, 0, 5.0)
        self.assertEqual(tally.errors_in_row, 0)

    def test_shortest_may_be_zero(self) -> None:
        """A success that took no time is the shortest (behaviour.md §17)."""
        tally = Tally()
        tally.success(0.0, 0, 1.0)
        tally.success(0.5, 0, 1.0)
        self.assertEqual(tally.shortest, 0.0)

    def test_histogram(self) -> None:
        """A measurement falls into the first bucket whose bound it does not exceed, or above all."""
        histogram = Histogram((0.1, 1.0))
        for value in (0.05, 0.1, 0.5, 7.0):
            histogram.add(value)
        self.assertEqual(histogram.counts, [2, 1, 1])
        self.assertAlmostEqual(histogram.sum, 7.65)

    def test_percentiles(self) -> None:
        """p95 and p99 of 1 … 100 are 96 and 100; of nothing, 0 (B110)."""
        samples = list(range(100, 0, -1))
        self.assertEqual((percentile(samples, 95), percentile(samples, 99)), (96, 100))
        self.assertEqual((percentile([3.0], 99), percentile([], 99)), (3.0, 0.0))


class WindowTests(SynchronousTestCase):
    """The rate of late."""

    def test_forgets(self) -> None:
        """What is older than fifteen minutes no longer counts (§11.4.1)."""
        window = Window()
        window.add(False, 0.0)
        window.add(True, 60.0)
        window.add(True, 61.0)
        self.assertAlmostEqual(window.success_rate(62.0), 200 / 3)
        self.assertEqual(window.success_rate(900.0), 100.0)
        self.assertIsNone(window.success_rate(960.0))

    def test_bounded(self) -> None:
        """A long run keeps fifteen minutes, not more (R56)."""
        window = Window()
        for minute in range(100):
            window.add(minute % 2 == 0, minute * 60.0)
        self.assertAlmostEqual(window.success_rate(99 * 60.0), 100.0 * 7 / 15)
