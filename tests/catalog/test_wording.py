"""Tests of figures as text."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from olla.catalog.wording import ago_text, size_text, time_text


class WordingTests(SynchronousTestCase):
    """The exact strings of http-api.md §1.4."""

    def test_sizes(self) -> None:
        """Bytes are written with the unit of their magnitude (C7)."""
        for size, text in [
            (0, "0 B"),
            (512, "512 B"),
            (1023, "1023 B"),
            (1536, "1.50 KB"),
            (1048575, "1024.00 KB"),
            (4_090_956_349, "3.81 GB"),
            (2**60, "1024.00 PB"),
        ]:
            self.assertEqual(size_text(size), text)

    def test_ages(self) -> None:
        """Ages are cut to seconds below a minute, and rounded above (C7)."""
        for seconds, text in [
            (None, "never"),
            (2.9, "2s ago"),
            (300, "5m ago"),
            (59 * 60 + 40, "60m ago"),
            (3 * 3600, "3h ago"),
            (23 * 3600 + 2400, "24h ago"),
            (36 * 3600, "2d ago"),
            (-1, "0s ago"),
        ]:
            self.assertEqual(ago_text(seconds), text)

    def test_times(self) -> None:
        """Times are RFC 3339 in UTC, whole seconds (§1.4)."""
        self.assertEqual(time_text(1_700_000_000.9), "2023-11-14T22:13:20Z")
