"""Tests of :mod:`olla.plugged`."""

from __future__ import annotations

from attrs import define
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from olla.interfaces import ILimiterFactory, ISelectorFactory
from olla.plugged import _by_name, limiter_factories, selector_factories


@define
class Stranger:
    """A plugin of somebody else."""

    name: str


@define
class Ours:
    """A plugin of ours."""

    name: str


Ours.__module__ = "olla.plugins.ours"


class PluggedTests(SynchronousTestCase):
    """What is found."""

    def test_selectors(self) -> None:
        """Every selector that the configuration may name is there (config.md §4)."""
        found = selector_factories()
        self.assertLessEqual({"priority", "round-robin", "least-connections"}, set(found))
        for name, factory in found.items():
            self.assertTrue(verifyObject(ISelectorFactory, factory))
            self.assertEqual(factory.name, name)

    def test_limiters(self) -> None:
        """There is at least one limiter, under its own name."""
        found = limiter_factories()
        self.assertTrue(found)
        for name, factory in found.items():
            self.assertTrue(verifyObject(ILimiterFactory, factory))
            self.assertEqual(factory.name, name)

    def test_stranger_wins(self) -> None:
        """A stranger's plugin takes the place of ours with the same name, in whatever order they are found."""
        ours, theirs = Ours("priority"), Stranger("priority")
        for found in ([ours, theirs], [theirs, ours]):
            self.assertIs(_by_name(found)["priority"], theirs)
