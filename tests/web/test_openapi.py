"""The document of our routes, against the routes themselves."""

from __future__ import annotations

import re
from typing import Any

from tests.support import Backend, ProxyCase, answer, on_each_engine, request, says

PREFIXES = ("/olla/proxy", "/olla/openai", "/olla/ollama", "/olla/lm_studio", "/olla/dmr")


def references(value: Any) -> list[str]:
    """Give every ``$ref`` within."""
    if isinstance(value, dict):
        found = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return found + [reference for inner in value.values() for reference in references(inner)]
    return [reference for inner in value for reference in references(inner)] if isinstance(value, list) else []


@on_each_engine
class Document(ProxyCase):
    """``/openapi.json``."""

    def setUp(self) -> None:
        super().setUp()
        self.start({"a": Backend(play=says(answer({})))})
        self.document = self.get("/openapi.json").json
        self.paths = self.document["paths"]

    def test_all_routes(self) -> None:
        """Every rule of Klein, every prefix and every listing is in it, and nothing else (issue 5)."""
        assert self.proxy is not None
        parts = self.proxy.parts
        rules = {re.sub(r"<(?:path:)?(\w+)>", r"{\1}", rule.rule) for rule in parts.app._klein.url_map.iter_rules()}
        rules -= {"/olla/models/", "/olla/{prefix}"}  # the same as without the slash; and the prefixes, one by one
        expected = rules | {f"{prefix}/{{path}}" for prefix in parts.routes.prefixes} | {*parts.routes.listings}
        expected |= {f"{path}/{{id}}" for path in parts.routes.listings if path.endswith("/v1/models")}
        self.assertEqual(set(self.paths), expected)
        for prefix in PREFIXES:
            self.assertIn(f"{prefix}/{{path}}", self.paths)

    def test_answers(self) -> None:
        """What can be read answers as it says, and other methods are refused as it says."""
        for path, item in self.paths.items():
            if "post" in item or "{" in path:
                continue
            client = self.get(path)
            self.assertIn(str(client.status), item["get"]["responses"], path)
            if client.status == 200:
                self.assertIn(client.field("Content-Type"), item["get"]["responses"]["200"]["content"], path)
            if not path.startswith("/olla/") or path == "/olla/models":
                refused = self.send(request("DELETE", path))
                self.assertEqual(refused.status, 405, path)
                self.assertEqual(
                    {*item} - {"parameters"}, {m.lower() for m in (refused.field("Allow") or "").split(", ")}
                )

    def test_references(self) -> None:
        """Whatever it refers to is in it, and errors have the envelope that it describes."""
        for reference in references(self.document):
            found = self.document
            for part in reference.removeprefix("#/").split("/"):
                found = found[part]
            self.assertTrue(found)
        error = self.get("/olla/models/none").json
        described = self.document["components"]["schemas"]["Error"]["properties"]["error"]
        self.assertLessEqual({*described["required"]}, {*error["error"]})
        self.assertLessEqual({*error["error"]}, {*described["properties"]})

    def test_version(self) -> None:
        """It says of what OpenAPI it is, and of what Olla."""
        self.assertEqual(self.document["openapi"], "3.1.0")
        self.assertEqual("v" + self.document["info"]["version"], self.get("/version").json["version"])
