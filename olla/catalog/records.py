"""Our own listing, in which every backend's models look alike (http-api.md §13.4, §13.5)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from olla.catalog.catalog import Catalog
from olla.catalog.shown import LOADED, Shown
from olla.catalog.wording import ago_text, size_text, time_text

Json = dict[str, object]


def unified_listing(models: Iterable[Shown], catalog: Catalog) -> Json:
    """Write the whole listing, with the same records as ``data`` and as ``models``."""
    models = tuple(models)
    records = [record(model, catalog) for model in models]
    providers = Counter(type_ for model in models for type_ in _types(model))
    return {
        "object": "list",
        "data": records,
        "models": records,
        "total": len(records),
        "providers": dict(sorted(providers.items())),
    }


def record(model: Shown, catalog: Catalog) -> Json:
    """Write one model."""
    facts, best = model.facts, model.best
    capabilities = list(facts.capabilities)
    return {
        "id": model.id,
        "object": "model",
        "created": model.entry.created,
        "owned_by": "olla",
        "olla": _extension(model, catalog),
        "name": model.id,
        "provider": best.endpoint.type,
        "endpoint": best.endpoint.name,
        "capabilities": capabilities,
        "context_window": facts.context or None,
        "max_tokens": facts.context or None,
        "vision": model.sees,
        "embedding": facts.kind == "embeddings" or "embeddings" in facts.capabilities,
        "available": model.available,
        "metadata": _metadata(model, catalog),
    }


def detailed(model: Shown, catalog: Catalog, wall: float, with_availability: bool) -> Json:
    """
    Write one model with all that is known of it.

    :param wall: seconds since 1970.
    :param with_availability: whether to say which of its endpoints are up.
    """
    facts = model.facts
    seen = _seen(model, catalog)
    more: Json = {
        "family": facts.family,
        "variant": facts.variant,
        "parameter_size": facts.parameter_size,
        "quantization": facts.quantization,
        "format": facts.format,
        "total_disk_size": size_text(facts.size),
        "last_seen": ago_text(wall - seen if seen else None),
        "aliases": list(model.entry.names),
        "endpoints": [offer.endpoint.name for offer in model.offers],
        "loaded_endpoints": [offer.endpoint.name for offer in model.offers if offer.state == LOADED],
        "parameter_count": facts.parameter_count,
    }
    if facts.context:
        more["max_context_length"] = facts.context
    if with_availability:
        more["availability"] = _availability(model)
    return record(model, catalog) | more


def _extension(model: Shown, catalog: Catalog) -> Json:
    facts = model.facts
    extension: Json = {
        "family": facts.family,
        "variant": facts.variant,
        "parameter_size": facts.parameter_size,
        "quantization": facts.quantization,
        "aliases": list(model.entry.names),
        "availability": [{"endpoint": o.endpoint.name, "state": o.state} for o in model.offers],
        "capabilities": list(facts.capabilities),
        "format": facts.format,
        "parameter_count": facts.parameter_count,
        "disk_size": facts.size,
        "last_seen": time_text(_seen(model, catalog)),
    }
    if facts.context:
        extension["max_context_length"] = facts.context
    if model.alias_of:
        extension["alias_of"] = list(model.alias_of)
    return extension


def _metadata(model: Shown, catalog: Catalog) -> Json:
    facts = model.facts
    listed = model.best.source.model
    quantization = facts.quantization and catalog.displayed(facts.quantization, listed.quantization)
    told: Json = {
        "type": facts.kind,
        "size": size_text(facts.size) if facts.size else "",
        "modified": listed.modified,
        "family": facts.family,
        "parameter_size": facts.parameter_size,
        "quantization": quantization,
        "format": facts.format,
        "digest": facts.digest,
        "publisher": facts.publisher,
        "description": listed.description,
    }
    metadata = {name: value for name, value in told.items() if value}
    if any(offer.source.model.state for offer in model.offers):
        metadata["loaded"] = any(offer.state == LOADED for offer in model.offers)
    metadata["platforms"] = _types(model)
    metadata["metadata_confidence"] = facts.confidence
    return metadata


def _availability(model: Shown) -> Json:
    up = [offer.endpoint.name for offer in model.offers if offer.endpoint.routable]
    down = [offer.endpoint.name for offer in model.offers if not offer.endpoint.routable]
    return {
        "status": "unavailable" if not up else "partial" if down else "available",
        "healthy_endpoints": up,
        "unhealthy_endpoints": down,
        "total_endpoints": len(model.offers),
        "healthy_count": len(up),
    }


def _types(model: Shown) -> list[str]:
    return sorted({offer.endpoint.type for offer in model.offers})


def _seen(model: Shown, catalog: Catalog) -> float:
    return max(catalog.seen(offer.endpoint.name) for offer in model.offers)
