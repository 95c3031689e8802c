"""What clients may do, and what they are told."""

from __future__ import annotations

import json

from tests.support import Backend, ProxyCase, answer, on_each_engine, request, says

RATES = {"per_ip_requests_per_minute": 100, "global_requests_per_minute": 1000, "burst_size": 50}


@on_each_engine
class Limits(ProxyCase):
    """Rates and sizes."""

    def test_burst(self) -> None:
        """Of sixty requests at once fifty pass, ten are 429 with when to return (C61, C62, C63, C70, R54)."""
        backend = Backend(play=says(answer({})))
        self.start({"a": backend}, server={"rate_limits": RATES})
        asked = [self.post() for _ in range(60)]
        self.assertEqual([one.status for one in asked], [200] * 50 + [429] * 10)
        self.assertEqual(len(backend.seen), 50)
        last = asked[-1]
        self.assertEqual(last.json["error"]["code"], "RATE_LIMIT_EXCEEDED")
        self.assertEqual(last.field("Retry-After"), "1")
        self.assertIsNone(asked[0].field("Retry-After"))
        for one in (asked[0], last):
            self.assertEqual(one.field("X-RateLimit-Limit"), "100")
            self.assertIsNotNone(one.field("X-RateLimit-Remaining"))
        self.assertEqual(self.get("/internal/health").status, 200)
        self.assertEqual(self.post(peer="192.0.2.8").status, 200)
        self.network.pump(1.0)
        self.assertEqual(self.post().status, 200)
        status = json.loads(self.get("/internal/status").body)
        self.assertEqual(status["security"]["violations"]["rate_limits"], 10)

    def test_forwarded_for(self) -> None:
        """Only a trusted peer's word on its clients counts, read from the right (C68, R55)."""
        rates = {**RATES, "burst_size": 1, "trust_proxy_headers": True}
        self.start({"a": Backend(play=says(answer({})))}, server={"rate_limits": rates})
        one, other = {"X_Forwarded_For": "6.6.6.6, 203.0.113.9"}, {"X_Forwarded_For": "7.7.7.7, 203.0.113.9"}
        self.assertEqual([self.post(peer="10.0.0.1", **by).status for by in (one, other)], [200, 429])
        self.assertEqual([self.post(peer="192.0.2.7", **by).status for by in (one, other)], [200, 429])

    def test_body_too_large(self) -> None:
        """A body over the limit is 413, announced or not, and no backend sees a byte (C66, R53)."""
        backend = Backend(play=says(answer({})))
        self.start({"a": backend}, server={"request_limits": {"max_body_size": 1000}})
        announced = self.send(b"POST /olla/openai/v1/x HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000000000\r\n\r\n")
        came = self.post(body=b'{"model": "m", "pad": "%s"}' % (b"x" * 2000))
        for client in (announced, came):
            self.assertEqual((client.status, client.json["error"]["code"]), (413, "REQUEST_TOO_LARGE"))
            self.assertIsNotNone(client.field("X-Olla-Request-ID"))
        self.assertEqual(backend.seen, [])
        self.assertEqual(self.post(body=b'{"model": "m"}').status, 200)

    def test_head_too_large(self) -> None:
        """A head over the limit is 431 (C67, R50)."""
        self.start({"a": Backend()}, server={"request_limits": {"max_header_size": 8192}})
        client = self.post(X_Big="x" * 10_000)
        self.assertEqual((client.status, client.json["error"]["code"]), (431, "HEADERS_TOO_LARGE"))

    def test_slow_head(self) -> None:
        """Half a head is not waited for, however it drips (C2, R47)."""
        self.start({"a": Backend()})
        client = self.send(b"POST /olla/openai/v1/x HTTP/1.1\r\nHost: h\r\n")
        for _ in range(11):
            client.transport.write(b"X: y\r\n")
            self.network.wait(1.0)
        self.assertIsNotNone(client.lost)
        self.assertEqual(client.got, b"")

    def test_stalled_body(self) -> None:
        """A body that stops coming ends in a 4xx, never a 5xx, and no backend hears of it (C131, R70)."""
        backend = Backend()
        self.start({"a": backend}, server={"read_timeout": "3s"})
        framing = b"Transfer-Encoding: chunked\r\n\r\n5\r\nhe" if self.detour else b"Content-Length: 10\r\n\r\nhe"
        client = self.send(b"POST /olla/openai/v1/x HTTP/1.1\r\nHost: h\r\n" + framing)
        self.network.wait(6.5)
        self.assertTrue(400 <= client.status < 500)
        self.assertIsNotNone(client.lost)
        self.assertEqual(backend.seen, [])


