"""The document of our routes, against the routes themselves and what they answer."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator

from olla.web.openapi import METHODS
from tests.support import (
    LISTING,
    UNLIMITED,
    Backend,
    BackendConnection,
    Client,
    ProxyCase,
    Seen,
    answer,
    on_each_engine,
    request,
)

PREFIXES = ("/olla/proxy", "/olla/openai", "/olla/ollama", "/olla/lm_studio", "/olla/dmr")
MISSING = """

{found} is routed and not in /openapi.json.
A page with a fixed path: describe it in PAGES of olla/web/openapi.py, what it says in olla/web/schemas.py.
A page under a prefix: give its paths to OpenApiPage, as `running` does, and add them in OpenApiPage.document.
"""
STALE = "\n\n{found} is in /openapi.json and not routed: take it out of olla/web/openapi.py.\n"

DETAILS = {"format": "gguf", "family": "llama", "parameter_size": "8.0B", "quantization_level": "Q4_K_M"}
TAGS = {"models": [{"name": "llama3:8b", "size": 4_700_000_000, "digest": "ab" * 32, "details": DETAILS}]}
STUDIO = {
    "object": "list",
    "data": [
        {
            "id": "qwen2-vl-7b",
            "object": "model",
            "type": "vlm",
            "publisher": "mlx",
            "arch": "qwen2_vl",
            "quantization": "4bit",
            "state": "loaded",
            "max_context_length": 32768,
        }
    ],
}
LISTINGS = {"/api/tags": TAGS, "/api/v0/models": STUDIO, "/v1/models": LISTING}
LOADED = {"models": [{"name": "llama3:8b", "size_vram": 1}]}
REPLY = {"model": "m", "usage": {"prompt_tokens": 3, "completion_tokens": 5}, "timings": {"predicted_per_second": 50.0}}


class Server(Backend):
    """A backend that lists what its kind would, and answers chats with figures."""

    def asked(self, connection: BackendConnection, seen: Seen) -> None:
        agent, path = "".join(seen.fields("user-agent")), seen.line.decode().split()[1]
        if agent.startswith("olla-Discovery"):
            connection.transport.write(answer(LISTINGS[path]))
        elif agent.startswith("olla-"):
            connection.transport.write(answer(LOADED if path == "/api/ps" else {}))
        else:
            connection.transport.write(answer({"error": "boom"}, 500) if "broken" in path else answer(REPLY))


def references(value: Any) -> Iterator[str]:
    """Give every ``$ref`` within."""
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def closed(value: Any) -> Any:
    """Make schemas strict: objects have no other properties than those that are described."""
    if isinstance(value, list):
        return [closed(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    made = {name: closed(inner) for name, inner in value.items()}
    return {**made, "additionalProperties": made.get("additionalProperties", False)} if "required" in made else made


class DocumentCase(ProxyCase):
    """
    Checks answers by the document.

    :ivar document: as it was served.
    """

    def start(self, *arguments: Any, **more: Any) -> None:
        """Start, and read the document."""
        super().start(*arguments, **more)
        self.document = self.get("/openapi.json").json
        self.paths = {path: self.resolved(item) for path, item in self.document["paths"].items()}
        strict = closed(self.document["components"]["schemas"])
        self.components = {**self.document["components"], "schemas": strict}

    def resolved(self, described: Mapping[str, Any]) -> Mapping[str, Any]:
        """Follow a reference."""
        while "$ref" in described:
            found: Any = self.document
            for part in described["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            described = found
        return described

    def conforms(self, client: Client, operation: Mapping[str, Any], what: str) -> None:
        """Fail unless ``client`` got one of the answers that ``operation`` describes, and nothing beside."""
        responses = operation["responses"]
        described = responses.get(str(client.status), responses.get("default"))
        self.assertIsNotNone(described, f"{what} answers {client.status}, which is not described")
        described = self.resolved(described)
        for name, field in described["headers"].items():
            value = client.field(name)
            if value is None:
                self.assertFalse(field["required"], f"{what} {client.status} has no {name}")
            elif field["schema"].get("type") == "string":
                Draft202012Validator(field["schema"]).validate(value)
        for name in ("ETag", "Vary", "Retry-After", "Allow"):
            self.assertTrue(client.field(name) is None or name in described["headers"], f"{what} has {name}")
        if client.body:
            kind = client.field("Content-Type")
            content = described["content"].get(kind, described["content"].get("*/*"))
            self.assertIsNotNone(content, f"{what} answers {kind}, which is not described")
            schema = {**content.get("schema", {}), "components": self.components}
            said = client.json if kind == "application/json" else client.body.decode()
            for error in Draft202012Validator(schema).iter_errors(said):
                self.fail(f"{what} {client.status}: {error.json_path}: {error.message}")


class Document(DocumentCase):
    """``/openapi.json``: pages are the same on both engines."""

    engine = "olla"

    def setUp(self) -> None:
        super().setUp()
        servers = {"ollama": 9000, "lm-studio": 9001, "openai": 9002}
        for port in servers.values():
            self.network.listeners[port] = Server()
        endpoints = [{"name": t, "type": t, "url": f"http://127.0.0.1:{port}"} for t, port in servers.items()]
        self.start(discovery={"static": {"endpoints": endpoints}}, aliases={"fast": ["llama3:8b", "qwen2-vl-7b"]})
        for path in ("/olla/openai/v1/chat/completions", "/olla/openai/broken"):
            self.post(path, {"model": "m"})
        self.post("/olla/proxy/v1/chat/completions", {"model": "fast"})

    def test_all_routes(self) -> None:
        """Every rule of Klein, every prefix and every listing is in it, and nothing else (issue 5)."""
        assert self.proxy is not None
        parts = self.proxy.parts
        routes = parts.routes
        rules = {re.sub(r"<(\w+)>", r"{\1}", rule.rule) for rule in parts.app._klein.url_map.iter_rules()}
        rules -= {"/olla/models/", "/olla/{prefix}"}  # the same as without the slash; and the prefixes, one by one
        expected = rules | {f"{prefix}/{{path}}" for prefix in routes.prefixes} | {*routes.listings, *routes.running}
        expected |= {f"{path}/{{id}}" for path in routes.listings if path.endswith("/v1/models")}
        self.assertEqual(expected - {*self.paths}, set(), MISSING.format(found=expected - {*self.paths}))
        self.assertEqual({*self.paths} - expected, set(), STALE.format(found={*self.paths} - expected))
        for prefix in PREFIXES:
            self.assertIn(f"{prefix}/{{path}}", self.paths)
        self.assertEqual([path for path in self.paths if path.endswith("/ps")], ["/olla/ollama/api/ps"])

    def test_methods(self) -> None:
        """Pages have the methods that Klein's rules have and no others; under a prefix there are all (C12)."""
        for path, item in self.paths.items():
            methods = {*item} - {"parameters"}
            if "/{path}" in path:
                self.assertEqual(methods, {*METHODS})
                continue
            self.assertEqual(methods, {"get", "head"}, path)
            if not path.startswith("/olla/") or path.startswith("/olla/models"):
                refused = self.send(request("DELETE", path.replace("{id}", "m")))
                self.conforms(refused, item["get"], path)
                self.assertEqual((refused.status, refused.field("Allow")), (405, "GET, HEAD"))

    def test_answers(self) -> None:
        """Every page says what its schema says, nothing more, with each of its switches, and HEAD nothing (C8)."""
        seen = set()
        for path, item in self.paths.items():
            if "/{path}" in path:
                continue
            for id in ("m", "llama3:8b", "none/such") if "{id}" in path else ("",):
                for query in ("", *(f"?{one['name']}=true" for one in item["get"].get("parameters", ()))):
                    asked = path.replace("{id}", id) + query
                    client = self.get(asked)
                    self.conforms(client, item["get"], asked)
                    seen.add(client.status)
                head = self.send(request("HEAD", path.replace("{id}", id)))
                self.conforms(head, item["head"], f"HEAD {path}")
                self.assertEqual(head.got.partition(b"\r\n\r\n")[2], b"")
        self.assertEqual(seen, {200, 400, 404})

    def test_formats(self) -> None:
        """Every format of the models, and each page with more than one switch, is in the document (C97)."""
        models, registry = self.paths["/olla/models"]["get"], self.paths["/internal/status/models"]["get"]
        for format in models["parameters"][0]["schema"]["enum"]:
            client = self.get(f"/olla/models?format={format}")
            self.assertEqual(client.status, 200)
            self.conforms(client, models, format)
        grouped = self.get("/internal/status/models?detailed=true&group=family")
        self.assertTrue(grouped.json["model_groups"])
        self.conforms(grouped, registry, "groups")
        for query in ("?include_endpoints=true&include_summary=true", "?include_endpoints=true"):
            self.conforms(
                self.get(f"/internal/stats/models{query}"), self.paths["/internal/stats/models"]["get"], query
            )

    def test_kept(self) -> None:
        """A page that has a tag is not sent twice, and the document says which pages these are (C81, C82)."""
        tagged = []
        for path, item in self.paths.items():
            if "{" in path:
                continue
            tag = self.get(path).field("ETag")
            self.assertEqual(tag is not None, "304" in item["get"]["responses"], path)
            if tag is not None:
                again = self.get(path, If_None_Match=tag)
                self.assertEqual(again.status, 304, path)
                self.conforms(again, item["get"], path)
                tagged.append(path)
        self.assertIn("/openapi.json", tagged)

    def test_zipped(self) -> None:
        """The document comes compressed to whoever can read that."""
        client = self.get("/openapi.json", Accept_Encoding="gzip")
        self.assertEqual(client.field("Content-Encoding"), "gzip")
        self.assertEqual(json.loads(gzip.decompress(client.body)), self.document)
        self.assertLess(len(client.body), 16384)

    def test_sound(self) -> None:
        """Whatever it refers to is in it, every component is used, and every schema is one."""
        used = set(references(self.document))
        for reference in used:
            self.assertTrue(self.resolved({"$ref": reference}))
        components = self.document["components"]
        self.assertEqual(
            {f"#/components/{kind}/{name}" for kind, named in components.items() for name in named} - used, set()
        )
        for schema in components["schemas"].values():
            Draft202012Validator.check_schema(schema)

    def test_version(self) -> None:
        """It says of what OpenAPI it is, and of what Olla."""
        self.assertEqual(self.document["openapi"], "3.1.0")
        self.assertEqual("v" + self.document["info"]["version"], self.get("/version").json["version"])


