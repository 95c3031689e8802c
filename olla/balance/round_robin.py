"""The selector that takes turns."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from attrs import Factory, define, field
from zope.interface import implementer

from olla.domain.requirements import Requirements
from olla.interfaces import ICandidate, ISelector

MOST_SETS = 256


@implementer(ISelector)
@define(eq=False)
class RoundRobin:
    """
    Chooses each endpoint in its turn, in configured order.

    Each set of candidates has a turn of its own: models that are on other endpoints do not upset the rotation.
    """

    _turns: OrderedDict[tuple[ICandidate, ...], int] = field(init=False, default=Factory(OrderedDict))

    def select(self, candidates: Sequence[ICandidate], wanted: Requirements) -> ICandidate:
        """Choose the one after the one chosen last from these."""
        chosen_from = tuple(candidates)
        turn = self._turns.pop(chosen_from, 0)
        self._turns[chosen_from] = (turn + 1) % len(chosen_from)
        if len(self._turns) > MOST_SETS:
            self._turns.popitem(last=False)
        return chosen_from[turn]
