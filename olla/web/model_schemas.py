"""What the listings of models say, as JSON Schema; the rest of ``components/schemas`` in ``/openapi.json``."""

from __future__ import annotations

from olla.web.schemas import (
    AGO,
    ANYTHING,
    COUNT,
    FLAG,
    SIZE,
    TEXT,
    TEXTS,
    TIME,
    Json,
    Properties,
    keyed,
    many,
    record,
    ref,
    words,
)

LIST = {"const": "list"}
TEXT_OR_NULL: Json = {"type": ["string", "null"]}
COUNT_OR_NULL: Json = {"type": ["integer", "null"], "minimum": 0}

_MODEL: Properties = {"id": TEXT, "object": {"const": "model"}, "created": COUNT, "owned_by": TEXT}
_UNIFIED: Properties = {
    **_MODEL,
    "olla": record(
        {
            **dict.fromkeys(("family", "variant", "parameter_size", "quantization", "format"), TEXT),
            **dict.fromkeys(("aliases", "capabilities"), TEXTS),
            "availability": many(record({"endpoint": TEXT, "state": TEXT})),
            "parameter_count": COUNT,
            "disk_size": COUNT,
            "last_seen": TIME,
        },
        {"max_context_length": COUNT, "alias_of": TEXTS},
    ),
    **dict.fromkeys(("name", "provider", "endpoint"), TEXT),
    "capabilities": TEXTS,
    **dict.fromkeys(("context_window", "max_tokens"), COUNT_OR_NULL),
    **dict.fromkeys(("vision", "embedding", "available"), FLAG),
    "metadata": record(
        {"platforms": TEXTS, "metadata_confidence": {"type": "number", "minimum": 0, "maximum": 1}},
        {
            **dict.fromkeys(("type", "modified", "family", "parameter_size", "quantization", "format"), TEXT),
            **dict.fromkeys(("digest", "publisher", "description"), TEXT),
            "size": SIZE,
            "loaded": FLAG,
        },
    ),
}
UNIFIED_MODEL = record(_UNIFIED)
DETAILED_MODEL = record(
    {
        **_UNIFIED,
        **dict.fromkeys(("family", "variant", "parameter_size", "quantization", "format"), TEXT),
        **dict.fromkeys(("aliases", "endpoints", "loaded_endpoints"), TEXTS),
        "total_disk_size": SIZE,
        "last_seen": AGO,
        "parameter_count": COUNT,
    },
    {
        "max_context_length": COUNT,
        "availability": record(
            {
                "status": words("available", "partial", "unavailable"),
                **dict.fromkeys(("healthy_endpoints", "unhealthy_endpoints"), TEXTS),
                **dict.fromkeys(("total_endpoints", "healthy_count"), COUNT),
            }
        ),
    },
)
UNIFIED_LISTING = record(
    {
        "object": LIST,
        "data": many(ref("UnifiedModel")),
        "models": many(ref("UnifiedModel")),
        "total": COUNT,
        "providers": keyed(COUNT),
    }
)
MODEL = record(
    _MODEL,
    {
        "permission": many({"type": "object"}),
        "root": TEXT,
        "parent": TEXT_OR_NULL,
        "max_model_len": COUNT,
        "supports_vision": FLAG,
        **dict.fromkeys(("radix_cache_size", "spec_decoding", "frontend_enabled"), ANYTHING),
        **dict.fromkeys(("checkpoint", "recipe"), TEXT),
        "downloaded": FLAG,
        "meta": keyed(ANYTHING),
    },
)
LISTING = record(
    {"object": LIST, "data": many(ref("Model"))},
    {"models": {"type": "array", "maxItems": 0, "description": "of llama.cpp, which has it too"}},
)
OLLAMA_LISTING = record(
    {
        "models": many(
            record(
                {
                    **dict.fromkeys(("name", "model", "modified_at", "digest"), TEXT),
                    "size": COUNT,
                    "details": record(
                        {
                            **dict.fromkeys(("parent_model", "format", "family", "parameter_size"), TEXT),
                            "families": TEXTS,
                            "quantization_level": TEXT,
                        }
                    ),
                }
            )
        )
    }
)
LMSTUDIO_LISTING = record(
    {
        "object": LIST,
        "data": many(
            record(
                {"id": TEXT, "object": {"const": "model"}, "type": TEXT, "state": TEXT},
                {**dict.fromkeys(("publisher", "arch", "quantization"), TEXT), "max_context_length": COUNT},
            )
        ),
    }
)
RUNNING = record(
    {
        "models": many(
            {
                **record({"olla_endpoint": TEXT}),
                "additionalProperties": True,
                "description": "as the endpoint tells it, and which endpoint that is",
            }
        )
    }
)

SCHEMAS: Properties = {
    "UnifiedModel": UNIFIED_MODEL,
    "DetailedModel": DETAILED_MODEL,
    "UnifiedListing": UNIFIED_LISTING,
    "Model": MODEL,
    "Listing": LISTING,
    "OllamaListing": OLLAMA_LISTING,
    "LmStudioListing": LMSTUDIO_LISTING,
    "RunningModels": RUNNING,
}
LISTING_OF = {"ollama": "OllamaListing", "lmstudio": "LmStudioListing"}
"""Listings that are no ``Listing``, by the format's name."""
