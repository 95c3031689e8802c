"""Tests of :mod:`olla.telemetry.stats`, :mod:`olla.telemetry.models` and :mod:`olla.telemetry.violations`."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from olla.domain.routing import Decision
from olla.domain.usage import Usage
from olla.events import AttemptFailed, Limited, SizeRefused
from olla.telemetry.models import MOST_MODELS
from olla.telemetry.stats import Statistics
from olla.telemetry.violations import MOST_CLIENTS, Violations
from tests.telemetry.support import ENDPOINT, OTHER_ENDPOINT, finished


def attempt(id: str = "woolly-1", reason: str = "connect") -> AttemptFailed:
    """Make a failed attempt at the first endpoint."""
    return AttemptFailed(id, ENDPOINT, reason, "refused", 1, 1)


class StatisticsTests(SynchronousTestCase):
    """What is counted, and how often."""

    def setUp(self) -> None:
        """Begin at zero."""
        self.stats = Statistics()

    def test_each_once(self) -> None:
        """N requests with a model add exactly N to the totals, to the endpoint and to the model (B108, C83)."""
        for _ in range(10):
            self.stats.finished(finished())
        self.assertEqual(self.stats.total.requests, 10)
        self.assertEqual(self.stats.total.bytes, 20000)
        self.assertEqual(self.stats.endpoint("alpha").tally.requests, 10)
        self.assertEqual(self.stats.models.tracked["llama3:8b"].tally.requests, 10)

    def test_server_error_is_a_failure(self) -> None:
        """A backend's 500, relayed whole, is a failure; its 404 is none (C84, B112)."""
        self.stats.finished(finished(outcome="error", status=500))
        self.stats.finished(finished(status=404))
        self.assertEqual((self.stats.total.succeeded, self.stats.total.failed), (1, 1))
        self.assertEqual(dict(self.stats.responses), {("proxy", 5): 1, ("proxy", 4): 1})
        self.assertEqual(dict(self.stats.endpoint("alpha").failures), {"status_5xx": 1})

    def test_failover(self) -> None:
        """A failover is one failed attempt here, one success there, and one request overall (B109)."""
        self.stats.attempt_failed(attempt())
        self.stats.finished(finished(endpoint=OTHER_ENDPOINT, attempts=2))
        alpha, beta = self.stats.endpoint("alpha"), self.stats.endpoint("beta")
        self.assertEqual((alpha.tally.failed, alpha.tally.succeeded), (1, 0))
        self.assertEqual((beta.tally.failed, beta.tally.succeeded), (0, 1))
        self.assertEqual((self.stats.total.succeeded, self.stats.total.failed), (1, 0))
        self.assertEqual((self.stats.failovers, dict(alpha.failures)), (1, {"connect": 1}))

    def test_last_attempt_once(self) -> None:
        """The attempt that made the request fail is not counted a second time at its end."""
        self.stats.attempt_failed(attempt())
        self.stats.finished(finished(outcome="failed", status=502))
        self.assertEqual(self.stats.endpoint("alpha").tally.failed, 1)
        self.assertEqual(self.stats.total.failed, 1)
        self.stats.finished(finished(outcome="failed", status=502))
        self.assertEqual(self.stats.endpoint("alpha").tally.failed, 2)

    def test_cancelled(self) -> None:
        """A client that leaves is neither a success nor a failure; what it got is traffic (behaviour.md §17)."""
        self.stats.finished(finished(outcome="cancelled", status=200))
        self.stats.finished(finished(outcome="cancelled", status=499, endpoint=None, attempts=0))
        self.assertEqual((self.stats.total.requests, self.stats.total.bytes), (0, 2000))
        self.assertEqual(self.stats.disconnects, 2)
        self.assertEqual(self.stats.responses["proxy", 499], 1)

    def test_not_counted(self) -> None:
        """Refused requests and pages of ours are in no counter of requests (§11.4)."""
        self.stats.finished(finished(outcome="rejected", status=404, endpoint=None, attempts=0))
        self.stats.finished(finished(outcome="local", surface="internal", endpoint=None, attempts=0))
        self.assertEqual(self.stats.total.requests, 0)
        self.assertEqual(self.stats.responses["internal", 2], 1)

    def test_our_own_fault(self) -> None:
        """A fault of ours fails the request and is not held against the endpoint."""
        self.stats.finished(finished(outcome="failed", status=500, code="INTERNAL_ERROR"))
        self.assertEqual((self.stats.total.failed, self.stats.endpoint("alpha").tally.failed), (1, 0))

    def test_routing(self) -> None:
        """Hits, misses and fallbacks are told from attempts and the decision (§11.7)."""
        self.stats.finished(finished())
        self.stats.finished(finished(attempts=2))
        self.stats.finished(finished(decision=Decision("optimistic", "fallback", "model_not_found")))
        self.stats.finished(finished(outcome="failed", status=502))
        model = self.stats.models.tracked["llama3:8b"]
        self.assertEqual((model.hits, model.misses, model.fallbacks), (2, 1, 1))

    def test_usage(self) -> None:
        """Tokens are summed, speed and time to the first token averaged over those that have them (§11.7)."""
        self.stats.finished(finished(usage=Usage(input_tokens=10, output_tokens=5, tokens_per_second=20.0)))
        self.stats.finished(finished(usage=Usage(input_tokens=1, tokens_per_second=40.0)))
        self.stats.finished(finished(stream=True, first_byte_after=0.05))
        model = self.stats.models.tracked["llama3:8b"]
        self.assertEqual((model.input_tokens, model.output_tokens), (11, 5))
        self.assertEqual((model.tokens_per_second.value, model.ttft.value), (30.0, 0.05))

    def test_breakdown(self) -> None:
        """A model's requests are told apart by endpoint (C87)."""
        self.stats.finished(finished())
        self.stats.finished(finished(endpoint=OTHER_ENDPOINT, outcome="error", status=503))
        apart = self.stats.models.tracked["llama3:8b"].by_endpoint
        self.assertEqual({name: tally.requests for name, tally in apart.items()}, {"alpha": 1, "beta": 1})
        self.assertEqual(apart["beta"].errors_in_row, 1)

    def test_models_bounded(self) -> None:
        """Fifty models are told apart, the rest is counted together and nothing is lost (R56, §12)."""
        for number in range(MOST_MODELS + 7):
            self.stats.finished(finished(model=f"m{number}"))
        models = self.stats.models
        self.assertEqual((len(models.tracked), models.other.tally.requests), (MOST_MODELS, 7))

    def test_idle_models(self) -> None:
        """A model idle for six hours makes room for another; its counts live on (§11.7, C92)."""
        for number in range(MOST_MODELS):
            self.stats.finished(finished(model=f"m{number}"))
        self.stats.finished(finished(model="new", started=100.0 + 6 * 3600 + 1))
        models = self.stats.models
        self.assertEqual(list(models.tracked), ["new"])
        self.assertEqual(models.other.tally.requests, MOST_MODELS)
        self.stats.sweep(1e6)
        self.assertEqual((len(models.tracked), models.other.tally.requests), (0, MOST_MODELS + 1))

    def test_long_names(self) -> None:
        """However long a client's model name is, little of it is kept (R56)."""
        self.stats.finished(finished(model="x" * 100_000))
        self.assertLessEqual(max(map(len, self.stats.models.tracked)), 256)

    def test_unique_clients(self) -> None:
        """Clients of the last hour are counted once each, up to a hundred (§11.7)."""
        for number in range(150):
            for _ in range(2):
                self.stats.finished(finished(client=f"10.0.0.{number}"))
        model = self.stats.models.tracked["llama3:8b"]
        self.assertEqual(model.unique_clients(200.0), 100)
        self.assertEqual(model.unique_clients(5000.0), 0)
        self.stats.finished(finished(client="new", started=5000.0))
        self.assertEqual(model.unique_clients(5001.0), 1)

    def test_nothing_kept_of_finished(self) -> None:
        """Requests that failed over leave nothing behind (R56)."""
        for number in range(1000):
            self.stats.attempt_failed(attempt(f"id{number}"))
            self.stats.finished(finished(id=f"id{number}", attempts=2))
        self.assertEqual(len(self.stats._blamed), 0)


