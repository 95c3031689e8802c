"""Where the document this was started from and what clients are used to disagree: what was decided is what is seen."""

from __future__ import annotations

import json

from tests.support import (
    SSE,
    UNLIMITED,
    Backend,
    BackendConnection,
    Client,
    ProxyCase,
    Seen,
    answer,
    chunk,
    on_each_engine,
    request,
    says,
    says_and_closes,
)

OLLAMA = {"model": "m", "done": True, "total_duration": 2_000_000_000, "prompt_eval_count": 3, "eval_count": 8}
RATED = {**UNLIMITED, "burst_size": 2}


@on_each_engine
class Seed(ProxyCase):
    """The rows SC1–SC17 of http-api.md §18, one test each (C127)."""

    def begin(self, *bodies: bytes, **sections: object) -> None:
        """Start with one endpoint for each of these answers; the first is preferred."""
        self.backends = [Backend(play=says(body)) for body in bodies or (answer({"ok": 1}),)]
        named = dict(zip("abc", self.backends, strict=False))
        proxy = {"load_balancer": "priority", **sections.pop("proxy", {})}  # type: ignore[dict-item]
        self.start(dict(named), proxy=proxy, **sections)  # type: ignore[arg-type]

    def told(self, client: Client) -> tuple[int, str]:
        """Give status and code of an error, once it is found to be in the envelope."""
        self.assertEqual(client.field("Content-Type"), "application/json")
        error = client.json["error"]
        self.assertTrue(error["message"] and error["type"] and error["code"])
        return client.status, error["code"]

    def test_error_body(self) -> None:
        """SC1: what we refuse is in one envelope, a backend's own body stays as it is."""
        self.begin(answer(b"busy", 500, Content_Type="text/plain"))
        self.assertEqual(self.told(self.get("/nowhere")), (404, "ROUTE_NOT_FOUND"))
        self.assertEqual(self.told(self.post(body={"model": "none"})), (404, "MODEL_NOT_FOUND"))
        theirs = self.post()
        self.assertEqual((theirs.status, theirs.body, theirs.field("Content-Type")), (500, b"busy", "text/plain"))

    def test_cors(self) -> None:
        """SC2: CORS is on, in exactly the seed's words; a preflight adds what it asks for; both keys switch it off."""
        self.begin()
        for client in (self.post(), self.get("/internal/health"), self.get("/nowhere")):
            self.assertEqual(client.field("Access-Control-Allow-Origin"), "*")
            self.assertEqual(client.field("Access-Control-Allow-Methods"), "GET, POST, OPTIONS")
            self.assertEqual(client.field("Access-Control-Allow-Headers"), "Content-Type, Authorization")
        fields = {"Origin": "https://a", "Access_Control_Request_Method": "POST"}
        asked = request("OPTIONS", "/olla/models", Access_Control_Request_Headers="x-stainless-os", **fields)
        allowed = self.send(asked).field("Access-Control-Allow-Headers")
        self.assertEqual(str(allowed).lower(), "content-type, authorization, x-stainless-os")
        for cors, kept in (({"internal_api": False}, "*"), ({"enabled": False}, None)):
            self.stop()
            self.begin(server={"rate_limits": UNLIMITED, "cors": cors})
            self.assertEqual(self.post().field("Access-Control-Allow-Origin"), kept)
            self.assertIsNone(self.get("/internal/health").field("Access-Control-Allow-Origin"))

    def test_fields_of_all_answers(self) -> None:
        """SC3: the id is on all, the endpoint on all that it took part in, the time on all under ``/olla/``."""
        self.begin()
        good, listing, page = self.post(), self.get("/olla/models"), self.get("/internal/health")
        self.backends[0].play = says_and_closes(b"")
        bad, lost = self.post(), self.get("/nowhere")
        for client in (good, listing, page, bad, lost):
            self.assertTrue(client.field("X-Olla-Request-ID"))
        self.assertEqual((bad.status, bad.field("X-Olla-Endpoint"), bad.field("X-Olla-Model")), (502, "a", "m"))
        for client in (good, listing, bad):
            self.assertRegex(str(client.field("X-Olla-Response-Time")), r"^\d+ms$")

    def test_backend_type(self) -> None:
        """SC4: the type is given as the configuration spells it, and each spelling is the same kind."""
        for written in ("lmstudio", "lm-studio", "lm_studio", "openai", "openai-compatible", "vllm"):
            self.setUp()
            self.start({"a": Backend(play=says(answer({})))}, {"type": written})
            self.assertEqual(self.post("/olla/proxy/v1/chat/completions").field("X-Olla-Backend-Type"), written)
            prefix = "lmstudio" if "studio" in written else "openai"
            self.assertEqual(self.post(f"/olla/{prefix}/v1/chat/completions").status, 200)
            self.stop()

    def test_limits(self) -> None:
        """SC5: each class is limited; pages have a bucket of their own, and take nothing of everybody's."""
        self.begin(server={"rate_limits": {**RATED, "health_requests_per_minute": 1}})
        self.assertEqual([self.get("/version").status for _ in range(3)], [200, 200, 429])
        self.assertEqual(self.post().status, 200)
        for limit in ("per_ip_requests_per_minute", "global_requests_per_minute"):
            self.stop()
            self.begin(server={"rate_limits": {**RATED, "global_burst_size": 2, limit: 1}})
            self.assertEqual([self.get("/version").status for _ in range(4)], [200] * 4)
            asked = [self.post(), self.get("/olla/models"), self.get("/olla/models"), self.post()]
            self.assertEqual([client.status for client in asked], [200, 200, 429, 429])

    def test_time(self) -> None:
        """SC6: the time is whole milliseconds: until the head of what streams, of the whole otherwise."""

        def late(connection: BackendConnection, seen: Seen) -> None:
            self.network.callLater(0.25, connection.transport.write, answer({}))

        self.begin()
        self.backends[0].play = late
        client = self.post()
        self.network.wait(0.5, 0.05)
        self.assertEqual(client.field("X-Olla-Response-Time"), "250ms")

    def test_credentials(self) -> None:
        """SC7: a client's credentials reach the backend, unless it has its own or the operator says otherwise."""
        own = {"auth": {"type": "bearer", "token": "ours"}}
        for keys, sent in (({}, ["Bearer theirs"]), (own, ["Bearer ours"]), ({"forward_client_auth": False}, [])):
            self.setUp()
            backend = Backend(play=says(answer({})))
            self.start({"a": backend}, keys)
            self.post(Authorization="Bearer theirs")
            self.assertEqual(backend.seen[-1].fields("Authorization"), sent)
            self.stop()

    def test_statuses(self) -> None:
        """SC8: what takes too long is 502, not 504, and a client's mistake is 400."""
        self.begin(b"", proxy={"response_header_timeout": "1s"})
        client = self.post()
        self.network.wait(2.0)
        self.assertEqual(self.told(client), (502, "BACKEND_TIMEOUT"))
        self.assertEqual(self.told(self.send(b"GET / HTTP/1.1\r\n\r\n")), (400, "MALFORMED_REQUEST"))

    def test_listing(self) -> None:
        """SC9: the list of models is both shapes at once."""
        self.begin()
        listed = self.get("/olla/models").json
        self.assertEqual((listed["object"], listed["data"], listed["total"]), ("list", listed["models"], 1))
        self.assertEqual(listed["providers"], {"openai": 1})

    def test_ollama(self) -> None:
        """SC10: ``api/show`` goes where the model is, ``api/ps`` tells of all, pulling is the operator's to allow."""
        backend = Backend()
        listing = says(answer({"models": [{"name": "m"}]}))
        backend.asked = listing  # type: ignore[method-assign]  # whatever it is asked
        self.start({"a": backend}, {"type": "ollama"})
        self.assertEqual(self.post("/olla/ollama/api/show").field("X-Olla-Endpoint"), "a")
        self.assertEqual([one["name"] for one in self.get("/olla/ollama/api/ps").json["models"]], ["m"])
        self.assertEqual(self.told(self.post("/olla/ollama/api/pull")), (501, "NOT_SUPPORTED"))

    def test_metrics(self) -> None:
        """SC11: figures are in the log under the seed's names and under those of today."""
        self.begin(answer(OLLAMA))
        self.post("/olla/proxy/api/chat")
        told: dict[str, object] = {}
        for record in self.records():
            told.update(record)
        self.assertEqual((told["provider_prompt_tokens"], told["provider_completion_tokens"]), (3, 8))
        self.assertEqual((told["input_tokens"], told["output_tokens"]), (3, 8))

    def test_content_type(self) -> None:
        """SC12: a type is not demanded; JSON without one is looked into."""
        self.begin()
        body = json.dumps({"model": "nobody"}).encode()
        head = b"POST /olla/openai/v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body)
        self.assertEqual(self.told(self.send(head + body)), (404, "MODEL_NOT_FOUND"))
        self.assertEqual(self.post(body=b"sound", Content_Type="audio/wav").status, 200)

    def test_routes(self) -> None:
        """SC13: every route of the seed is there under its name."""
        self.begin()
        for path in ("/internal/health", "/internal/status", "/internal/process", "/olla/models"):
            self.assertEqual(self.get(path).status, 200)
        for prefix in ("ollama", "lmstudio", "lm-studio", "lm_studio", "openai", "vllm"):
            client = self.post(f"/olla/{prefix}/v1/chat/completions")
            self.assertIn(client.status, (200, 404))
            if client.status == 404:
                self.assertEqual(self.told(client), (404, "NO_PROVIDER_ENDPOINTS"))

    def test_all_down(self) -> None:
        """SC14: 503 where a provider's endpoints are down, 404 where it has none; the words are the same."""
        self.start({"a": None})
        self.network.wait(3.0)
        for path, status in (("/olla/openai/v1/x", 503), ("/olla/vllm/v1/x", 404)):
            client = self.get(path)
            self.assertEqual(self.told(client)[0], status)
            self.assertRegex(client.json["error"]["message"], r"^No (openai|vllm) endpoints available$")

    def test_json(self) -> None:
        """SC15: failures of our own pages are JSON as well."""
        self.begin()
        self.assertEqual(self.told(self.get("/internal/nothing"))[0], 404)
        self.assertEqual(self.told(self.send(request("POST", "/internal/status", {"a": 1})))[0], 405)
        self.assertEqual(self.told(self.get("/olla/models?format=none"))[0], 400)

    def test_streams(self) -> None:
        """SC16: a stream that breaks says so in its own form, and does not end as if all were well."""
        self.begin()
        self.backends[0].play = says_and_closes(SSE + chunk(b"data: 1\n\n"))
        client = self.post()
        self.assertEqual((client.status, client.whole), (200, False))
        self.assertIn(b"BACKEND_STREAM_ABORTED", client.body)

    def test_decisions(self) -> None:
        """SC17: a decision is routed, fallback or rejected, in every mode."""
        seen = set()
        for strategy in ("strict", "optimistic", "discovery"):
            for unifier in (True, False):
                self.setUp()
                registry = {
                    "enable_unifier": unifier,
                    "routing_strategy": {"type": strategy, "options": {"fallback_behavior": "all"}},
                }
                self.start({"a": Backend(play=says(answer({})))}, model_registry=registry, model_aliases={"x": ["m"]})
                for model in ("m", "nobody", "x"):
                    client = self.post(body={"model": model})
                    self.network.pump(0.1)
                    seen.add(client.field("X-Olla-Routing-Decision"))
                self.stop()
        self.assertEqual(seen, {"routed", "fallback", "rejected"})
