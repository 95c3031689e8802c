"""Which endpoints may serve one request, and what is said when none may (http-api.md §7.3, §8.3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from attrs import Factory, define, evolve, frozen

from olla.balance.member import Member, until_check
from olla.balance.strategy import Refreshed, Strategy
from olla.domain.requirements import Requirements
from olla.domain.routing import FALLBACK, Decision, Located, Scope
from olla.errors import ModelNotFound, ModelUnavailable, NoEndpoints, NoProviderEndpoints, Refusal

__all__ = ["Narrowing", "Plan", "Refreshed", "Strategy"]

AUTO = "auto"
NOWHERE: Final = Located()


@frozen
class Plan:
    """
    Where a request may go.  Exactly one of ``candidates``, ``refusal`` and ``refresh`` is not empty.

    :ivar candidates: members that can serve it, routable now, in configured order; busy and warming ones as well:
        the lease takes these only when no healthy one is left.
    :ivar names: endpoint name to that backend's own name of the model; empty when the name stays as it is.
    :ivar decision: what model routing said; ``None`` when it was not asked.
    :ivar refusal: what to tell the client when there are no candidates.  It is not raised, because the decision
        belongs into the headers of that answer too.
    :ivar refresh: members to list the models of; then ask :meth:`Narrowing.narrow` again.
    :ivar cold: names of endpoints that would have to load the model first.
    :ivar brief: whether the passing of time alone may change it: somebody is left out for want of a listing.
    """

    candidates: tuple[Member, ...] = ()
    names: Mapping[str, str] = Factory(dict)
    decision: Decision | None = None
    refusal: Refusal | None = None
    refresh: tuple[Member, ...] = ()
    cold: frozenset[str] = frozenset()
    brief: bool = False


@define
class Narrowing:
    """
    Finds the endpoints that may serve a request, in the order of http-api.md §7.3.

    :ivar supports: whether a profile, by its name, serves a path.
    :ivar capable: whether an endpoint, by its name, has a model with a capability.
    """

    strategy: Strategy
    supports: Callable[[str, str], bool]
    capable: Callable[[str, str], bool]

    def narrow(
        self,
        members: Sequence[Member],
        scope: Scope,
        wanted: Requirements,
        located: Located | None,
        now: float,
        refreshed: Refreshed | None = None,
    ) -> Plan:
        """
        Find the endpoints for one request.

        :param members: all there are, in configured order.
        :param located: where the model is; ``None`` when nobody knows it.
        :param now: seconds on the clock of the members.
        :param refreshed: how the refresh went that the plan before asked for; the plan then asks for none.
        """
        located = located or NOWHERE
        if scope.profiles is not None:
            every, members = members, [member for member in members if member.profile in scope.profiles]
            if not members:
                return Plan(refusal=no_provider(scope, every, now))
        routable = [member for member in members if member.status.routable]
        if not wanted.model or not self.strategy.models_known:
            anywhere = self._without_model(routable, wanted) or Plan(refusal=no_endpoints(scope, members, now))
            names = {member.name: located.target for member in anywhere.candidates if located.target}
            return evolve(anywhere, names=names)
        located, having = at_hand(routable, located)
        if having:
            return self._with_model(having, wanted, located, refreshed, now)
        if not routable and not located.names and refreshed is None and not self.strategy.refreshes:
            return Plan(refusal=no_endpoints(scope, members, now))
        if self.strategy.refreshes and refreshed is None and routable:
            return Plan(refresh=tuple(routable))
        decision = self.strategy.missed(located, bool(routable), refreshed)
        if decision.action == FALLBACK:
            plan = self._without_model(routable, wanted, decision)
            return plan or Plan(decision=decision, refusal=no_endpoints(scope, members, now))
        holding = [member for member in members if member.name in located.names]
        return Plan(decision=decision, refusal=rejection(decision, wanted.model, until_check(holding, now)))

    def _with_model(
        self,
        having: list[Member],
        wanted: Requirements,
        located: Located,
        refreshed: Refreshed | None,
        now: float,
    ) -> Plan:
        """Choose among those that have the model: listing and path may prefer, never leave it without one."""
        listed = [member for member in having if member.listing_is_fresh(now)] or having
        chosen = self._serving(listed, wanted.path) or listed
        decision = self.strategy.found(located, len(chosen), refreshed)
        return Plan(tuple(chosen), located.names, decision, cold=located.cold, brief=len(listed) < len(having))

    def _without_model(
        self, routable: list[Member], wanted: Requirements, decision: Decision | None = None
    ) -> Plan | None:
        """Choose by path and capability; a step that would leave nobody is left out."""
        chosen = self._serving(routable, wanted.path) or routable
        for capability in sorted(wanted.capabilities):
            chosen = [member for member in chosen if self.capable(member.name, capability)] or chosen
        return Plan(tuple(chosen), decision=decision) if chosen else None

    def _serving(self, members: Sequence[Member], path: str) -> list[Member]:
        return [member for member in members if member.profile == AUTO or self.supports(member.profile, path)]


def at_hand(routable: Sequence[Member], located: Located) -> tuple[Located, list[Member]]:
    """Find who has the model; an alias of which nobody has any is a name like any other (behaviour.md §10)."""
    having = [member for member in routable if member.name in located.names]
    if not having and located.unaliased is not None:
        instead = [member for member in routable if member.name in located.unaliased.names]
        if instead:
            return located.unaliased, instead
    return located, having


def no_provider(scope: Scope, members: Sequence[Member], now: float) -> Refusal:
    """Make the refusal for a scope without an endpoint; one that is down and of a kind yet to be found may be its."""
    unknown = [member for member in members if member.profile == AUTO and not member.status.routable]
    if unknown:
        return no_endpoints(scope, unknown, now)
    return NoProviderEndpoints(f"No {scope.label} endpoints available")


def no_endpoints(scope: Scope, members: Sequence[Member], now: float) -> Refusal:
    """Make the refusal for a scope whose endpoints are all down."""
    return NoEndpoints(f"No {scope.label or 'healthy'} endpoints available", until_check(members, now))


def rejection(decision: Decision, model: str, wait: int | None) -> Refusal:
    """
    Make the refusal that a rejecting decision stands for.

    :param wait: seconds until the next check of an endpoint that has the model, if one does.
    """
    if decision.status == 404:
        return ModelNotFound(f"Model not found: {model}", decision.reason)
    return ModelUnavailable(f"Model {model} is not available on any healthy endpoint", decision.reason, wait)
