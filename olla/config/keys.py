"""
The keys of a schema: each says how it is written, what it may be, and which variable overrides it.

A schema class is an ``attrs.frozen`` value whose fields come from :func:`key`, :func:`keys`, :func:`block`,
:func:`blocks`, :func:`texts_by_name` or :func:`lists_by_name`; :func:`read_block` makes one out of YAML.
The field's default is what holds when nothing is written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol, TypeVar

import attrs

from olla.config import units
from olla.config.kinds import TEXT, Check, Kind
from olla.config.reading import Reading, shown
from olla.config.yaml_source import Items, Node, Scalar, Table

T = TypeVar("T")
B = TypeVar("B", bound=attrs.AttrsInstance)
METADATA: Final = "olla.key"
HIDDEN: Final = "the value"


class _Kept:
    """What reading returns for a key that is not given: its default holds."""


KEPT: Final = _Kept()


class Key(Protocol):
    """Reads one key of a block."""

    def read(self, node: Node | None, path: str, reading: Reading) -> Any:
        """Return the value, or ``KEPT`` when none is given or it has a fault."""


@attrs.frozen
class _Value:
    kind: Kind[Any]
    checks: tuple[Check, ...]
    env: str = ""
    hidden: bool = False
    lenient: bool = False

    def read(self, node: Node | None, path: str, reading: Reading) -> Any:
        found = KEPT if node is None else self._from_file(node, path, reading)
        over = from_variable(reading, path, self.env, self.kind.variable)
        value = found if over is KEPT else over
        return value if value is KEPT or self._passes(value, path, reading) else KEPT

    def _from_file(self, node: Node, path: str, reading: Reading) -> Any:
        if not isinstance(node, Scalar):
            reading.mistyped(path, Scalar, node)
            return KEPT
        scalar = reading.expanded(node, path)
        if scalar is None or node.null or (scalar.null and self.kind is not TEXT):
            return KEPT  # what a placeholder brings into a text is a text, "null" and nothing as well
        reading.place(path, node.line)
        reading.take(path, scalar.text)
        try:
            return self.kind.file(scalar)
        except ValueError as error:
            reading.fault(path, f"{self._shown(node.text)} {error}", node.line)
            return KEPT

    def _passes(self, value: Any, path: str, reading: Reading) -> bool:
        for check in self.checks:
            try:
                check(value)
            except ValueError as error:
                self._refuse(error, path, reading)
                return False
        return True

    def _refuse(self, error: ValueError, path: str, reading: Reading) -> None:
        message = f"{HIDDEN if self.hidden else reading.written(path)} {error}"
        if self.lenient:
            reading.warn(path, f"{message}; the default is used")
        else:
            reading.fault(path, message)

    def _shown(self, text: str) -> str:
        return HIDDEN if self.hidden else shown(text)


@attrs.frozen
class _Values:
    kind: Kind[Any]
    checks: tuple[Check, ...]
    env: str

    def read(self, node: Node | None, path: str, reading: Reading) -> Any:
        found = KEPT if node is None else self._from_file(node, path, reading)
        over = from_variable(reading, path, self.env, units.comma_list)
        if over is KEPT:
            return found
        return tuple(self._elements([Scalar(text, 0) for text in over], path, reading))

    def _from_file(self, node: Node, path: str, reading: Reading) -> Any:
        if isinstance(node, Scalar) and node.null:
            reading.place(path, node.line)
            return ()
        if not isinstance(node, Items):
            reading.mistyped(path, Items, node)
            return KEPT
        reading.place(path, node.line)
        return tuple(self._elements(node.nodes, path, reading))

    def _elements(self, nodes: Any, path: str, reading: Reading) -> list[Any]:
        values = []
        for index, node in enumerate(nodes):
            inner = f"{path}[{index}]"
            if not (isinstance(node, Scalar) and node.null):
                value = _Value(self.kind, self.checks).read(node, inner, reading)
                values += [] if value is KEPT else [value]
        return values


@attrs.frozen
class _Block:
    schema: type[attrs.AttrsInstance]

    def read(self, node: Node | None, path: str, reading: Reading) -> Any:
        return read_block(self.schema, node, path, reading)


@attrs.frozen
class _OptionalBlock:
    schema: type[attrs.AttrsInstance]

    def read(self, node: Node | None, path: str, reading: Reading) -> Any:
        if node is None or (isinstance(node, Scalar) and node.null):
            return KEPT
        return read_block(self.schema, node, path, reading)


@attrs.frozen
class _Blocks:
    schema: type[attrs.AttrsInstance]

    def read(self, node: Node | None, path: str, reading: Reading) -> Any:
        read_block(self.schema, None, f"{path}[]", reading)  # only to learn which keys there could be
        if node is None:
            return KEPT
        reading.place(path, node.line)
        if isinstance(node, Scalar) and node.null:
            return ()
        if not isinstance(node, Items):
            reading.mistyped(path, Items, node)
            return KEPT
        found = [n for n in node.nodes if not (isinstance(n, Scalar) and n.null)]
        return tuple(read_block(self.schema, n, f"{path}[{i}]", reading) for i, n in enumerate(found))


@attrs.frozen
class _ByName:
    element: Any
    null: Any

    def read(self, node: Node | None, path: str, reading: Reading) -> Any:
        if node is None:
            return KEPT
        reading.place(path, node.line)
        if isinstance(node, Scalar) and node.null:
            return {}
        if not isinstance(node, Table):
            reading.mistyped(path, Table, node)
            return KEPT
        named = {}
        for entry in node.entries:
            inner = f"{path}.{entry.key}"
            reading.place(inner, entry.line)
            value = self.element.read(entry.node, inner, reading)
            named[entry.key] = self.null if value is KEPT else value
        return named


def from_variable(reading: Reading, path: str, env: str, read: Callable[[str], Any]) -> Any:
    """Read the variable that overrides a key, if one is set; one that cannot be read is passed over."""
    value: Any = KEPT
    if reading.environ is None or "[" in path:
        return value
    derived = "OLLA__" + path.upper().replace(".", "__")
    for name in (env, derived):
        text = reading.environ.get(name, "") if name else ""
        reading.variables.add(name)
        if not text:
            continue
        try:
            value = read(text)
        except ValueError as error:
            reading.warn_of_variable(name, path, f"{shown(text)} {error}; the variable is ignored")
        else:
            reading.place(path, 0, name)
            reading.take(path, text)
    return value


def read_block(schema: type[B], node: Node | None, path: str, reading: Reading) -> B:
    """
    Make a value of ``schema`` out of a block.

    Faults and unknown keys go to ``reading``; a key with a fault keeps its default.

    :param schema: a class whose fields are keys.
    :param node: what was written; ``None`` for nothing.
    :param path: dotted path of the block; ``""`` for the whole file.
    """
    table = Table((), 0)
    if isinstance(node, Table):
        table = node
        reading.place(path, node.line)
    elif node is not None and not (isinstance(node, Scalar) and node.null):
        reading.mistyped(path, Table, node)
    values: dict[str, Any] = {}
    keys = {f.name: f.metadata[METADATA] for f in attrs.fields(schema) if METADATA in f.metadata}
    for name, one in keys.items():
        inner = f"{path}.{name}" if path else name
        reading.paths.add(inner)
        entry = table.get(name)
        value = one.read(entry.node if entry else None, inner, reading)
        if value is not KEPT:
            values[name] = value
    reading.keep_unknown(table, path, keys)
    return schema(**values)


def key(
    kind: Kind[T],
    default: T,
    *checks: Check,
    env: str = "",
    lenient: bool = False,
    convert: Callable[[T], T] | None = None,
) -> Any:
    """
    A key with one value.

    :param checks: each raises :class:`ValueError` for what cannot be used, in words that go on from it.
    :param env: the variable that overrides it, besides ``OLLA__PATH__OF__KEY``.
    :param lenient: a value that cannot be used is a warning, and the default holds.
    :param convert: makes what is meant out of what is written.
    """
    one = _Value(kind, checks, env, lenient=lenient)
    return attrs.field(default=default, metadata={METADATA: one}, converter=convert)


def optional(kind: Kind[Any], *checks: Check, hidden: bool = False) -> Any:
    """
    A key with one value, which is ``None`` when it is not given.

    :param hidden: neither messages nor the value's ``repr`` may show it.
    """
    return attrs.field(default=None, metadata={METADATA: _Value(kind, checks, hidden=hidden)}, repr=not hidden)


def keys(kind: Kind[T], default: tuple[T, ...], *checks: Check, env: str = "") -> Any:
    """A key with a list of values; a variable gives it with commas."""
    return attrs.field(default=default, metadata={METADATA: _Values(kind, checks, env)})


def block(schema: type[attrs.AttrsInstance], complete: type | None = None) -> Any:
    """
    A block of keys, with its own schema.

    :param complete: what takes the place of the block once it is resolved, if that is another class.
    """
    return attrs.field(factory=complete or schema, metadata={METADATA: _Block(schema)})


def optional_block(schema: type[attrs.AttrsInstance]) -> Any:
    """A block of keys, which is ``None`` when it is not given."""
    return attrs.field(default=None, metadata={METADATA: _OptionalBlock(schema)})


def blocks(schema: type[attrs.AttrsInstance], default: tuple[Any, ...] = ()) -> Any:
    """A list of blocks of one schema."""
    return attrs.field(default=default, metadata={METADATA: _Blocks(schema)})


def texts_by_name(hidden: bool = False) -> Any:
    """A table of names and texts, chosen by the user; a null is the empty text."""
    element = _ByName(_Value(TEXT, (), hidden=hidden), "")
    return attrs.field(factory=dict, metadata={METADATA: element}, repr=not hidden)


def values_by_name(kind: Kind[Any], null: Any) -> Any:
    """A table of names, chosen by the user, and values of one kind."""
    return attrs.field(factory=dict, metadata={METADATA: _ByName(_Value(kind, ()), null)})


def lists_by_name() -> Any:
    """A table of names, chosen by the user, and lists of texts."""
    return attrs.field(factory=dict, metadata={METADATA: _ByName(_Values(TEXT, (), ""), ())})
