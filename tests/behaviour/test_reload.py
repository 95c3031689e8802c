"""The configuration read anew while requests run."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.logger import capturedLogs

from olla.config import load
from olla.service import makeProxyService
from tests.support import SSE, Backend, BackendConnection, ProxyCase, Seen, answer, chunk, on_each_engine, says


class Reloads(ProxyCase):
    """The file changes, and the process is told to read it."""

    def setUp(self) -> None:
        super().setUp()
        self.backend, self.other = (Backend(play=says(answer({"from": name}))) for name in "ab")
        self.network.listeners[9001] = self.other

    def reload(self, change: Callable[[Any], object]) -> None:
        """Let ``change`` alter the configuration, and have it read."""
        config = json.loads(self.path.read_text())
        change(config)
        self.reload_text(json.dumps(config))

    def reload_text(self, text: str) -> None:
        """Put ``text`` in the file's place, and have it read."""
        assert self.proxy is not None
        self.path.write_text(text)
        self.proxy.reload()
        self.network.pump(0.1)

    def endpoints(self, *names: str) -> Callable[[Any], object]:
        """Make the change that leaves these endpoints."""
        ports = {"a": 9000, "b": 9001}
        listed = [
            {"name": name, "url": f"http://127.0.0.1:{ports[name]}", "type": "openai", "priority": 100}
            for name in names
        ]
        return lambda config: config["discovery"]["static"].update(endpoints=listed)

    def write_profile(self, routing: str, api: str) -> None:
        """Write a profile called ``house``."""
        self.profile = self.path.parent / "config" / "profiles" / "house.yaml"
        self.profile.parent.mkdir(parents=True, exist_ok=True)
        self.profile.write_text(f"name: house\nrouting: {{{routing}}}\napi: {{openai_compatible: true, {api}}}\n")

    def names(self) -> list[str]:
        """Give the endpoints that there are."""
        return sorted(one["name"] for one in self.status()["endpoints"])


