"""Endpoints as they are configured: their names, their secrets, and what of a request reaches them."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from typing import Any

from tests.support import Backend, ProxyCase, answer, chunk, chunked, on_each_engine, request, says

MIB = 1 << 20


@on_each_engine
class Endpoints(ProxyCase):
    """Endpoints with a little more to them."""

    def setUp(self) -> None:
        super().setUp()
        self.backend = Backend(play=says(answer({})))

    def begin(self, *endpoints: Mapping[str, Any], **sections: Any) -> None:
        """Start with these endpoints, all at one backend unless they say otherwise."""
        self.network.listeners[9000] = self.backend
        made = [{"url": "http://127.0.0.1:9000", "type": "openai", **keys} for keys in endpoints]
        self.start(discovery={"static": {"endpoints": made}}, **sections)

    def shown(self) -> dict[str, tuple[str, str]]:
        """Give id and address of each endpoint, which all pages have to agree on."""
        pages = [self.status()["endpoints"], self.get("/internal/status/endpoints").json["endpoints"]]
        first, second = ({one["name"]: (one["id"], one["url"]) for one in page} for page in pages)
        self.assertEqual(first, second)
        models = self.get("/internal/status/models").json
        ids = {id for model in models["recent_models"] for id in model["endpoint_ids"]}
        self.assertEqual(ids, {id for id, _ in first.values()})
        return first

    def test_ids(self) -> None:
        """Every page calls an endpoint by the same id, which no credential changes (C85, C86)."""
        seen = []
        for keys in (
            {},
            {"auth": {"type": "bearer", "token": "one"}},
            {"auth": {"type": "bearer", "token": "two"}},
            {"auth": {"type": "basic", "username": "u", "password": "p"}},
            {"headers": {"X-Key": "secret"}},
        ):
            self.setUp()
            self.begin({"name": "a", **keys})
            seen.append(self.shown())
            self.stop()
        self.assertEqual(seen, [seen[0]] * 5)
        self.assertEqual(seen[0]["a"][1], "http://127.0.0.1:9000")

    def test_pool_without_limits(self) -> None:
        """A pool's numbers of nought are no limit: what a request has used is there for the next (config.md §5)."""
        backend = Backend(play=says(answer({})))
        self.start({"a": backend}, proxy={"pool": {"max_idle": 0, "max_idle_per_host": 0, "idle_timeout": 0}})
        for _ in range(3):
            self.assertEqual(self.post().status, 200)
            self.network.wait(2.0)
        asked = [one.transport.other.sent.count(b"POST ") for one in backend.connections]
        self.assertEqual([count for count in asked if count], [3])

    def test_one_address(self) -> None:
        """Two endpoints at one address are two everywhere: on the pages, for models, for requests (C139)."""
        self.begin({"name": "a"}, {"name": "b"}, proxy={"load_balancer": "round-robin"})
        shown = self.shown()
        self.assertEqual((set(shown), len({id for id, _ in shown.values()})), ({"a", "b"}, 2))
        self.assertEqual({self.post().field("X-Olla-Endpoint") for _ in range(4)}, {"a", "b"})
        (model,) = self.get("/olla/models").json["data"]
        self.assertEqual({one["endpoint"] for one in model["olla"]["availability"]}, {"a", "b"})

    def test_probes(self) -> None:
        """Checks and listings can be told from traffic, by name and by what they lack (C133)."""
        self.begin({"name": "a"})
        agents = [seen.fields("User-Agent")[0].partition("/")[0] for seen in self.backend.probes]
        self.assertEqual(set(agents), {"olla-HealthChecker", "olla-Discovery"})
        for seen, agent in zip(self.backend.probes, agents, strict=True):
            health = agent == "olla-HealthChecker"
            accept = "application/json, text/plain, */*" if health else "application/json"
            self.assertEqual(seen.fields("Accept"), [accept])
            self.assertEqual(seen.fields("Cache-Control"), ["no-cache"] if health else [])
            for name in ("Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Proxied-By"):
                self.assertEqual(seen.fields(name), [], name)
        self.post()
        self.assertEqual(len(self.backend.seen[0].fields("Via")), 1)

    def test_secrets_go_one_way(self) -> None:
        """A client's credential stops where the endpoint has its own; cookies always do (B69, C29, C30)."""
        given = {"Authorization": "Bearer client", "Cookie": "a=b", "X_Api_Key": "k", "Proxy_Authorization": "p"}
        for keys, expected in (
            ({}, ["Bearer client", "k"]),
            ({"auth": {"type": "bearer", "token": "T"}}, ["Bearer T"]),
            ({"forward_client_auth": False}, []),
        ):
            self.setUp()
            self.begin({"name": "a", **keys})
            self.post(**given)
            (seen,) = self.backend.seen
            self.assertEqual(seen.fields("Authorization") + seen.fields("X-Api-Key"), expected)
            self.assertEqual(seen.fields("Cookie") + seen.fields("Proxy-Authorization"), [])
            self.stop()

    def test_secrets_do_not_come_back(self) -> None:
        """What a backend sends back of ours, or makes up in our name, reaches no client (B70, C23)."""
        reply = answer(
            {}, Set_Cookie="a=b", X_Olla_Endpoint="spoof", Authorization="Bearer T", X_Team="blue", X_Kept="1"
        )
        self.backend.play = says(reply)
        auth = {"type": "bearer", "token": "T"}
        self.begin({"name": "a", "auth": auth, "headers": {"X-Team": "blue"}})
        client = self.post()
        self.assertEqual(client.fields("X-Olla-Endpoint"), ["a"])
        self.assertEqual(client.field("X-Kept"), "1")
        for secret in (b"Bearer T", b"blue", b"spoof", b"a=b"):
            self.assertNotIn(secret, client.got)

    def test_targets(self) -> None:
        """Each row of http-api.md §5.1: prefix and base path give the target, the query stays (B68, C132)."""
        query = "?a=1&a=%2F&b"
        for base, preserve, path, target in (
            ("", True, "/olla/proxy/v1/chat/completions", "/v1/chat/completions"),
            ("", False, "/olla/openai/v1/chat/completions", "/v1/chat/completions"),
            ("/engines/llama.cpp", True, "/olla/openai/v1/x/y", "/engines/llama.cpp/v1/x/y"),
            ("/engines/llama.cpp", False, "/olla/openai/v1/x/y", "/v1/x/y"),
            ("/base/", True, "/olla/openai", "/base/"),
            ("/base", True, "/olla/openai/%2e%2e/x", None),
            ("/base", True, "/olla/openai/a/../../../x", None),
        ):
            self.setUp()
            self.begin({"name": "a", "url": "http://127.0.0.1:9000" + base, "preserve_path": preserve})
            client = self.send(request("GET", path + query))
            if target is None:
                self.assertEqual((client.status, self.backend.seen), (404, []), path)
            else:
                self.assertEqual([seen.line.decode() for seen in self.backend.seen], [f"GET {target}{query} HTTP/1.1"])
            self.stop()

    def test_bodies(self) -> None:
        """A body arrives byte for byte, whatever its size and framing (B36)."""
        self.begin({"name": "a"})
        for size in (0, 1, MIB - 1, MIB, MIB + 1, 20 * MIB):
            data = (bytes(range(256)) * (size // 256 + 1))[:size]
            for framed in (b"Content-Length: %d\r\n\r\n" % size + data, None):
                if framed is None:
                    pieces = [data[at : at + 300_000] for at in range(0, size, 300_000)]
                    framed = b"Transfer-Encoding: chunked\r\n\r\n" + chunked(*pieces)
                head = b"POST /olla/proxy/v1/x HTTP/1.1\r\nHost: h\r\nContent-Type: application/octet-stream\r\n"
                self.assertEqual(self.send(head + framed).status, 200, size)
                seen = self.backend.seen.pop()
                self.assertTrue(seen.body == data, size)
                self.assertEqual(seen.fields("Content-Length"), [str(size)])

    def test_packed_answers(self) -> None:
        """What a backend has compressed stays compressed, and keeps saying so (B88, C39)."""
        packed = gzip.compress(b'{"model": "m"}' * 100)
        self.begin({"name": "a"})
        for framed in (
            answer(packed, Content_Encoding="gzip"),
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
            + chunk(packed[:7])
            + chunked(packed[7:]),
        ):
            self.backend.play = says(framed)
            client = self.post(Accept_Encoding="gzip")
            self.assertEqual((client.body, client.fields("Content-Encoding")), (packed, ["gzip"]))
            self.assertEqual(self.backend.seen[-1].fields("Accept-Encoding"), ["gzip"])
