"""
The lines of the log as values, and their two forms: a JSON object or text, one line each whatever is in it.

A client chooses much of what is logged (paths, names, user agents), so everything is cut, and characters that
end a line, move a cursor or turn the writing round are escaped.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping

import msgspec
from attrs import define, field

from olla.dialect.redact import printable

Value = str | int | float | bool | None
LONGEST = 2048

DEBUG, INFO, WARN, ERROR = "DEBUG", "INFO", "WARN", "ERROR"
LEVELS = (DEBUG, INFO, WARN, ERROR)


class Record(msgspec.Struct):
    """
    One line.

    :ivar timestamp: RFC 3339.
    :ivar level: ``DEBUG``, ``INFO``, ``WARN`` or ``ERROR``.
    :ivar msg: what happened, the same words each time.
    """

    timestamp: str
    level: str
    msg: str


class Note(Record):
    """
    A line about anything.

    :ivar facts: the particulars; strings in them are at most :data:`LONGEST` long.
    """

    facts: Mapping[str, Value]


Form = Callable[[Record], bytes]


def shown_from(level: str) -> frozenset[str]:
    """
    Give the levels that are logged.

    :param level: ``debug``, ``info``, ``warn``, ``warning`` or ``error``; ``info`` for anything else.
    """
    name = {"WARNING": WARN}.get(level.upper(), level.upper())
    return frozenset(LEVELS[LEVELS.index(name if name in LEVELS else INFO) :])


def as_json(record: Record) -> bytes:
    """Give a JSON object and a line feed."""
    value = (
        {"timestamp": record.timestamp, "level": record.level, "msg": record.msg, **record.facts}
        if isinstance(record, Note)
        else record
    )
    try:
        line = msgspec.json.encode(value)
    except UnicodeEncodeError:  # half a surrogate pair, which UTF-8 has no bytes for
        return json.dumps(msgspec.to_builtins(value)).encode() + b"\n"
    if not line.isascii() or b"\x7f" in line:
        line = _without_tricks(line.decode()).encode()
    return line + b"\n"


def as_text(record: Record) -> bytes:
    """Give time, level, message and ``name=value`` for each fact that there is, and a line feed."""
    facts = record.facts if isinstance(record, Note) else _facts(record)
    parts = [record.timestamp, f"{record.level:<5}", printable(record.msg)]
    parts += [f"{name}={_text(value)}" for name, value in facts.items() if value not in ("", None)]
    return " ".join(parts).encode("utf-8", "backslashreplace") + b"\n"


def _without_tricks(text: str) -> str:
    """Escape, as JSON does, what JSON would let through: line separators, marks of direction, C1 controls."""
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else json.dumps(character)[1:-1]


def _facts(record: Record) -> dict[str, Value]:
    facts: dict[str, Value] = msgspec.structs.asdict(record)
    for name in ("timestamp", "level", "msg"):
        del facts[name]
    return facts


def _text(value: Value) -> str:
    if not isinstance(value, str):
        return json.dumps(value)
    if value.isprintable() and not any(c in value for c in ' "='):
        return value
    return printable(json.dumps(value, ensure_ascii=False))


@define(eq=False)
class Stamps:
    """
    Writes times as RFC 3339 in UTC with milliseconds, quickly as long as they are of one second.

    :ivar wall: seconds since 1970.
    :ivar clock: seconds, never going back.
    """

    wall: Callable[[], float]
    clock: Callable[[], float]
    _second: int = field(init=False, default=-1)
    _prefix: str = field(init=False, default="")

    def of(self, moment: float) -> str:
        """Write a time of the ``clock`` that is not long ago."""
        return self.at(self.wall() - self.clock() + moment)

    def at(self, seconds: float) -> str:
        """Write a time given in seconds since 1970."""
        second = int(seconds)
        if second != self._second:
            self._second, self._prefix = second, time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(second))
        return f"{self._prefix}{int((seconds - second) * 1000):03d}Z"
