"""Many listings into one: which listed models are the same, and what it is called."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import define, field, frozen

from olla.catalog.facts import Facts, merged
from olla.domain.endpoint import Endpoint
from olla.domain.models import ListedModel


@frozen(eq=False)
class Source:
    """
    One model at one endpoint.

    :ivar first: seconds since 1970 at which this endpoint listed it first.
    """

    endpoint: Endpoint
    model: ListedModel
    facts: Facts
    first: float


@frozen(eq=False)
class Entry:
    """
    One model, wherever it is served.

    :ivar id: unique among entries; a backend's own name but for a clash (behaviour.md §16).
    :ivar sources: never empty, in order of priority, endpoint name and model name.
    :ivar facts: of all sources together.
    """

    id: str
    sources: tuple[Source, ...]
    facts: Facts

    @classmethod
    def of(cls, id: str, sources: Iterable[Source]) -> Entry:
        """Make the entry of ``sources``, which must not be empty."""
        sources = tuple(sources)
        return cls(id, sources, merged(source.facts for source in sources))

    @property
    def names(self) -> tuple[str, ...]:
        """The names under which backends take it, each once, in order of the sources."""
        return tuple(dict.fromkeys(source.model.name for source in self.sources))

    @property
    def created(self) -> int:
        """Seconds since 1970 at which it was first listed."""
        return int(min(source.first for source in self.sources))


@define(eq=False)
class _Group:
    """Sources that are found to be one model, while they are being gathered."""

    id: str
    digest: str
    sources: list[Source] = field(factory=list)


@define(eq=False)
class _Groups:
    """
    Gathers sources.

    A group without digest holds one name only, since only digests bring names together; so a name's first
    group is the only one that a source without digest may join, and the only one that can still lack a digest.
    """

    _all: dict[str, _Group] = field(factory=dict)
    _by_digest: dict[tuple[str, int], _Group] = field(factory=dict)
    _by_name: dict[str, _Group] = field(factory=dict)

    def add(self, source: Source) -> None:
        model = source.model
        lowered, blob = model.name.lower(), (model.digest, model.size)
        # A backend that gives one digest to models of different sizes does not know their digests.
        group = self._by_digest.get(blob) if model.digest else None
        if group is None:
            group = self._by_name.get(lowered)
            if group is not None and model.digest and group.digest and group.digest != model.digest:
                group = None
        if group is None:
            group = self._new(model)
        if model.digest:
            group.digest = group.digest or model.digest
            self._by_digest.setdefault(blob, group)
        self._by_name.setdefault(lowered, group)
        self._by_name.setdefault(group.id.lower(), group)
        group.sources.append(source)

    def _new(self, model: ListedModel) -> _Group:
        id = model.name
        while id in self._all:
            id += f"-{model.digest[-8:]}"
        group = self._all[id] = _Group(id, model.digest)
        return group

    def entries(self) -> Iterable[Entry]:
        return (Entry.of(group.id, group.sources) for group in self._all.values())


def unify(sources: Iterable[Source]) -> tuple[Entry, ...]:
    """
    Bring together what is the same model: by digest, else by name in any letter case unless digests differ.

    :param sources: in order of precedence: the first one names an entry and its facts win.
    """
    groups = _Groups()
    for source in sources:
        groups.add(source)
    return tuple(groups.entries())


def by_name(sources: Iterable[Source]) -> tuple[Entry, ...]:
    """Bring together nothing but equal names."""
    groups: dict[str, list[Source]] = {}
    for source in sources:
        groups.setdefault(source.model.name, []).append(source)
    return tuple(Entry.of(name, named) for name, named in groups.items())
