"""Every address that is ours, and what every answer carries."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from tests.support import HEADER_END, Backend, Client, ProxyCase, answer, on_each_engine, request, says

SYSTEM = (
    "/internal/health",
    "/internal/status",
    "/internal/status/endpoints",
    "/internal/status/models",
    "/internal/stats/models",
    "/internal/process",
    "/version",
)
PREFIXES = (
    *("ollama", "lmstudio", "lm-studio", "lm_studio", "openai", "openai-compatible", "openai_compatible"),
    *("vllm", "vllm-mlx", "vllm_mlx", "vllmmlx", "llamacpp", "llama-cpp", "llama_cpp", "llama.cpp", "sglang"),
    *("lmdeploy", "litellm", "lemonade", "omlx", "dmr", "docker-model-runner", "docker_model_runner"),
)
LISTINGS = ("/olla/proxy/v1/models", "/olla/openai/v1/models", "/olla/models", "/olla/models/m")
SEED_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Allow-Headers": "Content-Type, Authorization",
}
CHROME: dict[str, Any] = {"Origin": "http://app.test", "Access_Control_Request_Method": "POST"}


@on_each_engine
class Pages(ProxyCase):
    """The pages."""

    def setUp(self) -> None:
        super().setUp()
        self.backend = Backend(play=says(answer({"from": "backend"})))

    def test_all_answer(self) -> None:
        """Each page is there, in JSON, with the request's id and the seed's CORS fields (C8, C6, C71, C89)."""
        for backends in ({"a": self.backend}, {"a": None}, {}):
            self.setUp()
            self.start(backends)
            for path in SYSTEM:
                client = self.get(path)
                self.assertEqual((client.status, client.whole), (200, True), path)
                self.assertEqual(client.field("Content-Type"), "application/json", path)
                self.assertTrue(client.json)
                self.assertEqual(len(client.fields("X-Olla-Request-ID")), 1, path)
                for name, value in SEED_CORS.items():
                    self.assertEqual(client.fields(name), [value], path)
            self.stop()

    def test_further_pages(self) -> None:
        """Metrics and statistics of stickiness and translators are there (C8)."""
        self.start({"a": self.backend})
        for path in ("/internal/metrics", "/internal/stats/sticky", "/internal/stats/translators"):
            self.assertEqual(self.get(path).status, 200, path)

    def test_listings(self) -> None:
        """The listings of models are ours: no backend is asked (C8, C102, C106)."""
        self.start({"a": self.backend})
        for path in LISTINGS:
            client = self.get(path)
            self.assertEqual(client.status, 200, path)
            self.assertIn(b'"m"', client.body)
            self.assertEqual(self.get(path).body, client.body)
        self.assertEqual(self.backend.seen, [])

    def test_listing_without_version(self) -> None:
        """A client whose base address ends before ``/v1`` finds the models too (openai-surface.md, first remarks)."""
        self.start({"a": self.backend})
        for prefix in ("openai", "proxy"):
            self.assertEqual([one["id"] for one in self.get(f"/olla/{prefix}/models").json["data"]], ["m"])
            self.assertEqual(self.get(f"/olla/{prefix}/models/m").json["id"], "m")
        self.assertEqual(self.backend.seen, [])

    def test_status_of_models(self) -> None:
        """oMLX's page about its models is no model of the name ``status`` (http-api.md §2.4, C8)."""
        self.start({"a": self.backend}, endpoint={"type": "omlx"})
        client = self.get("/olla/omlx/v1/models/status")
        self.assertEqual((client.status, client.json), (200, {"from": "backend"}))
        self.assertEqual(self.backend.seen[-1].line, b"GET /v1/models/status HTTP/1.1")

    def test_own_listing_of_a_backend(self) -> None:
        """``?proxy=true`` asks one backend for its own listing, as it writes it (http-api.md §14)."""
        self.start({"a": self.backend})
        for path, line in (
            ("/olla/openai/v1/models?proxy=true", b"GET /v1/models?proxy=true HTTP/1.1"),
            ("/olla/proxy/v1/models/m?x=1&proxy=true", b"GET /v1/models/m?x=1&proxy=true HTTP/1.1"),
        ):
            client = self.get(path)
            self.assertEqual((client.json, client.field("X-Olla-Endpoint")), ({"from": "backend"}, "a"))
            self.assertEqual(self.backend.seen[-1].line, line)
        self.assertNotEqual(self.get("/olla/openai/v1/models?proxy=false").json, {"from": "backend"})

    def test_prefixes(self) -> None:
        """Each prefix of §2.4 is a route: with no endpoint of its kind it says so, in its own words (C8, C9, C10)."""
        self.start({"a": self.backend})
        for prefix in PREFIXES:
            client = self.post(f"/olla/{prefix}/v1/chat/completions")
            if prefix.startswith("openai"):
                self.assertEqual((client.status, client.json), (200, {"from": "backend"}), prefix)
            else:
                code = client.json["error"]["code"]
                self.assertEqual((client.status, code), (404, "NO_PROVIDER_ENDPOINTS"), prefix)
        self.assertEqual({seen.line for seen in self.backend.seen}, {b"POST /v1/chat/completions HTTP/1.1"})

    def test_any_method_under_a_prefix(self) -> None:
        """Every method goes to the backend, those that nobody knows too (http-api.md §2.4)."""
        self.start({"a": self.backend})
        methods = ("GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND")
        for method in methods:
            self.assertEqual(self.send(request(method, "/olla/openai/v1/x")).status, 200, method)
        self.assertEqual([seen.line.split()[0].decode() for seen in self.backend.seen], list(methods))

    def test_slashes(self) -> None:
        """A prefix needs no slash; a page with one is 404; there are no redirects (C3, C130)."""
        self.start({"a": self.backend})
        self.assertEqual(self.post("/olla/openai").status, 200)
        self.assertEqual(self.post("/olla/openai/").status, 200)
        self.assertEqual({seen.line for seen in self.backend.seen}, {b"POST / HTTP/1.1"})
        for path in SYSTEM:
            self.assertEqual(self.get(path + "/").status, 404, path)
        self.assertEqual(self.get("/olla/models/").status, 200)

    def test_any_name(self) -> None:
        """A model is found by its name, whatever that has in it, escaped or not (http-api.md §13.5, §14)."""
        names = ("llama3:8b", "hf.co/org/m-GGUF:Q4_K_M", "m@v1", "my model", "größe", "a%b", "100%25", "/models/m.gguf")
        self.start({"a": Backend(models=names)})
        for name in names:
            whole = quote(name, safe="")
            for path in ("/olla/models", "/olla/openai/v1/models"):
                for written in (whole, quote(name)):
                    self.assertEqual(self.get(f"{path}/{written}").json["id"], name, f"{path}/{written}")
        self.assertEqual(self.get("/olla/models/llama3:8b").json["id"], "llama3:8b")
        for nameless in ("%2F", "%2F%2F", "%2Fnope"):
            client = self.get(f"/olla/models/{nameless}")
            self.assertEqual((client.status, client.json["error"]["code"]), (404, "MODEL_NOT_FOUND"), nameless)

    def test_head(self) -> None:
        """HEAD is GET without a body, with the same fields (C59, C145, http-api.md §2.6)."""
        self.start({"a": self.backend})
        for path in ("/internal/health", "/version", "/olla/models", "/olla/openai/v1/models", "/nope", "/olla/nope/x"):
            get, head = self.get(path), self.send(request("HEAD", path))
            self.assertEqual(head.got.partition(HEADER_END)[2], b"", path)
            self.assertEqual((head.status, head.field("Content-Type")), (get.status, get.field("Content-Type")), path)
            if get.status == 200:
                self.assertEqual(head.field("Content-Length"), get.field("Content-Length"), path)

    def test_options(self) -> None:
        """OPTIONS of a page that is no preflight is 204 with what is allowed (http-api.md §2.6)."""
        self.start({"a": self.backend})
        for path in (*SYSTEM, "/olla/models"):
            client = self.send(request("OPTIONS", path))
            allowed = set((client.field("Allow") or "").split(", "))
            self.assertEqual((client.status, client.body), (204, b""), path)
            self.assertTrue({"GET", "HEAD"} <= allowed, path)

    def test_wrong_method(self) -> None:
        """Another method is 405, which names the right ones (C12)."""
        self.start({"a": self.backend})
        for method in ("POST", "DELETE", "PROPFIND"):
            for path in (*SYSTEM, "/olla/models", "/olla/models/m"):
                client = self.send(request(method, path))
                self.assertEqual(client.status, 405, path)
                self.assertEqual(client.json["error"]["message"], f"Method {method} not allowed")
                self.assertEqual(client.field("Allow"), "GET, HEAD", path)

    def test_management(self) -> None:
        """What changes an Ollama is 501, and reaches none (C13)."""
        backend = Backend()
        self.start({"a": backend}, endpoint={"type": "ollama"})
        for method, path in (
            *(("POST", f"api/{name}") for name in ("pull", "push", "create", "copy")),
            *(("DELETE", "api/delete"), ("GET", "api/list")),
        ):
            client = self.send(request(method, f"/olla/ollama/{path}", {"model": "m"}))
            self.assertEqual((client.status, client.json["error"]["code"]), (501, "NOT_SUPPORTED"), path)
        self.assertEqual(backend.seen, [])

    def test_allowed_management(self) -> None:
        """Where it is allowed it goes to the one endpoint that the client names, whatever models that has (§2.4)."""
        a, b = Backend(play=says(answer({"by": "a"}))), Backend(play=says(answer({"by": "b"})))
        allowed = {"ollama": {"allow_management": True}}
        self.start({"a": a, "b": b}, endpoint={"type": "ollama"}, proxy=allowed)
        pull = "/olla/ollama/api/pull"
        self.assertEqual(self.post(pull, {"model": "new"}, X_Olla_Target_Endpoint="b").json, {"by": "b"})
        self.assertEqual(([seen.line for seen in b.seen], a.seen), ([b"POST /api/pull HTTP/1.1"], []))
        for named in ({}, {"X_Olla_Target_Endpoint": "c"}):
            client = self.post(pull, {"model": "m"}, **named)
            self.assertEqual((client.status, client.json["error"]["code"]), (400, "INVALID_ENDPOINT"))
        self.assertEqual(self.get("/olla/ollama/api/list").status, 501)

    def test_running_models(self) -> None:
        """What each Ollama has in memory is told as one list, with where it is; who fails is left out (§2.4, SC10)."""
        a, b, broken, silent = (Backend() for _ in range(4))
        self.start({"a": a, "b": b, "broken": broken, "silent": silent}, endpoint={"type": "ollama"})
        a.page = answer({"models": [{"name": "x", "size_vram": 1}]})
        b.page = answer({"models": [{"name": "y"}, "odd"]})
        broken.page = answer(b"<html>")
        silent.page = b""
        client = self.get("/olla/ollama/api/ps")
        self.network.wait(3.0)
        self.assertEqual(client.status, 200)
        expected = [{"name": "x", "size_vram": 1, "olla_endpoint": "a"}, {"name": "y", "olla_endpoint": "b"}]
        self.assertEqual(client.json, {"models": expected})
        hasty = self.get("/olla/ollama/api/ps")
        hasty.transport.abortConnection()
        self.network.wait(3.0)
        self.assertIn(b"GET /api/ps HTTP/1.1", [seen.line for seen in a.probes])
        self.assertIsNotNone(client.field("X-Olla-Response-Time"))

    def test_not_modified(self) -> None:
        """Pages with a tag are not sent twice (C81, C82)."""
        self.start({"a": self.backend})
        for path in ("/internal/status/endpoints", "/internal/status/models"):
            tag = self.get(path).field("ETag")
            self.assertIsNotNone(tag)
            client = self.get(path, If_None_Match=tag or "")
            self.assertEqual((client.status, client.got.partition(HEADER_END)[2]), (304, b""), path)
            self.assertNotIn(b"content-length", client.got.lower(), path)  # it would be that of the 200 (RFC 9110, 8.6)
            self.assertEqual((client.field("ETag"), client.field("Vary")), (tag, "Accept-Encoding"))

    def test_without_endpoints(self) -> None:
        """With nothing configured the status says so, and health is well (C78, C80)."""
        self.start({})
        system = self.status()["system"]
        self.assertEqual((system["status"], system["endpoints_up"]), ("critical", "0/0"))
        self.assertEqual(self.get("/internal/health").body, b'{"status":"healthy"}')

    def test_counts(self) -> None:
        """Ten requests count ten; a 500 is a failure, a 404 is none (C83, C84)."""
        self.start({"a": self.backend})
        for status in (200,) * 8 + (404, 500):
            self.backend.play = says(answer({}, status))
            self.post()
        system = self.status()["system"]
        self.assertEqual((system["total_requests"], system["total_failures"]), (10, 1))


