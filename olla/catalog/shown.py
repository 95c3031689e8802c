"""Models as listings show them: with the endpoints' present state, under a name that works where it is listed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from attrs import frozen

from olla.catalog.catalog import LATEST, Catalog
from olla.catalog.facts import Facts
from olla.catalog.unify import Entry, Source
from olla.domain.requirements import VISION

OFFLINE, LOADED = "offline", "loaded"
IDLE = frozenset({"not-loaded", "error", OFFLINE})


@frozen
class EndpointView:
    """
    An endpoint's present state.

    :ivar type: as the operator spells it, or what an ``auto`` endpoint turned out to be.
    :ivar profile: canonical name of its profile.
    :ivar routable: whether it can be sent requests now.
    :ivar id: short name of http-api.md §11.1.
    """

    name: str
    type: str
    profile: str
    priority: int
    routable: bool
    id: str


@frozen
class Offer:
    """One endpoint's offer of a model."""

    source: Source
    endpoint: EndpointView

    @property
    def state(self) -> str:
        """``loaded``, ``not-loaded``, ``available``, ``unknown`` or its own word; ``offline`` when it is down."""
        if not self.endpoint.routable:
            return OFFLINE
        return self.source.model.state or ("available" if self.endpoint.profile == "ollama" else "unknown")


@frozen
class Shown:
    """
    A model in a listing.

    :ivar id: what a client can send as ``model``.
    :ivar offers: by priority, then name; one for each endpoint, never empty.
    :ivar alias_of: the names that it stands for, when it is an alias.
    """

    id: str
    entry: Entry
    offers: tuple[Offer, ...]
    alias_of: tuple[str, ...] = ()

    @property
    def facts(self) -> Facts:
        """What is known of it."""
        return self.entry.facts

    @property
    def routable(self) -> bool:
        """Whether any of its endpoints can be sent requests."""
        return any(offer.endpoint.routable for offer in self.offers)

    @property
    def available(self) -> bool:
        """Whether any endpoint can serve it without loading it first, as far as it says."""
        return any(offer.state not in IDLE for offer in self.offers)

    @property
    def best(self) -> Offer:
        """The first endpoint that can be sent requests, or simply the first."""
        return next((offer for offer in self.offers if offer.endpoint.routable), self.offers[0])

    @property
    def sees(self) -> bool:
        """Whether it takes images."""
        return self.facts.kind == "vlm" or VISION in self.facts.capabilities


def shown_models(
    catalog: Catalog,
    endpoints: Mapping[str, EndpointView],
    profiles: frozenset[str] | None,
    aliases: bool,
) -> tuple[Shown, ...]:
    """
    Give the models of some endpoints, sorted by id.

    :param endpoints: by name; models of others are left out.
    :param profiles: canonical names of the profiles whose endpoints count; ``None`` for all.
    :param aliases: whether to list aliases too.
    """
    inside = {name: view for name, view in endpoints.items() if profiles is None or view.profile in profiles}
    shown: dict[str, Shown] = {}
    for entry in catalog.entries():
        scoped = _within(entry, inside)
        if scoped is not None:
            native = scoped.sources[0].model.name
            id = native if native not in shown else entry.id
            shown.setdefault(id, Shown(id, scoped, tuple(_offers(scoped, inside))))
    for alias, targets, sources in catalog.resolved() if aliases else ():
        scoped = _within(Entry.of(alias, sources), inside)
        if scoped is not None and alias not in shown:
            shown[alias] = Shown(alias, scoped, tuple(_offers(scoped, inside)), targets)
    return tuple(shown[id] for id in sorted(shown))


def find_shown(shown: Iterable[Shown], id: str) -> Shown | None:
    """
    Find a model by its id in a listing, our id, a backend's name or an alias: exactly, else in any case.

    At last by its name without the ``:latest`` that Ollama's clients leave out.
    """
    shown = tuple(shown)
    models = [one for one in shown if not one.alias_of]
    aliases = [one for one in shown if one.alias_of]
    lowered = id.lower()
    return (
        next((one for one in models if one.id == id), None)
        or next((one for one in models if one.id.lower() == lowered), None)
        or next((one for one in models if one.entry.id == id), None)
        or next((one for one in models if one.entry.id.lower() == lowered), None)
        or next((one for one in models if id in one.entry.names), None)
        or next((one for one in models if lowered in map(str.lower, one.entry.names)), None)
        or next((one for one in aliases if one.id == id), None)
        or next((one for one in aliases if one.id.lower() == lowered), None)
        or next((one for one in models if one.id.lower() == lowered + LATEST), None)
    )


def _within(entry: Entry, endpoints: Mapping[str, EndpointView]) -> Entry | None:
    """Leave the sources at other endpoints out; ``None`` when none is left."""
    sources = tuple(source for source in entry.sources if source.endpoint.name in endpoints)
    if len(sources) == len(entry.sources):
        return entry
    return Entry.of(entry.id, sources) if sources else None


def _offers(entry: Entry, endpoints: Mapping[str, EndpointView]) -> Iterator[Offer]:
    offers = {
        source.endpoint.name: Offer(source, endpoints[source.endpoint.name]) for source in reversed(entry.sources)
    }
    return iter(sorted(offers.values(), key=lambda offer: (-offer.endpoint.priority, offer.endpoint.name)))
