"""What there is to say about a configuration: faults that stop the start, warnings, notes."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen


@frozen
class Remark:
    """
    One thing said about one key.  Never holds a secret.

    :ivar path: dotted path of the key, such as ``server.port``; ``""`` when it is about a whole file.
    :ivar message: what is wrong, or worth knowing.
    :ivar source: the file, or the environment variable, that said it; ``""`` for neither.
    :ivar line: line in that file, from 1; 0 when there is none.
    :ivar note: whether it is worth knowing, and nothing is wrong.
    """

    path: str
    message: str
    source: str = ""
    line: int = 0
    note: bool = False

    def __str__(self) -> str:
        where = f"{self.source}:{self.line}" if self.line else self.source
        return ": ".join(part for part in (where, self.path, self.message) if part)


class ConfigError(Exception):
    """The configuration cannot be used.  Its text has one line for each fault."""

    def __init__(self, faults: Iterable[Remark]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(map(str, self.faults)))
