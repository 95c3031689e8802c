"""
Puts what ``twisted.logger`` is told into the log: one line for each event, whatever is in it.

``twistd`` takes the observer as a component of its application; see :class:`LogObserver`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from string import Formatter
from typing import BinaryIO

from attrs import define, field, frozen
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent
from twisted.python.failure import Failure
from twisted.python.logfile import LogFile
from zope.interface import implementer

from olla.telemetry.lines import Lines
from olla.telemetry.records import (
    DEBUG,
    ERROR,
    INFO,
    LONGEST,
    WARN,
    Form,
    Note,
    Value,
    as_json,
    as_text,
)

FILE = "olla.log"
MIB = 1024 * 1024
DAY = 86400.0
LONGEST_TRACE = 16384
LEVEL = {
    LogLevel.debug: DEBUG,
    LogLevel.info: INFO,
    LogLevel.warn: WARN,
    LogLevel.error: ERROR,
    LogLevel.critical: ERROR,
}
NOT_FACTS = frozenset({"message", "time", "system", "format", "isError", "failure", "why", "timestamp", "level", "msg"})
CHATTY = ("twisted.", "log_legacy", "klein")


@implementer(ILogObserver)
@define(eq=False)
class LogObserver:
    """
    Writes events that are told to ``twisted.logger``.

    What the framework says of its own comings and goings counts as ``DEBUG``.

    :ivar lines: where the lines go, at once.
    :ivar form: makes a line.
    :ivar stamp: writes a time given in seconds since 1970.
    :ivar shown: the levels that are logged.
    """

    lines: Lines
    form: Form
    stamp: Callable[[float], str]
    shown: Collection[str]
    _told: dict[str, frozenset[str]] = field(init=False, factory=dict)  # format to the names in it

    def __call__(self, event: LogEvent) -> None:
        """Write ``event``; this never raises."""
        level = LEVEL.get(event.get("log_level", LogLevel.info), INFO)
        if level == INFO and str(event.get("log_namespace", "")).startswith(CHATTY):
            level = DEBUG
        if level in self.shown:
            note = Note(self.stamp(event["log_time"]), level, _cut(formatEvent(event)), self._facts(event))
            self.lines.write_now(self.form(note))

    def _facts(self, event: LogEvent) -> dict[str, Value]:
        text = event.get("log_format") or ""
        said = self._names_in(text) if self.form is as_text else frozenset()
        facts = {
            name: _plain(value)
            for name, value in event.items()
            if not name.startswith(("log_", "_")) and name not in NOT_FACTS and name not in said
        }
        failure = event.get("log_failure")
        if isinstance(failure, Failure):
            facts["error"] = _cut(f"{type(failure.value).__name__}: {failure.getErrorMessage()}")
            facts["traceback"] = failure.getTraceback()[-LONGEST_TRACE:]
        return facts

    def _names_in(self, text: str) -> frozenset[str]:
        """Tell what the message of a line says already; formats are few, they are in the code."""
        names = self._told.get(text)
        if names is None:
            try:
                names = frozenset(name.partition(".")[0] for _, name, _, _ in Formatter().parse(text) if name)
            except ValueError:
                names = frozenset()
            if len(self._told) < LONGEST:
                self._told[text] = names
        return names


def form_for(configured: str, terminal: bool, insisted: bool) -> Form:
    """
    Choose the form of the lines: a terminal gets text unless the operator insists.

    :param configured: ``json`` or ``text``.
    :param terminal: whether standard output is one.
    :param insisted: whether the environment says so, and not only the file.
    """
    return as_text if configured == "text" or (terminal and not insisted) else as_json


def to_stream(stream: BinaryIO) -> Callable[[bytes], None]:
    """Give an output that writes to ``stream``, at once."""

    def write(data: bytes) -> None:
        stream.write(data)
        stream.flush()

    return write


@frozen
class Rotation:
    """
    When another file is begun, and which old ones are kept.

    :ivar size: bytes after which another one is begun.
    :ivar files: old ones that are kept.
    :ivar age: seconds after which an old one is dropped all the same; 0 for never.
    """

    size: int = 100 * 1024 * 1024
    files: int = 10
    age: float = 0.0

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Rotation:
        """Read what the environment says; what is no number above 0 says nothing."""

        def number(name: str) -> int:
            text = environ.get(name, "")
            return int(text) if text.isdecimal() else 0

        usual = cls()
        return cls(
            number("OLLA_LOG_SIZE_MB") * MIB or usual.size,
            number("OLLA_LOG_MAX_BACKUPS") or usual.files,
            number("OLLA_LOG_MAX_AGE_DAYS") * DAY or usual.age,
        )


class RotatingFile(LogFile):
    """A file that makes way for another when it is full, and drops what is too old then."""

    age = 0.0

    def rotate(self) -> None:
        """Begin another file."""
        super().rotate()
        for number in self.listLogs() if self.age else ():
            path = Path(f"{self.path}.{number}")
            if time.time() - path.stat().st_mtime > self.age:
                path.unlink()


def to_file(path: Path, rotation: Rotation) -> Callable[[bytes], None]:
    """
    Give an output that writes to a file.

    :raise OSError: when its folder cannot be made or written to.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = RotatingFile(path.name, str(path.parent), rotateLength=rotation.size, maxRotatedFiles=rotation.files)
    file.age = rotation.age
    write: Callable[[bytes], None] = file.write
    return write


def _plain(value: object) -> Value:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return _cut(value if isinstance(value, str) else str(value))


def _cut(text: str) -> str:
    """Keep both ends: what went wrong stands at the end of a traceback."""
    half = LONGEST // 2
    return text if len(text) <= LONGEST else f"{text[:half]}…{text[-half:]}"