@on_each_engine
class Reloading(Reloads):
    """What changes, and what stays."""

    def test_selector(self) -> None:
        """Another selector chooses from then on (config.md §2)."""
        self.start({"a": self.backend, "b": self.other}, proxy={"load_balancer": "priority"})
        self.assertEqual([self.post().json["from"] for _ in range(4)], ["a"] * 4)
        self.reload(lambda config: config["proxy"].update(load_balancer="round-robin"))
        self.assertEqual(sorted(self.post().json["from"] for _ in range(4)), ["a", "a", "b", "b"])
        self.assertEqual(self.status()["proxy"]["balancer"], "round-robin")

    def test_endpoint_added(self) -> None:
        """A new endpoint is looked at and used; the old one keeps what it counted (design.md)."""
        self.start({"a": self.backend})
        self.post()
        self.reload(self.endpoints("a", "b"))
        self.network.wait(1.0)
        self.assertEqual(self.names(), ["a", "b"])
        self.backend.play = says(answer({}, 503))
        self.assertEqual(self.post().json, {"from": "b"})
        self.assertEqual(self.status()["system"]["total_requests"], 2)

    def test_endpoint_removed(self) -> None:
        """An endpoint that is gone gets neither requests nor checks, and its connections are closed (design.md)."""
        self.start({"a": self.backend})
        self.post()
        self.reload(self.endpoints("b"))
        self.network.wait(1.0)
        self.assertEqual(self.names(), ["b"])
        probes = len(self.backend.probes)
        self.assertEqual([self.post().json for _ in range(5)], [{"from": "b"}] * 5)
        self.network.wait(60.0, 1.0)
        self.assertEqual((len(self.backend.seen), len(self.backend.probes)), (1, probes))
        self.assertEqual([one for one in self.backend.connections if one.lost is None], [])

    def test_endpoint_replaced(self) -> None:
        """The same name at another address is the other backend from then on (design.md)."""
        self.start({"a": self.backend})
        self.assertEqual(self.post().json, {"from": "a"})
        self.reload(lambda config: config["discovery"]["static"]["endpoints"][0].update(url="http://127.0.0.1:9001"))
        self.network.wait(1.0)
        self.assertEqual((self.names(), self.post().json), (["a"], {"from": "b"}))

    def test_aliases(self) -> None:
        """An alias comes and goes with the file (design.md)."""
        self.start({"a": self.backend})
        self.assertEqual(self.post(body={"model": "quick"}).status, 404)
        self.reload(lambda config: config.update(model_aliases={"quick": ["m"]}))
        client = self.post(body={"model": "quick"})
        self.assertEqual((client.status, client.field("X-Olla-Model")), (200, "m"))
        self.reload(lambda config: config.pop("model_aliases"))
        self.assertEqual(self.post(body={"model": "quick"}).status, 404)

    def test_rates(self) -> None:
        """New rates hold at once (design.md)."""
        self.start({"a": self.backend})
        limits = {"per_ip_requests_per_minute": 60, "burst_size": 2}
        self.reload(lambda config: config["server"].update(rate_limits=limits))
        self.assertEqual([self.post().status for _ in range(3)], [200, 200, 429])
        self.reload(lambda config: config.update(model_aliases={"quick": ["m"]}))
        self.assertEqual(self.post().status, 429)  # what a client has used is not forgotten

    def test_trust(self) -> None:
        """Who is believed about the clients behind it changes at once, for limits and for backends (C33, C68)."""
        limits = {"per_ip_requests_per_minute": 60, "burst_size": 1}
        self.start({"a": self.backend}, server={"rate_limits": limits})
        forwarded = [f"9.9.9.{number}" for number in range(2)]
        asked = [self.post(peer="10.0.0.7", X_Forwarded_For=one).status for one in forwarded]
        self.assertEqual(asked, [200, 429])
        self.reload(lambda config: config["server"]["rate_limits"].update(trust_proxy_headers=True))
        asked = [self.post(peer="10.0.0.7", X_Forwarded_For=one).status for one in forwarded]
        self.assertEqual(asked, [200, 200])
        self.assertEqual(self.backend.seen[-1].fields("X-Forwarded-For"), ["9.9.9.1, 10.0.0.7"])

    def test_profiles(self) -> None:
        """A kind of backend comes, changes and goes with its file: type, route, listing and paths (K61, P5)."""
        self.start({"a": self.backend})
        self.assertEqual(self.post("/olla/px/api/say").status, 404)
        self.write_profile("prefixes: [px]", "paths: [/api/say]")
        self.reload(lambda config: config["discovery"]["static"]["endpoints"][0].update(type="house"))
        self.network.wait(1.0)
        self.assertEqual(self.post("/olla/px/api/say").json, {"from": "a"})
        self.assertEqual([one["id"] for one in self.get("/olla/px/v1/models").json["data"]], ["m"])
        rewrites = "{paths: [/api/say], path_rewrites: {/v1/say: /api/say}}"
        self.write_profile("prefixes: [py]", rewrites[1:-1])
        self.reload(lambda config: None)
        self.assertEqual(self.post("/olla/px/api/say").status, 404)
        self.post("/olla/py/v1/say")
        self.assertIn(b" /api/say ", self.backend.seen[-1].line)
        self.profile.unlink()
        self.reload(self.endpoints("b"))
        self.network.wait(1.0)
        self.assertEqual((self.post("/olla/py/api/say").status, self.post().json), (404, {"from": "b"}))

    def test_profile_of_others(self) -> None:
        """A profile that changes takes nothing from endpoints of other kinds, and its faults change nothing (K61)."""
        self.start({"a": self.backend})
        self.post()
        connections = len(self.backend.connections)
        self.write_profile("prefixes: [px]", "paths: [/x]")
        self.reload(lambda config: None)
        self.assertEqual(self.post().json, {"from": "a"})
        self.write_profile("prefixes: [ollama]", "paths: [/x]")
        self.reload(self.endpoints("b"))
        self.assertEqual((self.names(), self.post("/olla/px/x").status), (["a"], 404))
        probes = [one for one in self.backend.connections[connections:] if one.transport.other.sent.count(b"POST ")]
        self.assertEqual(probes, [])

    def test_model_rules(self) -> None:
        """Models are read anew when ``models.yaml`` changes: what is known of them follows (config.md §11)."""
        self.start({"a": self.backend})
        self.assertEqual(self.get("/olla/models/m").json["family"], "")
        self.path.with_name("models.yaml").write_text("model_extraction: {family_patterns: [{pattern: '^(m)$'}]}")
        self.reload(lambda config: None)
        self.assertEqual(self.get("/olla/models/m").json["family"], "m")
        self.assertEqual(len(self.get("/olla/models?family=m").json["data"]), 1)

    def test_same_file(self) -> None:
        """Reading what has not changed changes nothing: kept connections and cool-downs stay (design.md)."""
        self.start({"a": self.backend})
        self.post()
        self.reload(lambda config: None)
        self.post()
        used = [one for one in self.backend.connections if one.transport.other.sent.count(b"POST ")]
        self.assertEqual([one.transport.other.sent.count(b"POST ") for one in used], [2])

    def test_faulty_files(self) -> None:
        """A faulty file changes nothing, and the log says what is wrong (R63, R65)."""
        self.start({"a": self.backend})
        bad_url = {"discovery": {"static": {"endpoints": [{"name": "x", "url": "gopher://x", "type": "openai"}]}}}
        for text in (
            "{",
            "[]",
            '{"proxy": {"engine": "none"}}',
            json.dumps(bad_url),
            "!!python/object/apply:os.abort []",
        ):
            self.reload_text(text)
            self.assertEqual((self.names(), self.post().json), (["a"], {"from": "a"}), text)
        self.path.unlink()
        assert self.proxy is not None
        self.proxy.reload()
        self.assertEqual(self.post().json, {"from": "a"})

    def test_restart_only(self) -> None:
        """What changed and needs a restart is named, and nothing else (config.md §2)."""
        self.start({"a": self.backend})
        with capturedLogs() as events:
            self.reload(lambda config: config["server"].update(port=41000, request_limits={"max_body_size": 1}))
            self.reload(lambda config: config["server"].update(port=40114, request_limits={}))
            self.reload(lambda config: config["proxy"].update(response_header_timeout="9s", profile_filter={}))
            self.reload(lambda config: config.update(model_aliases={"quick": ["m"]}, logging={"level": "warn"}))
        named = [event["keys"] for event in events if "keys" in event]
        self.assertEqual(named, ["server.port, server.request_limits.max_body_size"])
        self.assertEqual(self.post(body={"model": "quick"}).status, 200)

    def test_doubts(self) -> None:
        """What is doubtful in the file as it is now is said, once (config.md §2, K4)."""
        self.start({"a": self.backend})
        with capturedLogs() as events:
            for _ in range(2):
                self.reload(lambda config: config.update(serwer={}))
        said = [str(event["remark"]) for event in events if "remark" in event]
        self.assertEqual(len(said), 1)
        self.assertIn("serwer: unknown key", said[0])

    def test_no_file_any_more(self) -> None:
        """A file that was found by searching, and is away now, is no reason to go by the defaults (config.md §2)."""
        self.start({"a": self.backend})
        self.stop()
        found = self.path.rename(self.path.with_name("config.yaml"))
        read = partial(load, environ={}, cwd=found.parent)
        self.proxy = makeProxyService(read().config, self.network, source=found.name, read_again=read)
        self.proxy.privilegedStartService()
        self.proxy.startService()
        self.network.pump(0.01)
        found.unlink()
        self.proxy.reload()
        self.assertEqual(self.post().json, {"from": "a"})

    def test_many_times(self) -> None:
        """Reading it again and again leaves no timers behind (R65)."""
        self.start({"a": self.backend})
        self.network.wait(2.0)
        before = len(self.network.getDelayedCalls())
        for number in range(30):
            self.reload(self.endpoints(*("a" if number % 2 else "b")))
            self.network.wait(1.0)
        self.assertLessEqual(len(self.network.getDelayedCalls()), before + 2)
        self.assertEqual(self.post().json, {"from": "a"})


