"""Reads what clients ask of the demonstration engines, whatever they send."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import NoReturn

from attrs import frozen

from olla.demo.words import count

DEEPEST = 4  # messages > message > content > part


class Problem(Exception):
    """
    A request that is answered with an error.

    :ivar status: of the answer.
    :ivar code: word for programs, if there is one.
    :ivar param: the field at fault, if it is one.
    """

    def __init__(self, status: int, message: str, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.param = param


@frozen
class Asked:
    """
    A JSON object that a client has sent, or one inside it.

    Every method raises :class:`Problem` when the value is of another type than wanted; ``null`` counts as absent.
    """

    fields: Mapping[str, object]

    def text(self, name: str) -> str:
        """Give a string; ``""`` when absent."""
        value = self.fields.get(name)
        return "" if value is None else clean(value) if isinstance(value, str) else _wrong(name, "a string")

    def flag(self, name: str, default: bool) -> bool:
        """Give a boolean."""
        value = self.fields.get(name)
        return default if value is None else value if isinstance(value, bool) else _wrong(name, "a boolean")

    def most(self, *names: str) -> int | None:
        """Give the first of these limits that is there; ``None`` for no limit, as which numbers below 1 count."""
        for name in names:
            value = self.fields.get(name)
            if value is not None:
                if not isinstance(value, int) or isinstance(value, bool):
                    _wrong(name, "an integer")
                return value if value > 0 else None
        return None

    def inner(self, name: str) -> Asked:
        """Give the object inside; an empty one when absent."""
        value = self.fields.get(name)
        return Asked({}) if value is None else Asked(value) if isinstance(value, dict) else _wrong(name, "an object")

    def items(self, name: str) -> Sequence[Asked]:
        """Give a list of objects; an empty one when absent."""
        value = self.fields.get(name)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            _wrong(name, "a list of objects")
        return [Asked(one) for one in value]

    def texts(self, name: str) -> Sequence[str]:
        """Give one string or a list of them as a list; numbers of tokens count as one text."""
        value = self.fields.get(name)
        if isinstance(value, list) and value and all(isinstance(one, str) for one in value):
            return [clean(one) for one in value]
        if isinstance(value, list) and value:
            return [" ".join(map(str, value))]
        return [self.text(name)]

    @property
    def question(self) -> str:
        """The text to be answered: the last message, or the prompt."""
        return plain(self._parts()[-1])

    @property
    def size(self) -> int:
        """Tokens of all that is asked."""
        return sum(count(plain(part)) for part in (*self._parts(), self.fields.get("system")))

    def _parts(self) -> Sequence[object]:
        for name in ("messages", "prompt", "input"):
            value = self.fields.get(name)
            if value:
                return value if isinstance(value, list) else (value,)
        return ("",)


def read(body: bytes) -> Asked:
    """
    Read a body.

    :raise Problem: when it is not a JSON object.
    """
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Problem(400, "the body is not JSON") from error
    if not isinstance(value, dict):
        raise Problem(400, "the body is not a JSON object")
    return Asked(value)


def plain(value: object, depth: int = DEEPEST) -> str:
    """Give the text in a message, a list of its parts, or a string; ``""`` when there is none."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict) and depth:
        return plain(value.get("content") or value.get("text"), depth - 1)
    if isinstance(value, list) and depth:
        return " ".join(filter(None, (plain(one, depth - 1) for one in value)))
    return ""


def clean(text: str) -> str:
    """Take out halves of surrogate pairs, which JSON can hold and UTF-8 can not."""
    return text.encode("utf-8", "replace").decode()


def _wrong(name: str, wanted: str) -> NoReturn:
    raise Problem(400, f"'{name}' must be {wanted}", "invalid_type", name)
