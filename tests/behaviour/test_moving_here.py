"""What somebody finds who moves here with a configuration, clients and dashboards of the Go original."""

from __future__ import annotations

import json

from tests.support import Backend, ProxyCase, answer, on_each_engine, request, says

SECRET = "sk-planted-secret"


@on_each_engine
class MovingHere(ProxyCase):
    """One promise each, from outside."""

    def setUp(self) -> None:
        super().setUp()
        self.a = Backend(models=("m", "big"), play=says(answer({"from": "a"})))
        self.b = Backend(models=("whisper", "other"), play=says(answer({"from": "b"})))

    def test_large_body(self) -> None:
        """The model of a body of 5 MiB is found behind its messages (C47)."""
        self.start({"a": self.a, "b": self.b})
        picture = "data:image/png;base64," + "A" * (5 << 20)
        message = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": picture}}]}
        client = self.post(body={"messages": [message], "model": "other"})
        self.assertEqual((client.status, client.json), (200, {"from": "b"}))
        self.assertEqual(json.loads(self.b.seen[0].body)["model"], "other")

    def test_alias(self) -> None:
        """An alias is found in any letter case; the backend gets its own name, and so do the figures (C49, B111)."""
        self.start({"a": self.a, "b": self.b}, model_aliases={"Fast": ["other"]})
        for name in ("Fast", "fast", "FAST"):
            client = self.post(body={"model": name})
            self.assertEqual((client.status, client.field("X-Olla-Model")), (200, "other"), name)
        self.assertEqual({json.loads(seen.body)["model"] for seen in self.b.seen}, {"other"})
        [row] = self.get("/internal/stats/models").json["models"]
        self.assertEqual((row["name"], row["total_requests"]), ("other", 3))

    def test_latest(self) -> None:
        """A model of Ollama's is used and found without its ``:latest``, as Ollama's clients do (C8, C108)."""
        tags = {"/api/tags": answer({"models": [{"name": "llama3:latest"}]})}
        backend = Backend(tells=tags, play=says(answer({"from": "c"})))
        self.start({"c": backend}, endpoint={"type": "ollama"})
        client = self.post("/olla/ollama/api/chat", {"model": "llama3"})
        self.assertEqual((client.status, client.field("X-Olla-Model")), (200, "llama3:latest"))
        self.assertEqual(json.loads(backend.seen[0].body)["model"], "llama3:latest")
        self.assertEqual(self.get("/olla/ollama/v1/models/llama3").json["id"], "llama3:latest")

    def test_form(self) -> None:
        """A transcription is routed by the model field of its form, wherever that stands (C54)."""
        self.start({"a": self.a, "b": self.b})
        body = (
            b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n' + bytes(70_000) + b"\r\n"
            b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper\r\n--x--\r\n'
        )
        form = "multipart/form-data; boundary=x"
        client = self.post("/olla/openai/v1/audio/transcriptions", body, Content_Type=form)
        self.assertEqual((client.status, client.json), (200, {"from": "b"}))
        self.assertEqual(self.b.seen[0].body, body)

    def test_ids(self) -> None:
        """An endpoint has one id on every page, which does not tell of its credential (C85, C86)."""
        found = []
        for key in ("one", "two"):
            self.setUp()
            self.start({"a": self.a}, endpoint={"auth": {"type": "bearer", "token": key}})
            status = self.get("/internal/status").json["endpoints"][0]
            details = self.get("/internal/status/endpoints").json["endpoints"][0]
            models = json.dumps(self.get("/internal/status/models?detailed=true").json)
            self.assertEqual((status["id"], status["url"]), (details["id"], details["url"]))
            self.assertIn(f'"{status["id"]}"', models)
            found.append((status["id"], status["url"]))
            self.stop()
        self.assertEqual(found[0], found[1])

    def test_probes(self) -> None:
        """Checks and listings name themselves and claim no client behind them (C133)."""
        self.start({"a": self.a})
        check, listing = self.a.probes[0], self.a.probes[1]
        self.assertTrue(check.fields("User-Agent")[0].startswith("olla-HealthChecker/"))
        self.assertEqual(check.fields("Accept"), ["application/json, text/plain, */*"])
        self.assertEqual(check.fields("Cache-Control"), ["no-cache"])
        self.assertTrue(listing.fields("User-Agent")[0].startswith("olla-Discovery/"))
        self.assertEqual(listing.fields("Accept"), ["application/json"])
        for probe in (check, listing):
            for name in ("Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP"):
                self.assertEqual(probe.fields(name), [], name)

    def test_no_access_lines(self) -> None:
        """``request_logging: false`` leaves the lines of requests out, and nothing else (K18)."""
        for wanted in (True, False):
            self.setUp()
            self.start({"a": self.a}, server={"request_logging": wanted})
            self.post()
            said = {record["msg"] for record in self.records()}
            self.assertEqual("Request" in said, wanted)
            self.assertIn("Request completed", said)
            self.stop()

    def test_nothing_secret(self) -> None:
        """No page, error or line of the log has an endpoint's credential in it, well or dead (B136, config.md §7)."""
        auth = {"type": "bearer", "token": SECRET}
        self.start({"a": self.a, "dead": None}, endpoint={"auth": auth, "headers": {"X-Extra": SECRET}})
        self.network.wait(3.0)
        self.assertEqual(self.post().status, 200)
        self.assertEqual(self.a.seen[0].fields("Authorization"), [f"Bearer {SECRET}"])
        self.a.play = says(b"HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n")
        clients = [self.post(), self.post(body={"model": "none"}), self.get("/olla/openai/v1/models")]
        pages = ("health", "status", "status/endpoints", "status/models", "stats/models", "process", "metrics")
        clients += [self.get(f"/internal/{page}") for page in pages]
        clients += [self.get("/internal/status/models?detailed=true"), self.get("/olla/models"), self.get("/version")]
        for client in clients:
            self.assertNotIn(SECRET.encode(), client.got)
        self.records()
        self.assertNotIn(SECRET.encode(), b"".join(self.logged))

    def test_listings(self) -> None:
        """Every listing of a kind of server that we know answers 200, with nobody of that kind too (P35)."""
        self.start({"a": self.a})
        assert self.proxy is not None
        listings = self.proxy.parts.routes.listings
        self.assertIn("/olla/dmr/engines/v1/models", listings)
        self.assertIn("/olla/lemonade/api/v1/models", listings)
        for path in listings:
            self.assertEqual(self.get(path).status, 200, path)

    def test_without_a_type(self) -> None:
        """An endpoint without a type beside a typed one serves its models (P40)."""
        self.start({"a": self.a, "b": self.b}, endpoint={"type": ""})
        self.network.wait(2.0)
        client = self.send(request("POST", "/olla/proxy/v1/chat/completions", {"model": "other"}, self.detour))
        self.assertEqual((client.status, client.json), (200, {"from": "b"}))
