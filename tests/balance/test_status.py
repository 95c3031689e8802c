"""Tests of :mod:`olla.balance.status`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from olla.balance.status import CheckOutcome, Status, classify


class StatusTests(SynchronousTestCase):
    """What states mean."""

    def test_weights(self) -> None:
        """Only healthy, busy and warming get traffic, by 1.0, 0.3 and 0.1 (B13)."""
        weights = {status.value: status.weight for status in Status if status.routable}
        self.assertEqual(weights, {"healthy": 1.0, "busy": 0.3, "warming": 0.1})
        self.assertTrue(all(status.weight == 0.0 for status in Status if not status.routable))

    def test_by_name(self) -> None:
        """A state is found by the name that pages show."""
        self.assertIs(Status("config_error"), Status.CONFIG_ERROR)


class ClassifyTests(SynchronousTestCase):
    """What one check says."""

    def test_answers(self) -> None:
        """
        2xx is healthy, 401 and 403 are misconfigured, 429 asks for a rest, a redirect is nobody's (http-api.md §11.1,
        which goes before behaviour.md), the rest is unhealthy (B11).
        """
        states = {
            code: classify(CheckOutcome(code, 0.1), 1.0).value
            for code in (200, 204, 299, 301, 308, 400, 401, 403, 404, 429, 500, 503)
        }
        self.assertEqual(
            states,
            {
                200: "healthy",
                204: "healthy",
                299: "healthy",
                301: "offline",
                308: "offline",
                400: "unhealthy",
                401: "config_error",
                403: "config_error",
                404: "unhealthy",
                429: "rate_limited",
                500: "unhealthy",
                503: "unhealthy",
            },
        )

    def test_no_answer(self) -> None:
        """Whatever is no answer means offline (B12)."""
        self.assertIs(classify(CheckOutcome(error="refused"), 1.0), Status.OFFLINE)

    def test_slow(self) -> None:
        """A good answer that took long means busy, a bad one never does (behaviour.md §3)."""
        self.assertIs(classify(CheckOutcome(200, 1.1), 1.0), Status.BUSY)
        self.assertIs(classify(CheckOutcome(200, 1.0), 1.0), Status.HEALTHY)
        self.assertIs(classify(CheckOutcome(500, 9.0), 1.0), Status.UNHEALTHY)
        self.assertIs(classify(CheckOutcome(401, 9.0), 1.0), Status.CONFIG_ERROR)

    def test_trouble(self) -> None:
        """What is wrong is said in a few words, and nothing when all is well."""
        self.assertEqual(CheckOutcome(204).trouble, "")
        self.assertEqual(CheckOutcome(500).trouble, "HTTP 500")
        self.assertEqual(CheckOutcome(error="refused").trouble, "refused")
        self.assertEqual(CheckOutcome().trouble, "no answer")
