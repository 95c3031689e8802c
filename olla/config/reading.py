"""One reading of a configuration: what was found where, and everything there is to say about it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from attrs import define, evolve, field, frozen

from olla.config.placeholders import HINT, expand
from olla.config.remarks import Remark
from olla.config.yaml_source import Items, Node, Scalar, Table

KINDS: Mapping[type, str] = {Scalar: "a single value", Items: "a list", Table: "a block of keys"}
LONGEST_SHOWN = 60


@frozen
class _Unknown:
    path: str
    key: str
    line: int
    siblings: tuple[str, ...]


@define
class Reading:
    """
    Collects faults, warnings and notes while a tree of YAML becomes values.

    :ivar source: the file, for messages.
    :ivar environ: variables for placeholders and overrides; ``None`` where a file takes neither.
    :ivar ignored: unknown keys below these paths are passed over in silence; ``*`` stands for any one key.
    """

    source: str = ""
    environ: Mapping[str, str] | None = None
    ignored: tuple[str, ...] = ()
    faults: list[Remark] = field(factory=list)
    warnings: list[Remark] = field(factory=list)
    notes: list[Remark] = field(factory=list)
    variables: set[str] = field(factory=set)  # every name that would set a key, or was named by a placeholder
    paths: set[str] = field(factory=set)  # every key that there could be, lists as []
    labels: dict[str, str] = field(factory=dict)  # what blocks in a list are called
    _unknown: list[_Unknown] = field(factory=list)
    _places: dict[str, tuple[str, int]] = field(factory=dict)
    _texts: dict[str, str] = field(factory=dict, repr=False)

    def place(self, path: str, line: int, source: str = "") -> None:
        """Remember where a key was given; an element of a variable's list was given where the list was."""
        if line or source:
            self._places[path] = (source or self.source, line)

    def take(self, path: str, text: str) -> None:
        """Remember how a value was written."""
        self._texts[path] = text

    def written(self, path: str, otherwise: str = "") -> str:
        """Give a value as it was written, for messages."""
        return shown(self._texts.get(path, otherwise))

    def given(self, path: str) -> bool:
        """Whether a file or a variable gives this key, or part of this block, a value."""
        return path in self._places

    def fault(self, path: str, message: str, line: int = 0) -> None:
        """Say what stops the start."""
        self.faults.append(self._remark(path, message, line))

    def warn(self, path: str, message: str, line: int = 0) -> None:
        """Say what probably is not as it was meant."""
        self.warnings.append(self._remark(path, message, line))

    def warn_of_variable(self, name: str, path: str, message: str) -> None:
        """Say what is wrong with an environment variable that is passed over."""
        self.warnings.append(Remark(path, message, name))

    def note(self, path: str, message: str, line: int = 0) -> None:
        """Say what is worth knowing once."""
        self.notes.append(evolve(self._remark(path, message, line), note=True))

    def _remark(self, path: str, message: str, line: int) -> Remark:
        if line:
            return Remark(path, message, self.source, line)
        source, line = self._find(path)
        return Remark(path, message, source, line)

    def _find(self, path: str) -> tuple[str, int]:
        while path not in self._places and path:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self._places.get(path, ("", 0))

    def is_faulty(self, path: str) -> bool:
        """Whether a fault of this very key, or of an element of its list, has been said."""
        return any(fault.path == path or fault.path.startswith(f"{path}[") for fault in self.faults)

    def labelled(self, remarks: Iterable[Remark]) -> tuple[Remark, ...]:
        """Return the remarks, each with the label of the block that it is about."""
        return tuple(self._labelled(remark) for remark in remarks)

    def _labelled(self, remark: Remark) -> Remark:
        for path, label in self.labels.items():
            if remark.path == path or remark.path.startswith(f"{path}."):
                return evolve(remark, message=f"{label}: {remark.message}")
        return remark

    def expanded(self, scalar: Scalar, path: str) -> Scalar | None:
        """
        Fill in placeholders.

        :return: the scalar, as if written plain where something was filled in; ``None`` after a fault.
        """
        if self.environ is None or "${" not in scalar.text:
            return scalar
        result = expand(scalar.text, self.environ)
        self.variables.update(result.names)
        if result.malformed:
            self.fault(path, HINT, scalar.line)
        for name in result.missing:
            self.fault(path, f'required environment variable "{name}" is not set', scalar.line)
        if result.malformed or result.missing:
            return None
        return Scalar(result.text, scalar.line, plain=True) if result.names else scalar

    def mistyped(self, path: str, wanted: type, found: Node) -> None:
        """Say that a key has the wrong shape, without showing what is there."""
        self.fault(path, f"must be {KINDS[wanted]}, not {KINDS[type(found)]}", found.line)

    def keep_unknown(self, table: Table, path: str, known: Iterable[str]) -> None:
        """Remember each key of a block that nothing reads."""
        known = tuple(known)
        for entry in table.entries:
            inner = f"{path}.{entry.key}" if path else entry.key
            if entry.key not in known and not self._is_ignored(inner):
                self._unknown.append(_Unknown(inner, entry.key, entry.line, known))

    def unknown(self) -> tuple[Remark, ...]:
        """Name each key that nothing reads, and the nearest known one; call when all has been read."""
        return tuple(Remark(u.path, self._nearest(u), self.source, u.line) for u in self._unknown)

    def _is_ignored(self, path: str) -> bool:
        parts = path.split(".")
        return any(_fits(pattern.split("."), parts) for pattern in self.ignored)

    def _nearest(self, unknown: _Unknown) -> str:
        for near in difflib.get_close_matches(unknown.key.lower(), unknown.siblings, 1, 0.6):
            return f"unknown key, has no effect; is {near} meant?"
        homes = sorted(p for p in self.paths if p.rpartition(".")[2] == unknown.key)
        if homes:
            home = homes[0].rpartition(".")[0] or "the top level"
            return f"unknown key, has no effect; it belongs under {home}"
        near_anywhere = difflib.get_close_matches(unknown.path, self.paths, 1, 0.4)
        return "unknown key, has no effect" + "".join(f"; the nearest known is {p}" for p in near_anywhere)


def _fits(pattern: list[str], parts: list[str]) -> bool:
    if len(parts) < len(pattern):
        return False
    return all(wanted in ("*", part.partition("[")[0]) for wanted, part in zip(pattern, parts, strict=False))


def shown(text: str) -> str:
    """Return a text for a message: in quotes, short, without control characters."""
    cut = text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 1] + "…"
    return '"' + "".join(c if c.isprintable() else "?" for c in cut) + '"'
