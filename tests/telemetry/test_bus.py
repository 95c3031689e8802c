"""Tests of :mod:`olla.telemetry.bus`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from olla.events import Event, Limited, SizeRefused
from olla.telemetry.bus import Bus


class BusTests(SynchronousTestCase):
    """Telling events."""

    def setUp(self) -> None:
        """Listen to one kind."""
        self.bus = Bus()
        self.heard: list[Event] = []

    def test_by_type(self) -> None:
        """A listener hears the events of its type, and no others."""
        self.bus.listen(Limited, self.heard.append)
        event = Limited("a", "per-ip", 1)
        self.bus.tell(event)
        self.bus.tell(SizeRefused("a", 413))
        self.assertEqual(self.heard, [event])

    def test_failure_hurts_no_one(self) -> None:
        """A listener that fails is logged; neither the teller nor the next listener is troubled."""

        def fail(event: Limited) -> None:
            raise RuntimeError("broken listener")

        self.bus.listen(Limited, fail)
        self.bus.listen(Limited, self.heard.append)
        self.bus.tell(Limited("a", "per-ip", 1))
        self.assertEqual(len(self.heard), 1)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
