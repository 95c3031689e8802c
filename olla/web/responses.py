"""How our answers look around what they say, for ``/openapi.json``: header fields, refusals and their envelope."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from olla.web.schemas import COUNT, TEXT, many, record, ref, shaped, words

Json = dict[str, Any]

PRESENT: Json = {"type": "string", "minLength": 1}
MILLISECONDS = shaped(r"\d+ms", "12ms")
SECONDS = shaped(r"[1-9]\d*", "7")
FIELDS: Mapping[str, tuple[str, Json]] = {
    "X-Olla-Request-ID": (
        "by which the request is found in our log: what came as X-Request-ID, or one that we made",
        shaped(r"[\x21-\x7e]{1,128}", "woolly-galloping-ce66f1a20b3d"),
    ),
    "X-Olla-Endpoint": ("name of the endpoint that answered", PRESENT),
    "X-Olla-Backend-Type": ("its type", PRESENT),
    "X-Olla-Model": ("name of the model that was sent to it", PRESENT),
    "X-Olla-Response-Time": ("milliseconds until the head was sent", MILLISECONDS),
    "X-Olla-Routing-Strategy": ("how the model was looked for", words("strict", "optimistic", "discovery", "alias")),
    "X-Olla-Routing-Decision": ("what came of it", words("routed", "fallback", "rejected")),
    "X-Olla-Routing-Reason": ("why", PRESENT),
    "X-Olla-Attempts": ("endpoints tried, when there were several", SECONDS),
    "X-Olla-Sticky-Session": ("with sticky sessions", words("hit", "miss", "repin", "disabled")),
    "X-Olla-Sticky-Key-Source": ("what the session was told by", PRESENT),
    "X-Olla-Session-ID": ("the session that was named in the request", PRESENT),
    "X-Served-By": ("Olla and its version", shaped(r"Olla/\S+", "Olla/1.0")),
    "Via": ("the proxies on the way, us last", PRESENT),
    "X-RateLimit-Limit": ("requests a minute", COUNT),
    "X-RateLimit-Remaining": ("requests that would be let through now", COUNT),
    "X-RateLimit-Reset": ("seconds since 1970 at which all of them would be", COUNT),
    "Retry-After": ("whole seconds after which to ask again", SECONDS),
    "Allow": ("the methods that there are", PRESENT),
    "Cache-Control": ("whether it may be kept, and how", PRESENT),
    "ETag": ("changes when what is said changes", shaped(r'W/"[0-9a-z]{1,13}"', 'W/"1a2b3c"')),
    "Vary": ("the fields of the request that make a difference", PRESENT),
}
"""Header fields of ours: what they say, and their form."""

TOLD = [name for name in FIELDS if name.startswith("X-Olla-") and name != "X-Olla-Request-ID"]
TOLD += ["X-Served-By", "Via", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "Retry-After"]

ERROR = record(
    {
        "error": record(
            {
                "message": PRESENT,
                "type": PRESENT,
                "code": PRESENT,
                "param": {"type": ["string", "null"]},
                "request_id": PRESENT,
            },
            {
                "reason": {**TEXT, "description": "why no endpoint could have it"},
                "attempts": {
                    **many(record({"endpoint": TEXT, "error": TEXT})),
                    "description": "who was asked in vain, and why",
                },
            },
        )
    }
)
REFUSALS = {
    "BadRequest": "The request cannot be understood",
    "NotFound": "There is no such route, or nobody has the model",
    "MethodNotAllowed": "The page has no such method; Allow names those that it has",
    "TooSlow": "The body did not come in time",
    "TooLarge": "The body is larger than max_body_size",
    "RateLimited": "A limit was reached; Retry-After says when to return",
    "HeadersTooLarge": "The head is larger than max_header_size",
    "NotSupported": "It cannot be spread over several backends",
    "BadGateway": "No endpoint could be reached, or answered in time",
    "Unavailable": "Nobody who could serve it is well, or the process is stopping",
}
ALWAYS_WITH = {"MethodNotAllowed": "Allow", "RateLimited": "Retry-After"}
OF_PAGES = {"405": "MethodNotAllowed", "429": "RateLimited", "431": "HeadersTooLarge"}
OF_BACKENDS = {
    "400": "BadRequest",
    "404": "NotFound",
    "408": "TooSlow",
    "413": "TooLarge",
    "429": "RateLimited",
    "431": "HeadersTooLarge",
    "501": "NotSupported",
    "502": "BadGateway",
    "503": "Unavailable",
}


def headers(*names: str, required: bool = True) -> Json:
    """Describe header fields of an answer."""
    described = {name: FIELDS[name] for name in names}
    return {
        name: {"description": meaning, "required": required, "schema": schema}
        for name, (meaning, schema) in described.items()
    }


def pointers(named: Mapping[str, str]) -> Json:
    """Point to responses: status to its name in :data:`COMPONENTS`."""
    return {status: {"$ref": f"#/components/responses/{name}"} for status, name in named.items()}


def _refusal(name: str) -> Json:
    always = [ALWAYS_WITH[name]] if name in ALWAYS_WITH else []
    return {
        "description": REFUSALS[name],
        "headers": headers("X-Olla-Request-ID", "Cache-Control", *always),
        "content": {"application/json": {"schema": ref("Error")}},
    }


def _from_backends(meaning: str, content: Json) -> Json:
    told = {**headers("X-Olla-Request-ID"), **headers(*TOLD, required=False)}
    return {"description": meaning, "headers": told, "content": {"*/*": content}}


def _backends_own(name: str) -> Json:
    """Describe a status that may be our refusal, in our envelope, or what the backend says itself."""
    return _from_backends(f"{REFUSALS[name]}; or the backend's own answer", {"schema": {"anyOf": [ref("Error"), {}]}})


PROXIED = pointers({"default": "Proxied", **{status: f"{name}OrProxied" for status, name in OF_BACKENDS.items()}})
"""The answers under a prefix."""

COMPONENTS: Json = {
    "schemas": {"Error": ERROR},
    "responses": {
        **{name: _refusal(name) for name in ("BadRequest", "NotFound", *OF_PAGES.values())},
        **{f"{name}OrProxied": _backends_own(name) for name in OF_BACKENDS.values()},
        "Proxied": _from_backends("What the backend answers, with its own status", {}),
    },
}
