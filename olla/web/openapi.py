"""
Our routes as an OpenAPI 3.1 document: ``/openapi.json``.

It is made from the tables that requests are routed by, so that no route can be missing.  What backends answer under a
prefix is theirs: of these routes it says what we add, and how we refuse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from attrs import define, evolve, field, frozen

from olla.catalog.formats import FORMATS
from olla.catalog.selection import TYPE_OF_CAPABILITY
from olla.web import model_schemas, schemas
from olla.web.page import Page, listing_page
from olla.web.responses import COMPONENTS, OF_PAGES, PRESENT, PROXIED, headers, pointers
from olla.web.schemas import ref

Query = Mapping[bytes, Sequence[bytes]]
Json = dict[str, Any]

VERSION = "3.1.0"
METHODS = ("get", "head", "post", "put", "patch", "delete", "options")
WITH_BODY = frozenset({"post", "put", "patch", "delete"})
ID = "any of the model's names; it may have slashes in it"
PATH = "what the backend is asked for; it may have slashes in it"


@frozen
class Described:
    """
    What is to be said of a page with a fixed path.

    :ivar schema: name of what it says, in ``components/schemas``; ``""`` for what is described elsewhere.
    :ivar switches: its query parameters that are ``true`` or ``false``, each with its effect.
    :ivar tagged: whether it has an entity tag.
    :ivar zipped: whether it is sent compressed.
    :ivar kind: its content type.
    """

    summary: str
    schema: str = ""
    switches: Mapping[str, str] = field(factory=dict)
    tagged: bool = False
    zipped: bool = False
    kind: str = "application/json"


PAGES = {
    "/internal/health": Described(
        "Whether we serve",
        "Health",
        {"detail": "with the number of endpoints", "ready": "503 without a usable one"},
    ),
    "/internal/status": Described("Endpoints, traffic and security at a glance", "Status", tagged=True, zipped=True),
    "/internal/status/endpoints": Described("Each endpoint in detail", "Endpoints", tagged=True, zipped=True),
    "/internal/status/models": Described(
        "Models by family",
        "Registry",
        {"detailed": "with all models, if group=family as well"},
        tagged=True,
        zipped=True,
    ),
    "/internal/stats/models": Described(
        "How each model is used",
        "ModelStats",
        {"include_endpoints": "apart by endpoint", "include_summary": "with the endpoints' sums"},
    ),
    "/internal/stats/translators": Described("How requests in another dialect fare", "TranslatorStats"),
    "/internal/stats/sticky": Described("How sticky sessions fare", "SessionStats"),
    "/internal/metrics": Described(
        "Everything that is counted, for Prometheus",
        zipped=True,
        kind="text/plain; version=0.0.4; charset=utf-8",
    ),
    "/internal/process": Described("What the process costs", "Process", {"all": "as one of a list of workers"}),
    "/version": Described("What is running", "Version"),
    "/openapi.json": Described("This document", tagged=True, zipped=True),
}
"""A page that is routed and not described here fails ``tests/web/test_openapi.py``."""

FILTERS: Mapping[str, tuple[str, Json]] = {
    "format": ("the listing's shape; one that is not known is a 400", {"enum": sorted(FORMATS)}),
    "endpoint": ("only the models of this one", {"examples": ["workstation"]}),
    "family": ("only the models of this one", {"examples": ["llama"]}),
    "type": ("only these", {"examples": ["llm", "vlm", "embeddings"]}),
    "capability": ("only models that can do this", {"examples": sorted(TYPE_OF_CAPABILITY)}),
}
"""Query parameters of the listing of all models: what they do, and which words they know."""


@define(eq=False)
class OpenApiPage:
    """
    Makes the document.

    :ivar version: ours.
    :ivar pages: gives the paths of the pages with a fixed one.
    :ivar prefixes: gives the prefixes that backends stand behind, ``/olla/openai``.
    :ivar listings: gives the paths of the listings of models under these, each with its format.
    :ivar running: gives the paths under which it is told what models are in memory.
    """

    version: str
    pages: Callable[[], Iterable[str]]
    prefixes: Callable[[], Sequence[str]]
    listings: Callable[[], Mapping[str, str]]
    running: Callable[[], Iterable[str]]

    def page(self, query: Query) -> Page:
        """Make the page."""
        return evolve(listing_page(self.document()), zippable=True)

    def document(self) -> Json:
        """Make the document."""
        prefixes = self.prefixes()
        paths: Json = {path: _read(_page(PAGES[path])) for path in self.pages() if path in PAGES}
        paths["/olla/models"] = _read(_models())
        paths["/olla/models/{id}"] = _read(_model("A single model", "DetailedModel"), [_parameter("id", ID)])
        for path, format in self.listings().items():
            schema = model_schemas.LISTING_OF.get(format, "Listing")
            paths[path] = _read(_listing("The models of these endpoints, in the format of their kind", ref(schema)))
            if path.endswith("/v1/models"):
                one = _model("One model of these endpoints", "Model", tagged=True)
                paths[f"{path}/{{id}}"] = _read(one, [_parameter("id", ID)])
        for path in self.running():
            paths[path] = _read(_local("What all these endpoints have in memory", ref("RunningModels")))
        paths.update({f"{prefix}/{{path}}": {"$ref": "#/components/pathItems/Proxied"} for prefix in prefixes})
        return {
            "openapi": VERSION,
            "info": {
                "title": "Olla",
                "version": self.version,
                "description": "One address in front of many LLM servers.",
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "paths": paths,
            "components": {
                **COMPONENTS,
                "schemas": {**COMPONENTS["schemas"], **schemas.SCHEMAS, **model_schemas.SCHEMAS},
                "pathItems": {"Proxied": _proxied()},
            },
        }


ASKED = {
    "X-Request-ID": "the id by which you want to find the request in our log: 1 to 128 printable characters",
    "X-Olla-Session-ID": "the conversation, if requests of one are to stay with one endpoint",
    "X-Olla-Target-Endpoint": "name of the Ollama whose models are to be changed, where that is allowed",
}
"""Header fields of requests that mean something to us."""


def _read(operation: Json, parameters: Sequence[Json] = ()) -> Json:
    """Give a path that can be read, and nothing else."""
    item: Json = {"get": operation, "head": {**operation, "summary": f"{operation['summary']}: the head alone"}}
    return {**({"parameters": list(parameters)} if parameters else {}), **item}


def _page(page: Described) -> Json:
    schema = ref(page.schema) if page.schema else {"type": "object" if page.kind == "application/json" else "string"}
    responses = _answers(page.summary, schema, page.kind, page.tagged, page.zipped)
    if page.schema == "Health":
        responses["503"] = {**responses["200"], "description": "Stopping, or not ready"}
    parameters = [_switch(name, meaning) for name, meaning in page.switches.items()]
    return {"summary": page.summary, "tags": ["internal"], "parameters": parameters, "responses": responses}


def _models() -> Json:
    listings = ("UnifiedListing", "Listing", *model_schemas.LISTING_OF.values())
    operation = _listing("All models that there are", {"anyOf": [ref(name) for name in listings]})
    operation["parameters"] = [
        *(_query(name, meaning, words) for name, (meaning, words) in FILTERS.items()),
        _switch("available", "only those that can, or cannot, be used now; another word is a 400"),
        _switch("include_unavailable", "those of endpoints that are down as well"),
    ]
    return operation


def _listing(summary: str, schema: Json) -> Json:
    operation = _local(summary, schema, tagged=True)
    operation["responses"].update(pointers({"400": "BadRequest"}))
    return operation


def _model(summary: str, schema: str, tagged: bool = False) -> Json:
    operation = _local(summary, ref(schema), tagged=tagged)
    operation["responses"].update(pointers({"404": "NotFound"}))
    return operation


def _local(summary: str, schema: Json, tagged: bool = False) -> Json:
    """Describe a page of ours among what backends answer."""
    responses = _answers(summary, schema, tagged=tagged)
    responses["200"]["headers"].update(headers("X-Olla-Response-Time", "X-Served-By"))
    return {"summary": summary, "tags": ["models"], "responses": responses}


def _answers(
    summary: str, schema: Json, kind: str = "application/json", tagged: bool = False, zipped: bool = False
) -> Json:
    names = ["X-Olla-Request-ID", "Cache-Control", *(["ETag"] if tagged else []), *(["Vary"] if zipped else [])]
    found = {"description": summary, "headers": headers(*names), "content": {kind: {"schema": schema}}}
    kept = {"304": {"description": "The client has it already", "headers": headers(*names)}} if tagged else {}
    return {"200": found, **kept, **pointers(OF_PAGES)}


def _proxied() -> Json:
    """Describe what backends stand behind: all that it can be asked, and how."""
    operation: Json = {"summary": "Whatever these backends offer", "tags": ["proxy"], "responses": PROXIED}
    with_body = {**operation, "requestBody": {"content": {"*/*": {}}}}
    return {
        "parameters": [_parameter("path", PATH), *(_field(name, meaning) for name, meaning in ASKED.items())],
        **{method: with_body if method in WITH_BODY else operation for method in METHODS},
    }


def _parameter(name: str, meaning: str) -> Json:
    return {"name": name, "in": "path", "required": True, "description": meaning, "schema": {"type": "string"}}


def _field(name: str, meaning: str) -> Json:
    return {"name": name, "in": "header", "description": meaning, "schema": PRESENT}


def _query(name: str, meaning: str, words: Json) -> Json:
    return {"name": name, "in": "query", "description": meaning, "schema": {"type": "string", **words}}


def _switch(name: str, meaning: str) -> Json:
    return _query(name, meaning, {"enum": ["true", "false"]})
