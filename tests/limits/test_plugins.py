"""Tests of the limiters registered in :mod:`olla.plugins.limiters`."""

from __future__ import annotations

from typing import Any

from twisted.plugin import IPlugin
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from olla.interfaces import ILimiterFactory
from olla.limits.rate import PerClient, Unlimited
from olla.plugins.limiters import everybody, health, per_ip

SETTINGS: dict[str, Any] = {
    "global_requests_per_minute": 1000,
    "per_ip_requests_per_minute": 100,
    "health_requests_per_minute": 1000,
    "burst_size": 50,
    "global_burst_size": None,
}


class FactoryTests(SynchronousTestCase):
    """What the configuration makes of limiters."""

    def admitted(self, factory: Any, kind: str = "proxy", **settings: Any) -> int:
        """Count how many of a thousand requests at once pass."""
        limiter = factory.make({**SETTINGS, **settings})
        return sum(limiter.admit("a", kind, 0.0).allowed for _ in range(1000))

    def test_provides(self) -> None:
        """They are plugins and are found by the names of the configuration."""
        for factory, name in ((per_ip, "per-ip"), (everybody, "global"), (health, "health")):
            verifyObject(ILimiterFactory, factory)
            self.assertTrue(IPlugin.providedBy(factory))
            self.assertEqual(factory.name, name)

    def test_bursts(self) -> None:
        """A client has the burst, everybody together five seconds' worth or what is configured (§9.2)."""
        self.assertEqual(self.admitted(per_ip), 50)
        self.assertEqual(self.admitted(health, "health"), 50)
        self.assertEqual(self.admitted(everybody), 84)
        self.assertEqual(self.admitted(everybody, burst_size=200), 200)
        self.assertEqual(self.admitted(everybody, global_burst_size=7), 7)

    def test_own_classes(self) -> None:
        """Each limits its own class of requests alone (C63, C64)."""
        self.assertEqual(self.admitted(per_ip, "health"), 1000)
        self.assertEqual(self.admitted(everybody, "health"), 1000)
        self.assertEqual(self.admitted(health, "proxy"), 1000)

    def test_off(self) -> None:
        """A rate of zero or less is no limit; a burst of zero is one (§9.1)."""
        for rate in (0, -5):
            self.assertIsInstance(per_ip.make({**SETTINGS, "per_ip_requests_per_minute": rate}), Unlimited)
            self.assertEqual(self.admitted(everybody, global_requests_per_minute=rate), 1000)
        self.assertIsInstance(per_ip.make(SETTINGS), PerClient)
        self.assertEqual(self.admitted(per_ip, burst_size=0), 1)
