"""Answers beside those of the original, as ``tests/golden`` has them; the specification wins where they differ."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests import golden
from tests.support import (
    SSE,
    Backend,
    Client,
    ProxyCase,
    Seen,
    answer,
    chunked,
    on_each_engine,
    request,
    resets,
    says,
    says_and_closes,
)

HERE = Path(golden.__file__).parent
ERRORS: dict[str, Any] = {row["condition"]: row for row in json.loads((HERE / "errors.json").read_text())["rows"]}
PROXIED: dict[str, Any] = {row["case"]: row for row in json.loads((HERE / "proxied-headers.json").read_text())["rows"]}
PATHS: dict[str, Any] = json.loads((HERE / "redirects-and-methods.json").read_text())
OURS = {  # http-api.md §8.3, §13.5, §14: where a statement says otherwise
    "model id empty": (200, ""),
    "native listing of lemonade": (200, ""),
    "native listing of docker model runner": (200, ""),
    "unifier off: listing of a provider": (200, ""),
    "unifier off: model by id": (200, ""),
    "openai prefix, no model, no healthy endpoint": (503, "NO_ENDPOINTS"),
    "universal or openai route, model given, no endpoint at all": (503, "NO_ENDPOINTS"),
    "circuit breaker open (opened by 7 clients that left before the headers), other candidates healthy": (200, ""),
    "unknown transfer coding": (400, "MALFORMED_REQUEST"),
}
TEXTS = {  # what must stay inside the message, and does not stand in the table of §8.3 in these words
    "unknown path": "No route for GET /nope",
    "translator disabled": "No route for POST /olla/anthropic/v1/messages",
    "dashboard disabled": "No route for GET /internal/ui/",
    "unknown provider prefix": "Unknown provider: nonexistent",
    "fixed path with a slash at its end": "No route for GET /internal/health/",
    "format unknown": "Invalid format: xyz. Supported formats: dmr, docker-model-runner, lemonade",
    "universal route, no model, no healthy endpoint": "No healthy endpoints available",
    "backend sends no HTTP": "Proxy error: ",
    "backend silent past response_header_timeout (2s; response_timeout 9s)": "Proxy error: request timeout after 2",
}
MANAGEMENT = [("POST", name) for name in ("pull", "push", "create", "copy")] + [("DELETE", "delete")]


@on_each_engine
class Errors(ProxyCase):
    """Conditions of ``errors.json``: the status, the token and the text; the body is an envelope."""

    def setUp(self) -> None:
        super().setUp()
        self.backend = Backend(play=says(answer({"from": "backend"})))

    def prove(self, condition: str, client: Client) -> None:
        """Compare an answer with the original's under a condition."""
        row = ERRORS[condition]
        status, code = OURS.get(condition, (row["status"], None))
        self.assertEqual(client.status, status, condition)
        for name, value in row["headers"].items():
            if name in ("Content-Type", "Retry-After") or (status == 200 and name == "X-Content-Type-Options"):
                continue  # texts are JSON here, and are told when to return by the right number
            given = client.field(name)
            if name.startswith("X-Ratelimit") or (code == "NO_ENDPOINTS" and "-Routing-" in name):
                continue  # with limits off there are no such fields (http-api.md §9.2), without endpoints no decision
            self.assertTrue(given is not None and fits(value, given), f"{condition}: {name} {given!r}")
        if status == 200 or row["request"]["method"] == "HEAD":
            return
        error = client.json["error"]
        self.assertEqual(client.field("Content-Type"), "application/json", condition)
        self.assertEqual(client.field("Cache-Control"), "no-store", condition)
        if code is not None:
            self.assertEqual(error["code"], code, condition)
        body = row["body"].strip()
        if body.startswith("model_") and code is None:
            self.assertEqual((error["reason"], error["param"]), (body, "model"), condition)
        elif condition in TEXTS:
            self.assertIn(TEXTS[condition], error["message"])
        elif code is None and not body.startswith(("re:", "400 ", "431 ")):
            self.assertIn(body.lower(), error["message"].lower(), condition)
        elif body.startswith("re:"):
            self.assertRegex(error["message"], body[3:].removesuffix("\\n$"), condition)

    def ask(self, condition: str, body: Mapping[str, Any] | bytes = b"", **fields: str) -> None:
        """Send the request of a condition, and compare."""
        asked = ERRORS[condition]["request"]
        self.prove(condition, self.send(request(asked["method"], asked["path"], body, self.detour, **fields)))

    def test_paths(self) -> None:
        """What is not there, or switched off, is 404 in JSON (C55, C59, C14, C15, C16, C130)."""
        switched_off: dict[str, Any] = {"dashboard": {"enabled": False}}
        self.start({"a": self.backend}, translators={"anthropic": {"enabled": False}}, **switched_off)
        for condition in (
            *("unknown path", "unknown path, HEAD: no body", "unknown provider prefix"),
            *("fixed path with a slash at its end", "model id unknown", "model id empty", "format unknown"),
            *("available not true or false", "translator disabled", "dashboard disabled"),
        ):
            self.ask(condition)

    def test_nobody(self) -> None:
        """With nobody to ask, the answer says of whom there is none, and no model is denied (C55)."""
        self.start({})
        for condition in (
            "provider known, no endpoint configured or none healthy",
            "the same for an alias prefix of LM Studio: canonical name",
            "the same for dmr: the prefix",
        ):
            self.ask(condition, {"model": "m"})
        self.ask("universal or openai route, model given, no endpoint at all", {"model": "m"})
        self.ask("native listing of lemonade")
        self.ask("native listing of docker model runner")

    def test_nobody_healthy(self) -> None:
        """With endpoints that are all down it is 503, under a prefix too (C55)."""
        self.start({"a": None})
        self.network.wait(30.0, 1.0)
        self.ask("universal route, no model, no healthy endpoint", {"messages": []})
        self.ask("openai prefix, no model, no healthy endpoint", {"messages": []})

    def test_models(self) -> None:
        """A model that nobody has is 404, one that only others have 503, each with its token (C50, C51)."""
        ollama = {"name": "o", "url": "http://127.0.0.1:9001", "type": "ollama"}
        openai = {"name": "a", "url": "http://127.0.0.1:9000", "type": "openai"}
        self.network.listeners[9000] = self.backend
        self.network.listeners[9001] = Backend(models=())
        self.start(discovery={"static": {"endpoints": [ollama, openai]}})
        self.ask("model on no endpoint (strict)", {"model": "none"})
        self.ask("model only on endpoints outside the scope or down (strict)", {"model": "m"})
        self.assertEqual(self.backend.seen, [])

    def test_unifier_off(self) -> None:
        """Listings work without unification as well (C142)."""
        self.start({"a": self.backend}, model_registry={"enable_unifier": False})
        self.ask("unifier off: listing of a provider")
        self.ask("unifier off: model by id")

    def test_management(self) -> None:
        """What changes an Ollama is refused by name, in the original's words (C13, http-api.md §4.3)."""
        self.start({"a": self.backend}, endpoint={"type": "ollama"})
        rows = json.loads((HERE / "errors.json").read_text())["rows"]
        told = {row["request"]["path"]: row for row in rows if row["condition"] == "ollama management"}
        for method, name in (*MANAGEMENT, ("GET", "list")):
            path = f"/olla/ollama/api/{name}"
            client = self.send(request(method, path, {"model": "m"}, self.detour))
            error = client.json["error"]
            self.assertEqual((client.status, error["code"]), (501, "NOT_SUPPORTED"))
            self.assertEqual(error["message"], told[path]["body"].strip())
            for name in ("X-Olla-Response-Time", "X-Served-By", "Via"):
                self.assertIsNotNone(client.field(name), name)
        self.assertEqual(self.backend.seen, [])

    def test_sizes(self) -> None:
        """What is too large is refused with the original's status and words, with an id besides (C66, C67, C6, B33)."""
        limits = {"max_body_size": 100, "max_header_size": 8192}
        self.start({"a": self.backend}, server={"request_limits": limits})
        self.ask("declared body above max_body_size", b"x" * 200)
        asked = request("POST", "/olla/proxy/v1/chat/completions", b"x" * 200, detour=True)
        self.prove("chunked body above max_body_size", self.send(asked))
        self.ask("header above max_header_size, below the parser's cap", X_Big="x" * 10_000)
        self.ask("header above the parser's cap", X_Big="x" * 60_000)
        self.assertEqual(self.backend.seen, [])

    def test_malformed(self) -> None:
        """What is no HTTP is 400, and nothing of it reaches a backend (C55)."""
        self.start({"a": self.backend})
        for condition, raw in (
            ("malformed request line", b"GET\r\n\r\n"),
            ("no Host in HTTP/1.1", b"GET /x HTTP/1.1\r\n\r\n"),
            ("invalid header name", b"GET /x HTTP/1.1\r\nHost: h\r\nx y: 1\r\n\r\n"),
            (
                "unknown transfer coding",
                b"POST /olla/proxy/x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: rot13\r\n\r\n",
            ),
        ):
            self.prove(condition, self.send(raw))
        self.assertEqual(self.backend.seen, [])

    def test_limited(self) -> None:
        """A client beyond its rate is told so, with the fields of the limit (C62)."""
        self.start({"a": self.backend}, server={"rate_limits": {"burst_size": 1}})
        self.post()
        self.ask("rate limited", {"model": "m"})
        client = self.post()
        for name, value in ERRORS["rate limited"]["headers"].items():
            if name.startswith("X-Ratelimit"):
                self.assertTrue(fits(value, client.field(name) or ""), name)
        self.assertRegex(client.field("Retry-After") or "", r"^[1-9]\d*$")

    def test_backends(self) -> None:
        """What backends do wrong is 502 in the original's words, without addresses (C55, C57)."""
        proxy = {"response_header_timeout": "2s", "response_timeout": "9s"}
        self.start({"a": self.backend}, proxy=proxy)
        body = {"model": "m"}
        self.backend.play = says_and_closes(b"what is HTTP?\r\n\r\n")
        self.ask("backend sends no HTTP", body)
        self.backend.play = lambda connection, seen: None
        client = self.post("/olla/proxy/v1/chat/completions", body)
        self.network.wait(3.0)
        self.prove("backend silent past response_header_timeout (2s; response_timeout 9s)", client)

    def test_unreachable(self) -> None:
        """Where no connection is to be had it is 502 in the original's words (C55)."""
        self.start({"a": self.backend})
        del self.network.listeners[9000]
        self.ask("connection reset or refused by every candidate", {"model": "m"})

    def test_breaker(self) -> None:
        """With one breaker open the next endpoint serves, and clients that leave open none (C134, C135)."""
        self.start({"a": Backend(), "b": self.backend}, proxy={"load_balancer": "priority"})
        for _ in range(7):
            self.post().transport.abortConnection()
            self.network.pump(0.1)
        self.assertEqual({one["circuit"] for one in self.status()["endpoints"]}, {"closed"})
        dead = Backend(play=resets)
        self.network.listeners[9000] = dead
        condition = next(one for one in ERRORS if one.startswith("circuit breaker open"))
        for _ in range(7):
            self.ask(condition, {"model": "m"})


