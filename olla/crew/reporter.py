"""Tells the owner what has happened in a worker, some of it at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from attrs import define, field
from msgspec import structs

from olla.crew.messages import Attempt, Done, Message, Report
from olla.events import AttemptFailed, Finished, Limited, SizeRefused

MANY = 500


@define(eq=False)
class Reporter:
    """
    Gathers events, and reports them a few times a second, and whenever the owner is about to show what it counts.

    :ivar say: tells the owner.
    :ivar load: gives the requests at each endpoint that the owner does not know of.
    :ivar settle: has it told what waits to be told.
    """

    say: Callable[[Message], None]
    load: Callable[[], dict[str, int]]
    settle: Callable[[], None]
    _attempts: list[Attempt] = field(init=False, factory=list)
    _done: list[Done] = field(init=False, factory=list)
    _limited: list[Limited] = field(init=False, factory=list)
    _refused: list[SizeRefused] = field(init=False, factory=list)
    _told: Mapping[str, int] = field(init=False, factory=dict)

    def finished(self, event: Finished) -> None:
        """Keep it for the next report."""
        endpoint, decision = event.endpoint, event.decision
        name = endpoint.name if endpoint is not None else ""
        reason = (decision.strategy, decision.action, decision.reason) if decision is not None else None
        self._done.append(Done(structs.replace(event, endpoint=None, decision=None), name, reason))
        if len(self._done) >= MANY:
            self.report()

    def attempt_failed(self, event: AttemptFailed) -> None:
        """Keep it for the next report."""
        self._attempts.append(Attempt.of(event))

    def limited(self, event: Limited) -> None:
        """Keep it for the next report."""
        self._limited.append(event)

    def size_refused(self, event: SizeRefused) -> None:
        """Keep it for the next report."""
        self._refused.append(event)

    def report(self) -> None:
        """Report, if there is anything new."""
        self.settle()
        load = self.load()
        if load == self._told and not (self._done or self._attempts or self._limited or self._refused):
            return
        report = Report(load, self._attempts, self._done, self._limited, self._refused)
        self._attempts, self._done, self._limited, self._refused = [], [], [], []
        self._told = load
        self.say(report)
