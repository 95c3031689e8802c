"""Long work in parts, so that nothing else waits for all of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import TypeVar

T = TypeVar("T")

PART = 200


def in_parts(items: Collection[T], act: Callable[[T], object]) -> Iterator[None]:
    """
    Act on each of ``items`` that is still among them when its turn comes; yield where others may have theirs.

    With thousands of streams a look at each takes as long as a token may be late.
    """
    for number, item in enumerate(tuple(items), 1):
        if item in items:
            act(item)
        if number % PART == 0:
            yield
