"""A breaker: leaves alone for a while what keeps failing (behaviour.md §5)."""

from __future__ import annotations

from attrs import Factory, define, field

TOGETHER = 1.0


@define(eq=False)
class Breaker:
    """
    Opens after failures in a row, then lets single callers through to see whether things are better.

    Each caller gets a token and gives it back with its result.  A caller let through while it was closed has
    the token 0; a trial has a number of its own, so that the late result of a trial given up as lost is known
    for what it is and ignored.

    :ivar threshold: failures in a row that open it; 0 never does.
    :ivar open_for: seconds for which it refuses everybody.
    :ivar lost_after: seconds after which a trial without a result makes way for another.
    :ivar trials: callers let through at once when ``open_for`` is over.
    :ivar closed: whether everybody is let through; the one thing to look at on the fast path.
    :ivar failures: in a row, while closed.
    """

    threshold: int = 5
    open_for: float = 30.0
    lost_after: float = 30.0
    trials: int = 1
    closed: bool = field(init=False, default=True)
    failures: int = field(init=False, default=0)
    _until: float = field(init=False, default=0.0)
    _cut_at: float = field(init=False, default=-TOGETHER)
    _running: dict[int, float] = field(init=False, default=Factory(dict))
    _last: int = field(init=False, default=0)

    def allows(self, now: float) -> bool:
        """Say whether :meth:`acquire` would let a caller through."""
        return self.closed or self.wait(now) <= 0.0

    def wait(self, now: float) -> float:
        """Give the seconds until somebody will be let through; ``0.0`` for at once."""
        if self.closed:
            return 0.0
        if now < self._until:
            return self._until - now
        if len(self._running) < self.trials:
            return 0.0
        return max(0.0, min(self._running.values()) + self.lost_after - now)

    def acquire(self, now: float) -> int | None:
        """
        Ask to be let through.

        :return: the token for the result; ``None`` when refused.
        """
        if self.closed:
            return 0
        if not self.allows(now):
            return None
        if len(self._running) >= self.trials:
            del self._running[min(self._running)]  # tokens rise, so this is the oldest: it is lost
        self._last += 1
        self._running[self._last] = now
        return self._last

    def succeeded(self, token: int) -> None:
        """Take note of a success: the failures in a row are over, and a trial's success closes."""
        if self.closed:
            if token == 0:
                self.failures = 0
        elif token in self._running:
            self.closed = True
            self.failures = 0
            self._running.clear()

    def failed(self, token: int, now: float) -> None:
        """Take note of a failure: one too many opens, and a trial's failure opens for another full time."""
        if not self.closed:
            if token in self._running:
                self._open(now)
        elif token == 0:
            self.failures += 1
            if self.threshold and self.failures >= self.threshold:
                self._open(now)

    def cut(self, token: int, now: float) -> None:
        """
        Take note of an answer that broke off: those within one second are one failure.

        A server that dies under many streams has failed once, and may be well before the last of them is known.
        """
        if self.closed and token == 0:
            if now - self._cut_at < TOGETHER:
                return
            self._cut_at = now
        self.failed(token, now)

    def try_again(self, now: float) -> None:
        """Let the next caller through, for a check has found that an outage is over."""
        self._until = min(self._until, now)

    def follow(self, closed: bool, failures: int, until: float) -> None:
        """
        Take over what the breaker of another process is like.

        :param until: when that one lets somebody through again, if it is not closed.
        """
        self.closed, self.failures, self._until = closed, failures, until
        self._running.clear()

    def forget(self, token: int) -> None:
        """Take back a token without a result: another caller may have the trial."""
        self._running.pop(token, None)

    def state(self, now: float) -> str:
        """Name the state as pages show it: ``closed``, ``open`` or ``half-open``."""
        if self.closed:
            return "closed"
        return "open" if now < self._until else "half-open"

    def _open(self, now: float) -> None:
        self.closed = False
        self._until = now + self.open_for
        self._running.clear()
