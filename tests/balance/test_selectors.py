"""Tests of the built-in selectors and their registration."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from twisted.plugin import IPlugin
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from olla.balance.fleet import Member, Status
from olla.balance.least_connections import LeastConnections
from olla.balance.priority import Priority
from olla.balance.round_robin import MOST_SETS, RoundRobin
from olla.interfaces import ICandidate, IPreference, ISelector, ISelectorFactory
from olla.plugins import selectors
from tests.balance.support import WANTED, Scene, endpoint, set_status


def members(*priorities: int) -> tuple[Member, ...]:
    names = [f"e{number}" for number in range(len(priorities))]
    pairs = zip(names, priorities, strict=True)
    return Scene().healthy(*(endpoint(name, priority=priority) for name, priority in pairs))


def choose(selector: ISelector, candidates: tuple[Member, ...], times: int) -> list[str]:
    chosen: list[str] = []
    for _ in range(times):
        candidate: ICandidate | None = selector.select(candidates, WANTED)
        assert candidate is not None
        chosen.append(candidate.endpoint.name)
    return chosen


class LeastConnectionsTests(SynchronousTestCase):
    """``least-connections``."""

    @given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from([1.0, 0.3, 0.1])), min_size=1, max_size=6))
    def test_minimum(self, loads: list[tuple[int, float]]) -> None:
        """The choice always has the least load for its weight (B60)."""
        candidates = members(*[100] * len(loads))
        for member, (in_flight, weight) in zip(candidates, loads, strict=True):
            member.in_flight, member.weight = in_flight, weight
        chosen = LeastConnections().select(candidates, WANTED)
        least = min(in_flight / weight for in_flight, weight in loads)
        self.assertEqual(chosen.in_flight / chosen.weight, least)

    def test_turns(self) -> None:
        """Equals take turns (B60)."""
        self.assertEqual(choose(LeastConnections(), members(1, 1, 1), 6), ["e0", "e1", "e2"] * 2)

    def test_turns_among_ties_only(self) -> None:
        """A choice without a tie does not cost anybody a turn."""
        selector, (a, b) = LeastConnections(), members(1, 1)
        chosen = []
        for _ in range(4):
            chosen += choose(selector, (a, b), 1)
            a.in_flight = 1
            choose(selector, (a, b), 1)
            a.in_flight = 0
        self.assertEqual(chosen, ["e0", "e1"] * 2)

    def test_capacity(self) -> None:
        """An endpoint that takes twice as many gets twice as many; an unknown one is as good as the largest (→ Do)."""
        small, large, unlimited = members(1, 1, 1)
        small.size, large.size = 2, 4
        for _ in range(10):
            LeastConnections().select((small, large, unlimited), WANTED).in_flight += 1  # type: ignore[misc]
        self.assertEqual((small.in_flight, large.in_flight, unlimited.in_flight), (2, 4, 4))

    def test_weights(self) -> None:
        """A busy endpoint gets three for each one that a warming one gets."""
        busy, warming = members(1, 1)
        set_status(busy, Status.BUSY)
        set_status(warming, Status.WARMING)
        for _ in range(40):
            LeastConnections().select((busy, warming), WANTED).in_flight += 1  # type: ignore[misc]
        self.assertEqual((busy.in_flight, warming.in_flight), (30, 10))


class RoundRobinTests(SynchronousTestCase):
    """``round-robin``."""

    def test_rotation(self) -> None:
        """Three hundred requests over three endpoints are a hundred each, in strict rotation (B59)."""
        self.assertEqual(choose(RoundRobin(), members(1, 1, 1), 300), ["e0", "e1", "e2"] * 100)

    def test_sets(self) -> None:
        """Requests for another set of endpoints do not upset the rotation."""
        selector, candidates = RoundRobin(), members(1, 1, 1)
        chosen = []
        for _ in range(6):
            chosen += choose(selector, candidates, 1)
            choose(selector, candidates[:2], 1)
        self.assertEqual(chosen, ["e0", "e1", "e2"] * 2)

    def test_bounded(self) -> None:
        """No more sets are remembered than so many, and those in use are not forgotten."""
        selector, candidates = RoundRobin(), members(1, 1, 1)
        chosen = []
        for _ in range(3 * (MOST_SETS // 2)):
            choose(selector, members(1), 1)
            chosen += choose(selector, candidates, 1)
        self.assertEqual(len(selector._turns), MOST_SETS)
        self.assertEqual(chosen, ["e0", "e1", "e2"] * (MOST_SETS // 2))


class PriorityTests(SynchronousTestCase):
    """``priority``."""

    def test_tiers(self) -> None:
        """Of 100, 100 and 50 the 50 is chosen only when both others are out (B58)."""
        selector = Priority(random.Random(1).random)
        a, b, c = members(100, 100, 50)
        counts = Counter(choose(selector, (a, b, c), 1000))
        self.assertEqual(set(counts), {"e0", "e1"})
        self.assertGreater(min(counts.values()), 400)
        self.assertEqual(set(choose(selector, (b, c), 20)), {"e1"})
        self.assertEqual(set(choose(selector, (c,), 20)), {"e2"})

    def test_weights(self) -> None:
        """In a tier a busy endpoint is chosen three times as often as a warming one."""
        busy, warming = members(100, 100)
        set_status(busy, Status.BUSY)
        set_status(warming, Status.WARMING)
        counts = Counter(choose(Priority(random.Random(1).random), (busy, warming), 4000))
        self.assertApproximates(counts["e0"] / 4000, 0.75, 0.03)

    def test_edges(self) -> None:
        """The ends of the random numbers choose the ends of the tier."""
        candidates = members(1, 1, 1)
        self.assertEqual(choose(Priority(lambda: 0.0), candidates, 1), ["e0"])
        self.assertEqual(choose(Priority(lambda: 0.9999999999999999), candidates, 1), ["e2"])


class FactoryTests(SynchronousTestCase):
    """The registrations in ``olla.plugins``."""

    def test_names(self) -> None:
        """Each built-in selector is a plugin under the name that the configuration uses (B142)."""
        factories = [selectors.least_connections, selectors.round_robin, selectors.priority]
        for factory in factories:
            verifyObject(IPlugin, factory)
            verifyObject(ISelectorFactory, factory)
            verifyObject(ISelector, factory.make({}))
        self.assertEqual([factory.name for factory in factories], ["least-connections", "round-robin", "priority"])

    def test_preferences(self) -> None:
        """Those that go by more than turns say between whom only chance decides: who is no busier than others."""
        for factory, more in ((selectors.least_connections, [0, 2]), (selectors.priority, [0])):
            selector = factory.make({})
            verifyObject(IPreference, selector)
            candidates = members(100, 100, 50)
            candidates[1].in_flight = 1
            self.assertEqual(IPreference(selector).equals(candidates), [candidates[number] for number in more])
        self.assertFalse(IPreference.providedBy(selectors.round_robin.make({})))

    def test_new_each_time(self) -> None:
        """Each call makes a selector of its own, with turns of its own."""
        factory = selectors.round_robin
        self.assertIsNot(factory.make({}), factory.make({}))