@on_each_engine
class Paths(ProxyCase):
    """``redirects-and-methods.json``."""

    def test_no_redirects(self) -> None:
        """Where the original sends a client elsewhere, we answer as it would have been answered there (C3, C4)."""
        backend = Backend(play=says(answer({"from": "backend"})))
        self.start({"a": backend}, endpoint={"type": "ollama"})
        for row in PATHS["redirects"]:
            asked = row["request"]
            if asked["path"].startswith("/internal/ui"):
                continue  # the dashboard is told of elsewhere
            sent = len(backend.seen)
            there = self.send(request(asked["method"], row["location"]))
            here = self.send(request(asked["method"], asked["path"]))
            if ".." in asked["path"]:
                self.assertEqual((here.status, len(backend.seen)), (404, sent), asked)
                continue
            self.assertEqual((here.status, here.body), (there.status, there.body), asked)
            lines = {seen.line.replace(b"//", b"/") for seen in backend.seen[sent:]}
            self.assertEqual(len(lines), 0 if asked["path"].endswith("models") else 1)

    def test_methods(self) -> None:
        """Pages answer GET and HEAD as the original, OPTIONS with what is allowed, and all else with 405 (C12)."""
        self.start({})
        for path, methods in PATHS["methods"].items():
            for method, status in methods.items():
                expected = {"GET": status, "HEAD": status, "OPTIONS": 204}.get(method, 405)
                client = self.send(request(method, path))
                self.assertEqual(client.status, expected, (method, path))
                if expected in (204, 405):
                    self.assertIn("GET, HEAD", client.field("Allow") or "", (method, path))
                if expected == 405:
                    self.assertEqual(client.json["error"]["code"], "METHOD_NOT_ALLOWED")


