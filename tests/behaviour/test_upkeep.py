"""What is forgotten in time, what is shown of an endpoint, and what is said at the end."""

from __future__ import annotations

from typing import Any

from twisted.logger import capturedLogs

from tests.support import Backend, ProxyCase, answer, on_each_engine, says

COST = "What the process has cost"


@on_each_engine
class Upkeep(ProxyCase):
    """Keys that govern what nobody asks for."""

    def models(self) -> list[str]:
        """Name the models that are known, those of endpoints that are down among them."""
        return [model["name"] for model in self.get("/internal/status/models").json["recent_models"]]

    def begin(self, **unification: str) -> None:
        """Start with an endpoint that will be down when its first check is over, and one that will not."""
        self.gone = Backend(models=["old"])
        endpoints = {"a": self.gone, "b": Backend()}
        self.start(endpoints, {"check_interval": "1s"}, model_registry={"unification": unification})
        self.assertCountEqual(self.models(), ["m", "old"])
        del self.network.listeners[9000]

    def test_models_of_the_dead(self) -> None:
        """Models of an endpoint that is down for ``stale_threshold`` leave the listings at the next sweep (K79)."""
        self.begin(stale_threshold="10s", cleanup_interval="5s")
        self.network.wait(8.0)
        self.assertCountEqual(self.models(), ["m", "old"])
        self.network.wait(10.0)
        self.assertCountEqual(self.models(), ["m"])
        refused = self.post(body={"model": "old"})
        self.assertEqual(refused.status, 404)
        self.network.listeners[9000] = self.gone
        self.network.wait(30.0)
        self.assertCountEqual(self.models(), ["m", "old"])

    def test_sweeps_are_that_far_apart(self) -> None:
        """Nobody looks before ``cleanup_interval`` is over (K79)."""
        self.begin(stale_threshold="2s", cleanup_interval="1m")
        self.network.wait(50.0)
        self.assertCountEqual(self.models(), ["m", "old"])
        self.network.wait(15.0)
        self.assertCountEqual(self.models(), ["m"])

    def test_clients_are_remembered(self) -> None:
        """With ``rate_limits.cleanup_interval: 0s`` nobody's bucket is dropped, however long it is not used."""
        for interval, left in (("5m", b"49"), ("0s", b"14")):
            self.setUp()
            limits = {"per_ip_requests_per_minute": 1, "cleanup_interval": interval, "health_requests_per_minute": 0}
            self.start({"a": Backend(play=says(answer({})))}, server={"rate_limits": limits})
            for _ in range(50):
                self.assertEqual(self.post().status, 200)
            self.network.wait(15 * 60.0 + 6.0, 5.0)
            self.assertEqual(self.post().field("X-RateLimit-Remaining"), left.decode(), interval)
            self.stop()

    def test_tags(self) -> None:
        """Labels of an endpoint are on both status pages, and nothing is where there are none."""
        self.start({"a": Backend()}, {"tags": {"location": "office", "rack": "07"}})
        for path in ("/internal/status", "/internal/status/endpoints"):
            told = self.get(path).json["endpoints"][0]
            self.assertEqual(told["tags"], {"location": "office", "rack": "07"})
        self.stop()
        self.start({"a": Backend()})
        self.assertNotIn("tags", self.status()["endpoints"][0])

    def test_costs(self) -> None:
        """``show_nerdstats`` has one line at the end say what the process has cost; without it none does."""
        self.assertEqual(self.said_at_the_end(engineering={"show_nerdstats": False}), [])
        self.setUp()
        (told,) = self.said_at_the_end(engineering={"show_nerdstats": True})
        self.assertRegex(told["peak_memory"], r"^\d+\.\d\d [MG]B$")
        self.assertGreater(told["threads"], 0)

    def said_at_the_end(self, **sections: Any) -> list[Any]:
        """Start, stop, and give what was said of costs."""
        with capturedLogs() as events:
            self.start({"a": Backend()}, **sections)
            self.stop()
        return [event for event in events if event.get("log_format") == COST]
