"""Tests of what :mod:`olla.proxy.failover` decides by itself; the journey is proved in ``tests/behaviour``."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from olla.domain.message import Request
from olla.errors import (
    BadReply,
    BrokenBody,
    ClosedEarly,
    ConnectFailed,
    ConnectTimeout,
    HeadTimeout,
    TLSFailed,
    UpstreamFailure,
)
from olla.proxy.failover import RetryRules, reason_of

CHAT = "/v1/chat/completions"
POST = Request(b"POST", b"/", [])


class RetryRulesTests(SynchronousTestCase):
    """When another endpoint is tried."""

    def test_connection(self) -> None:
        """What no backend can have taken goes to the next one, whatever it is (http-api.md §6.3)."""
        rules = RetryRules()
        for kind in (ConnectFailed, ConnectTimeout, TLSFailed):
            self.assertTrue(rules.allow(POST, CHAT, kind("x")))
        self.assertTrue(rules.allow(POST, CHAT, ClosedEarly("x", reset=True)))
        self.assertFalse(RetryRules(on_connection_failure=False).allow(POST, CHAT, ConnectFailed("x")))

    def test_answered(self) -> None:
        """Once bytes of an answer have come, a reset is no reason to begin again."""
        self.assertFalse(RetryRules().allow(POST, CHAT, ClosedEarly("x", reset=True, answered=True)))

    def test_unanswered(self) -> None:
        """After a silence or a clean close only what has no effect is repeated (http-api.md §6.3)."""
        rules = RetryRules()
        for failure in (HeadTimeout("x"), ClosedEarly("x")):
            for method in (b"GET", b"HEAD", b"OPTIONS"):
                self.assertTrue(rules.allow(Request(method, b"/", []), CHAT, failure))
            for method in (b"POST", b"PUT", b"DELETE", b"PATCH"):
                self.assertFalse(rules.allow(Request(method, b"/", []), CHAT, failure))
            self.assertTrue(rules.allow(POST, "/v1/embeddings", failure))

    def test_bad_reply(self) -> None:
        """A malformed answer is never asked for again: a backend has worked on it."""
        self.assertFalse(RetryRules().allow(Request(b"GET", b"/", []), CHAT, BadReply("x")))


class HelperTests(SynchronousTestCase):
    """Naming failures."""

    def test_reason(self) -> None:
        """Each failure is counted in one class."""
        for failure, reason in (
            (ConnectTimeout("x"), "connect"),
            (TLSFailed("x"), "connect"),
            (HeadTimeout("x"), "timeout"),
            (BrokenBody("x"), "stream"),
            (ClosedEarly("x"), "protocol"),
            (BadReply("x"), "protocol"),
            (UpstreamFailure("x"), "status"),
        ):
            self.assertEqual(reason_of(failure), reason)
