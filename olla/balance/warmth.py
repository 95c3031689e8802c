"""Prefers endpoints that have a model at hand to those that would have to load it first (profiles.md §8.2)."""

from __future__ import annotations

from collections.abc import Container, Sequence

from olla.balance.member import Member
from olla.interfaces import IPreference, ISelector


def warm(selector: ISelector, candidates: Sequence[Member], cold: Container[str]) -> Sequence[Member]:
    """
    Leave out who would have to load the model, as far as it makes no difference to the selector.

    :param candidates: never mutated.
    :param cold: names of endpoints that say that they would.
    :return: ``candidates`` where the selector takes turns, or would rather have one that has to load it.
    """
    if not IPreference.providedBy(selector):
        return candidates
    equals = IPreference(selector).equals(candidates)
    return [member for member in candidates if member in equals and member.name not in cold] or candidates
