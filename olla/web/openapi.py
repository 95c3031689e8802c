"""
Our routes as an OpenAPI 3.1 document: ``/openapi.json``.

It is made from the tables that requests are routed by, so that no route can be missing.  What backends answer under a
prefix is theirs: of these routes it says what we add, and how we refuse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from attrs import define

from olla.web.page import NO_CACHE, Page, json_page

Query = Mapping[bytes, Sequence[bytes]]
Json = dict[str, Any]

VERSION = "3.1.0"
METHODS = ("get", "head", "post", "put", "patch", "delete", "options")
PAGES = {
    "/internal/health": (
        "Whether we serve",
        {"detail": "with the number of endpoints", "ready": "503 without a usable one"},
    ),
    "/internal/status": ("Endpoints, traffic and security at a glance", {}),
    "/internal/status/endpoints": ("Each endpoint in detail", {}),
    "/internal/status/models": ("Models by endpoint", {"detailed": "with every fact"}),
    "/internal/stats/models": (
        "How each model is used",
        {"include_endpoints": "apart by endpoint", "include_summary": "with the endpoints' sums"},
    ),
    "/internal/stats/translators": ("How requests in another dialect fare", {}),
    "/internal/stats/sticky": ("How sticky sessions fare", {}),
    "/internal/metrics": ("Everything that is counted, for Prometheus", {}),
    "/internal/process": ("What the process costs", {"all": "as one of a list of workers"}),
    "/version": ("What is running", {}),
    "/openapi.json": ("This document", {}),
}
"""Summary and truth-valued query parameters of the pages with a fixed path."""

TEXT = {"/internal/metrics": "text/plain; version=0.0.4; charset=utf-8"}
TOLD = {
    "X-Olla-Endpoint": "name of the endpoint that answered",
    "X-Olla-Backend-Type": "its type",
    "X-Olla-Model": "name of the model that was sent to it",
    "X-Olla-Response-Time": "milliseconds until the head was sent, as 12ms",
    "X-Olla-Routing-Strategy": "strict, optimistic, discovery or alias",
    "X-Olla-Routing-Decision": "routed, fallback or rejected",
    "X-Olla-Routing-Reason": "why",
    "X-Olla-Attempts": "endpoints tried, when there were several",
    "X-Olla-Sticky-Session": "hit, miss, repin or disabled, with sticky sessions",
    "X-Served-By": "Olla and its version",
}
FORMATS = (
    *("unified", "openai", "ollama", "lmstudio", "vllm", "vllm-mlx", "sglang", "lmdeploy", "llamacpp", "lemonade"),
    "docker-model-runner",
)
ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "code": {"type": ["string", "null"]},
                "param": {"type": ["string", "null"]},
                "request_id": {"type": "string"},
                "reason": {"type": "string", "description": "why no endpoint could have it"},
                "attempts": {
                    "type": "array",
                    "description": "who was asked in vain, and why",
                    "items": {
                        "type": "object",
                        "properties": {"endpoint": {"type": "string"}, "error": {"type": "string"}},
                    },
                },
            },
        }
    },
}
REFUSALS = {
    "BadRequest": "The request cannot be understood",
    "NotFound": "There is no such route, or nobody has the model",
    "MethodNotAllowed": "The page has no such method; Allow names those that it has",
    "TooLarge": "The body is larger than max_body_size",
    "RateLimited": "A limit was reached; Retry-After says when to return",
    "HeadersTooLarge": "The head is larger than max_header_size",
    "NotSupported": "It cannot be spread over several backends",
    "BadGateway": "No endpoint could be reached, or answered in time",
    "Unavailable": "Nobody who could serve it is well, or the process is stopping",
}
OF_PAGES = {"405": "MethodNotAllowed", "429": "RateLimited", "431": "HeadersTooLarge"}
OF_BACKENDS = {
    "400": "BadRequest",
    "404": "NotFound",
    "413": "TooLarge",
    "429": "RateLimited",
    "431": "HeadersTooLarge",
    "501": "NotSupported",
    "502": "BadGateway",
    "503": "Unavailable",
}


@define(eq=False)
class OpenApiPage:
    """
    Makes the document, once.

    :ivar version: ours.
    :ivar pages: gives the paths of the pages with a fixed one.
    :ivar prefixes: gives the prefixes that backends stand behind, ``/olla/openai``.
    :ivar listings: gives the paths of the listings of models under these.
    """

    version: str
    pages: Callable[[], Iterable[str]]
    prefixes: Callable[[], Iterable[str]]
    listings: Callable[[], Iterable[str]]

    def page(self, query: Query) -> Page:
        """Make the page."""
        return json_page(self.document(), NO_CACHE)

    def document(self) -> Json:
        """Make the document."""
        paths: Json = {path: _read(_page(path)) for path in self.pages()}
        paths["/olla/models"] = _read(_models())
        paths["/olla/models/{id}"] = _read(_one("A single model, by any of its names"), [_parameter("id")])
        for path in self.listings():
            paths[path] = _read(_one("The models of these endpoints, in the format of their kind", missing=False))
            if path.endswith("/v1/models"):
                paths[f"{path}/{{id}}"] = _read(_one("One model of these endpoints"), [_parameter("id")])
        for prefix in self.prefixes():
            paths[f"{prefix}/{{path}}"] = {
                "parameters": [_parameter("path")],
                **{method: _proxied(prefix) for method in METHODS},
            }
        return {
            "openapi": VERSION,
            "info": {
                "title": "Olla",
                "version": self.version,
                "description": "One address in front of many LLM servers.",
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "paths": paths,
            "components": _components(),
        }


def _read(operation: Json, parameters: Sequence[Json] = ()) -> Json:
    """Give a path that can be read, and nothing else."""
    item: Json = {"get": operation, "head": {**operation, "summary": f"{operation['summary']}: the head alone"}}
    return {**({"parameters": list(parameters)} if parameters else {}), **item}


def _page(path: str) -> Json:
    summary, switches = PAGES[path]
    kind = TEXT.get(path, "application/json")
    schema = {"type": "string" if path in TEXT else "object"}
    responses = _responses({"200": {"description": summary, "content": {kind: {"schema": schema}}}}, OF_PAGES)
    if path == "/internal/health":
        responses["503"] = {"description": "Stopping, or not ready", "content": {kind: {"schema": {"type": "object"}}}}
    parameters = [_switch(name, meaning) for name, meaning in switches.items()]
    return {"summary": summary, "tags": ["internal"], "parameters": parameters, "responses": responses}


def _models() -> Json:
    operation = _one("All models that there are", missing=False)
    operation["parameters"] = [
        {"name": "format", "in": "query", "schema": {"type": "string", "examples": list(FORMATS)}},
        *({"name": name, "in": "query", "schema": {"type": "string"}} for name in ("endpoint", "type", "family")),
        _switch("include_unavailable", "those of endpoints that are down as well"),
    ]
    operation["responses"]["400"] = {"$ref": "#/components/responses/BadRequest"}
    return operation


def _one(summary: str, *, missing: bool = True) -> Json:
    answer = {"description": summary, "content": {"application/json": {"schema": {"type": "object"}}}}
    refusals = {**OF_PAGES, **({"404": "NotFound"} if missing else {})}
    return {"summary": summary, "tags": ["models"], "responses": _responses({"200": answer}, refusals)}


def _proxied(prefix: str) -> Json:
    answer = {
        "description": "What the backend answers, with its own status",
        "headers": {name: {"description": meaning, "schema": {"type": "string"}} for name, meaning in TOLD.items()},
    }
    return {
        "summary": f"Whatever backends behind {prefix} offer",
        "tags": ["proxy"],
        "responses": {"default": answer, **{status: _refused(name) for status, name in OF_BACKENDS.items()}},
    }


def _refused(name: str) -> Json:
    """Describe a status that may be our refusal, in our envelope, or what the backend says itself."""
    ours = {"schema": {"anyOf": [{"$ref": "#/components/schemas/Error"}, {}]}}
    return {"description": f"{REFUSALS[name]}; or the backend's own answer", "content": {"*/*": ours}}


def _responses(answers: Json, refusals: Mapping[str, str]) -> Json:
    return {**answers, **{status: {"$ref": f"#/components/responses/{name}"} for status, name in refusals.items()}}


def _parameter(name: str) -> Json:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _switch(name: str, meaning: str) -> Json:
    return {
        "name": name,
        "in": "query",
        "description": meaning,
        "schema": {"type": "string", "enum": ["true", "false"]},
    }


def _components() -> Json:
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {
        "schemas": {"Error": ERROR},
        "responses": {name: {"description": meaning, "content": error} for name, meaning in REFUSALS.items()},
    }
