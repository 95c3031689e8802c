"""The selector that follows the load."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from attrs import define, field
from zope.interface import implementer

from olla.domain.requirements import Requirements
from olla.interfaces import ICandidate, IPreference


@implementer(IPreference)
@define(eq=False)
class LeastConnections:
    """
    Chooses the endpoint with the fewest requests for its size; equals take turns.

    The size of an endpoint is its limit, or the slots that it says it has, times the weight of its state.  One of
    unknown size counts as large as the largest among the candidates.
    """

    _turn: int = field(init=False, default=-1)

    def select(self, candidates: Sequence[ICandidate], wanted: Requirements) -> ICandidate:
        """Choose one of those whose load is least."""
        if len(candidates) == 1:
            return candidates[0]
        equals = self.equals(candidates)
        if len(equals) == 1:
            return equals[0]
        self._turn += 1
        return equals[self._turn % len(equals)]

    def equals(self, candidates: Sequence[ICandidate]) -> list[ICandidate]:
        """Give those whose load is least."""
        largest = 0
        for candidate in candidates:
            if candidate.size > largest:
                largest = candidate.size
        least, equals = inf, list[ICandidate]()
        for candidate in candidates:
            size = (candidate.size or largest or 1) * candidate.weight
            load = candidate.in_flight / size
            if load < least:
                least, equals = load, [candidate]
            elif load == least:
                equals.append(candidate)
        return equals
