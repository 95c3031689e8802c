"""Which models of a listing a client asks for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from attrs import frozen

from olla.catalog.shown import Shown

TYPE_OF_CAPABILITY = {
    "vision": "vlm",
    "multimodal": "vlm",
    "embedding": "embeddings",
    "embeddings": "embeddings",
    "vector_search": "embeddings",
    "chat": "llm",
    "text_generation": "llm",
    "completion": "llm",
}
CAPABILITIES_OF_TYPE = {
    "llm": frozenset({"chat", "completion"}),
    "vlm": frozenset({"vision"}),
    "embeddings": frozenset({"embeddings"}),
}


@frozen
class Selection:
    """
    Filters, all of which a model must pass (http-api.md §13.1); an empty one lets everything pass.

    :ivar endpoint: name or address of an endpoint.
    :ivar family: in lower case.
    :ivar type: ``llm``, ``vlm``, ``embeddings``; anything else matches nothing.
    :ivar available: whether it must be available, or must not; ``None`` when that does not matter.
    :ivar include_unavailable: keep models whose endpoints are all down.
    """

    endpoint: str = ""
    family: str = ""
    type: str = ""
    available: bool | None = None
    include_unavailable: bool = False

    def of(self, shown: Iterable[Shown]) -> Iterator[Shown]:
        """Give those that pass, in their order."""
        return filter(self._admits, shown)

    def _admits(self, model: Shown) -> bool:
        if self.available is not None:
            if model.available is not self.available:
                return False
        elif not (self.include_unavailable or model.routable):
            return False
        if self.endpoint and not any(
            self.endpoint in (offer.endpoint.name, offer.source.endpoint.url) for offer in model.offers
        ):
            return False
        if self.family and self.family != model.facts.family.lower():
            return False
        return not self.type or self._is_of_type(model)

    def _is_of_type(self, model: Shown) -> bool:
        facts = model.facts
        return facts.kind == self.type or not CAPABILITIES_OF_TYPE.get(self.type, frozenset()).isdisjoint(
            facts.capabilities
        )