@on_each_engine
class Refusals(ProxyCase):
    """Errors of our own."""

    def test_rows(self) -> None:
        """Each condition has its status, type and code, in JSON, with the request's id (C6, C14, C55, C56)."""
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
            self.assertTrue(error["message"])
            self.assertEqual(error["request_id"], client.field("X-Olla-Request-ID"), path)
            self.assertEqual(client.field("Content-Type"), "application/json")

    def test_unknown_model(self) -> None:
        """A model that nobody has is 404 with the decision, and no backend is asked (C50)."""
        backend = Backend()
        self.start({"a": backend})
        client = self.post(body={"model": "other"})
        self.assertEqual((client.status, client.json["error"]["reason"]), (404, "model_not_found"))
        self.assertEqual(client.field("X-Olla-Routing-Decision"), "rejected")
        self.assertEqual(backend.seen, [])

    def test_preflight(self) -> None:
        """A preflight is ours: 204, all names allowed, no backend, whatever the path (C72, C73)."""
        backend = Backend()
        self.start({"a": backend})
        asked = request(
            "OPTIONS",
            "/olla/openai/v1/chat/completions",
            Origin="http://app.test",
            Access_Control_Request_Method="POST",
            Access_Control_Request_Headers="content-type,x-api-key,anthropic-version",
        )
        client = self.send(asked)
        allowed = (client.field("Access-Control-Allow-Headers") or "").lower()
        self.assertEqual((client.status, client.field("Access-Control-Allow-Origin")), (204, "*"))
        for name in ("content-type", "x-api-key", "anthropic-version"):
            self.assertIn(name, allowed)
        self.assertEqual(backend.seen, [])

    def test_seed_cors(self) -> None:
        """Every answer carries the three CORS fields of the API overview (C71)."""
        self.start({"a": Backend()})
        client = self.get("/internal/health")
        self.assertEqual(client.field("Access-Control-Allow-Origin"), "*")
        self.assertEqual(client.field("Access-Control-Allow-Methods"), "GET, POST, OPTIONS")
        self.assertEqual(client.field("Access-Control-Allow-Headers"), "Content-Type, Authorization")

    def test_head(self) -> None:
        """HEAD is GET without a body; of an unknown path, too (C59, C145)."""
        self.start({"a": Backend()})
        for path, status in (("/internal/health", 200), ("/nope", 404), ("/olla/models", 200)):
            client = self.send(request("HEAD", path))
            self.assertEqual((client.status, client.got.partition(b"\r\n\r\n")[2]), (status, b""), path)

    def test_secrets(self) -> None:
        """Endpoints' credentials and clients' prompts are on no page and in no log line (R59, R60, C57)."""
        backend = Backend(play=says(answer({"x": 1}, X_Api_Key="hunter2-key")))
        auth = {"auth": {"type": "api_key", "key": "hunter2-key"}, "headers": {"X-Tenant": "hunter2-tenant"}}
        self.start({"a": backend}, endpoint=auth)
        client = self.post(
            body={"model": "m", "messages": [{"content": "hunter2-prompt"}]}, Authorization="hunter2-own"
        )
        self.assertEqual(backend.seen[0].fields("X-Api-Key"), ["hunter2-key"])
        self.assertEqual(backend.probes[0].fields("X-Api-Key"), ["hunter2-key"])
        pages = [client] + [
            self.get(path)
            for path in (
                *("/internal/status", "/internal/status/endpoints", "/internal/process", "/version"),
                *(
                    "/internal/status/models",
                    "/internal/stats/models",
                    "/olla/models",
                    "/olla/nope/x?api_key=hunter2",
                ),
            )
        ]
        self.assertNotIn(b"hunter2", b"".join(page.got for page in pages))
        assert self.proxy is not None
        self.proxy.parts.telemetry.lines.flush()
        self.assertNotIn(b"hunter2", b"".join(self.logged))

    def test_json_bombs(self) -> None:
        """Deep, long and broken JSON goes on unchanged, and is never a 500 of ours (R57)."""
        backend = Backend(play=says(answer({})))
        self.start({"a": backend})
        for body in (
            b"[" * 100_000,
            b'{"model": ' + b"9" * 10_000 + b"}",
            b'{"model": "\\ud800"}',
            b'{"model": {"a": 1}}',
            b"\xff\xfe{}",
        ):
            client = self.post(body=body)
            self.assertIn(client.status, (200, 404), body[:30])
            if client.status == 200:
                self.assertEqual(backend.seen[-1].body, body)

    def test_smuggling(self) -> None:
        """Ambiguous requests are refused, and reach no backend (R1–R5, R7, R8, R10, R11)."""
        backend = Backend(play=says(answer({})))
        self.start({"a": backend})
        line = b"POST /olla/openai/v1/x HTTP/1.1\r\n"
        for raw in (
            line + b"Host: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            line + b"Host: h\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
            line + b"Host: h\r\nContent-Length: +3\r\n\r\nabc",
            line + b"Host: h\r\nContent-Length : 3\r\n\r\nabc",
            line + b"Host: h\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
            line + b"Host: h\r\nX: a\x00b\r\nContent-Length: 0\r\n\r\n",
            line + b"Host: h\r\nTransfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n",
            b"POST  /olla/openai/v1/x HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
            b"POST /olla/openai/v1/x HTTP/1.x\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
        ):
            client = self.send(raw)
            self.assertIn(client.status, (400, 501, 505), raw)
            self.assertIsNotNone(client.lost, raw)
        self.assertEqual(backend.seen, [])
