"""The selector that follows the operator's priorities."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import define
from zope.interface import implementer

from olla.domain.requirements import Requirements
from olla.interfaces import ICandidate, IPreference


@implementer(IPreference)
@define(eq=False)
class Priority:
    """
    Chooses among the endpoints of the highest priority at random, those in a better state more often.

    :ivar random: gives numbers from 0.0 to below 1.0.
    """

    random: Callable[[], float]

    def select(self, candidates: Sequence[ICandidate], wanted: Requirements) -> ICandidate:
        """Choose one of the highest priority."""
        highest = max(candidate.endpoint.priority for candidate in candidates)
        tier = [candidate for candidate in candidates if candidate.endpoint.priority == highest]
        if len(tier) == 1:
            return tier[0]
        left = self.random() * sum(candidate.weight for candidate in tier)
        for candidate in tier:
            left -= candidate.weight
            if left < 0.0:
                return candidate
        return tier[-1]  # rounding may leave a crumb

    def equals(self, candidates: Sequence[ICandidate]) -> list[ICandidate]:
        """Give those of the highest priority that are in the best state and have the least to do."""
        ranks = [(one.endpoint.priority, one.weight, -one.in_flight) for one in candidates]
        best = max(ranks)
        return [one for one, rank in zip(candidates, ranks, strict=True) if rank == best]
