"""The pages that list models: ours, those in the backends' own shapes, and the one for operators."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from attrs import define, field

from olla.catalog.catalog import Catalog
from olla.catalog.formats import (
    FORMATS,
    ONLY_THEIRS,
    WITH_ALIASES,
    Formats,
    anthropic_entry,
    anthropic_listing,
)
from olla.catalog.records import detailed, unified_listing
from olla.catalog.registry import registry
from olla.catalog.selection import TYPE_OF_CAPABILITY, Selection
from olla.catalog.shown import EndpointView, Shown, find_shown, shown_models
from olla.errors import InvalidFormat, InvalidParameter, ModelNotFound
from olla.web.page import NO_CACHE, Page, json_page, listing_page, status_page

__all__ = ["EndpointView", "ModelPages"]

Query = Mapping[bytes, Sequence[bytes]]
T = TypeVar("T")

ANTHROPIC = "anthropic"
REMEMBERED = 16
LONGEST_NAME = 200
MOST_ENTRIES = 1000


@define(eq=False)
class ModelPages:
    """
    Makes the pages from what the catalogue holds and how the endpoints are now.

    A listing stays the same until a model list or an endpoint changes, and clients ask for it again and again;
    so the last few are remembered.

    :ivar shapes: gives the format in which each kind of backends lists its models, by canonical name.
    :ivar statuses: gives the endpoints by name.
    :ivar clock: gives the seconds since 1970.
    :ivar list_aliases: whether aliases are listed among the models.
    """

    catalog: Catalog
    formats: Formats
    shapes: Callable[[], Mapping[str, str]]
    statuses: Callable[[], Mapping[str, EndpointView]]
    clock: Callable[[], float]
    list_aliases: bool = True
    _remembered: dict[object, object] = field(init=False, factory=dict)
    _state: tuple[int, Mapping[str, EndpointView]] = field(init=False, default=(-1, {}))

    def unified(self, query: Query) -> Page:
        """
        Make ``/olla/models``.

        :raise InvalidFormat, InvalidParameter: when the query asks for what there is not.
        """
        asked = _value(query, b"format") or "unified"
        format = FORMATS.get(asked.lower())
        if format is None:
            raise InvalidFormat(f"Invalid format: {_short(asked)}. Supported formats: {', '.join(sorted(FORMATS))}")
        return self._listing(None, format, _selection(query))

    def one(self, id: str, query: Query) -> Page:
        """
        Make ``/olla/models/{id}``.

        :param id: decoded; without one this is ``/olla/models``.
        :raise ModelNotFound: when there is no such model.
        """
        if not id:
            return self.unified(query)
        model = self._find(None, id)
        with_availability = _value(query, b"include_unavailable") == "true"
        return json_page(detailed(model, self.catalog, self.clock(), with_availability), NO_CACHE)

    def listing(self, profiles: frozenset[str] | None, format: str, query: Query) -> Page:
        """
        Make the listing of one kind of backends.

        :param profiles: canonical names of their profiles; ``None`` for all.
        :param format: of http-api.md §13.3, or ``anthropic``; an unknown one is taken for ``openai``.
        :raise InvalidParameter: when the query asks for what there is not.
        """
        selection = _selection(query)
        if format == ANTHROPIC:
            models = selection.of(self._shown(profiles, aliases=False))
            page = _limit(query), _value(query, b"after_id"), _value(query, b"before_id")
            return listing_page(anthropic_listing(models, *page))
        return self._listing(profiles, FORMATS.get(format.lower(), "openai"), selection)

    def listed(self, profiles: frozenset[str] | None, id: str, format: str = "openai") -> Page:
        """
        Make one entry of such a listing.

        :param format: ``anthropic`` for an entry in that shape; in any other it is OpenAI's.
        :raise ModelNotFound: when none of these backends has the model.
        """
        model = self._find(profiles, id)
        entry = anthropic_entry(model) if format == ANTHROPIC else self.formats.openai(model)
        return listing_page(entry)

    def registry(self, query: Query) -> Page:
        """Make ``/internal/status/models``."""
        grouped = _value(query, b"detailed") == "true" and _value(query, b"group") == "family"
        return status_page(registry(self.catalog, self.statuses(), self.clock(), grouped))

    def _listing(self, profiles: frozenset[str] | None, format: str, selection: Selection) -> Page:
        if format in ONLY_THEIRS:
            speaking = {kind for kind, shape in self.shapes().items() if FORMATS.get(shape.lower()) == format}
            profiles = frozenset(speaking if profiles is None else profiles & speaking)

        def make() -> Page:
            models = selection.of(self._shown(profiles, self.list_aliases and format in WITH_ALIASES))
            if format == "unified":
                return listing_page(unified_listing(models, self.catalog))
            return listing_page(self.formats.listing(format, models))

        return self._once((profiles, format, selection), make)

    def _find(self, profiles: frozenset[str] | None, id: str) -> Shown:
        shown = self._shown(profiles, aliases=True)
        found = find_shown(shown, id) or find_shown(shown, f"/{id}")  # a path's doubled slash was taken for one
        if found is None:
            raise ModelNotFound(f"Model not found: {_short(id)}")
        return found

    def _shown(self, profiles: frozenset[str] | None, aliases: bool) -> tuple[Shown, ...]:
        return self._once((profiles, aliases), lambda: shown_models(self.catalog, self._state[1], profiles, aliases))

    def _once(self, key: object, make: Callable[[], T]) -> T:
        """Give what was made under ``key`` since the models or the endpoints have changed last, or make it."""
        state = self.catalog.version, self.statuses()
        if state != self._state or len(self._remembered) >= REMEMBERED:
            self._remembered.clear()
            self._state = state
        found = self._remembered.get(key)
        if found is None:
            found = self._remembered[key] = make()
        return found  # type: ignore[return-value]  # each key stands for one way of making


def _selection(query: Query) -> Selection:
    available = _value(query, b"available")
    if available not in ("", "true", "false"):
        raise InvalidParameter("invalid value for 'available' parameter. Use 'true' or 'false'", name="available")
    type_ = TYPE_OF_CAPABILITY.get(_value(query, b"capability").lower()) or _value(query, b"type")
    return Selection(
        endpoint=_value(query, b"endpoint"),
        family=_value(query, b"family").lower(),
        type=type_,
        available={"true": True, "false": False}.get(available),
        include_unavailable=_value(query, b"include_unavailable") == "true",
    )


def _limit(query: Query) -> int | None:
    text = _value(query, b"limit")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= MOST_ENTRIES):
        raise InvalidParameter(f"limit must be from 1 to {MOST_ENTRIES}", name="limit")
    return int(text)


def _value(query: Query, name: bytes) -> str:
    """Give a parameter's first value as text; ``""`` when it is not there."""
    values = query.get(name)
    return values[0].decode("utf-8", "replace") if values else ""


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_NAME else text[:LONGEST_NAME] + "…"
