"""What the catalogue holds, for the status page (http-api.md §11.6)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import frozen

from olla.catalog.catalog import Catalog
from olla.catalog.facts import Facts, merged
from olla.catalog.shown import EndpointView
from olla.catalog.unify import Entry
from olla.catalog.wording import ago_text, size_text, time_text

Json = dict[str, object]

UNKNOWN = "unknown"
RECENT = 10
HIGH_PRECISION = frozenset({"f16", "bf16", "f32"})


@frozen
class _Row:
    """One model with the time at which it was listed last."""

    entry: Entry
    seen: float

    @property
    def family(self) -> str:
        return self.entry.facts.family or UNKNOWN


def registry(catalog: Catalog, endpoints: Mapping[str, EndpointView], wall: float, grouped: bool) -> Json:
    """
    Write the page's content.

    :param endpoints: by name; models of others are left out.
    :param wall: seconds since 1970.
    :param grouped: whether to add all models, by family.
    """
    rows = []
    for entry in catalog.entries():
        sources = [source for source in entry.sources if source.endpoint.name in endpoints]
        if sources:
            seen = max(catalog.seen(source.endpoint.name) for source in sources)
            rows.append(_Row(Entry.of(entry.id, sources), seen))
    rows.sort(key=lambda row: row.entry.id)
    families: dict[str, list[_Row]] = {}
    for row in rows:
        families.setdefault(row.family, []).append(row)
    recent = sorted(rows, key=lambda row: -row.seen)[:RECENT]
    content: Json = {
        "timestamp": time_text(wall),
        "total_models": len(rows),
        "total_families": len(families),
        "total_endpoints": len({s.endpoint.name for row in rows for s in row.entry.sources}),
        "models_by_family": {f: [row.entry.id for row in families[f]] for f in sorted(families)},
        "recent_models": [_record(row, endpoints, wall, catalog) for row in recent],
    }
    if grouped and rows:
        order = sorted(families, key=lambda family: (family == UNKNOWN, family))
        content["model_groups"] = [_group(f, families[f], endpoints, wall, catalog) for f in order]
    return content


def _group(
    family: str, rows: Iterable[_Row], endpoints: Mapping[str, EndpointView], wall: float, catalog: Catalog
) -> Json:
    rows = tuple(rows)
    return {
        "family": family,
        "models": [_record(row, endpoints, wall, catalog) for row in rows],
        "endpoints": sorted({source.endpoint.name for row in rows for source in row.entry.sources}),
        "model_count": len(rows),
    }


def _record(row: _Row, endpoints: Mapping[str, EndpointView], wall: float, catalog: Catalog) -> Json:
    entry = row.entry
    by_address = sorted(entry.sources, key=lambda source: source.endpoint.url)
    facts = merged(source.facts for source in by_address)
    original = next((s.model.quantization for s in by_address if s.model.quantization), "")
    views = sorted({endpoints[source.endpoint.name] for source in entry.sources}, key=lambda view: (view.name, view.id))
    size = next((source.facts.size for source in by_address if source.facts.size), 0)
    told: Json = {
        "type": facts.type,
        "family": facts.family,
        "params": facts.parameter_size,
        "quant": facts.quantization and catalog.displayed(facts.quantization, original),
        "size": size_text(size) if size else "",
        "last_seen_at": time_text(row.seen) if row.seen else "",
        "aliases": sorted(set(entry.names) - {entry.id}),
        "capabilities": _capabilities(facts),
    }
    return {
        "name": entry.id,
        **{name: value for name, value in told.items() if value},
        "last_seen": ago_text(wall - row.seen if row.seen else None),
        "endpoints": [view.name for view in views],
        "endpoint_ids": [view.id for view in views],
    }


def _capabilities(facts: Facts) -> list[str]:
    """Bring capabilities into this page's own few words."""
    words = ("text_generation", "chat", "vision", "multimodal", "embeddings", "vector_search", "long_context")
    said = [word for word in words if word.replace("_", "-") in facts.capabilities]
    return said + ["high_precision"] * (facts.quantization in HIGH_PRECISION)