@on_each_engine
class EveryAnswer(ProxyCase):
    """What is on each answer, whoever made it."""

    def setUp(self) -> None:
        super().setUp()
        self.backend = Backend(play=says(answer({})))

    def answers(self, **fields: Any) -> list[Client]:
        """Get an answer of each kind."""
        limits = {"max_body_size": 100, "max_header_size": 8192}
        self.start({"a": self.backend}, server={"request_limits": limits})
        return [
            self.get("/internal/health", **fields),
            self.get("/nope", **fields),
            self.get("/olla/nope/x", **fields),
            self.get("/olla/models", **fields),
            self.send(request("POST", "/olla/models", **fields)),
            self.send(request("OPTIONS", "/olla/models", **fields)),
            self.post("/olla/ollama/api/pull", **fields),
            self.post(**fields),
            self.post(body={"model": "none"}, **fields),
            self.post(body=b"x" * 200, **fields),
            self.post(X_Big="x" * 10_000, **fields),
            self.send(b"GET /olla/proxy/x HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n"),
        ]

    def test_request_id(self) -> None:
        """Each answer has one id of its own, our refusals of what was not even read too (C6, C19)."""
        clients = self.answers()
        self.assertEqual(
            [client.status for client in clients], [200, 404, 404, 200, 405, 204, 501, 200, 404, 413, 431, 400]
        )
        ids = [client.fields("X-Olla-Request-ID") for client in clients]
        self.assertEqual({len(one) for one in ids}, {1})
        self.assertEqual(len({one[0] for one in ids}), len(clients))

    def test_given_request_id(self) -> None:
        """A good id of the client is kept; one that is none is replaced, and can inject nothing (C17, C18, C20)."""
        self.start({"a": self.backend})
        for path in ("/olla/openai/v1/x", "/internal/health", "/nope"):
            self.assertEqual(self.get(path, X_Request_ID="abc-123").field("X-Olla-Request-ID"), "abc-123")
            for bad in ("x" * 129, "a b", "a\tb", "caf\xe9"):
                raw = request("GET", path, X_Request_ID="?").replace(b"?", bad.encode("latin-1"))
                client = self.send(raw)
                self.assertNotEqual(client.status, 400)
                self.assertRegex(client.field("X-Olla-Request-ID") or "", r"^[!-~]{1,128}$")
                self.assertNotEqual(client.field("X-Olla-Request-ID"), bad)
        self.assertEqual({len(seen.fields("X-Request-ID")) for seen in self.backend.seen}, {1})

    def test_cors(self) -> None:
        """Each answer carries the seed's CORS fields once; a browser's learns what it may read (C25, C71, C74)."""
        for client in self.answers(Origin="http://app.test"):
            for name, value in SEED_CORS.items():
                self.assertEqual(client.fields(name), [value], client.head)
            if client.status in (400, 431):
                continue  # whose origin was not even read
            exposed = client.field("Access-Control-Expose-Headers") or ""
            self.assertTrue({"X-Olla-Model", "X-Olla-Endpoint", "Retry-After"} <= set(exposed.split(", ")))

    def test_preflight(self) -> None:
        """A preflight is answered by us for any path, with every header that was asked for (C72, C73)."""
        self.start({"a": self.backend})
        for path in ("/olla/openai/v1/x", "/internal/health", "/nope"):
            asked = "content-type,x-api-key,anthropic-version"
            client = self.send(request("OPTIONS", path, Access_Control_Request_Headers=asked, **CHROME))
            allowed = (client.field("Access-Control-Allow-Headers") or "").lower().split(", ")
            self.assertTrue(set(asked.split(",")) <= set(allowed), path)
            self.assertEqual((client.status, client.field("Access-Control-Max-Age")), (204, "300"))
        self.assertEqual(self.backend.seen, [])

    def test_internal_switched_off(self) -> None:
        """Pages for operators promise browsers nothing with ``internal_api: false`` (http-api.md §10.3)."""
        self.start({"a": self.backend}, server={"cors": {"internal_api": False}})
        for path, allowed in (("/internal/status", False), ("/version", False), ("/olla/models", True)):
            for client in (
                self.get(path, Origin="http://app.test"),
                self.send(request("OPTIONS", path, **CHROME)),
            ):
                self.assertEqual(b"access-control-" in client.head.lower(), allowed, path)

    def test_cors_off(self) -> None:
        """Without CORS none of the fields is ours, and a backend's pass (C77)."""
        self.backend.play = says(answer({}, Access_Control_Allow_Origin="http://backend"))
        self.start({"a": self.backend}, server={"cors": {"enabled": False}})
        self.assertEqual(self.post().fields("Access-Control-Allow-Origin"), ["http://backend"])
        for path in ("/internal/health", "/nope", "/olla/models"):
            self.assertNotIn(b"Access-Control", self.get(path, Origin="http://app.test").head)

    def test_explicit_origins(self) -> None:
        """With origins named, only these are told that they may; caches are told to tell apart (C138, R22)."""
        self.start({"a": self.backend}, server={"cors": {"allowed_origins": ["http://app.test"]}})
        for origin, allowed in (
            ("http://app.test", ["http://app.test"]),
            *((one, []) for one in ("null", "http://app.test.evil", "http://evilapp.test", "https://app.test")),
            ("http://app.test:81", []),
        ):
            for client in (self.get("/internal/status", Origin=origin), self.post(Origin=origin)):
                self.assertEqual(client.fields("Access-Control-Allow-Origin"), allowed, origin)
                self.assertIn("Origin", client.field("Vary") or "")
        vary = ", ".join(self.get("/internal/status", Origin="http://app.test").fields("Vary"))
        self.assertIn("Accept-Encoding", vary)

    def test_conditions(self) -> None:
        """Each condition has its status, type and code (C6, C14, C55, C56)."""
        self.start({"a": Backend(healthy=500)})
        rows = (
            ("GET", "/nope", 404, "not_found", "ROUTE_NOT_FOUND"),
            ("GET", "/olla/nobody/v1/models", 404, "not_found", "UNKNOWN_PROVIDER"),
            ("GET", "/olla/models/none", 404, "not_found", "MODEL_NOT_FOUND"),
            ("GET", "/olla/models?format=xyz", 400, "bad_request", "INVALID_FORMAT"),
            ("GET", "/olla/models?available=maybe", 400, "bad_request", "INVALID_PARAMETER"),
            ("POST", "/olla/models", 405, "method_not_allowed", "METHOD_NOT_ALLOWED"),
            ("POST", "/internal/health", 405, "method_not_allowed", "METHOD_NOT_ALLOWED"),
            ("POST", "/olla/ollama/api/pull", 501, "not_implemented", "NOT_SUPPORTED"),
            ("POST", "/olla/vllm/v1/x", 404, "not_found", "NO_PROVIDER_ENDPOINTS"),
            ("POST", "/olla/openai/v1/x", 503, "service_unavailable", "NO_ENDPOINTS"),
            ("GET", "/olla/ollama/../../internal/health", 404, "not_found", "ROUTE_NOT_FOUND"),
            ("GET", "/internal/health/", 404, "not_found", "ROUTE_NOT_FOUND"),
        )
        for method, path, status, kind, code in rows:
            client = self.send(request(method, path))
            error = client.json["error"]
            self.assertEqual((client.status, error["type"], error["code"]), (status, kind, code), path)

    def test_conditions_of_anthropic(self) -> None:
        """Below ``/olla/anthropic/`` also what is refused early is in Anthropic's words (C56, http-api.md §8.4)."""
        self.start({"a": self.backend}, server={"request_limits": {"max_body_size": "1KB", "max_header_size": "8KB"}})
        large = {"X-Large": "x" * 20_000}
        for method, body, fields, status, kind, code in (
            ("POST", b"{}", {}, 404, "not_found_error", "ROUTE_NOT_FOUND"),
            ("POST", b" " * 5000, {}, 404, "not_found_error", "ROUTE_NOT_FOUND"),
            ("GET", b"", {}, 404, "not_found_error", "ROUTE_NOT_FOUND"),
            ("GET", b"", large, 431, "api_error", "HEADERS_TOO_LARGE"),
        ):
            client = self.send(request(method, "/olla/anthropic/v1/messages", body, self.detour, **fields))
            said = client.json
            self.assertEqual((client.status, said["type"], said["error"]["type"]), (status, "error", kind))
            self.assertEqual((said["error"]["code"], bool(said["error"]["message"])), (code, True))
            self.assertEqual(said["request_id"], client.field("X-Olla-Request-ID"))

    def test_unknown_model(self) -> None:
        """A model that nobody has is 404 with the decision, and no backend is asked (C50)."""
        self.start({"a": self.backend})
        client = self.post(body={"model": "other"})
        self.assertEqual((client.status, client.json["error"]["reason"]), (404, "model_not_found"))
        self.assertEqual(client.field("X-Olla-Routing-Decision"), "rejected")
        self.assertEqual(self.backend.seen, [])

    def test_errors(self) -> None:
        """Each error of ours has the same shape: message, type, code and the id (C55, C56, C57)."""
        for client in self.answers():
            if client.status < 400:
                continue
            error = client.json["error"]
            self.assertEqual(client.field("Content-Type"), "application/json")
            self.assertEqual(error["request_id"], client.field("X-Olla-Request-ID"))
            for name in ("message", "type", "code"):
                self.assertTrue(isinstance(error[name], str) and error[name], json.dumps(error))
            self.assertNotIn("Traceback", json.dumps(error))
