"""Tests of :mod:`olla.telemetry.journal`."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.logger import LogLevel, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from olla.domain.models import ListedModel
from olla.events import AttemptFailed, HealthChanged, Limited, ListingFailed, ModelsListed, StillUnwell
from olla.telemetry.journal import Journal
from tests.telemetry.support import ENDPOINT


class JournalTests(SynchronousTestCase):
    """Lines about changes."""

    def setUp(self) -> None:
        """Listen to the log."""
        self.clock = Clock()
        self.journal = Journal(self.clock.seconds)
        self.events: list[dict[str, Any]] = []
        globalLogPublisher.addObserver(self.events.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.events.append)

    def heard(self) -> list[tuple[str, str]]:
        """Give level and message of what was logged since the last call."""
        said = [(event["log_level"].name, event["log_format"]) for event in self.events]
        self.events.clear()
        return said

    def health(self, before: str, after: str, **facts: Any) -> list[tuple[str, str]]:
        """Tell of a change, give the lines."""
        self.journal.health_changed(HealthChanged(ENDPOINT, before, after, **facts))
        return self.heard()

    def test_initial(self) -> None:
        """Each endpoint yields one first line, info when healthy, a warning otherwise (B5)."""
        self.assertEqual(self.health("unknown", "healthy"), [("info", "Endpoint initial status:")])
        self.assertEqual(self.health("unknown", "offline"), [("warn", "Endpoint discovered offline:")])
        self.assertEqual(self.health("unknown", "config_error"), [("warn", "Endpoint initial status:")])

    def test_next_check(self) -> None:
        """When a sick endpoint is asked again is told in tenths of a second."""
        self.journal.health_changed(HealthChanged(ENDPOINT, "unknown", "offline", next_check=5.118936777114868))
        self.assertEqual(self.events[-1]["next_check_s"], 5.1)

    def test_changes(self) -> None:
        """Recovery is told at info, getting worse as a warning (behaviour.md §4)."""
        self.assertEqual(self.health("healthy", "offline"), [("warn", "Endpoint status changed:")])
        self.assertEqual(self.health("offline", "warming"), [("info", "Endpoint recovered:")])
        self.assertEqual(self.health("warming", "healthy"), [("info", "Endpoint status changed:")])
        self.assertEqual(self.health("healthy", "busy"), [("warn", "Endpoint status changed:")])

    def test_reminders(self) -> None:
        """Of an outage that lasts only the 6th, 11th, 16th … failure is told (behaviour.md §4)."""
        told = []
        for failures in range(1, 20):
            self.journal.still_unwell(StillUnwell(ENDPOINT, "offline", "refused", failures))
            told += [(failures, *line) for line in self.heard()]
        line = ("warn", "Endpoint still having issues:")
        self.assertEqual(told, [(6, *line), (11, *line), (16, *line)])

    def test_models(self) -> None:
        """A listing is told with its number of models, and again only at debug while it stays the same."""
        listed = ModelsListed(ENDPOINT, (ListedModel("a"), ListedModel("b")))
        self.journal.models_listed(listed)
        self.assertEqual(self.events[0]["models"], 2)
        self.journal.models_listed(listed)
        self.journal.models_listed(ModelsListed(ENDPOINT, (ListedModel("a"),)))
        self.assertEqual([level for level, _ in self.heard()], ["info", "debug", "info"])
        self.journal.listing_failed(ListingFailed(ENDPOINT, "timeout", 2, 10.0))
        self.assertEqual(self.heard(), [("warn", "Model discovery failed")])

    def test_attempt(self) -> None:
        """An attempt that failed is a warning with what is left to try (behaviour.md §1)."""
        self.journal.attempt_failed(AttemptFailed("id", ENDPOINT, "connect", "refused", 1, 2))
        self.assertEqual(self.events[0]["remaining_endpoints"], 2)
        self.assertEqual(self.heard(), [("warn", "Connection failed to endpoint, marking as unhealthy")])
        self.journal.attempt_failed(AttemptFailed("id", ENDPOINT, "timeout", "slow", 1, 0))
        self.assertEqual(self.heard(), [("warn", "Attempt failed")])

    def test_limited(self) -> None:
        """A client that floods is told of once a second (§9.2)."""
        for client in ("a", "a", "b", "a"):
            self.journal.limited(Limited(client, "per-ip", 1))
        self.assertEqual([event["client_ip"] for event in self.events], ["a", "b"])
        self.clock.advance(1.0)
        self.journal.limited(Limited("a", "per-ip", 1))
        self.assertEqual(len(self.events), 3)
        self.assertIs(self.events[0]["log_level"], LogLevel.warn)
