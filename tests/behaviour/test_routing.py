"""Which endpoint gets a request, and what the client is told of why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.support import Backend, Client, ProxyCase, Seen, answer, on_each_engine, request, says

MODES: dict[str, Mapping[str, Any]] = {
    "strict": {"type": "strict"},
    "optimistic none": {"type": "optimistic", "options": {"fallback_behavior": "none"}},
    "optimistic compatible": {"type": "optimistic", "options": {"fallback_behavior": "compatible_only"}},
    "optimistic all": {"type": "optimistic", "options": {"fallback_behavior": "all"}},
    "discovery off": {"type": "discovery", "options": {"discovery_refresh_on_miss": False}},
    "discovery": {
        "type": "discovery",
        "options": {"discovery_refresh_on_miss": True, "fallback_behavior": "none", "discovery_timeout": "2s"},
    },
    "discovery compatible": {
        "type": "discovery",
        "options": {"discovery_refresh_on_miss": True, "fallback_behavior": "compatible_only"},
    },
    "discovery all": {
        "type": "discovery",
        "options": {"discovery_refresh_on_miss": True, "fallback_behavior": "all"},
    },
}


class RoutingCase(ProxyCase):
    """Two endpoints; ``a`` has the model ``m``, ``b`` the model ``n``."""

    def setUp(self) -> None:
        super().setUp()
        self.a = Backend(models=["m"], play=says(answer({"from": "a"})))
        self.b = Backend(models=["n"], play=says(answer({"from": "b"})))

    def route(self, mode: str, **sections: Any) -> None:
        """Start with a strategy."""
        self.start({"a": self.a, "b": self.b}, model_registry={"routing_strategy": MODES[mode]}, **sections)

    def told(self, client: Client) -> tuple[int, str | None, str | None, str | None]:
        """Give status, strategy, decision and reason of an answer."""
        names = ("Strategy", "Decision", "Reason")
        strategy, decision, reason = (client.field(f"X-Olla-Routing-{name}") for name in names)
        return client.status, strategy, decision, reason

    def listings(self, backend: Backend) -> int:
        """Count how often a backend was asked for its models."""
        return sum("".join(seen.fields("User-Agent")).startswith("olla-Discovery") for seen in backend.probes)

    def stop_listing(self) -> None:
        """Let no backend tell its models any more."""

        def asked(backend: Backend) -> Any:
            whole = type(backend).asked

            def mute(connection: Any, seen: Seen) -> None:
                if "".join(seen.fields("User-Agent")).startswith("olla-Discovery"):
                    connection.transport.write(answer({}, 403))
                else:
                    whole(backend, connection, seen)

            return mute

        for backend in (self.a, self.b):
            backend.asked = asked(backend)  # type: ignore[method-assign]


@on_each_engine
class Strategies(RoutingCase):
    """What model routing says, for each way to configure it."""

    def test_found(self) -> None:
        """A model that is at hand is served by who has it, under every strategy (B46)."""
        for mode in MODES:
            self.setUp()
            self.route(mode)
            name, reason = mode.split()[0], "model_found_no_refresh" if "discovery" in mode else "model_found"
            for model, endpoint in (("m", "a"), ("n", "b")):
                client = self.post(body={"model": model})
                self.assertEqual(self.told(client), (200, name, "routed", reason), mode)
                self.assertEqual((client.field("X-Olla-Endpoint"), client.field("X-Olla-Model")), (endpoint, model))
            self.stop()

    def test_spelling(self) -> None:
        """A model is found in any letter case, and called as the client did, to the backend as well (C48)."""
        self.a.models = ["llama3"]
        self.route("strict")
        client = self.post(body=b'{"model": "LLaMA3"}')
        self.assertEqual((client.field("X-Olla-Endpoint"), client.field("X-Olla-Model")), ("a", "LLaMA3"))
        (seen,) = self.a.seen
        self.assertEqual((seen.body, seen.fields("X-Model")), (b'{"model": "LLaMA3"}', ["LLaMA3"]))

    def test_not_found(self) -> None:
        """A model that nobody has ever listed: the strategy decides, and the headers say how (C50, B46, C137)."""
        for mode, expected in {
            "strict": (404, "strict", "rejected", "model_not_found"),
            "optimistic none": (404, "optimistic", "rejected", "model_not_found"),
            "optimistic compatible": (404, "optimistic", "rejected", "model_not_found"),
            "optimistic all": (200, "optimistic", "fallback", "model_not_found_fallback"),
            "discovery off": (404, "discovery", "rejected", "model_unavailable_no_refresh"),
            "discovery": (404, "discovery", "rejected", "model_unavailable_after_discovery"),
            "discovery compatible": (404, "discovery", "rejected", "model_unavailable_after_discovery"),
            "discovery all": (200, "discovery", "fallback", "all_healthy_after_discovery"),
        }.items():
            self.setUp()
            self.route(mode)
            client = self.post(body={"model": "none-has-this"})
            self.assertEqual(self.told(client), expected, mode)
            if expected[0] == 404:
                error = client.json["error"]
                code = ("MODEL_NOT_FOUND", expected[3], "model")
                self.assertEqual((error["code"], error["reason"], error["param"]), code, mode)
                self.assertEqual(self.a.seen + self.b.seen, [], mode)
            self.stop()

    def test_unavailable(self) -> None:
        """A model whose only endpoint is down: 503, or whoever is up where that is allowed (C51, B46)."""
        for mode, expected in {
            "strict": (503, "strict", "rejected", "model_unavailable"),
            "optimistic none": (503, "optimistic", "rejected", "model_unavailable_no_fallback"),
            "optimistic compatible": (503, "optimistic", "rejected", "model_unavailable_compatible_only"),
            "optimistic all": (200, "optimistic", "fallback", "all_healthy_fallback"),
            "discovery off": (503, "discovery", "rejected", "model_unavailable_no_refresh"),
            "discovery": (503, "discovery", "rejected", "model_unavailable_after_discovery"),
            "discovery compatible": (503, "discovery", "rejected", "model_unavailable_after_discovery"),
            "discovery all": (200, "discovery", "fallback", "all_healthy_after_discovery"),
        }.items():
            self.setUp()
            self.route(mode)
            self.a.healthy = 500
            self.network.wait(30.0, 1.0)
            client = self.post(body={"model": "m"})
            self.assertEqual(self.told(client), expected, mode)
            if expected[0] == 200:
                self.assertEqual(client.field("X-Olla-Endpoint"), "b", mode)
            else:
                self.assertEqual(client.json["error"]["code"], "MODEL_UNAVAILABLE")
            self.stop()

    def test_without_model(self) -> None:
        """A request that names no model is sent to anybody, and says nothing of model routing (B50)."""
        for mode in MODES:
            self.setUp()
            self.route(mode)
            client = self.post(body={"messages": []})
            self.assertEqual(self.told(client), (200, None, None, None), mode)
            self.assertIsNone(client.field("X-Olla-Model"))
            self.stop()

    def test_listing_failed(self) -> None:
        """A refresh that nobody answers is said to have failed, and the fallback decides (B46)."""
        for mode, expected in {
            "discovery": (503, "discovery", "rejected", "discovery_failed_no_fallback"),
            "discovery compatible": (503, "discovery", "rejected", "discovery_failed_compatible_only"),
            "discovery all": (200, "discovery", "fallback", "discovery_failed_all_fallback"),
        }.items():
            self.setUp()
            self.route(mode)
            self.stop_listing()
            client = self.post(body={"model": "new"})
            self.network.wait(3.0)
            self.assertEqual(self.told(client), expected, mode)
            self.stop()

    def test_unknown_strategy(self) -> None:
        """A strategy that nobody knows is remarked on, and is strict (B49)."""
        self.start({"a": self.a}, model_registry={"routing_strategy": {"type": "clever"}})
        self.assertEqual(self.told(self.post(body={"model": "x"})), (404, "strict", "rejected", "model_not_found"))

    def test_explained_alike(self) -> None:
        """The log's line says of the decision what the headers said (design.md §1)."""
        self.route("strict")
        self.post(body={"model": "x"}, X_Request_ID="one")
        line = next(
            one for one in self.records() if one.get("request_id") == "one" and one["msg"] == "Request rejected"
        )
        self.assertEqual(
            (line.get("routing_strategy"), line.get("routing_action"), line.get("routing_reason")),
            ("strict", "rejected", "model_not_found"),
        )