class ViolationsTests(SynchronousTestCase):
    """Who asks too much."""

    def setUp(self) -> None:
        """Begin at zero."""
        self.clock = Clock()
        self.violations = Violations(self.clock.seconds)

    def test_counts(self) -> None:
        """Each refusal counts once, each client once (C70, B124)."""
        for client in ("a", "b", "a"):
            self.violations.limited(Limited(client, "per-ip", 1))
        self.violations.size_refused(SizeRefused("c", 413))
        seen = self.violations
        self.assertEqual((seen.rate_limits, seen.size_limits, seen.total, seen.blocked), (3, 1, 4, 2))

    def test_forgets(self) -> None:
        """A client counts as blocked for an hour after its last refusal (§9.2)."""
        self.violations.limited(Limited("a", "per-ip", 1))
        self.violations.limited(Limited("b", "per-ip", 1))
        self.clock.advance(3000)
        self.violations.limited(Limited("a", "per-ip", 1))
        self.clock.advance(700)
        self.assertEqual(self.violations.blocked, 1)
        self.assertEqual(self.violations.rate_limits, 3)

    def test_bounded(self) -> None:
        """No more than ten thousand clients are remembered (R56)."""
        for number in range(MOST_CLIENTS + 10):
            self.violations.limited(Limited(str(number), "per-ip", 1))
        self.assertEqual(self.violations.blocked, MOST_CLIENTS)
