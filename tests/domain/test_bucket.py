"""Tests of :mod:`olla.domain.bucket`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from olla.domain.bucket import Bucket


class BucketTests(SynchronousTestCase):
    """What a bucket lets through."""

    def test_burst_then_rate(self) -> None:
        """It lets exactly the burst through at once, then one for each token that comes (C61)."""
        bucket = Bucket(100 / 60, 50)
        self.assertEqual([bucket.take(1000.0) for _ in range(50)], [0.0] * 50)
        self.assertAlmostEqual(bucket.take(1000.0), 0.6)
        self.assertEqual(bucket.take(1000.7), 0.0)
        self.assertGreater(bucket.take(1000.7), 0.0)

    def test_wait_is_enough(self) -> None:
        """After the time that it names there is a token, and not much earlier (C62)."""
        bucket = Bucket(0.5, 1)
        bucket.take(0.0)
        wait = bucket.take(0.5)
        self.assertEqual(wait, 1.5)
        self.assertGreater(bucket.take(1.9), 0.0)
        self.assertEqual(bucket.take(2.0), 0.0)

    def test_put_back(self) -> None:
        """A token put back can be taken again, and never makes it fuller than full."""
        bucket = Bucket(1.0, 1)
        bucket.put_back()
        self.assertEqual(bucket.tokens, 1.0)
        bucket.take(5.0)
        bucket.put_back()
        self.assertEqual(bucket.take(5.0), 0.0)

    @given(st.lists(st.floats(0.0, 30.0), min_size=1, max_size=60), st.integers(1, 20), st.floats(0.1, 10.0))
    def test_never_more_than_promised(self, gaps: list[float], burst: int, rate: float) -> None:
        """Whatever the rhythm, no more pass than the burst and what came since."""
        bucket = Bucket(rate, burst)
        now, passed = 0.0, 0
        for gap in gaps:
            now += gap
            passed += bucket.take(now) == 0.0
        self.assertLessEqual(passed, burst + now * rate + 1e-6)
