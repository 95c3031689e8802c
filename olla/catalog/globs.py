"""Patterns for names: the plain ones of filters, and the freer ones of profiles.  Letter case never matters."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import translate

from attrs import field, frozen


def check_glob(pattern: str) -> None:
    """
    Refuse a filter's pattern that has no meaning.

    :raise ValueError: when it is blank, or has a ``*`` elsewhere than at its start and its end.
    """
    if not pattern.strip():
        raise ValueError("is blank")
    if pattern != "*" and ("*" in pattern[1:-1] or not pattern.strip("*")):
        raise ValueError("has a * elsewhere than at its start or end")


def glob_matches(pattern: str, name: str) -> bool:
    """
    Say whether ``name`` is meant: ``x*`` starts with, ``*x`` ends with, ``*x*`` contains, ``*`` all, else equal.

    :param pattern: as :func:`check_glob` allows, in lower case.
    :param name: in lower case.
    """
    text = pattern.strip("*")
    if pattern.startswith("*"):
        return text in name if pattern.endswith("*") else name.endswith(text)
    return name.startswith(text) if pattern.endswith("*") else name == text


def _prepared(patterns: Iterable[str]) -> tuple[str, ...]:
    patterns = tuple(patterns)
    for pattern in patterns:
        check_glob(pattern)
    return tuple(pattern.lower() for pattern in patterns)


@frozen
class Filter:
    """
    Which models an endpoint may serve (behaviour.md §14).

    :ivar include: globs; a name must match one, unless there are none.
    :ivar exclude: globs; a name that matches one is out, whatever ``include`` says.
    """

    include: tuple[str, ...] = field(default=(), converter=_prepared)
    exclude: tuple[str, ...] = field(default=(), converter=_prepared)

    def admits(self, name: str) -> bool:
        """Say whether the model so named may be served."""
        lowered = name.lower()
        if self.include and not any(glob_matches(pattern, lowered) for pattern in self.include):
            return False
        return not any(glob_matches(pattern, lowered) for pattern in self.exclude)


def any_of(patterns: Iterable[str]) -> re.Pattern[str]:
    """
    Compile a profile's globs, in which ``*`` and ``?`` may stand anywhere, into one expression.

    :return: to be matched against a name in lower case.
    """
    return re.compile("|".join(translate(pattern.lower()) for pattern in patterns) or "(?!)")
