"""Credentials of endpoints reach their backends, and are seen nowhere else."""

from __future__ import annotations

import base64
import json
from typing import Any

from twisted.logger import globalLogPublisher

from tests.support import Backend, ProxyCase, answer, on_each_engine, says

PLANTED = "PLANTED"
PAGES = (
    *("/internal/health", "/internal/status", "/internal/status/endpoints", "/internal/status/models"),
    *("/internal/status/models?detailed=true&group=family", "/internal/stats/models", "/internal/stats/sticky"),
    *("/internal/stats/translators", "/internal/process", "/internal/metrics", "/version", "/openapi.json"),
    *("/olla/models", "/olla/models?include_unavailable=true", "/olla/models/m", "/olla/models/none"),
    *("/olla/openai/v1/models", "/olla/proxy/v1/models/m", "/olla/ollama/api/tags", "/olla/ollama/api/ps"),
    *("/olla/vllm/v1/models", "/olla/nowhere", "/olla/openai/v1/models?endpoint=bearer"),
)
AUTHS: dict[str, Any] = {
    "bearer": {"auth": {"type": "bearer", "token": f"{PLANTED}-1"}},
    "basic": {"auth": {"type": "basic", "username": f"{PLANTED}-2", "password": f"{PLANTED}-3"}},
    "key": {"auth": {"type": "api_key", "key": f"{PLANTED}-4", "header": "X-My-Key"}},
    "plain": {"headers": {"X-Team": f"{PLANTED}-5", "Authorization": f"{PLANTED}-6"}},
    "down": {"auth": {"type": "bearer", "token": f"{PLANTED}-7"}, "headers": {"X-Down": f"{PLANTED}-8"}},
}
BASIC = base64.b64encode(f"{PLANTED}-2:{PLANTED}-3".encode()).decode()
SENT = {
    "bearer": ("Authorization", f"Bearer {PLANTED}-1"),
    "basic": ("Authorization", f"Basic {BASIC}"),
    "key": ("X-My-Key", f"{PLANTED}-4"),
    "plain": ("Authorization", f"{PLANTED}-6"),
}


@on_each_engine
class Secrets(ProxyCase):
    """Every way to write a credential, on every page and in every line."""

    def setUp(self) -> None:
        super().setUp()
        self.seen: list[str] = []
        self.backends = {name: Backend(play=says(answer({"from": name}))) for name in AUTHS if name != "down"}
        self.backends["key"].play = says(answer({}, 500, **{"X-My-Key": f"{PLANTED}-4"}))
        self.backends["plain"].play = says(answer({}, 500, **{"X-Team": f"{PLANTED}-5"}))

    def start_all(self) -> None:
        """Start with one endpoint for each way, and one that is down."""
        self.start({**self.backends, "down": None}, proxy={"load_balancer": "round-robin"})
        assert self.proxy is not None
        observer = self.proxy.parts.telemetry.observer
        globalLogPublisher.addObserver(observer)  # as the process does
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        config = json.loads(self.path.read_text())
        for endpoint in config["discovery"]["static"]["endpoints"]:
            endpoint.update(AUTHS[endpoint["name"]], priority=100)
        self.path.write_text(json.dumps(config))
        self.reload()

    def reload(self) -> None:
        """Read the file again."""
        assert self.proxy is not None
        self.proxy.reload()
        self.network.wait(3.0)

    def assertHidden(self) -> None:
        """Nothing planted is on a page, in an answer or in the log."""
        for path in PAGES:
            self.seen.append(self.get(path).got.decode())
        self.records()
        self.seen += [line.decode() for line in self.logged]
        for text in self.seen:
            self.assertNotIn(PLANTED, text)
            self.assertNotIn(BASIC, text)

    def test_everywhere(self) -> None:
        """Backends get them with checks, listings and requests; nobody else sees them (K31, K33, C89)."""
        self.start_all()
        for _ in range(10):
            self.seen.append(self.post().got.decode())
        for name, sent in SENT.items():
            for seen in (*self.backends[name].probes[-2:], *self.backends[name].seen):
                self.assertEqual(seen.fields(sent[0]), [sent[1]], name)
            self.assertTrue(self.backends[name].seen, name)
        self.assertHidden()

    def test_faults(self) -> None:
        """A file whose credentials are faulty is refused in words that show none of them (K31, K70, K74)."""
        self.start_all()
        changes: tuple[dict[str, Any], ...] = (
            {"auth": {"type": "bearer", "token": f"{PLANTED}\r\nX: y"}},
            {"auth": {"type": "bearer", "token": f"{PLANTED}", "token_file": f"/{PLANTED[::-1]}"}},
            {"auth": {"type": "bearer", "token": [PLANTED]}},
            {"auth": {"type": PLANTED[::-1], "token": PLANTED}},
            {"auth": {"type": "basic", "username": PLANTED}},
            {"auth": {"type": "bearer", "token": PLANTED + "${NOT_SET_ANYWHERE}"}},
            {"headers": {"X-A": f"{PLANTED}\nb"}},
            {"headers": {"X B": PLANTED}},
            {"headers": {"X-A": [PLANTED]}},
            {"url": f"http://user:{PLANTED}@127.0.0.1:9000"},
            {"url": f"http://user:{PLANTED}@127.0.0.1:abc"},
            {"health_check_url": f"http://{PLANTED}:x@127.0.0.1:9000/"},
            {"model_url": f"http://x:{PLANTED}@127.0.0.1:9000/"},
            {"check_interval": "1ms", "auth": {"type": "bearer", "token": PLANTED}},
        )
        for count, change in enumerate(changes, 1):
            config = json.loads(self.path.read_text())
            config["discovery"]["static"]["endpoints"][0].update(change)
            before = self.path.read_text()
            self.path.write_text(json.dumps(config))
            self.reload()
            self.path.write_text(before)
            told = [record["msg"] for record in self.records()]
            self.assertEqual(
                (told.count("Configuration not reloaded"), len(self.status()["endpoints"])), (count, 5), change
            )
        self.assertHidden()

    def test_values(self) -> None:
        """What holds them does not show them when it is printed, as in a traceback (K31)."""
        self.start_all()
        assert self.proxy is not None
        parts = self.proxy.parts
        for value in (parts.config, *parts.fleet.members, *(one.endpoint for one in parts.fleet.members)):
            self.assertNotIn(PLANTED, repr(value))
            self.assertNotIn(PLANTED, str(value))
