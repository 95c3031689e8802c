"""Tests for olla.dialect.envelope."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from olla import errors
from olla.dialect.envelope import abort_event, error_body, error_fields

SSE = b"text/event-stream; charset=utf-8"


class EnvelopeTests(SynchronousTestCase):
    """Errors of ours, in each dialect."""

    def test_openai(self) -> None:
        """The envelope has all fields that its readers look for (http-api.md §8.1)."""
        body = json.loads(error_body(errors.ModelNotFound("Model not found: x"), "an-id", "proxy"))
        expected = {
            "message": "Model not found: x",
            "type": "not_found",
            "code": "MODEL_NOT_FOUND",
            "param": "model",
            "request_id": "an-id",
            "reason": "model_not_found",
        }
        self.assertEqual(body, {"error": expected})

    def test_param_and_attempts(self) -> None:
        """A query parameter is named, and so are the attempts that came to nothing."""
        body = json.loads(error_body(errors.InvalidFormat("Invalid format: x"), "i", "models"))
        self.assertEqual(body["error"]["param"], "format")
        body = json.loads(error_body(errors.InternalError(), "i", "internal"))
        self.assertIsNone(body["error"]["param"])
        self.assertNotIn("reason", body["error"])
        body = json.loads(error_body(errors.BackendFailed("gone", (("a", "refused"),)), "i", "proxy"))
        self.assertEqual(body["error"]["attempts"], [{"endpoint": "a", "error": "refused"}])

    def test_every_refusal(self) -> None:
        """Message, type and code are there in every error, on both surfaces (C56)."""
        kinds = [errors.Refusal]
        for kind in kinds:
            kinds.extend(kind.__subclasses__())
            for surface in ("proxy", "anthropic"):
                error = json.loads(error_body(kind(""), "i", surface))["error"]
                self.assertTrue(error["message"] and error["type"] and error["code"], kind)

    def test_anthropic(self) -> None:
        """Anthropic's form, with its own names for the status (http-api.md §8.4)."""
        self.assertEqual(
            json.loads(error_body(errors.RateLimited(wait=3), "an-id", "anthropic")),
            {
                "type": "error",
                "error": {
                    "type": "rate_limit_error",
                    "message": "Too Many Requests",
                    "code": "RATE_LIMIT_EXCEEDED",
                },
                "request_id": "an-id",
            },
        )
        for refusal, kind in (
            (errors.MethodNotAllowed("x"), "invalid_request_error"),
            (errors.NoEndpoints("x"), "api_error"),
            (errors.BackendTimeout("x"), "timeout_error"),
            (errors.BackendFailed("x"), "api_error"),
            (errors.RequestTooLarge(), "request_too_large"),
        ):
            self.assertEqual(json.loads(error_body(refusal, "i", "anthropic"))["error"]["type"], kind)

    def test_fields(self) -> None:
        """When to ask again, and which methods there are, stand in the head (http-api.md §8.3, C60)."""
        fields = dict(error_fields(errors.RateLimited(wait=0)))
        self.assertEqual(fields[b"Retry-After"], b"1")
        self.assertEqual(fields[b"Content-Type"], b"application/json")
        self.assertEqual((fields[b"Cache-Control"], fields[b"X-Content-Type-Options"]), (b"no-store", b"nosniff"))
        self.assertNotIn(b"Retry-After", dict(error_fields(errors.NoEndpoints("x"))))
        self.assertEqual(dict(error_fields(errors.MethodNotAllowed("x", "GET")))[b"Allow"], b"GET")

    def test_abort_events(self) -> None:
        """The last words of each kind of stream (http-api.md §6.4, C42)."""
        self.assertEqual(
            abort_event(SSE, "proxy", 'a "b"\n'),
            b'\n\ndata: {"error":{"message":"a \\"b\\"\\n","type":"bad_gateway","code":"BACKEND_STREAM_ABORTED"}}\n\n',
        )
        self.assertEqual(
            abort_event(SSE, "anthropic", "x"),
            b'\n\nevent: error\ndata: {"type":"error","error":{"type":"api_error","message":"x"}}\n\n',
        )
        self.assertEqual(
            abort_event(SSE, "proxy", "x", number=4),
            b'\n\nevent: error\ndata: {"type":"error","code":"server_error","message":"x","param":null,'
            b'"sequence_number":4}\n\n',
        )
        self.assertEqual(abort_event(b"Application/X-NDJSON", "proxy", "x"), b'\n{"error":"x"}\n')

    def test_no_abort_event(self) -> None:
        """What has no way to say it, or is compressed, is only cut."""
        self.assertEqual(abort_event(b"application/json", "proxy", "x"), b"")
        self.assertEqual(abort_event(None, "proxy", "x"), b"")
        self.assertEqual(abort_event(SSE, "proxy", "x", b"gzip"), b"")
        self.assertNotEqual(abort_event(SSE, "proxy", "x", b"identity"), b"")
