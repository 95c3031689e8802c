"""Tests of :mod:`olla.dialect.retry_after`."""

from __future__ import annotations

import math
import os
import time

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from olla.dialect.retry_after import retry_after

EPOCH = 784111777.0  # of RFC 9110's example


class RetryAfterTests(SynchronousTestCase):
    """Seconds and dates."""

    def test_seconds(self) -> None:
        """Digits are seconds, however many (B18, http-api.md §6.3)."""
        for text, seconds in ((b"7", 7.0), (b" 0 ", 0.0), ("120", 120.0), (b"9" * 400, math.inf)):
            self.assertEqual(retry_after(text, lambda: EPOCH), seconds)

    def test_dates(self) -> None:
        """A date in each form of HTTP is as far away as it is, wherever we are; one that is over is now (B18)."""
        zone = os.environ.get("TZ")
        self.addCleanup(time.tzset)
        self.addCleanup(lambda: os.environ.pop("TZ") if zone is None else os.environ.update(TZ=zone))
        os.environ["TZ"] = "Asia/Tokyo"
        time.tzset()
        for text in (
            "Sun, 06 Nov 1994 08:49:37 GMT",
            b"Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ):
            self.assertEqual(retry_after(text, lambda: EPOCH - 90.0), 90.0, text)
            self.assertEqual(retry_after(text, lambda: EPOCH + 1.0), 0.0, text)

    def test_nonsense(self) -> None:
        """What is neither, digits of other scripts too, is as good as nothing (B18, B21)."""
        for text in (b"", b"soon", b"-1", b"1.5", "²", "٧", b"\xb2", b"Sun, 99 Nov 1994 08:49:37 GMT"):
            self.assertIsNone(retry_after(text, lambda: EPOCH), text)

    @given(st.binary() | st.text())
    def test_anything(self, value: bytes | str) -> None:
        """Whatever a backend sends is a time to wait or nothing, and stops nobody (B21)."""
        found = retry_after(value, lambda: EPOCH)
        self.assertTrue(found is None or found >= 0.0)