@on_each_engine
class Refreshing(RoutingCase):
    """Listings that are read anew for a model that nobody has."""

    def test_added(self) -> None:
        """A model that a backend has got since its last listing is found and served (B47)."""
        self.route("discovery")
        self.b.models = ["n", "new"]
        client = self.post(body={"model": "new"})
        self.assertEqual(self.told(client), (200, "discovery", "routed", "model_found_after_refresh"))
        self.assertEqual(client.field("X-Olla-Endpoint"), "b")
        again = self.post(body={"model": "new"})
        self.assertEqual(self.told(again), (200, "discovery", "routed", "model_found_no_refresh"))

    def test_once_for_all(self) -> None:
        """A hundred requests at once for a model that nobody has are one refresh, and all are served (B48)."""
        self.route("discovery")
        self.b.models = ["n", "new"]
        before = self.listings(self.b)
        clients = [self.connect() for _ in range(100)]
        for client in clients:
            client.transport.write(request("POST", "/olla/openai/v1/chat/completions", {"model": "new"}, self.detour))
        self.network.pump()
        self.assertEqual({client.status for client in clients}, {200})
        self.assertEqual(self.listings(self.b) - before, 1)

    def test_not_again_at_once(self) -> None:
        """A name that was looked for in vain is not looked for again for five seconds (behaviour.md §9)."""
        self.route("discovery")
        before = self.listings(self.a)
        for _ in range(3):
            self.assertEqual(self.post(body={"model": "new"}).status, 404)
        self.assertEqual(self.listings(self.a) - before, 1)
        self.network.wait(5.5)
        self.post(body={"model": "NEW"})
        self.assertEqual(self.listings(self.a) - before, 2)

    def test_too_slow(self) -> None:
        """A listing that does not come in ``discovery_timeout`` is not waited for (C137)."""
        self.route("discovery")
        self.a.asked = self.b.asked = lambda connection, seen: None  # type: ignore[method-assign]
        client = self.post(body={"model": "new"})
        self.network.wait(1.5)
        self.assertEqual(client.got, b"")
        self.network.wait(1.0)
        self.assertEqual(self.told(client), (503, "discovery", "rejected", "discovery_failed_no_fallback"))

    def test_client_leaves(self) -> None:
        """A client that leaves while the listings are read costs the others nothing (B78)."""
        self.route("discovery")
        self.b.models = ["n", "new"]
        first, second = self.connect(), self.connect()
        for client in (first, second):
            client.transport.write(request("POST", "/olla/openai/v1/chat/completions", {"model": "new"}, self.detour))
        for transport in tuple(self.network.transports):
            transport.deliver()
        first.transport.abortConnection()
        self.network.pump()
        self.assertEqual(second.status, 200)


@on_each_engine
class Returning(RoutingCase):
    """An endpoint that comes back after an outage."""

    def test_listing_that_never_comes(self) -> None:
        """Ten seconds after an outage an endpoint serves what it had, listed since or not (behaviour.md §4)."""
        self.b.models = ["m"]
        endpoint = {"check_interval": "1s", "check_timeout": "500ms"}
        self.start({"a": self.a, "b": self.b}, endpoint, proxy={"load_balancer": "round-robin"})
        self.b.healthy = 500
        self.network.wait(3.0, 0.1)
        self.assertEqual(self.served(), {"a"})
        self.stop_listing()
        self.b.healthy = 200
        self.network.wait(8.0, 0.1)
        self.assertEqual(self.served(), {"a"})
        self.network.wait(10.0, 0.1)
        self.assertEqual(self.served(), {"a", "b"})

    def served(self) -> set[str | None]:
        """Say who answers four requests."""
        return {self.post().field("X-Olla-Endpoint") for _ in range(4)}
