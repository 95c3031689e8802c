"""Tests of :mod:`olla.web.figures`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from olla.web import figures

KIB = 1024


class FigureTests(SynchronousTestCase):
    """Figures are exactly as dashboards expect them (C7)."""

    def check(self, function: object, *pairs: tuple[object, str]) -> None:
        """Compare what a function makes of values with what it should."""
        for value, text in pairs:
            self.assertEqual(function(value), text, value)  # type: ignore[operator]  # a function of one value

    def test_size(self) -> None:
        """Bytes have two decimals from 1 KB on, and a unit that follows the magnitude (C7)."""
        self.check(
            figures.size,
            (0, "0 B"),
            (512, "512 B"),
            (1023, "1023 B"),
            (1536, "1.50 KB"),
            (1048575, "1024.00 KB"),
            (1048576, "1.00 MB"),
            (int(3.81 * KIB**3), "3.81 GB"),
            (2 * KIB**4, "2.00 TB"),
            (5000 * KIB**5, "5000.00 PB"),
        )

    def test_percent(self) -> None:
        """A percentage has one decimal unless it is exactly 0 or 100 (C7)."""
        self.check(
            figures.percent,
            (0, "0%"),
            (0.0, "0%"),
            (100.0, "100%"),
            (99.6, "99.6%"),
            (0.04, "0.0%"),
            (99.95, "100.0%"),
            (None, "N/A"),
        )

    def test_latency(self) -> None:
        """Below a second it is milliseconds, then seconds with one decimal (C7)."""
        self.check(
            figures.latency,
            (None, "0ms"),
            (0.0, "0ms"),
            (0.085, "85ms"),
            (0.999, "999ms"),
            (1.2, "1.2s"),
            (61.0, "61.0s"),
        )

    def test_ago(self) -> None:
        """An age is in the unit that fits; seconds are cut off, the others rounded (C7)."""
        self.check(
            figures.ago,
            (None, "never"),
            (-0.5, "0s ago"),
            (2.9, "2s ago"),
            (300, "5m ago"),
            (3580, "60m ago"),
            (3 * 3600, "3h ago"),
            (85200, "24h ago"),
            (36 * 3600, "2d ago"),
        )

    def test_until(self) -> None:
        """What is due is now (C7)."""
        self.check(figures.until, (None, "unknown"), (0.0, "now"), (-3.0, "now"), (3.4, "in 3s"), (120, "in 2m"))

    def test_uptime(self) -> None:
        """Hours have minutes, and days have hours (C7)."""
        self.check(
            figures.uptime,
            (45.6, "46s"),
            (720, "12m"),
            (9000, "2h 30m"),
            (86399, "23h 59m"),
            (31 * 3600, "1d 7h"),
        )

    def test_duration(self) -> None:
        """A time is short below one second, and to the second from there (C7)."""
        self.check(
            figures.duration,
            (0.0, "0s"),
            (0.12, "120ms"),
            (0.0029, "2.9ms"),
            (0.00038119, "381.19µs"),
            (0.0000005, "500ns"),
            (5.9, "5s"),
            (65, "1m5s"),
            (3600, "1h0m0s"),
            (9015, "2h30m15s"),
        )

    def test_ratio_and_timestamp(self) -> None:
        """A ratio is bare, a time is RFC 3339 (C7)."""
        self.assertEqual(figures.ratio(9, 10), "9/10")
        self.assertEqual(figures.timestamp(1_700_000_000.25), "2023-11-14T22:13:20.250Z")
        self.assertEqual(figures.timestamp(1_700_000_000), "2023-11-14T22:13:20.000Z")
