"""What the process does on signals: finish what runs, or read the configuration again."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType
from typing import Any

from attrs import define, field
from twisted.application.service import Service
from twisted.logger import Logger


@define(eq=False)
class Signals(Service):
    """
    Takes SIGTERM, SIGINT and SIGHUP from Twisted while the service runs.

    Twisted stops on the first two as well, but ends the process with the signal afterwards: a supervisor would see
    a crash where everything was finished in order.  SIGHUP would kill it on the spot.

    :ivar reload: what SIGHUP does.
    :ivar hurry: what a second SIGTERM or SIGINT does while the first one is being obeyed.
    """

    _reactor: Any
    reload: Callable[[], None]
    hurry: Callable[[], None]
    _stopping: bool = field(init=False, default=False)
    _log = Logger()

    def startService(self) -> None:
        """Take the signals as soon as the reactor has installed its own handlers."""
        super().startService()
        self._reactor.callWhenRunning(self._install)

    def _install(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        if hasattr(signal, "SIGHUP"):
            signal.signal(signal.SIGHUP, self._hang_up)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._reactor.callFromThread(self._stop_once, signal.Signals(number).name)

    def _stop_once(self, name: str) -> None:
        if self._stopping:
            self._log.warn("Second shutdown signal received, not waiting any longer", signal=name)
            self.hurry()
            return
        self._stopping = True
        self._log.info("Shutdown signal received", signal=name)
        self._reactor.stop()

    def _hang_up(self, number: int, frame: FrameType | None) -> None:
        self._reactor.callFromThread(self.reload)
