"""Kinds of values: how each is written, and what it may be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

from attrs import frozen

from olla.config import units
from olla.config.yaml_source import Scalar

T = TypeVar("T")
Check = Callable[[Any], None]


@frozen
class Kind(Generic[T]):
    """
    How one kind of value is written.

    :ivar file: reads a scalar of the file.
    :ivar variable: reads the text of an environment variable.
    """

    file: Callable[[Scalar], T]
    variable: Callable[[str], T]


def _unquoted(read: Callable[[str], T]) -> Callable[[Scalar], T]:
    def file(scalar: Scalar) -> T:
        value = read(scalar.text)
        if not scalar.plain:
            raise ValueError("stands in quotes; write it without")
        return value

    return file


def _size(scalar: Scalar) -> int:
    return units.size_or_number(scalar.text) if scalar.plain else units.size(scalar.text)


TEXT: Final = Kind[str](lambda scalar: scalar.text, str)
DURATION: Final = Kind[float](lambda scalar: units.duration(scalar.text), units.duration)
INTEGER: Final = Kind[int](_unquoted(units.integer), units.plain_integer)
NUMBER: Final = Kind[float](_unquoted(units.decimal), units.decimal)
SIZE: Final = Kind[int](_size, units.size)
TRUTH: Final = Kind[bool](lambda s: units.truth(s.text, quoted=not s.plain), units.variable_truth)


def at_least(low: float) -> Check:
    """Refuse what is below ``low``."""

    def check(value: float) -> None:
        if value < low:
            raise ValueError("is negative" if low == 0 else f"is below {low}")

    return check


def at_most(high: int) -> Check:
    """Refuse what is above ``high``."""

    def check(value: int) -> None:
        if value > high:
            raise ValueError(f"is more than {high}")

    return check


def between(low: int, high: int) -> Check:
    """Refuse what is not ``low`` to ``high``."""

    def check(value: int) -> None:
        if not low <= value <= high:
            raise ValueError(f"is not {low} to {high}")

    return check


def one_of(*words: str) -> Check:
    """Refuse any other word."""

    def check(value: str) -> None:
        if value not in words:
            raise ValueError(f"is none of {', '.join(filter(None, words))}")

    return check


def is_glob(value: str) -> None:
    """Refuse what is no glob."""
    units.glob(value)


NOT_NEGATIVE: Final = at_least(0)
