"""Tests of :mod:`olla.errors`."""

from __future__ import annotations

from collections.abc import Iterator

from twisted.trial.unittest import SynchronousTestCase

from olla import errors
from olla.errors import MethodNotAllowed, ModelUnavailable, RateLimited, Refusal, UpstreamFailure
from olla.proxy.answers import REASONS

CONDITIONS = {  # http-api.md §8.3
    "ROUTE_NOT_FOUND": 404,
    "UNKNOWN_PROVIDER": 404,
    "PROVIDER_DISABLED": 404,
    "NO_PROVIDER_ENDPOINTS": 404,
    "MODEL_NOT_FOUND": 404,
    "METHOD_NOT_ALLOWED": 405,
    "NO_ENDPOINTS": 503,
    "MODEL_UNAVAILABLE": 503,
    "CIRCUIT_OPEN": 503,
    "DRAINING": 503,
    "REQUEST_TOO_LARGE": 413,
    "HEADERS_TOO_LARGE": 431,
    "RATE_LIMIT_EXCEEDED": 429,
    "NOT_SUPPORTED": 501,
    "BACKEND_UNREACHABLE": 502,
    "BACKEND_TIMEOUT": 502,
    "BACKEND_PROTOCOL_ERROR": 502,
    "BACKEND_TLS_ERROR": 502,
    "INTERNAL_ERROR": 500,
}


def kinds(base: type) -> Iterator[type]:
    """Give every class under ``base``."""
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, base) and kind is not base:
            yield kind


class RefusalTests(SynchronousTestCase):
    """What clients are told."""

    def test_conditions(self) -> None:
        """Each condition has its status (http-api.md §8.3)."""
        known = {kind.code: kind.status for kind in kinds(Refusal)}  # type: ignore[attr-defined]
        self.assertEqual({code: known.get(code) for code in CONDITIONS}, CONDITIONS)

    def test_codes(self) -> None:
        """No two conditions share a code, and every status has a reason phrase (http-api.md §8.3)."""
        made = list(kinds(Refusal))
        self.assertEqual(len({kind.code for kind in made}), len(made))  # type: ignore[attr-defined]
        self.assertEqual({kind.status for kind in made} - set(REASONS), set())  # type: ignore[attr-defined]

    def test_raised(self) -> None:
        """A refusal is an exception that says its sentence, and knows when to return."""
        with self.assertRaises(Refusal) as caught:
            raise ModelUnavailable("no llama", wait=7)
        self.assertEqual((str(caught.exception), caught.exception.retry_after), ("no llama", 7))
        self.assertIsNone(MethodNotAllowed("no").retry_after)
        self.assertEqual(RateLimited().retry_after, 1)

    def test_traceback(self) -> None:
        """Raising and catching one sets what Python sets on exceptions."""
        for kind in (*kinds(Refusal), *kinds(UpstreamFailure)):
            with self.subTest(kind=kind.__name__):
                try:
                    try:
                        raise KeyError
                    except KeyError as cause:
                        raise kind("x") from cause
                except errors.OllaError as error:
                    self.assertIsInstance(error.__cause__, KeyError)
                    self.assertEqual(str(error), "x")
