"""Tests of :mod:`olla.telemetry.lines`."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from olla.telemetry.lines import ENOUGH, PAUSE, Lines


class LinesTests(SynchronousTestCase):
    """When lines are written."""

    def setUp(self) -> None:
        """Write to a list."""
        self.clock = Clock()
        self.written: list[bytes] = []
        self.lines = Lines([self.written.append], self.clock)

    def test_together(self) -> None:
        """Lines of a quarter of a second are written at once, in order."""
        self.lines.startService()
        self.lines.write(b"a\n")
        self.lines.write(b"b\n")
        self.assertEqual(self.written, [])
        self.clock.advance(PAUSE)
        self.assertEqual(self.written, [b"a\nb\n"])
        self.clock.advance(PAUSE)
        self.assertEqual(len(self.written), 1)

    def test_urgent(self) -> None:
        """An urgent line goes out now, after what came before it."""
        self.lines.startService()
        self.lines.write(b"a\n")
        self.lines.write_now(b"b\n")
        self.assertEqual(self.written, [b"a\nb\n"])

    def test_bounded(self) -> None:
        """No more than 64 KiB and a line wait (R56)."""
        self.lines.startService()
        self.lines.write(b"x" * (ENOUGH - 1))
        self.assertEqual(self.written, [])
        self.lines.write(b"y")
        self.assertEqual(len(self.written), 1)

    def test_stop(self) -> None:
        """Stopping writes what waits, leaves no timer, and later lines go out at once."""
        self.lines.write(b"early\n")
        self.lines.startService()
        self.lines.write(b"a\n")
        stopped = self.lines.stopService()
        self.successResultOf(stopped)
        self.lines.write(b"late\n")
        self.assertEqual(self.written, [b"early\n", b"a\n", b"late\n"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_failing_output(self) -> None:
        """A full disk or a closed pipe is counted, and neither stops the other output nor the next write."""

        def full(data: bytes) -> None:
            raise OSError("No space left on device")

        lines = Lines([full, self.written.append], self.clock)
        lines.write(b"a\n")
        lines.write(b"b\n")
        self.assertEqual((self.written, lines.lost), ([b"a\n", b"b\n"], 2))
