"""Pages for operators, shown to those alone whom the configuration names."""

from __future__ import annotations

from typing import Any

from tests.support import Backend, Client, ProxyCase, answer, on_each_engine, request, says

PAGES = (
    *("/internal/status", "/internal/status/endpoints", "/internal/stats/models", "/internal/process"),
    *("/internal/metrics", "/version", "/internal/status?x=/internal/health", "/internal/./status"),
    *("/internal/%73tatus", "/internal//status", "/internal/health/../status"),
)


@on_each_engine
class Gate(ProxyCase):
    """``dashboard.gate_internal_api``."""

    def start_gated(self, **policy: Any) -> None:
        """Start with one endpoint, and the gate closed."""
        self.start(
            {"a": Backend(play=says(answer({"from": "a"})))},
            dashboard={"gate_internal_api": True, "access_policy": policy},
        )

    def page(self, path: str, peer: str = "127.0.0.1", host: str = "localhost:40114", **fields: str) -> Client:
        """Get a page as ``peer``, who means ``host``."""
        data = request("GET", path, b"", self.detour, **fields).replace(b"proxy.test", host.encode())
        return self.send(data, peer)

    def test_peers(self) -> None:
        """From outside the networks nothing is shown, whatever a proxy says of its client (K42)."""
        self.start_gated()
        for path in PAGES:
            if self.page(path).status == 200:
                client = self.page(path, "192.0.2.7", X_Forwarded_For="127.0.0.1")
                self.assertEqual((client.status, client.json["error"]["code"]), (403, "FORBIDDEN"), path)
                self.assertIn("ip not in allowed range (ip=192.0.2.7", client.json["error"]["message"])
            else:
                self.assertNotEqual(self.page(path, "192.0.2.7").status, 200, path)

    def test_hosts(self) -> None:
        """A page in a browser that was led here by another name sees nothing; addresses always pass (K42)."""
        self.start_gated(allowed_hosts=["olla.example"], allowed_cidrs=["127.0.0.0/8", "192.0.2.0/24"])
        for host, status in (
            ("olla.example", 200),
            ("OLLA.example:40114", 200),
            ("127.0.0.1:40114", 200),
            ("[::1]:40114", 200),
            ("localhost", 403),
            ("evil.example", 403),
        ):
            self.assertEqual(self.page("/version", "192.0.2.7", host).status, status, host)

    def test_everybody(self) -> None:
        """Health, traffic and listings of models are for everybody (http-api.md §16.1)."""
        self.start_gated()
        for path in ("/internal/health", "/olla/models", "/olla/openai/v1/models"):
            self.assertEqual(self.get(path).status, 200, path)
        self.assertEqual(self.post().json, {"from": "a"})

    def test_open(self) -> None:
        """Without the gate everybody sees them (K42)."""
        self.start({"a": Backend()})
        self.assertEqual(self.page("/internal/status", "192.0.2.7", "evil.example").status, 200)
