"""Makes catalogues and what goes into them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from olla.catalog.aliases import Aliases
from olla.catalog.catalog import Catalog
from olla.catalog.facts import FactReader
from olla.catalog.rules import Rules
from olla.catalog.shown import EndpointView
from olla.config.profiles import load_profiles
from olla.domain.endpoint import Endpoint
from olla.domain.models import ListedModel

WALL = 1_700_000_000.0


def reader() -> FactReader:
    """Make a reader with the built-in rules and the shipped profiles."""
    return FactReader(Rules(), {profile.name: profile for profile in load_profiles(None).profiles})


def endpoint(name: str, profile: str = "ollama", priority: int = 100, exclude: tuple[str, ...] = ()) -> Endpoint:
    """Make an endpoint; its address is its name."""
    return Endpoint(name, "http", name, 11434, type=profile, profile=profile, priority=priority, model_exclude=exclude)


def named(*names: str, **facts: object) -> list[ListedModel]:
    """Make listed models that have the same facts."""
    return [ListedModel(name, **facts) for name in names]  # type: ignore[arg-type]


def catalog_of(
    listings: Mapping[Endpoint, Sequence[ListedModel]],
    aliases: Mapping[str, Sequence[str]] | None = None,
    unified: bool = True,
) -> Catalog:
    """Make a catalogue that has read ``listings``, one a second."""
    catalog = Catalog(reader(), Aliases(aliases or {}), unified=unified)
    for second, (one, models) in enumerate(listings.items()):
        catalog.update(one, models, float(second), WALL + second)
    return catalog


def views(*endpoints: Endpoint, down: Sequence[str] = ()) -> dict[str, EndpointView]:
    """Make the states of ``endpoints``; those named in ``down`` cannot be reached."""
    return {
        e.name: EndpointView(e.name, e.type, e.profile, e.priority, e.name not in down, f"id{n}")
        for n, e in enumerate(endpoints)
    }
