"""Tests of :mod:`olla.signals`."""

from __future__ import annotations

import signal

from twisted.trial.unittest import SynchronousTestCase

from olla.signals import Signals
from tests.network import Network

NUMBERS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Stoppable(Network):
    """A reactor that notes that it is told to stop."""

    stops = 0

    def stop(self) -> None:
        """Note it."""
        self.stops += 1


class SignalsTests(SynchronousTestCase):
    """What signals do."""

    def setUp(self) -> None:
        for number in NUMBERS:
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        self.reactor = Stoppable()
        self.said: list[str] = []
        signals = Signals(self.reactor, lambda: self.said.append("reload"), lambda: self.said.append("hurry"))
        self.before = [signal.getsignal(number) for number in NUMBERS]
        signals.startService()

    def test_after_the_reactor(self) -> None:
        """They are taken when the reactor runs, which installs its own handlers first."""
        self.assertEqual([signal.getsignal(number) for number in NUMBERS], self.before)
        self.reactor.pump()
        for number, before in zip(NUMBERS, self.before, strict=True):
            self.assertIsNot(signal.getsignal(number), before)

    def test_stop(self) -> None:
        """SIGTERM and SIGINT stop the reactor once; a second one hurries."""
        self.reactor.pump()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.raise_signal(number)
            self.reactor.pump()
        self.assertEqual((self.reactor.stops, self.said), (1, ["hurry"]))

    def test_reload(self) -> None:
        """SIGHUP reads the configuration again, in the reactor's turn and as often as it comes."""
        self.reactor.pump()
        signal.raise_signal(signal.SIGHUP)
        self.assertEqual(self.said, [])
        self.reactor.pump()
        signal.raise_signal(signal.SIGHUP)
        self.reactor.pump()
        self.assertEqual((self.said, self.reactor.stops), (["reload", "reload"], 0))
