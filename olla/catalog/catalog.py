"""All models known, at which endpoints, under which names."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import islice

import msgspec
from attrs import define, evolve, field

from olla.catalog.aliases import Aliases
from olla.catalog.facts import FactReader
from olla.catalog.globs import Filter
from olla.catalog.unify import Entry, Source, by_name, unify
from olla.domain.endpoint import Endpoint
from olla.domain.models import ListedModel
from olla.domain.routing import Located

LATEST = ":latest"
REMEMBERED = 16384
SYNONYMS = (
    frozenset({"chat", "chat-completion"}),
    frozenset({"text", "text-generation", "completion"}),
    frozenset({"embeddings", "embedding"}),
    frozenset({"vision", "vision-understanding", "image", "image-understanding", "multimodal"}),
    frozenset({"code", "code-generation"}),
    frozenset({"function", "function-calling", "tools", "tool-use"}),
    frozenset({"streaming", "stream"}),
)


@define(eq=False)
class _Shelf:
    """
    What one endpoint listed last.

    :ivar left_out: models that there was no room for.
    :ivar listed: seconds on the clock that never goes back.
    :ivar seen: seconds since 1970.
    """

    endpoint: Endpoint
    profile: str
    models: tuple[ListedModel, ...]
    sources: tuple[Source, ...]
    labels: frozenset[str]
    left_out: int
    listed: float
    seen: float


@define(eq=False)
class Catalog:
    """
    Holds what the endpoints list, and finds the endpoints that have a model.

    :ivar unified: whether models are brought together by digest and in any letter case, or by equal names alone.
    :ivar per_endpoint: models kept of one listing.
    :ivar total: models kept of all listings.
    :ivar version: another number after each change.
    """

    _reader: FactReader
    _aliases: Aliases
    unified: bool = True
    per_endpoint: int = 20_000
    total: int = 100_000
    version: int = field(init=False, default=0)
    _shelves: dict[str, _Shelf] = field(init=False, factory=dict)
    _entries: tuple[Entry, ...] | None = field(init=False, default=())
    _named: dict[str, list[Entry]] = field(init=False, factory=dict)
    _by_id: dict[str, Entry] = field(init=False, factory=dict)
    _located: dict[str, Located] = field(init=False, factory=dict)

    # What endpoints list ---------------------------------------------------------------------------------------

    def update(
        self,
        endpoint: Endpoint,
        models: Sequence[ListedModel],
        now: float,
        wall: float,
        profile: str = "",
        firsts: Sequence[float] = (),
    ) -> None:
        """
        Take an endpoint's listing in place of its last one.

        :param now: seconds on a clock that never goes back.
        :param wall: seconds since 1970.
        :param profile: canonical name of what the endpoint turned out to be; that of its configuration when empty.
        :param firsts: when each of ``models`` was listed first, in seconds since 1970, if somebody knows that better.
        """
        profile = profile or endpoint.profile
        kept, left_out = self._admitted(endpoint, models)
        last = self._shelves.get(endpoint.name)
        self.version += 1
        if last is not None and last.endpoint is endpoint and last.profile == profile and last.models == kept:
            last.listed, last.seen, last.left_out = now, wall, left_out
            return
        told = {model.name: first for model, first in zip(models, firsts, strict=False)}
        sources = self._sources(endpoint, kept, profile, wall, last, told)
        shelf = _Shelf(endpoint, profile, kept, sources, _labels(sources), left_out, now, wall)
        self._shelves[endpoint.name] = shelf
        self._forget_entries()

    def forget(self, endpoint: Endpoint) -> None:
        """Drop all models of an endpoint that is no more."""
        if self._shelves.pop(endpoint.name, None) is not None:
            self._forget_entries()

    def sweep(self, now: float, age: float, alive: Collection[str]) -> None:
        """
        Drop the models of endpoints whose listing has become too old.

        :param age: seconds since an endpoint's last listing.
        :param alive: names of endpoints that are not down: theirs stay, since their next listing will come.
        """
        old = [s for s in self._shelves.values() if now - s.listed > age and s.endpoint.name not in alive]
        for shelf in old:
            self.forget(shelf.endpoint)

    def rename(self, aliases: Aliases) -> None:
        """Take other aliases."""
        self._aliases = aliases
        self._forget_entries()

    def reread(self, reader: FactReader) -> None:
        """Read what the endpoints have listed by other rules."""
        self._reader = reader
        for shelf in self._shelves.values():
            shelf.sources = tuple(
                Source(one.endpoint, one.model, reader.read(one.model, shelf.profile), one.first)
                for one in shelf.sources
            )
            shelf.labels = _labels(shelf.sources)
        self._forget_entries()

    def _admitted(self, endpoint: Endpoint, models: Iterable[ListedModel]) -> tuple[tuple[ListedModel, ...], int]:
        admits = Filter(endpoint.model_include, endpoint.model_exclude).admits
        named: dict[str, ListedModel] = {}
        for model in models:
            if model.name and admits(model.name) and _can_be_written(model):
                named.setdefault(model.name, model)
        others = sum(len(s.models) for name, s in self._shelves.items() if name != endpoint.name)
        room = max(min(self.per_endpoint, self.total - others), 0)
        kept = sorted(islice(named.values(), room), key=lambda model: model.name)
        return tuple(kept), len(named) - len(kept)

    def _sources(
        self,
        endpoint: Endpoint,
        models: Iterable[ListedModel],
        profile: str,
        wall: float,
        last: _Shelf | None,
        told: Mapping[str, float],
    ) -> tuple[Source, ...]:
        before = {source.model.name: source for source in last.sources} if last else {}
        same = last is not None and last.endpoint is endpoint and last.profile == profile

        def source(model: ListedModel) -> Source:
            known = before.get(model.name)
            if known is not None and same and known.model == model:
                return known
            first = known.first if known is not None else told.get(model.name, wall)
            return Source(endpoint, model, self._reader.read(model, profile), first)

        return tuple(map(source, models))

    def _forget_entries(self) -> None:
        self.version += 1
        self._entries = None
        self._located.clear()

    # What there is ---------------------------------------------------------------------------------------------

    def locate(self, model: str) -> Located:
        """
        Find the endpoints that have a model, and its name at each (behaviour.md §9, §10).

        :param model: an alias, a backend's name, or an id of ours, in any letter case.
        """
        found = self._located.get(model)
        return found if found is not None else self._locate(model)

    def listed(self, model: str) -> dict[str, Source]:
        """
        Find what endpoints have a model, aliases apart.

        Models that are listed under exactly this name win over those whose name differs in letter case, and
        names over ids of ours, and both over a name that has ``:latest`` behind this one: Ollama's clients leave it
        out.  Another name of the same model is used at endpoints that do not know this one.

        :return: endpoint name to what it lists, preferred endpoints first.
        """
        self.entries()
        lowered = model.lower()
        entries = self._named.get(lowered)
        if entries is None:
            own = self._by_id.get(lowered)
            entries = self._named.get(lowered + LATEST, []) if own is None else [own]
        exact = [entry for entry in entries if any(source.model.name == model for source in entry.sources)]
        sources = [source for entry in exact or entries for source in entry.sources]
        sources.sort(key=lambda s: (s.model.name != model, s.model.name.lower() != lowered))
        found: dict[str, Source] = {}
        for source in sources:
            found.setdefault(source.endpoint.name, source)
        return found

    def resolved(self) -> Iterable[tuple[str, tuple[str, ...], tuple[Source, ...]]]:
        """
        Go through the aliases that lead somewhere.

        :return: triples of the alias, the targets that are listed somewhere, and what endpoints have for it.
        """
        for alias in self._aliases:
            found = {target: self.listed(target) for target in alias.targets}
            sources = tuple(_claimed(found.values()).values())
            if sources:
                yield alias.name, tuple(target for target in found if found[target]), sources

    def entries(self) -> tuple[Entry, ...]:
        """Give all models, those of preferred endpoints first."""
        if self._entries is None:
            shelves = sorted(self._shelves.values(), key=lambda s: (-s.endpoint.priority, s.endpoint.name))
            sources = (source for shelf in shelves for source in shelf.sources)
            self._entries = unify(sources) if self.unified else by_name(sources)
            self._index(self._entries)
        return self._entries

    def capable(self, endpoint_name: str, capability: str) -> bool:
        """Say whether an endpoint has any model with ``capability``: ``vision``, ``tools``, ``embeddings`` …"""
        shelf = self._shelves.get(endpoint_name)
        if shelf is None:
            return False
        wanted = capability.lower().replace("_", "-")
        same = next((words for words in SYNONYMS if wanted in words), (wanted,))
        return not shelf.labels.isdisjoint(same)

    def count(self, endpoint_name: str) -> int:
        """Say how many models an endpoint has."""
        shelf = self._shelves.get(endpoint_name)
        return 0 if shelf is None else len(shelf.models)

    def models(self, endpoint_name: str) -> tuple[ListedModel, ...]:
        """Give the models that an endpoint has, as it has listed them."""
        shelf = self._shelves.get(endpoint_name)
        return () if shelf is None else shelf.models

    def firsts(self, endpoint_name: str) -> tuple[float, ...]:
        """Give the seconds since 1970 at which an endpoint listed each of its models first."""
        shelf = self._shelves.get(endpoint_name)
        return () if shelf is None else tuple(source.first for source in shelf.sources)

    def seen(self, endpoint_name: str) -> float:
        """Give the seconds since 1970 at which an endpoint's listing was read last; ``0.0`` for never."""
        shelf = self._shelves.get(endpoint_name)
        return 0.0 if shelf is None else shelf.seen

    @property
    def left_out(self) -> int:
        """How many listed models are not known because there are too many."""
        return sum(shelf.left_out for shelf in self._shelves.values())

    def displayed(self, quantization: str, original: str) -> str:
        """Write a quantisation in its usual form: ``q4km`` as ``Q4_K_M``."""
        return self._reader.displayed(quantization, original)

    def _locate(self, model: str) -> Located:
        self.entries()
        alias = self._aliases.find(model)
        sources = {} if alias is None else _claimed(self.listed(target) for target in alias.targets)
        located = _spelled(_located(self.listed(model)), model)
        if alias is not None and sources:
            located = _located(sources, alias.name, located if located.known else None)
        elif alias is not None and not located.known:
            located = Located(target=alias.targets[0])
        if located.known:  # others are the client's invention, and there is no end to them
            if len(self._located) >= REMEMBERED:
                self._located.clear()
            self._located[model] = located
        return located

    def _index(self, entries: Iterable[Entry]) -> None:
        self._named, self._by_id = {}, {}
        for entry in entries:
            self._by_id.setdefault(entry.id.lower(), entry)
            for name in dict.fromkeys(source.model.name.lower() for source in entry.sources):
                self._named.setdefault(name, []).append(entry)


