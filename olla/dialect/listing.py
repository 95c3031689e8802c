"""Reads the model listings of backends, each kind's as it writes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timezone

import msgspec
from attrs import evolve

from olla.domain.models import ListedModel
from olla.errors import OllaError

Entry = Mapping[str, object]
Reader = Callable[[str, Entry], ListedModel]
Simple = (str, int, float, bool)

IMPOSSIBLE = 1 << 53
"""More than any model has of anything, and than every client of a listing can read."""

LATEST = 253402300799  # the last second of the year 9999


class ListingError(OllaError):
    """A listing cannot be read: it is no JSON, or has another shape than this kind of backend gives it."""


def parse(response_format: str, data: bytes) -> tuple[ListedModel, ...]:
    """
    Read a listing.

    A field of the wrong type is dropped, or put right where a number stands as text or a text as number; an entry
    without a usable name is dropped.

    :param response_format: of the profile; an unknown one is read as ``openai``.
    :param data: the body; an empty one lists nothing.
    :raise ListingError: when this is not such a listing.
    """
    key, name, read = READERS.get(response_format, READERS["openai"])
    if not data.strip():
        return ()
    try:
        document = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise ListingError(f"the listing is not JSON: {type(error).__name__}") from error
    if not isinstance(document, dict) or key not in (document := _lowered(document)):
        raise ListingError(f"the listing has no {key!r}")
    entries = document[key]
    if not isinstance(entries, list):
        if entries is None:
            return ()  # how old Ollama servers, written in Go, list nothing
        raise ListingError(f"{key!r} of the listing is not a list")
    found = (_lowered(entry) for entry in entries if isinstance(entry, dict))
    return tuple(read(_text(entry, name), entry) for entry in found if _text(entry, name))


def _lowered(entry: Mapping[str, object]) -> dict[str, object]:
    return {key.lower(): value for key, value in entry.items()}


def _text(entry: Entry, name: str) -> str:
    value = entry.get(name)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return value.strip() if isinstance(value, str) else ""


def _number(entry: Entry, *names: str) -> int:
    for name in names:
        try:
            number = int(float(_text(entry, name) or 0))
        except (ValueError, OverflowError):
            continue
        if 0 < number < IMPOSSIBLE:
            return number
    return 0


def _texts(entry: Entry, name: str) -> tuple[str, ...]:
    value = entry.get(name)
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def _inner(entry: Entry, name: str) -> Entry:
    value = entry.get(name)
    return _lowered(value) if isinstance(value, dict) else {}


def _extra(entry: Entry, *names: str) -> tuple[tuple[str, str | int | float | bool], ...]:
    found = ((name, entry.get(name)) for name in names)
    return tuple((name, value) for name, value in found if isinstance(value, Simple) and _is_told(value))


def _is_told(value: str | float) -> bool:
    return value != "" if isinstance(value, str) else abs(value) < IMPOSSIBLE


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(min(seconds, LATEST), timezone.utc).isoformat() if seconds else ""


def _ollama(name: str, entry: Entry) -> ListedModel:
    details = _inner(entry, "details")
    return ListedModel(
        name,
        size=_number(entry, "size"),
        digest=_text(entry, "digest"),
        family=_text(details, "family"),
        families=_texts(details, "families"),
        format=_text(details, "format"),
        parameter_size=_text(details, "parameter_size"),
        quantization=_text(details, "quantization_level"),
        parent=_text(details, "parent_model"),
        context=_number(details, "context_length"),
        modified=_text(entry, "modified_at"),
        description=_text(entry, "description"),
        capabilities=_texts(entry, "capabilities"),
    )


def _lmstudio(name: str, entry: Entry) -> ListedModel:
    kind, family, publisher = _text(entry, "type"), _text(entry, "arch"), _text(entry, "publisher")
    return ListedModel(
        name,
        type=kind if kind in ("llm", "vlm", "embeddings") else "",
        family=family,
        families=(family,) if family else (),
        format=_text(entry, "compatibility_type"),
        quantization=_text(entry, "quantization"),
        publisher=publisher,
        parent=publisher,
        context=_number(entry, "max_context_length"),
        state=_text(entry, "state"),
        capabilities=_texts(entry, "capabilities"),
        extra=_extra(entry, "loaded_context_length"),
    )


def _openai(name: str, entry: Entry) -> ListedModel:
    created = _number(entry, "created")
    return ListedModel(
        name,
        publisher=_text(entry, "owned_by"),
        parent=_text(entry, "parent"),
        context=_number(entry, "max_model_len", "context_length", "context_window"),
        created=created,
        modified=_time(created),
        extra=_extra(entry, "root"),
    )


def _owned(*default: str, format: str = "") -> Reader:
    """Make the reader of a backend that owns what it serves and so need not be named as a publisher."""

    def read(name: str, entry: Entry) -> ListedModel:
        model = _openai(name, entry)
        return evolve(model, publisher="" if model.publisher in default else model.publisher, format=format)

    return read


def _sglang(name: str, entry: Entry) -> ListedModel:
    model = _owned("sglang")(name, entry)
    sees = entry.get("supports_vision") is True
    more = _extra(entry, "radix_cache_size", "spec_decoding", "frontend_enabled")
    return evolve(model, capabilities=("vision",) if sees else (), extra=model.extra + more)


def _llamacpp(name: str, entry: Entry) -> ListedModel:
    meta = _inner(entry, "meta")
    model = _owned("llamacpp", format="gguf")(name, entry)
    counts = {key: _number(meta, key) for key in ("vocab_type", "n_vocab", "n_embd")}
    return evolve(
        model,
        extra=model.extra + tuple((key, count) for key, count in counts.items() if count),
        context=_number(meta, "n_ctx_train") or model.context,
        parameters=_number(meta, "n_params"),
        size=_number(meta, "size"),
    )


def _lemonade(name: str, entry: Entry) -> ListedModel:
    checkpoint, recipe = _text(entry, "checkpoint"), _text(entry, "recipe")
    model = _openai(name, entry)
    form = "onnx" if recipe.startswith("oga-") else "gguf" if recipe in ("llamacpp", "flm") else ""
    return evolve(
        model,
        publisher=checkpoint.split("/")[0] if "/" in checkpoint else "",
        format=form,
        state="available" if entry.get("downloaded") is True else "",
        missing=entry.get("downloaded") is False,
        extra=_extra(entry, "checkpoint", "recipe") + model.extra,
    )


READERS: dict[str, tuple[str, str, Reader]] = {
    "ollama": ("models", "name", _ollama),
    "lmstudio": ("data", "id", _lmstudio),
    "lm-studio": ("data", "id", _lmstudio),
    "openai": ("data", "id", _openai),
    "vllm": ("data", "id", _owned("vllm")),
    "sglang": ("data", "id", _sglang),
    "lmdeploy": ("data", "id", _owned("lmdeploy")),
    "vllm-mlx": ("data", "id", _owned("vllm-mlx", "vllm", format="mlx")),
    "llamacpp": ("data", "id", _llamacpp),
    "docker-model-runner": ("data", "id", _owned("docker", format="gguf")),
    "lemonade": ("data", "id", _lemonade),
}
"""Format: key of the list, key of the name, reader of an entry."""
