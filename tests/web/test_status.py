"""Tests of :mod:`olla.web.status` and :mod:`olla.web.model_stats`."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from olla.balance.breaker import Breaker
from olla.balance.member import Member
from olla.balance.status import Status
from olla.domain.endpoint import Endpoint
from olla.domain.message import Request
from olla.events import AttemptFailed, Limited, SizeRefused
from olla.telemetry.stats import Statistics
from olla.telemetry.violations import Violations
from olla.web.model_stats import ModelStatsPage
from olla.web.page import Page
from olla.web.status import Setup, StatusPages, system_status
from olla.web.version import Build
from tests.golden.shape import page as problems
from tests.telemetry.support import finished

EPOCH = 1_700_000_000.0


def member(name: str, status: Status = Status.HEALTHY, **changes: Any) -> Member:
    """Make an endpoint in some state."""
    facts = {"scheme": "http", "host": "10.1.1.1", "port": 11434, "type": "ollama", "id": f"id{name}"}
    one = Member(Endpoint(name, **{**facts, **changes}), Breaker())  # type: ignore[arg-type]  # plain facts
    one.status = status
    one.last_check, one.next_check, one.listed_at, one.latency = 990.0, 1003.0, 940.0, 0.02
    return one


class StatusTests(SynchronousTestCase):
    """The pages about us."""

    def setUp(self) -> None:
        """Begin a quarter of an hour ago, with no endpoint and no request."""
        self.clock = Clock()
        self.clock.advance(1000.0)
        self.members: list[Member] = []
        self.draining = False
        self.skew = 0.0
        self.stats = Statistics()
        self.violations = Violations(self.clock.seconds)
        self.pages = StatusPages(
            Build("v0.1.0"),
            lambda: Setup("olla", "auto", "least-connections"),
            lambda: self.members,
            self.stats,
            self.violations,
            lambda name: {"a": 3}.get(name, 0),
            lambda: self.draining,
            100.0,
            self.clock.seconds,
            self.wall,
        )
        self.usage = ModelStatsPage(self.stats, self.clock.seconds, self.wall)

    def wall(self) -> float:
        """Stand in for the time of day, which is never quite in step."""
        self.skew += 0.0004
        return EPOCH + self.clock.seconds() + self.skew

    def show(self, page: Page) -> dict[str, Any]:
        """Give what a page says."""
        value: dict[str, Any] = json.loads(page.body)
        return value

    def conforms(self, name: str, page: Page) -> None:
        """Compare a page with what the original answered."""
        sent = page.for_request(Request(b"GET", b"/", []))
        headers = {name.decode(): value.decode() for name, value in sent.fields}
        self.assertEqual(problems(name, sent.status, headers, sent.body), [])

    def traffic(self) -> None:
        """Let some requests pass."""
        endpoint = self.members[0].endpoint
        for duration in (0.1, 0.2, 0.3):
            self.stats.finished(finished(endpoint=endpoint, started=900.0, duration=duration))
        self.stats.finished(finished(endpoint=endpoint, started=990.0, outcome="error", status=500))

    # /internal/health

    def test_health(self) -> None:
        """We are healthy with all backends down and with none, and say exactly so (C78)."""
        for self.members in ([], [member("a", Status.OFFLINE)]):
            page = self.pages.health({})
            self.assertEqual((page.status, page.body), (200, b'{"status":"healthy"}'))
        self.conforms("internal-health", page)

    def test_health_while_stopping(self) -> None:
        """While the process stops it says so with 503, whatever is asked (C78)."""
        self.draining = True
        page = self.pages.health({b"detail": [b"true"]})
        self.assertEqual((page.status, self.show(page)), (503, {"status": "draining"}))

    def test_readiness(self) -> None:
        """Asked for readiness, it is 503 as long as nothing takes requests (§11.2)."""
        self.members = [member("a", Status.OFFLINE)]
        page = self.pages.health({b"ready": [b"true"]})
        self.assertEqual((page.status, self.show(page)), (503, {"status": "unavailable"}))
        self.members.append(member("b", Status.WARMING))
        self.assertEqual(self.pages.health({b"ready": [b"true"]}).status, 200)
        detail = {"status": "healthy", "endpoints": {"healthy": 0, "total": 2}, "ready": True}
        self.assertEqual(self.show(self.pages.health({b"detail": [b"true"]})), detail)

    # /internal/status

    def test_shapes(self) -> None:
        """The pages look as clients know them, fresh, without endpoints, and after traffic (§11.4, §11.5)."""
        fresh = member("fresh", Status.UNKNOWN)
        fresh.last_check = fresh.next_check = fresh.listed_at = 0.0
        for self.members in ([], [member("a"), fresh]):
            self.conforms("internal-status", self.pages.status({}))
            self.conforms("internal-status-endpoints", self.pages.endpoints({}))
        self.traffic()
        self.conforms("internal-status", self.pages.status({}))
        self.conforms("internal-status-endpoints", self.pages.endpoints({}))

    def test_right_after_start(self) -> None:
        """Before any traffic, with all endpoints healthy, all is well and no rate is made up (C79)."""
        self.members = [member("a"), member("b")]
        system = self.show(self.pages.status({}))["system"]
        expected = {
            "status": "healthy",
            "endpoints_up": "2/2",
            "success_rate": "N/A",
            "avg_latency": "0ms",
            "has_traffic": False,
            "uptime": "15m",
            "start_time": "2023-11-14T22:15:00.000Z",
        }
        self.assertEqual({name: system[name] for name in expected}, expected)

    def test_no_endpoints(self) -> None:
        """Without endpoints the state is critical, and nothing breaks (C80, C89)."""
        system = self.show(self.pages.status({}))["system"]
        self.assertEqual((system["status"], system["endpoints_up"]), ("critical", "0/0"))

    def test_traffic(self) -> None:
        """Counts, rates, latencies and bytes are those of the requests that passed (§11.4)."""
        self.members = [member("a")]
        self.members[0].in_flight = 2
        self.traffic()
        value = self.show(self.pages.status({}))
        expected = {
            "total_requests": 4,
            "total_failures": 1,
            "success_rate": "75.0%",
            "avg_latency": "200ms",
            "total_traffic": "7.81 KB",
            "active_connections": 2,
            "has_traffic": True,
            "status": "critical",
        }
        self.assertEqual({name: value["system"][name] for name in expected}, expected)
        expected = {
            "id": "ida",
            "url": "http://10.1.1.1:11434",
            "type": "ollama",
            "requests": 4,
            "success_rate": "75.0%",
            "avg_latency": "200ms",
            "avg_latency_ms": 200,
            "min_latency_ms": 100,
            "max_latency_ms": 300,
            "traffic": "7.81 KB",
            "connections": 2,
            "last_check": "10s ago",
            "next_check": "in 3s",
            "issues": "",
            "circuit": "closed",
            "models": {"count": 3, "last_updated": "2023-11-14T22:29:00.000Z"},
        }
        [endpoint] = value["endpoints"]
        self.assertEqual({name: endpoint[name] for name in expected}, expected)

    def test_old_incident(self) -> None:
        """Failures of more than fifteen minutes ago no longer make the state critical (§11.4.1)."""
        self.members = [member("a")]
        self.stats.finished(finished(started=10.0, outcome="error", status=500))
        self.assertEqual(self.show(self.pages.status({}))["system"]["status"], "healthy")

    def test_judgement(self) -> None:
        """The thresholds are those of §11.4.1."""
        for healthy, total, rate, status in (
            (0, 0, None, "critical"),
            (1, 3, None, "critical"),
            (1, 2, None, "degraded"),
            (3, 4, 100.0, "degraded"),
            (4, 5, None, "healthy"),
            (5, 5, 94.9, "degraded"),
            (5, 5, 95.0, "healthy"),
            (5, 5, 89.9, "critical"),
        ):
            self.assertEqual(system_status(healthy, total, rate), status, (healthy, total, rate))

    def test_security(self) -> None:
        """Violations are shown, and many of them raise the alarm (B124, C70)."""
        for number in range(11):
            self.violations.limited(Limited(f"10.0.0.{number}", "per-ip", 1))
            if number == 9:
                self.assertEqual(self.show(self.pages.status({}))["security"]["status"], "normal")
        self.violations.size_refused(SizeRefused("10.0.0.1", 413))
        value = self.show(self.pages.status({}))
        self.assertEqual(
            value["security"],
            {"status": "elevated", "blocked_ips": 11, "violations": {"rate_limits": 11, "size_limits": 1}},
        )
        self.assertEqual(value["system"]["security_violations"], 12)

    def test_order(self) -> None:
        """Endpoints come by priority, then the healthy ones, then by name and id (§11.4)."""
        self.members = [
            member("d", priority=50),
            member("c", Status.OFFLINE),
            member("b", id="2"),
            member("b", id="1"),
            member("a", Status.BUSY),
        ]
        for page in (self.pages.status({}), self.pages.endpoints({})):
            shown = [(one["name"], one["id"]) for one in self.show(page)["endpoints"]]
            self.assertEqual(shown, [("b", "1"), ("b", "2"), ("a", "ida"), ("c", "idc"), ("d", "idd")])

    def test_issues(self) -> None:
        """What is wrong with an endpoint is named on both pages, each in its words (§11.4, §11.5)."""
        down = member("down", Status.OFFLINE)
        down.failures, down.last_error = 4, "connection refused"
        broken = member("open")
        for _ in range(5):
            broken.breaker.failed(0, 1000.0)
        shaky = member("shaky", Status.BUSY)
        for number in range(12):
            self.stats.attempt_failed(AttemptFailed(str(number), shaky.endpoint, "connect", "no", 1, 0))
        self.stats.finished(finished(endpoint=member("slow").endpoint, duration=6.0))
        self.members = [
            down,
            broken,
            shaky,
            member("slow"),
            member("locked", Status.CONFIG_ERROR),
            member("limited", Status.RATE_LIMITED),
            member("auto", type="auto", profile="vllm"),
        ]
        status = {one["name"]: one for one in self.show(self.pages.status({}))["endpoints"]}
        details = {one["name"]: one for one in self.show(self.pages.endpoints({}))["endpoints"]}
        self.assertEqual(
            {name: one["issues"] for name, one in status.items()},
            {
                "down": "consecutive failures, unavailable",
                "open": "circuit open",
                "shaky": "low success rate",
                "slow": "high latency",
                "locked": "misconfigured credentials",
                "limited": "rate limited",
                "auto": "",
            },
        )
        self.assertEqual(
            {name: one["issues"] for name, one in details.items() if "issues" in one},
            {"down": "unavailable", "shaky": "low success rate"},
        )
        self.assertEqual(details["down"]["last_error"], "connection refused")
        self.assertEqual((status["open"]["circuit"], status["auto"]["type"]), ("open", "vllm"))

    def test_tag_is_stable(self) -> None:
        """Polls without traffic or change have the same tag, across checks; a change has another (C81)."""
        self.members = [member("a")]
        tags = {self.pages.status({}).tag}, {self.pages.endpoints({}).tag}
        for _ in range(3):
            self.clock.advance(7.3)
            self.members[0].last_check = self.clock.seconds()
            self.members[0].next_check = self.clock.seconds() + 5
            self.members[0].latency += 0.01
            tags[0].add(self.pages.status({}).tag)
            tags[1].add(self.pages.endpoints({}).tag)
        self.assertEqual((len(tags[0]), len(tags[1])), (1, 1))
        self.members[0].status = Status.OFFLINE
        self.assertNotIn(self.pages.status({}).tag, tags[0])
        self.assertNotIn(self.pages.endpoints({}).tag, tags[1])

    def test_counts(self) -> None:
        """Endpoints are counted by what they can do (§11.5)."""
        self.members = [member("a"), member("b", Status.WARMING), member("c", Status.OFFLINE)]
        value = self.show(self.pages.endpoints({}))
        counts = [value[name] for name in ("total_count", "healthy_count", "routable_count")]
        self.assertEqual(counts, [3, 1, 2])

    # /internal/stats/models

    def test_models(self) -> None:
        """The page tells of each model, the most asked for first (§11.7)."""
        self.members = [member("a")]
        self.traffic()
        self.stats.finished(finished(model="rare", started=999.0))
        value = self.show(self.usage.page({}))
        self.assertEqual([model["name"] for model in value["models"]], ["llama3:8b", "rare"])
        first = value["models"][0]
        expected = {
            "total_requests": 4,
            "successful_requests": 3,
            "failed_requests": 1,
            "success_rate": "75.0%",
            "average_latency": "200ms",
            "p95_latency": "300ms",
            "routing_hits": 4,
            "unique_clients": 1,
            "last_requested": "9s ago",
        }
        self.assertEqual({name: first[name] for name in expected}, expected)
        self.assertEqual(value["endpoints"], {})
        self.assertNotIn("endpoint_breakdown", first)
        self.assertNotIn("input_tokens", first)
        summary = value["summary"]
        self.assertEqual((summary["total_models"], summary["total_requests"]), (2, 5))
        self.assertEqual((summary["most_popular_model"], summary["least_popular_model"]), ("llama3:8b", "rare"))
        self.conforms("internal-stats-models", self.usage.page({}))

    def test_models_apart(self) -> None:
        """Asked for, endpoints are shown for each model and over all (C87)."""
        self.members = [member("a")]
        self.traffic()
        query = {b"include_endpoints": [b"true"], b"include_summary": [b"true"]}
        value = self.show(self.usage.page(query))
        record = {
            "endpoint_name": "a",
            "request_count": 4,
            "success_rate": 75.0,
            "average_latency": "200ms",
            "last_used": "9s ago",
            "consecutive_errors": 1,
        }
        self.assertEqual(value["models"][0]["endpoint_breakdown"], {"a": record})
        self.assertEqual(value["endpoints"], {"a": record})
        self.conforms("internal-stats-models-all", self.usage.page(query))

    def test_no_models(self) -> None:
        """Without traffic the page is empty and whole (C89)."""
        value = self.show(self.usage.page({}))
        self.assertEqual((value["models"], value["summary"]["most_popular_model"]), ([], ""))
        self.conforms("internal-stats-models", self.usage.page({}))
