"""Where the lines of the log go: gathered, and written a few times a second."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from attrs import define, field
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

from olla.pending import nothing

PAUSE = 0.25
ENOUGH = 65536


@define(eq=False)
class Lines(Service):
    """
    Gathers lines and writes them together: a system call for each would cost a request more than all counting.

    A line waits a quarter of a second at most; what is urgent waits not at all, and takes along what came
    before it.  An output that fails loses lines; it keeps nothing else from happening.

    :ivar outputs: each takes whole lines; may raise ``OSError`` or, once closed, ``ValueError``.
    :ivar before: whoever has lines to add does so when it is called.
    :ivar lost: writes that failed.
    """

    outputs: Sequence[Callable[[bytes], object]]
    _clock: IReactorTime
    before: Callable[[], object] = nothing
    lost: int = field(init=False, default=0)
    _waiting: list[bytes] = field(init=False, factory=list)
    _size: int = field(init=False, default=0)
    _loop: LoopingCall = field(init=False)
    _stopped: Deferred[Any] | None = field(init=False, default=None)

    def startService(self) -> None:
        """Write regularly."""
        super().startService()
        self._loop = LoopingCall(self.flush)
        self._loop.clock = self._clock
        self._stopped = self._loop.start(PAUSE, now=False)

    def stopService(self) -> Deferred[Any] | None:
        """Write what waits; later lines are written at once."""
        super().stopService()
        if self._stopped is not None:
            self._loop.stop()
        self.flush()
        return self._stopped

    def write(self, line: bytes) -> None:
        """Take a line, its line feed included."""
        self._waiting.append(line)
        self._size += len(line)
        if self._size >= ENOUGH or not self.running:
            self.flush()

    def write_now(self, line: bytes) -> None:
        """Take a line that somebody may be waiting for."""
        self.before()
        self._waiting.append(line)
        self.flush()

    def flush(self) -> None:
        """Write all that waits."""
        self.before()
        if not self._waiting:
            return
        data = b"".join(self._waiting)
        self._waiting.clear()
        self._size = 0
        for output in self.outputs:
            try:
                output(data)
            except (OSError, ValueError):
                self.lost += 1