@on_each_engine
class Refusals(DocumentCase):
    """What is refused, by the document (C55, C56)."""

    def refused(self, client: Client, path: str, status: int) -> None:
        """Fail unless the answer is ``status`` in our envelope, as the document describes it."""
        self.assertEqual(client.status, status, client.got)
        self.conforms(client, self.paths[path]["post" if "{path}" in path else "get"], path)
        schema = {"$ref": "#/components/schemas/Error", "components": self.components}
        self.assertEqual([*Draft202012Validator(schema).iter_errors(client.json)], [])

    def test_of_what_backends_answer(self) -> None:
        """Every refusal under a prefix is described, with its header fields, and has the envelope (C6, C55)."""
        limits = {"request_limits": {"max_body_size": 1000, "max_header_size": 4096}}
        self.start({"gone": Server()}, server=limits)
        prefix = "/olla/openai/{path}"
        self.refused(self.post("/olla/openai/x", b"x" * 1001), prefix, 413)
        self.refused(self.post("/olla/openai/x", X_Long="x" * 5000), prefix, 431)
        self.refused(self.post("/olla/ollama/api/pull"), "/olla/ollama/{path}", 501)
        self.refused(self.post("/olla/nobody/x"), prefix, 404)
        self.refused(self.post("/olla/openai/x", {"model": "unheard-of"}), prefix, 404)
        del self.network.listeners[9000]
        self.refused(self.post("/olla/openai/v1/chat/completions"), prefix, 502)
        self.refused(self.post("/olla/openai/v1/chat/completions"), prefix, 503)
        ready = self.get("/internal/health?ready=true")
        self.assertEqual(ready.status, 503)
        self.conforms(ready, self.paths["/internal/health"]["get"], "not ready")

    def test_of_clients(self) -> None:
        """A client over its limit is refused as described, on pages and under prefixes (C62)."""
        limits = {**UNLIMITED, "per_ip_requests_per_minute": 1, "health_requests_per_minute": 2, "burst_size": 1}
        self.start({"a": Server()}, server={"rate_limits": limits})
        self.conforms(self.post("/olla/openai/x"), self.paths["/olla/openai/{path}"]["post"], "within the limit")
        self.refused(self.post("/olla/openai/x"), "/olla/openai/{path}", 429)
        self.refused(self.get("/olla/models"), "/olla/models", 429)
        for _ in range(4):
            client = self.get("/version")
        self.refused(client, "/version", 429)