@on_each_engine
class Outliving(Reloads):
    """Requests whose endpoint goes while they run."""

    def test_running_stream(self) -> None:
        """A stream goes on to its end, though its endpoint is gone from the file (R65)."""
        held: list[BackendConnection] = []

        def play(connection: BackendConnection, seen: Seen) -> None:
            held.append(connection)
            connection.transport.write(SSE + chunk(b"data: 1\n\n"))

        self.backend.play = play
        self.start({"a": self.backend})
        self.addCleanup(self.network.wait, 100.0, 1.0)
        client = self.post()
        self.reload(self.endpoints("b"))
        self.network.wait(5.0)
        held[0].transport.write(chunk(b"data: 2\n\n") + b"0\r\n\r\n")
        self.network.wait(0.5)
        self.assertEqual((client.body, client.whole), (b"data: 1\n\ndata: 2\n\n", True))
        self.assertIsNotNone(held[0].lost)

    def test_waiting_request(self) -> None:
        """A request that waits for the head of an endpoint that is gone is answered by it (R65)."""
        held: list[BackendConnection] = []
        self.backend.play = lambda connection, seen: held.append(connection)
        self.start({"a": self.backend})
        self.addCleanup(self.network.wait, 100.0, 1.0)
        client = self.post()
        self.reload(self.endpoints("b"))
        held[0].transport.write(answer({"from": "late"}))
        self.network.pump(0.1)
        self.assertEqual(client.json, {"from": "late"})
        self.assertIsNotNone(held[0].lost)
