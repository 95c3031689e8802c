"""Tests of :mod:`olla.proxy.refreshing`; what clients see of it is in ``tests/behaviour/test_routing.py``."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from olla.balance.eligible import Plan, Refreshed
from olla.balance.member import Member
from olla.domain.requirements import Requirements
from olla.domain.routing import Scope
from olla.pending import Task
from olla.proxy.refreshing import AGAIN, REMEMBERED, Refresher
from tests.balance.support import Scene, endpoint

SCOPE = Scope("/olla/proxy")


class RefresherTests(SynchronousTestCase):
    """Reading listings anew."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.asked = Plan(refresh=Scene().healthy(endpoint("a")))
        self.readings: list[Deferred[bool]] = []
        self.planned: list[tuple[str, Refreshed]] = []

        def read(members: Sequence[Member], wanted: Requirements) -> Deferred[bool]:
            self.assertEqual(members, self.asked.refresh)
            self.readings.append(Deferred())
            return self.readings[-1]

        def replan(scope: Scope, wanted: Requirements, how: Refreshed) -> Plan:
            self.planned.append((wanted.path, how))
            return Plan()

        self.refresher = Refresher(read, replan, self.clock.seconds)

    def want(self, path: str = "/x", model: str = "m", scope: Scope = SCOPE) -> Task:
        """Ask for a model that nobody has."""

        async def journey() -> None:
            await self.refresher.refreshed(self.asked, scope, Requirements(path, model))

        task = Task(journey(), self.fail)
        task.start()
        return task

    def test_outcomes(self) -> None:
        """Each outcome of the reading is told to the plan that follows (behaviour.md §9)."""
        for model, result, how in (
            ("a", True, Refreshed.DONE),
            ("b", False, Refreshed.FAILED),
            ("c", ValueError("x"), Refreshed.BROKEN),
        ):
            self.want(model=model)
            if isinstance(result, Exception):
                self.readings[-1].errback(result)
            else:
                self.readings[-1].callback(result)
            self.assertEqual(self.planned[-1], ("/x", how))

    def test_shared(self) -> None:
        """Whoever asks for the same name under the same prefix waits for the same, each with its own plan (B48)."""
        for path in ("/1", "/2", "/3"):
            self.want(path, model="m" if path == "/1" else "M")
        self.want("/other", scope=Scope("/olla/vllm"))
        self.assertEqual((len(self.readings), self.planned), (2, []))
        self.readings[0].callback(True)
        self.assertEqual(self.planned, [(path, Refreshed.DONE) for path in ("/1", "/2", "/3")])

    def test_left(self) -> None:
        """Who leaves meanwhile is not planned for; the others are."""
        first = self.want("/1")
        self.want("/2")
        first.cancel()
        self.readings[0].callback(True)
        self.assertEqual(self.planned, [("/2", Refreshed.DONE)])

    def test_remembered(self) -> None:
        """For five seconds its outcome stands, then the listings are read again; only so many names are kept."""
        for number in range(REMEMBERED + 5):
            self.want(model=str(number))
            self.readings[-1].callback(False)
        self.want(model=str(number))
        self.assertEqual((len(self.readings), self.planned[-1]), (REMEMBERED + 5, ("/x", Refreshed.FAILED)))
        self.clock.advance(AGAIN)
        self.want(model=str(number))
        self.assertEqual(len(self.readings), REMEMBERED + 6)
        self.want(model="0")
        self.assertEqual(len(self.readings), REMEMBERED + 7)
