"""Tests of :mod:`olla.telemetry.bus`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from olla.events import Event, Limited, SizeRefused
from olla.telemetry.bus import ENOUGH, MANY, Bus


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

    def test_later(self) -> None:
        """What may wait is told together, in order, and before whatever is told after it."""
        first, second, third = (Limited(name, "per-ip", 1) for name in "abc")
        self.bus.listen(Limited, self.heard.append)
        self.bus.tell_later(lambda: first, 10)
        self.bus.tell_later(lambda: second, 10)
        self.assertEqual(self.heard, [])
        self.bus.tell(third)
        self.assertEqual(self.heard, [first, second, third])
        self.bus.settle()
        self.assertEqual(len(self.heard), 3)

    def test_later_is_bounded(self) -> None:
        """What waits is bounded in number and in size (R56)."""
        self.bus.listen(Limited, self.heard.append)
        event = Limited("a", "per-ip", 1)
        for _ in range(MANY - 1):
            self.bus.tell_later(lambda: event, 0)
        self.assertEqual(self.heard, [])
        self.bus.tell_later(lambda: event, 0)
        self.assertEqual(len(self.heard), MANY)
        self.bus.tell_later(lambda: event, ENOUGH - 1)
        self.assertEqual(len(self.heard), MANY)
        self.bus.tell_later(lambda: event, 1)
        self.assertEqual(len(self.heard), MANY + 2)

    def test_later_failure(self) -> None:
        """An event that cannot be made is logged, and keeps none behind it from being told."""

        def fail() -> Event:
            raise RuntimeError("no event")

        self.bus.listen(Limited, self.heard.append)
        self.bus.tell_later(fail, 0)
        self.bus.tell_later(lambda: Limited("a", "per-ip", 1), 0)
        self.bus.settle()
        self.assertEqual(len(self.heard), 1)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
