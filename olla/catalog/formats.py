"""Listings in the shapes of the backends' own APIs (http-api.md §13.3, §14, §15.5)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from olla.catalog.catalog import Catalog
from olla.catalog.rules import Rules
from olla.catalog.shown import Shown
from olla.catalog.wording import time_text

Json = dict[str, object]

FORMATS = {
    "unified": "unified",
    "openai": "openai",
    "ollama": "ollama",
    "lmstudio": "lmstudio",
    "lm-studio": "lmstudio",
    "lm_studio": "lmstudio",
    "vllm": "vllm",
    "lmdeploy": "lmdeploy",
    "sglang": "sglang",
    "lemonade": "lemonade",
    "llamacpp": "llamacpp",
    "llama-cpp": "llamacpp",
    "llama.cpp": "llamacpp",
    "docker-model-runner": "docker-model-runner",
    "dmr": "docker-model-runner",
    "vllm-mlx": "vllm-mlx",
    "omlx": "omlx",
    "litellm": "litellm",
}
"""What a client may ask for, and the format meant by it."""

ONLY_THEIRS = frozenset({"ollama", "lmstudio"})
"""Formats that list no models of backends that list in another, since they show what only these know."""

WITH_ALIASES = frozenset({"unified", "openai"})
OWNERS = {"docker-model-runner": "docker"}
LLAMACPP_META = ("vocab_type", "n_vocab", "n_ctx_train", "n_embd", "n_params", "size")


class Formats:
    """
    Writes listings.

    :param organizations: words that make the first part of a name its owner.
    """

    def __init__(self, catalog: Catalog, organizations: frozenset[str]) -> None:
        self._catalog = catalog
        self._organizations = organizations
        self._entries: Mapping[str, Callable[[Shown], Json]] = {
            "openai": self.openai,
            "lmstudio": self._lmstudio,
            "vllm": self._vllm,
            "lmdeploy": self._lmdeploy,
            "sglang": self._sglang,
            "lemonade": self._lemonade,
            "llamacpp": self._llamacpp,
        }

    def listing(self, format: str, models: Iterable[Shown]) -> Json:
        """
        Write a listing.

        :param format: one of ``FORMATS``' values but ``unified``.
        """
        if format == "ollama":
            return {"models": [self._ollama(model) for model in models]}
        write = self._entries.get(format) or (lambda model: self._plain(model, format))
        listing: Json = {"object": "list", "data": [write(model) for model in models]}
        return listing | {"models": []} if format == "llamacpp" else listing

    def openai(self, model: Shown) -> Json:
        """Write one entry of an OpenAI listing."""
        return {
            "id": model.id,
            "object": "model",
            "created": model.entry.created,
            "owned_by": "olla",
            "permission": [],
            "root": model.id,
            "parent": None,
        }

    def _plain(self, model: Shown, provider: str) -> Json:
        return {
            "id": model.id,
            "object": "model",
            "created": model.entry.created,
            "owned_by": self._owner(model.id) or OWNERS.get(provider, provider),
        }

    def _owner(self, id: str) -> str:
        before, slash, _ = id.partition("/")
        if slash:
            return before
        first = id.partition("-")[0]
        lowered = first.lower()
        known = 3 <= len(first) <= 20 and any(word in lowered for word in self._organizations)
        return first if known else ""

    def _ollama(self, model: Shown) -> Json:
        offer = model.best
        listed, facts = offer.source.model, offer.source.facts
        family = listed.family or facts.family
        return {
            "name": model.id,
            "model": model.id,
            "modified_at": listed.modified or time_text(self._catalog.seen(offer.endpoint.name)),
            "size": listed.size,
            "digest": listed.digest,
            "details": {
                "parent_model": listed.parent,
                "format": listed.format,
                "family": family,
                "families": list(listed.families) or ([family] if family else []),
                "parameter_size": listed.parameter_size or facts.parameter_size,
                "quantization_level": self._catalog.displayed(facts.quantization, listed.quantization),
            },
        }

    def _lmstudio(self, model: Shown) -> Json:
        offer = model.best
        listed, facts = offer.source.model, offer.source.facts
        quantization = facts.quantization and self._catalog.displayed(facts.quantization, listed.quantization)
        told: Json = {
            "publisher": facts.publisher,
            "arch": listed.family,
            "quantization": quantization,
            "max_context_length": facts.context,
        }
        return {
            "id": model.id,
            "object": "model",
            "type": facts.kind,
            "state": listed.state or "not-loaded",
            **_known(told),
        }

    def _vllm(self, model: Shown) -> Json:
        return self._lmdeploy(model, "vllm") | self._lineage(model)

    def _lmdeploy(self, model: Shown, provider: str = "lmdeploy") -> Json:
        return self._plain(model, provider) | {"permission": [_permission(model)]}

    def _sglang(self, model: Shown) -> Json:
        told = ("radix_cache_size", "spec_decoding", "frontend_enabled")
        extra = dict(model.best.source.model.extra)
        return (
            self._plain(model, "sglang")
            | self._lineage(model)
            | {name: extra[name] for name in told if name in extra}
            | ({"supports_vision": True} if model.sees else {})
        )

    def _lineage(self, model: Shown) -> Json:
        """Write what a model was made from, and how much it takes in."""
        offer = model.best
        listed = offer.source.model
        root = dict(listed.extra).get("root") or model.id
        parent = "" if offer.endpoint.profile == "lm-studio" else listed.parent  # there it is the publisher
        return {"root": str(root), **_known({"parent": parent, "max_model_len": model.facts.context})}

    def _lemonade(self, model: Shown) -> Json:
        offer = next((o for o in model.offers if o.endpoint.profile == "lemonade"), model.best)
        extra = dict(offer.source.model.extra)
        return self._plain(model, "lemonade") | {
            "checkpoint": str(extra.get("checkpoint", "")),
            "recipe": str(extra.get("recipe", "")),
            "downloaded": offer.source.model.state == "available",
        }

    def _llamacpp(self, model: Shown) -> Json:
        listed = model.best.source.model
        meta: Json = {"n_ctx_train": listed.context, "n_params": listed.parameters, "size": listed.size}
        meta |= dict(listed.extra)
        plain = self._plain(model, "llamacpp")
        if all(name in meta for name in LLAMACPP_META):
            plain["meta"] = {name: meta[name] for name in LLAMACPP_META}
        return plain


def anthropic_entry(model: Shown) -> Json:
    """Write one entry of an Anthropic listing."""
    return {
        "type": "model",
        "id": model.id,
        "display_name": model.id,
        "created_at": time_text(model.entry.created),
    }


def anthropic_listing(models: Iterable[Shown], limit: int | None, after: str, before: str) -> Json:
    """
    Write an Anthropic listing, or a page of it.

    :param limit: entries at most; ``None`` for all.
    :param after: id after which the page begins; with an id that is not there it begins at the start.
    :param before: id before which it ends, likewise.
    """
    models = list(models)
    ids = [model.id for model in models]
    if after in ids:
        models = models[ids.index(after) + 1 :]
    elif before in ids:
        models = models[: ids.index(before)]
    page = models if limit is None else models[-limit:] if before in ids and after not in ids else models[:limit]
    return {
        "data": [anthropic_entry(model) for model in page],
        "has_more": len(page) < len(models),
        "first_id": page[0].id if page else None,
        "last_id": page[-1].id if page else None,
    }


def organizations(rules: Rules) -> frozenset[str]:
    """Give the words that name who makes models: publishers and what they publish."""
    return frozenset(rules.publishers) | frozenset(rules.publishers.values())


def _permission(model: Shown) -> Json:
    return {
        "id": f"modelperm-olla-{model.id.replace('/', '-')}",
        "object": "model_permission",
        "created": model.entry.created,
        "allow_create_engine": False,
        "allow_sampling": True,
        "allow_logprobs": True,
        "allow_search_indices": False,
        "allow_view": True,
        "allow_fine_tuning": False,
        "organization": "*",
        "group": None,
        "is_blocking": False,
    }


def _known(fields: Json) -> Json:
    return {name: value for name, value in fields.items() if value}
