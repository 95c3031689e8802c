"""Tests of :mod:`olla.balance.strategy`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from olla.balance.strategy import Refreshed, Strategy
from olla.domain.routing import Decision, Located

NOWHERE = Located()
FORGOTTEN = Located(known=True)
ELSEWHERE = Located({"down": "llama3"}, known=True)
ALIAS = Located({"up": "llama3"}, "fast", True)
NONE, COMPATIBLE, ALL = "none", "compatible_only", "all"


def missed(
    strategy: Strategy, located: Located, refreshed: Refreshed | None = None, routable: bool = True
) -> tuple[str, str, int]:
    decision = strategy.missed(located, routable, refreshed)
    return decision.action, decision.reason, decision.status


class StrategyTests(SynchronousTestCase):
    """Both tables of behaviour.md §9."""

    def test_found(self) -> None:
        """A model at hand is routed, and the reason tells by which way it was found (B46)."""
        for kind, reason in (
            ("strict", "model_found"),
            ("optimistic", "model_found"),
            ("discovery", "model_found_no_refresh"),
        ):
            self.assertEqual(Strategy(kind).found(ELSEWHERE, 1, None), Decision(kind, "routed", reason))
        after = Strategy("discovery", refresh=True).found(ELSEWHERE, 1, Refreshed.DONE)
        self.assertEqual(after, Decision("discovery", "routed", "model_found_after_refresh"))

    def test_alias(self) -> None:
        """An alias is routed under its own strategy (behaviour.md §10)."""
        self.assertEqual(
            Strategy().found(ALIAS, 2, None),
            Decision("alias", "routed", 'alias "fast" resolved to 2 endpoint(s)'),
        )

    def test_strict(self) -> None:
        """Unknown is 404, known but down is 503 (B46, C50, C51)."""
        for fallback in (NONE, COMPATIBLE, ALL):
            strategy = Strategy("strict", fallback)
            self.assertEqual(missed(strategy, NOWHERE), ("rejected", "model_not_found", 404))
            self.assertEqual(missed(strategy, ELSEWHERE), ("rejected", "model_unavailable", 503))

    def test_optimistic(self) -> None:
        """Only ``all`` lets other endpoints serve what they do not have (B46)."""
        cells = [
            (NONE, NOWHERE, ("rejected", "model_not_found", 404)),
            (NONE, ELSEWHERE, ("rejected", "model_unavailable_no_fallback", 503)),
            (COMPATIBLE, NOWHERE, ("rejected", "model_not_found", 404)),
            (COMPATIBLE, ELSEWHERE, ("rejected", "model_unavailable_compatible_only", 503)),
            (ALL, NOWHERE, ("fallback", "model_not_found_fallback", 0)),
            (ALL, ELSEWHERE, ("fallback", "all_healthy_fallback", 0)),
        ]
        for fallback, located, expected in cells:
            self.assertEqual(missed(Strategy("optimistic", fallback), located), expected)
        for located, expected in (
            (NOWHERE, ("rejected", "model_not_found", 404)),
            (ELSEWHERE, ("rejected", "model_unavailable", 503)),
        ):
            self.assertEqual(missed(Strategy("optimistic", ALL), located, routable=False), expected)

    def test_discovery_without_refresh(self) -> None:
        """A miss is 503, and 404 for what no endpoint has ever listed (B46)."""
        strategy = Strategy("discovery", ALL)
        reason = "model_unavailable_no_refresh"
        self.assertEqual(missed(strategy, ELSEWHERE), ("rejected", reason, 503))
        self.assertEqual(missed(strategy, FORGOTTEN), ("rejected", reason, 503))
        self.assertEqual(missed(strategy, NOWHERE), ("rejected", reason, 404))

    def test_discovery_after_refresh(self) -> None:
        """Each outcome of a refresh has its own reason for each fallback (B46)."""
        failed, done = Refreshed.FAILED, Refreshed.DONE
        cells = [
            (NONE, failed, ELSEWHERE, ("rejected", "discovery_failed_no_fallback", 503)),
            (COMPATIBLE, failed, ELSEWHERE, ("rejected", "discovery_failed_compatible_only", 503)),
            (ALL, failed, ELSEWHERE, ("fallback", "discovery_failed_all_fallback", 0)),
            (NONE, done, ELSEWHERE, ("rejected", "model_unavailable_after_discovery", 503)),
            (COMPATIBLE, done, ELSEWHERE, ("rejected", "model_unavailable_after_discovery", 503)),
            (COMPATIBLE, done, NOWHERE, ("rejected", "model_unavailable_after_discovery", 404)),
            (ALL, done, NOWHERE, ("fallback", "all_healthy_after_discovery", 0)),
        ]
        for fallback, refreshed, located, expected in cells:
            self.assertEqual(missed(Strategy("discovery", fallback, True), located, refreshed), expected)

    def test_discovery_for_any_fallback(self) -> None:
        """Whatever the fallback, nobody up is a rejection, a refresh out of order is none (B46)."""
        for fallback in (NONE, COMPATIBLE, ALL):
            strategy = Strategy("discovery", fallback, True)
            for refreshed in (Refreshed.DONE, Refreshed.FAILED):
                self.assertEqual(
                    missed(strategy, ELSEWHERE, refreshed, routable=False),
                    ("rejected", "no_healthy_after_discovery", 503),
                )
            self.assertEqual(missed(strategy, ELSEWHERE, Refreshed.BROKEN), ("fallback", "discovery_error_fallback", 0))

    def test_refreshes(self) -> None:
        """Only ``discovery`` lists models anew, and only if told to."""
        self.assertTrue(Strategy("discovery", refresh=True).refreshes)
        self.assertFalse(Strategy("discovery").refreshes)
        self.assertFalse(Strategy("strict", refresh=True).refreshes)
