"""Finds who can serve a request; waits where the answer may be about to change."""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field

from olla.balance.eligible import Plan
from olla.domain.requirements import Requirements
from olla.domain.routing import Scope
from olla.pending import Pending


@define(eq=False)
class Readiness:
    """
    Whether every endpoint has been looked at once since the start.

    A request that comes before that waits a moment instead of being told that nothing is there (behaviour.md B2).

    :ivar ready: nothing needs to wait any more.
    """

    ready: bool = False
    _waiting: list[Pending[None]] = field(init=False, factory=list)

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
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            one.fire(None)


@define(eq=False)
class Narrower:
    """
    Makes plans.

    :ivar plan: finds the endpoints for a request, with what is known now.
    :ivar refreshed: reads listings anew for a model that nobody has; fires with whether that could be done.
    :ivar replan: makes the plan after that.
    """

    readiness: Readiness
    plan: Callable[[Scope, Requirements], Plan]
    refreshed: Callable[[Plan, Scope, Requirements], Pending[Plan]]

    async def narrow(self, scope: Scope, wanted: Requirements) -> Plan:
        """Find who can serve a request; the plan may be a refusal."""
        plan = self.plan(scope, wanted)
        if plan.candidates:
            return plan
        if not self.readiness.ready:
            await self.readiness.wait()
            plan = self.plan(scope, wanted)
        if plan.refresh:
            plan = await self.refreshed(plan, scope, wanted)
        return plan
