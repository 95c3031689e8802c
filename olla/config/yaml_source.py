"""
YAML text as a tree that keeps what was written: raw scalars, lines, repeated keys (config.md §1).

PyYAML's safe loader reads the stream of events; types are not guessed here, the schema gives them.  Only the
first document is read.  Nesting and the growth through aliases are bounded.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import Any, Final, NoReturn

import yaml
from attrs import field, frozen
from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    StreamEndEvent,
)

from olla.config.remarks import ConfigError, Remark

LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's where PyYAML was built with it
MAX_BYTES = 8 * 1024 * 1024
MAX_DEPTH = 60
MAX_NODES = 200_000  # counted as if each alias were written out
NULLS = ("", "~", "null", "Null", "NULL")
KNOWN_TAGS = tuple(
    f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "seq", "map", "timestamp")
)


@frozen
class Scalar:
    """
    One scalar as written.

    :ivar plain: it stood without quotes, so that a number may be one.
    """

    text: str
    line: int
    plain: bool = True

    @property
    def null(self) -> bool:
        """Whether this says "nothing": empty, ``~`` or ``null`` without quotes."""
        return self.plain and self.text in NULLS


@frozen
class Items:
    """A list."""

    nodes: tuple[Node, ...]
    line: int


@frozen
class Entry:
    """
    One key of a table.

    :ivar line: where the key stands.
    """

    key: str
    line: int
    node: Node


@frozen
class Table:
    """A block of keys, each once, in the order written, with what ``<<`` merged at the end."""

    entries: tuple[Entry, ...]
    line: int

    def get(self, key: str) -> Entry | None:
        """Return the entry of a key, if it is there."""
        return self._by_key.get(key)

    _by_key: dict[str, Entry] = field(init=False, eq=False, repr=False)

    @_by_key.default
    def _index(self) -> dict[str, Entry]:
        return {entry.key: entry for entry in self.entries}


Node = Scalar | Items | Table


def parse(data: bytes, source: str) -> Node | None:
    """
    Read the first document of a file.

    :param data: UTF-8 with or without byte order mark, or UTF-16 with one.
    :param source: the file's name for messages.
    :return: the tree; ``None`` for an empty document.
    :raise ConfigError: it is not YAML, is too large, or has a key twice (all of those at once).
    """
    text = _decode(data, source)
    loader = LOADER(text)
    try:
        builder = _Builder(source, _events(loader))
        root = builder.document()
    except yaml.MarkedYAMLError as error:
        raise ConfigError([_syntax(error, source)]) from None
    except yaml.YAMLError as error:
        reason = getattr(error, "reason", None) or "not YAML"
        raise ConfigError([Remark("", f"failed to parse: {reason}", source)]) from None
    finally:
        loader.dispose()
    if builder.faults:
        raise ConfigError(builder.faults)
    return None if isinstance(root, Scalar) and root.null else root


def _decode(data: bytes, source: str) -> str:
    if len(data) > MAX_BYTES:
        raise ConfigError([Remark("", f"larger than {MAX_BYTES} bytes", source)])
    encoding = "utf-8-sig"
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            [Remark("", f"failed to parse: not {encoding.upper().removesuffix('-SIG')}", source, line)]
        ) from None


def _syntax(error: yaml.MarkedYAMLError, source: str) -> Remark:
    mark = error.problem_mark or error.context_mark
    said = " ".join(part for part in (error.context, error.problem) if part)
    column = f", column {mark.column + 1}" if mark else ""
    return Remark("", f"failed to parse: {said}{column}", source, mark.line + 1 if mark else 0)


def _events(loader: Any) -> Iterator[Any]:
    while loader.check_event():
        event = loader.get_event()
        if isinstance(event, (DocumentEndEvent, StreamEndEvent)):
            return
        yield event


@frozen
class _Sized:
    """A node, and how many there are in it with every alias written out."""

    node: Node
    count: int


@frozen
class _Builder:
    """Turns the events of one document into a tree."""

    _source: str
    _events: Iterator[Any]  # the stubs of PyYAML do not tell what each kind of event has
    faults: list[Remark] = field(factory=list)
    _anchors: dict[str, _Sized] = field(factory=dict)

    def document(self) -> Node | None:
        for event in self._events:
            if isinstance(event, NodeEvent):
                return self._node(event, "", 1).node
        return None

    def _node(self, event: Any, path: str, depth: int) -> _Sized:
        line = event.start_mark.line + 1
        if isinstance(event, AliasEvent):
            if event.anchor not in self._anchors:
                self._stop(path, line, "failed to parse: an alias to an anchor that is not there")
            return self._anchors[event.anchor]
        if depth > MAX_DEPTH:
            self._stop("", line, f"nested more than {MAX_DEPTH} deep")
        if event.tag not in (None, "!", *KNOWN_TAGS):
            self._stop(path, line, "has a tag that is not allowed here")
        if isinstance(event, ScalarEvent):
            sized = _Sized(_scalar(event, line), 1)
        elif isinstance(event, MappingStartEvent):
            sized = self._table(path, line, depth)
        else:
            sized = self._items(path, line, depth)
        if sized.count > MAX_NODES:
            self._stop("", line, f"has more than {MAX_NODES} values, aliases counted")
        if event.anchor is not None:
            self._anchors[event.anchor] = sized
        return sized

    def _items(self, path: str, line: int, depth: int) -> _Sized:
        nodes: list[Node] = []
        count = 1
        for event in self._events:
            if isinstance(event, SequenceEndEvent):
                break
            sized = self._node(event, f"{path}[{len(nodes)}]", depth + 1)
            nodes.append(sized.node)
            count += sized.count
        return _Sized(Items(tuple(nodes), line), count)

    def _table(self, path: str, line: int, depth: int) -> _Sized:
        entries: dict[str, Entry] = {}
        merged: list[Node] = []
        count = 1
        for event in self._events:
            if isinstance(event, MappingEndEvent):
                break
            key_line = event.start_mark.line + 1
            key, merges = self._key(event, path, key_line)
            inner = f"{path}.{key}" if path else key
            sized = self._node(next(self._events), path if merges else inner, depth + 1)
            count += sized.count
            if merges:
                merged.append(sized.node)
            elif key in entries:
                said = f"key given twice, on line {entries[key].line} and line {key_line}"
                self.faults.append(Remark(inner, said, self._source, key_line))
            else:
                entries[key] = Entry(key, key_line, sized.node)
        for node in merged:
            self._merge(entries, node, path, line)
        return _Sized(Table(tuple(entries.values()), line), count)

    def _key(self, event: Any, path: str, line: int) -> tuple[str, bool]:
        if isinstance(event, AliasEvent) and event.anchor in self._anchors:
            node = self._anchors[event.anchor].node
            if isinstance(node, Scalar):
                return node.text, False
        if not isinstance(event, ScalarEvent):
            self._stop(path, line, "a key must be text")
        if event.anchor is not None:
            self._anchors[event.anchor] = _Sized(_scalar(event, line), 1)
        return event.value, event.value == "<<" and not event.style

    def _merge(self, entries: dict[str, Entry], node: Node, path: str, line: int) -> None:
        for table in node.nodes if isinstance(node, Items) else (node,):
            if not isinstance(table, Table):
                self._stop(path, line, "<< can merge a block or a list of blocks only")
            for entry in table.entries:
                entries.setdefault(entry.key, entry)

    def _stop(self, path: str, line: int, message: str) -> NoReturn:
        raise ConfigError([*self.faults, Remark(path, message, self._source, line)])


def _scalar(event: Any, line: int) -> Scalar:
    quoted = bool(event.style) or event.tag in ("!", "tag:yaml.org,2002:str")
    return Scalar(event.value, line, plain=not quoted)
