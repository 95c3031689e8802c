"""Finds who can serve a request; waits where the answer may be about to change."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable

from attrs import define, field

from olla.balance.eligible import Plan
from olla.domain.memo import Memo
from olla.domain.requirements import Requirements
from olla.domain.routing import Scope
from olla.events import Event
from olla.pending import Pending


@define(eq=False)
class Readiness:
    """
    Whether every endpoint has been looked at once since the start.

    A request that comes before that waits a moment instead of being told that nothing is there (behaviour.md B2).

    :ivar ready: nothing needs to wait any more.
    """

    ready: bool = False
    _waiting: deque[Pending[None]] = field(init=False, factory=deque)

    def wait(self) -> Pending[None]:
        """Wait; fires at once when there is nothing to wait for."""
        if self.ready:
            return Pending.ready(None)
        waiting: Pending[None] = Pending(lambda: self._waiting.remove(waiting))
        self._waiting.append(waiting)
        return waiting

    def reached(self) -> None:
        """All have been looked at, or nobody should wait any longer."""
        self.ready = True
        while self._waiting:  # who goes on may send another away
            self._waiting.popleft().fire(None)


@define(eq=False)
class Plans:
    """
    Makes plans, and remembers them until something changes that they depend on.

    Nearly all requests ask for the few models that are loaded; finding out again who has them would cost each
    as much as its parsing.

    :ivar make: makes a plan with what is known now.
    :ivar version: another number after each change of what is known of models.
    """

    make: Callable[[Scope, Requirements], Plan]
    version: Callable[[], int]
    _made: Memo[tuple[str, str, str, frozenset[str]], Plan] = field(init=False, factory=Memo)
    _of: int = field(init=False, default=-1)

    def plan(self, scope: Scope, wanted: Requirements) -> Plan:
        """Find the endpoints for a request."""
        version = self.version()
        if version != self._of:
            self._of = version
            self._made.clear()
        key = (scope.prefix, wanted.model, wanted.path, wanted.capabilities)
        plan = self._made.get(key)
        if plan is None:
            plan = self.make(scope, wanted)
            if plan.candidates and not plan.brief:
                self._made.keep(key, plan, len(wanted.path) + len(wanted.model))
        return plan

    def forget(self, event: Event | None = None) -> None:
        """Make all plans anew: an endpoint's state, kind or listing has changed, or the endpoints themselves."""
        self._made.clear()


@define(eq=False)
class Narrower:
    """
    Makes plans.

    :ivar plan: finds the endpoints for a request, with what is known now.
    :ivar refreshed: reads listings anew for a model that nobody has, and makes the plan after that.
    """

    readiness: Readiness
    plan: Callable[[Scope, Requirements], Plan]
    refreshed: Callable[[Plan, Scope, Requirements], Awaitable[Plan]]

    def narrow(self, scope: Scope, wanted: Requirements) -> Plan | Awaitable[Plan]:
        """Find who can serve a request, or what to wait for; the plan may be a refusal."""
        plan = self.plan(scope, wanted)
        return plan if plan.candidates else self._wait(plan, scope, wanted)

    async def _wait(self, plan: Plan, scope: Scope, wanted: Requirements) -> Plan:
        if not self.readiness.ready:
            await self.readiness.wait()
            plan = self.plan(scope, wanted)
        if plan.refresh:
            plan = await self.refreshed(plan, scope, wanted)
        return plan