@on_each_engine
class ProxiedHeaders(ProxyCase):
    """Rows of ``proxied-headers.json``."""

    def setUp(self) -> None:
        super().setUp()
        self.played = answer({})
        self.endpoints: list[dict[str, Any]] = []

    def endpoint(self, name: str, type: str, *models: str) -> None:
        """Have one more endpoint."""
        port = 9000 + len(self.endpoints)
        self.endpoints.append(
            {"name": name, "url": f"http://127.0.0.1:{port}", "type": type, "priority": 100 - port % 100}
        )
        backend = Backend(models=models, play=lambda connection, seen: connection.transport.write(self.played))
        self.network.listeners[port] = backend
        if type in ("ollama", "lm-studio"):
            backend.asked = native(backend)  # type: ignore[method-assign]

    def ask(self, case: str, body: Mapping[str, Any] | bytes = b"", played: bytes = b"", **fields: str) -> None:
        """Send the request of a case, and compare the fields of the answer."""
        self.played = played or answer({})
        row = PROXIED[case]
        asked = row["request"]
        client = self.send(request(asked["method"], asked["path"], body, self.detour, **fields))
        self.assertEqual(client.status, row["status"], case)
        for name, value in row["headers"].items():
            if name.startswith("X-Ratelimit") or name in ("X-Olla-Session-Id",):
                continue
            if name == "X-Olla-Model":
                value = OURS_MODEL.get(case, value)  # the real name of the model, and its own case (C27)
            given = client.fields(name)
            self.assertEqual(len(given), 1, f"{case}: {name} {given}")
            self.assertTrue(fits(value, given[0]), f"{case}: {name} {given}")
        told = {name.decode().partition(":")[0].lower() for name in client.head.split(b"\r\n")[1:]}
        ours = {name for name in told if name.startswith("x-olla-")}
        self.assertEqual(ours, {name.lower() for name in row["headers"] if name.lower().startswith("x-olla-")}, case)

    def test_rows(self) -> None:
        """Each kind of proxied answer has the fields of the original's, and no more of ours (C21, C22, C26, C27)."""
        self.endpoint("ollama-1", "ollama", "llama3.1:8b")
        self.endpoint("vllm-2", "vllm", "Qwen/Qwen2.5-7B-Instruct")
        self.endpoint("openai-a", "openai-compatible", "text-embed-mock")
        self.endpoint("lmstudio-1", "lm-studio", "phi-4")
        self.endpoint("litellm-1", "litellm", "lite-only")
        self.endpoint("ollama-2", "ollama", "mistral:7b", "llama3.1:8b-q4")
        self.start(
            discovery={"static": {"endpoints": self.endpoints}},
            proxy={"sticky_sessions": {"enabled": True}, "load_balancer": "priority"},
            model_aliases={"fast": ["llama3.1:8b", "llama3.1:8b-q4"]},
        )
        events = SSE.replace(b"\r\n\r\n", b"\r\nCache-Control: no-cache\r\n\r\n") + chunked(b"data: [DONE]\n\n")
        lines = events.replace(b"text/event-stream", b"application/x-ndjson")

        def chat(model: str) -> dict[str, Any]:
            return {"model": model, "messages": [{"role": "user", "content": "hello " + model}]}

        self.ask("no model, no sticky key")
        self.ask("model, sticky by prefix_hash, first time", chat("Qwen/Qwen2.5-7B-Instruct"))
        self.ask("sticky by session_header, first time", chat("text-embed-mock"), X_Olla_Session_ID="gold-1")
        self.ask("sticky by session_header, again", chat("text-embed-mock"), X_Olla_Session_ID="gold-1")
        self.ask("sticky by auth_header", {"model": "text-embed-mock", "input": "x"}, Authorization="Bearer x")
        self.ask("alias", chat("fast"))
        self.post("/olla/lmstudio/v1/chat/completions", chat("phi-4"))
        self.ask("stream, OpenAI", {**chat("phi-4"), "stream": True}, events)
        self.post("/olla/ollama/api/chat", chat("mistral:7b"))
        self.ask("stream, Ollama", {**chat("mistral:7b"), "stream": True}, lines)
        self.post("/olla/litellm/v1/chat/completions", chat("lite-only"))
        self.ask("backend 500", chat("lite-only"), answer({}, 500))
        self.ask("backend 302", chat("lite-only"), answer({}, 302, Location="http://127.0.0.1:9/elsewhere"))
        self.ask("backend 429 with Retry-After", chat("lite-only"), answer({}, 429, Retry_After="3"))


OURS_MODEL = {
    "alias": "llama3.1:8b",
    "model, sticky by prefix_hash, first time": "Qwen/Qwen2.5-7B-Instruct",
}


def native(backend: Backend) -> Any:
    """List models as Ollama and LM Studio do."""

    def asked(connection: Any, seen: Seen) -> None:
        if "".join(seen.fields("user-agent")).startswith("olla-Discovery"):
            models = [{"name": name, "model": name, "id": name} for name in backend.models]
            connection.transport.write(answer({"models": models, "data": models}))
        else:
            Backend.asked(backend, connection, seen)

    return asked


def fits(wanted: str, given: str) -> bool:
    """Compare a field's value with one of the files."""
    return re.search(wanted[3:], given) is not None if wanted.startswith("re:") else wanted == given