def _can_be_written(model: ListedModel) -> bool:
    """Keep out what JSON cannot hold, such as half a surrogate pair: it would take every listing down with it."""
    try:
        msgspec.json.encode(model)
    except UnicodeEncodeError:
        return False
    return True


def _labels(sources: Iterable[Source]) -> frozenset[str]:
    return frozenset(label for source in sources for label in source.facts.capabilities)


def _located(sources: Mapping[str, Source], alias: str = "", unaliased: Located | None = None) -> Located:
    names = {endpoint: source.model.name for endpoint, source in sources.items()}
    cold = frozenset(endpoint for endpoint, source in sources.items() if source.model.cold)
    return Located(names, alias, bool(names), cold, unaliased=unaliased)


def _spelled(located: Located, model: str) -> Located:
    """Let a client's own spelling of a name, in which nobody lists it, go on as it came (http-api.md §7.1)."""
    if model in located.names.values():
        return located
    lowered = model.lower()
    names = {place: model if name.lower() == lowered else name for place, name in located.names.items()}
    return evolve(located, names=names)


def _claimed(found: Iterable[Mapping[str, Source]]) -> dict[str, Source]:
    """Let the first target that an endpoint has stand for it."""
    sources: dict[str, Source] = {}
    for target in found:
        for endpoint, source in target.items():
            sources.setdefault(endpoint, source)
    return sources
