"""Reads listings anew for a model that nobody has, once for all who ask for it (behaviour.md §9)."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping, Sequence

from attrs import Factory, define, field
from cachetools import TTLCache
from twisted.internet.defer import Deferred

from olla.balance.eligible import Plan, Refreshed
from olla.balance.member import Member
from olla.domain.requirements import Requirements
from olla.domain.routing import Scope
from olla.pending import Pending

AGAIN = 5.0
REMEMBERED = 1000

Key = tuple[str, str]


@define(eq=False)
class Refresher:
    """
    Refreshes for a model under a prefix at most once in five seconds; who asks meanwhile gets what that gave.

    :ivar read: reads the listings of some endpoints, and gives up in time; fires with whether it could read any.
    :ivar replan: makes a plan with what is known after that.
    :ivar clock: seconds, never going back.
    """

    read: Callable[[Sequence[Member], Requirements], Deferred[bool]]
    replan: Callable[[Scope, Requirements, Refreshed], Plan]
    clock: Callable[[], float]
    _running: dict[Key, list[Pending[Refreshed]]] = field(init=False, factory=dict)
    _done: MutableMapping[Key, Refreshed] = field(
        init=False, default=Factory(lambda self: TTLCache(REMEMBERED, AGAIN, self.clock), takes_self=True)
    )

    async def refreshed(self, plan: Plan, scope: Scope, wanted: Requirements) -> Plan:
        """
        Make the plan that comes after ``plan``.

        :param plan: asks for a refresh, and says of whom.
        """
        how = await self._outcome((scope.prefix, wanted.model.lower()), plan.refresh, wanted)
        return self.replan(scope, wanted, how)

    def _outcome(self, key: Key, members: Sequence[Member], wanted: Requirements) -> Pending[Refreshed]:
        how = self._done.get(key)
        if how is not None:
            return Pending.ready(how)
        waiting = self._running.get(key)
        mine: Pending[Refreshed] = Pending(lambda: others.remove(mine))
        others = waiting if waiting is not None else []
        others.append(mine)
        if waiting is None:
            self._running[key] = others
            self.read(members, wanted).addCallbacks(
                lambda read: self._over(key, Refreshed.DONE if read else Refreshed.FAILED),
                lambda _: self._over(key, Refreshed.BROKEN),
            )
        return mine

    def _over(self, key: Key, how: Refreshed) -> None:
        self._done[key] = how
        waiting = self._running.pop(key)
        while waiting:  # who goes on may send another away
            waiting.pop(0).fire(how)
