"""``${NAME}`` and ``${NAME:-text}`` in the values of the main file (config.md §3)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from attrs import frozen

_PLACEHOLDER = re.compile(r"\$\{([^}]+)\}")
_INSIDE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.ASCII | re.DOTALL)
HINT = "a placeholder must be ${NAME} or ${NAME:-text}, without blanks and without another one inside"


@frozen
class Expanded:
    """
    A text with its placeholders filled in.

    :ivar names: the variables that it named.
    :ivar missing: those of them that are not set and have no text to take their place.
    :ivar malformed: some placeholder is of neither form.
    """

    text: str
    names: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    malformed: bool = False


def expand(text: str, environ: Mapping[str, str]) -> Expanded:
    """Fill in the placeholders of ``text``; ``$NAME`` and ``${}`` are not placeholders and stay."""
    if "${" not in text:
        return Expanded(text)
    names: list[str] = []
    missing: list[str] = []
    malformed = False

    def fill(found: re.Match[str]) -> str:
        nonlocal malformed
        inside = _INSIDE.fullmatch(found[1])
        if inside is None or "${" in found[1]:
            malformed = True
            return ""
        name, otherwise = inside[1], inside[2]
        names.append(name)
        value = environ.get(name)
        if otherwise is not None:
            return value or otherwise
        if value is None:
            missing.append(name)
        return value or ""

    filled = _PLACEHOLDER.sub(fill, text)
    return Expanded(filled, tuple(names), tuple(dict.fromkeys(missing)), malformed)
