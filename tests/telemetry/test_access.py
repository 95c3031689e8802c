"""Tests of :mod:`olla.telemetry.access`."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from olla.domain.routing import Decision
from olla.domain.usage import Usage
from olla.events import Finished
from olla.telemetry.access import AccessLog, CompletionLog, RequestLog
from olla.telemetry.records import as_json, shown_from
from tests.telemetry.support import finished

USAGE = Usage("llama3", 26, 298, tokens_per_second=41.27, total_ms=7412.5, finish_reason="stop")


class AccessLogTests(SynchronousTestCase):
    """One line for each request."""

    def lines(self, event: Finished, level: str = "info") -> list[dict[str, Any]]:
        """Give the lines of one request."""
        written: list[bytes] = []
        RequestLog(written.append, lambda ended: "T", [AccessLog(as_json, shown_from(level)).lines]).finished(event)
        return [json.loads(line) for lines in written for line in lines.splitlines()]

    def test_all_of_it(self) -> None:
        """The line has every fact of http-api.md §17.1."""
        event = finished(query="a=b", user_agent="curl/8", referer="http://r/", content_type="text/plain", accept="*/*")
        self.assertEqual(
            self.lines(event),
            [
                {
                    "timestamp": "T",
                    "level": "INFO",
                    "msg": "Request",
                    "request_id": "woolly-1",
                    "remote_addr": "10.0.0.1",
                    "client_ip": "203.0.113.9",
                    "method": "POST",
                    "path": "/olla/openai/v1/chat/completions",
                    "query": "a=b",
                    "status": 200,
                    "request_bytes": 120,
                    "response_bytes": 2000,
                    "duration_ms": 250.0,
                    "user_agent": "curl/8",
                    "referer": "http://r/",
                    "content_type": "text/plain",
                    "accept": "*/*",
                }
            ],
        )

    def test_whatever_the_outcome(self) -> None:
        """Refused, failed and abandoned requests have one line each as well (C126)."""
        for outcome, status in (("rejected", 404), ("rejected", 429), ("failed", 502), ("cancelled", 499)):
            [line] = self.lines(finished(outcome=outcome, status=status, endpoint=None))
            self.assertEqual(line["status"], status)

    def test_redacted(self) -> None:
        """Secrets in a query are taken out, also when their names are encoded or in the referer (C125, R59)."""
        for query in ("api_key=s3cret&a=b", "api%5Fkey=s3cret&a=b", "A=b&TOKEN=s3cret"):
            [line] = self.lines(finished(query=query, referer=f"http://r/?{query}"))
            self.assertNotIn("s3cret", json.dumps(line))
            self.assertIn("[REDACTED]", line["query"])

    def test_levels(self) -> None:
        """Looking at our pages is for debug; failing to, or anything else, is info (§17.1)."""
        for status, method, path, levels in (
            (200, "GET", "/internal/health", []),
            (304, "HEAD", "/internal/status", []),
            (503, "GET", "/internal/health", ["INFO"]),
            (200, "POST", "/internal/x", ["INFO"]),
            (200, "GET", "/version", ["INFO"]),
        ):
            event = finished(status=status, method=method, path=path, surface="internal")
            self.assertEqual([line["level"] for line in self.lines(event)], levels)
        looked = finished(method="GET", path="/internal/health", surface="internal")
        self.assertEqual([line["level"] for line in self.lines(looked, "debug")], ["DEBUG"])
        self.assertEqual(self.lines(finished(), "warn"), [])

    def test_cut(self) -> None:
        """However much a client sends, a line stays short (R61)."""
        long = "x" * 1_000_000
        [line] = self.lines(finished(path=long, query=long, user_agent=long, referer=long, accept=long, method=long))
        self.assertLess(len(json.dumps(line)), 20_000)


class CompletionLogTests(SynchronousTestCase):
    """How each proxied request went."""

    def lines(self, event: Finished, level: str = "info") -> list[dict[str, Any]]:
        """Give the lines of one request."""
        written: list[bytes] = []
        RequestLog(written.append, lambda ended: "T", [CompletionLog(as_json, shown_from(level)).lines]).finished(event)
        return [json.loads(line) for lines in written for line in lines.splitlines()]

    def test_completed(self) -> None:
        """A success tells endpoint, model, routing, stickiness and cost at info (§17.2)."""
        event = finished(decision=Decision("strict", "routed", "model_found"), sticky="hit", session="s1", usage=USAGE)
        [line] = self.lines(event)
        expected = {
            "level": "INFO",
            "msg": "Request completed",
            "endpoint": "alpha",
            "model": "llama3:8b",
            "duration_ms": 250.0,
            "status": 200,
            "total_bytes": 2000,
            "routing_strategy": "strict",
            "routing_action": "routed",
            "routing_reason": "model_found",
            "sticky_outcome": "hit",
            "session_id": "s1",
            "input_tokens": 26,
            "output_tokens": 298,
            "tokens_per_sec": 41.3,
            "total_ms": 7412.5,
            "provider_model": "llama3",
            "finish_reason": "stop",
        }
        self.assertEqual({name: line.get(name) for name in expected}, expected)
        self.assertNotIn("error", line)
        self.assertNotIn("ttft_ms", line)

    def test_rejected(self) -> None:
        """A request refused before any attempt is rejected, with status and reason, never completed (B6)."""
        event = finished(
            outcome="rejected",
            status=404,
            endpoint=None,
            attempts=0,
            error="Model not found: x",
            decision=Decision("strict", "rejected", "model_not_found", 404),
        )
        [line] = self.lines(event)
        self.assertEqual((line["level"], line["msg"], line["status"]), ("WARN", "Request rejected", 404))
        self.assertEqual(line["routing_reason"], "model_not_found")

    def test_failed(self) -> None:
        """A failure is an error with its reason, a backend's 5xx as well (§17.2, B112)."""
        [line] = self.lines(finished(outcome="failed", status=502, error="all endpoints failed"))
        self.assertEqual(
            (line["level"], line["msg"], line["error"]), ("ERROR", "Request failed", "all endpoints failed")
        )
        [line] = self.lines(finished(outcome="error", status=500))
        self.assertEqual((line["level"], line["error"]), ("ERROR", "the backend answered 500"))

    def test_cancelled(self) -> None:
        """A client's leaving is nobody's error."""
        [line] = self.lines(finished(outcome="cancelled", status=499))
        self.assertEqual((line["level"], line["msg"]), ("INFO", "Request cancelled"))

    def test_not_proxied(self) -> None:
        """Pages of ours have no such line, nor has a flood that the limiters stop (§9.2)."""
        self.assertEqual(self.lines(finished(surface="internal", outcome="local")), [])
        self.assertEqual(self.lines(finished(surface="models", outcome="local")), [])
        self.assertEqual(self.lines(finished(outcome="rejected", code="RATE_LIMIT_EXCEEDED")), [])

    def test_provider_metrics(self) -> None:
        """At debug the five figures known from the start are there under their names (C124)."""
        lines = self.lines(finished(usage=USAGE), "debug")
        self.assertEqual([line["level"] for line in lines], ["INFO", "DEBUG"])
        expected = {
            "provider_total_ms": 7412.5,
            "provider_prompt_tokens": 26,
            "provider_completion_tokens": 298,
            "provider_tokens_per_second": 41.27,
            "provider_model": "llama3",
        }
        self.assertEqual({name: lines[1].get(name) for name in expected}, expected)
        self.assertNotIn("prompt_ms", lines[1])
