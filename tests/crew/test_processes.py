"""As many workers as there should be."""

from __future__ import annotations

from collections.abc import Callable

from attrs import define
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from olla.crew.processes import Crew


@define(eq=False)
class Fake:
    """A worker that notes what is done to it."""

    ended: Callable[[str], None]
    number: int = 0
    stopped: bool = False
    killed: bool = False

    def begin(self, number: int) -> None:
        self.number = number

    def stop(self) -> None:
        self.stopped = True

    def kill(self) -> None:
        self.killed = True
        self.ended("signal 9")


class CrewTests(SynchronousTestCase):
    """Two workers and a spare one."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.launched: list[Fake] = []
        self.crew = Crew(2, self.launch, self.clock)
        self.crew.startService()

    def launch(self, ended: Callable[[str], None]) -> Fake:
        self.launched.append(Fake(ended))
        return self.launched[-1]

    def test_spare(self) -> None:
        """One process more than are wanted waits ready (issue 4 item 6)."""
        self.assertEqual([one.number for one in self.launched], [1, 2, 0])

    def test_replaced(self) -> None:
        """The spare takes the place of a worker that has died after a tenth of a second, and has a successor."""
        self.launched[0].ended("signal 9")
        self.clock.advance(0.11)
        self.assertEqual([one.number for one in self.launched], [1, 2, 1])
        self.clock.advance(0.11)
        self.assertEqual([one.number for one in self.launched], [1, 2, 1, 0])

    def test_back_off(self) -> None:
        """Workers that die at once are started less and less often, ten seconds apart at last."""
        for _ in range(200):
            for one in tuple(self.launched):
                if one.number == 1 and not one.killed:
                    one.killed = True
                    one.ended("status 1")
            self.clock.advance(0.5)
        self.assertLess(len(self.launched), 40)
        before = len(self.launched)
        self.clock.pump([0.5] * 30)
        self.assertGreaterEqual(len(self.launched), before)

    def test_forgiven(self) -> None:
        """One that has lived long is replaced at once again, however often its forerunners died."""
        for _ in range(4):
            next(one for one in reversed(self.launched) if one.number == 1).ended("status 1")
            self.clock.pump([0.5] * 8)
        self.clock.advance(60)
        before = [one for one in self.launched if one.number == 1]
        before[-1].ended("signal 9")
        self.clock.advance(0.11)
        self.assertEqual(len([one for one in self.launched if one.number == 1]), len(before) + 1)

    def test_spare_dies(self) -> None:
        """A spare that dies is replaced, and serves nobody."""
        self.launched[2].ended("status 1")
        self.clock.advance(0.11)
        self.assertEqual([one.number for one in self.launched], [1, 2, 0, 0])

    def test_stop(self) -> None:
        """All are asked to end, the spare too; it is over when the last has."""
        stopped = self.crew.stop(5.0)
        self.assertTrue(all(one.stopped for one in self.launched))
        for one in self.launched:
            self.assertNoResult(stopped)
            one.ended("status 0")
        self.successResultOf(stopped)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop_while_one_is_missing(self) -> None:
        """Nothing is started once the end has begun."""
        self.launched[0].ended("signal 9")
        stopped = self.crew.stop(5.0)
        for one in self.launched[1:]:
            one.ended("status 0")
        self.successResultOf(stopped)
        self.clock.advance(60)
        self.assertEqual(len(self.launched), 3)

    def test_killed(self) -> None:
        """One that has not ended two seconds after its time is killed."""
        stopped = self.crew.stop(5.0)
        for one in self.launched[1:]:
            one.ended("status 0")
        self.clock.advance(6.9)
        self.assertFalse(self.launched[0].killed)
        self.clock.advance(0.2)
        self.assertTrue(self.launched[0].killed)
        self.successResultOf(stopped)
