"""Tests of :mod:`olla.proxy.narrowing`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from olla.balance.eligible import Plan
from olla.domain.memo import MOST
from olla.domain.requirements import Requirements
from olla.domain.routing import Scope
from olla.errors import NoEndpoints
from olla.pending import Pending, Task
from olla.proxy.narrowing import Narrower, Plans, Readiness
from tests.balance.support import Scene, endpoint

SCOPE = Scope("/olla/proxy")
WANTED = Requirements("/v1/chat/completions", "m")
NOBODY = Plan(refusal=NoEndpoints("nobody"))


def somebody() -> Plan:
    """Make a plan with a candidate."""
    return Plan(Scene().healthy(endpoint("a")))


class ReadinessTests(SynchronousTestCase):
    """Waiting for the first looks."""

    def test_reached(self) -> None:
        """All who wait go on at once, in order; who comes later does not wait (B2)."""
        readiness, woken = Readiness(), []
        for number in range(3):
            readiness.wait().when_done(lambda number=number: woken.append(number))
        self.assertEqual(woken, [])
        readiness.reached()
        readiness.reached()
        self.assertEqual((woken, readiness.wait().done), ([0, 1, 2], True))

    def test_leaving(self) -> None:
        """Who leaves is not woken."""
        readiness = Readiness()
        first, second = readiness.wait(), readiness.wait()
        first.cancel()
        readiness.reached()
        self.assertIsNone(second.result())

    def test_leaving_meanwhile(self) -> None:
        """Nor does it matter that one who goes on sends another away."""
        readiness = Readiness()
        first, second, third = readiness.wait(), readiness.wait(), readiness.wait()
        first.when_done(second.cancel)
        readiness.reached()
        self.assertEqual((second.done, third.done), (True, True))


class PlansTests(SynchronousTestCase):
    """Remembered plans."""

    def setUp(self) -> None:
        self.version = 1
        self.made: list[str] = []
        self.result = somebody()

        def make(scope: Scope, wanted: Requirements) -> Plan:
            self.made.append(wanted.model)
            return self.result

        self.plans = Plans(make, lambda: self.version)

    def test_remembered(self) -> None:
        """The same question is thought about once, until models or endpoints change."""
        for _ in range(3):
            self.plans.plan(SCOPE, WANTED)
        self.assertEqual(len(self.made), 1)
        self.version = 2
        self.plans.plan(SCOPE, WANTED)
        self.plans.forget()
        self.plans.plan(SCOPE, WANTED)
        self.assertEqual(len(self.made), 3)

    def test_told_apart(self) -> None:
        """Scope, model, path and capabilities all make another question."""
        questions = (
            (SCOPE, WANTED),
            (Scope("/olla/vllm"), WANTED),
            (SCOPE, Requirements(WANTED.path, "n")),
            (SCOPE, Requirements("/v1/embeddings", "m")),
            (SCOPE, Requirements(WANTED.path, "m", capabilities=frozenset({"vision"}))),
        )
        for scope, wanted in questions * 2:
            self.plans.plan(scope, wanted)
        self.assertEqual(len(self.made), len(questions))

    def test_refusals(self) -> None:
        """A refusal is thought about anew each time: the next moment may be better."""
        self.result = NOBODY
        for _ in range(2):
            self.plans.plan(SCOPE, WANTED)
        self.assertEqual(len(self.made), 2)

    def test_bounded(self) -> None:
        """However many names strangers make up, only so many plans are remembered."""
        for number in range(MOST + 5):
            self.plans.plan(SCOPE, Requirements("/x", str(number)))
        self.assertLessEqual(len(self.plans._made), MOST)

    def test_long(self) -> None:
        """Nor is a name or a path of any length kept for the next who comes with it (R56)."""
        self.plans.plan(SCOPE, Requirements("/x", "m" * 10000))
        self.plans.plan(SCOPE, Requirements("/x" * 10000, "m"))
        self.assertEqual(len(self.plans._made), 0)


class NarrowerTests(SynchronousTestCase):
    """Finding who can serve a request."""

    def narrow(self, readiness: Readiness, *plans: Plan, refreshed: Pending[Plan] | None = None) -> list[Plan]:
        """Begin to narrow where these plans are made one after the other; the result comes into the list."""
        results: list[Plan] = []
        left = list(plans)

        def refresh(plan: Plan, scope: Scope, wanted: Requirements) -> Pending[Plan]:
            assert refreshed is not None
            return refreshed

        narrower = Narrower(readiness, lambda scope, wanted: left.pop(0), refresh)

        async def journey() -> None:
            plan = narrower.narrow(SCOPE, WANTED)
            results.append(plan if isinstance(plan, Plan) else await plan)

        Task(journey(), self.fail).start()
        return results

    def test_ready(self) -> None:
        """With candidates, nothing is waited for, not even the first looks."""
        plan = somebody()
        self.assertEqual(self.narrow(Readiness(), plan), [plan])

    def test_first_look(self) -> None:
        """A request that comes before the first looks waits for them (B2)."""
        readiness, plan = Readiness(), somebody()
        results = self.narrow(readiness, NOBODY, plan)
        self.assertEqual(results, [])
        readiness.reached()
        self.assertEqual(results, [plan])

    def test_refusal(self) -> None:
        """After them a refusal is one at once."""
        self.assertEqual(self.narrow(Readiness(True), NOBODY), [NOBODY])

    def test_refresh(self) -> None:
        """Where the listings have to be read anew, that is waited for (http-api.md §7.3)."""
        plan, reading = somebody(), Pending[Plan]()
        results = self.narrow(Readiness(True), Plan(refresh=plan.candidates), refreshed=reading)
        self.assertEqual(results, [])
        reading.fire(plan)
        self.assertEqual(results, [plan])
