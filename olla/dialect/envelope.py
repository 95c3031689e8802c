"""Writes our own errors in the words of each dialect."""

from __future__ import annotations

import msgspec

from olla.domain.message import Fields
from olla.errors import (
    BackendFailed,
    BackendTimeout,
    InvalidFormat,
    InvalidParameter,
    MethodNotAllowed,
    ModelNotFound,
    ModelUnavailable,
    Refusal,
)

ANTHROPIC = "anthropic"

ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}

HEAD: tuple[tuple[bytes, bytes], ...] = (
    (b"Content-Type", b"application/json"),
    (b"Cache-Control", b"no-store"),
    (b"X-Content-Type-Options", b"nosniff"),
)

encode = msgspec.json.Encoder().encode


def error_body(refusal: Refusal, request_id: str, surface: str) -> bytes:
    """
    Write the body of an error of ours.

    :param surface: that of the exchange; ``anthropic`` gets the form of http-api.md §8.4, all others that of §8.1.
    """
    if surface == ANTHROPIC:
        return encode(_anthropic(refusal, request_id))
    error: dict[str, object] = {
        "message": refusal.message or type(refusal).__name__,
        "type": refusal.type,
        "code": refusal.code,
        "param": refusal.param,
        "request_id": request_id,
    }
    if isinstance(refusal, (ModelNotFound, ModelUnavailable)):
        error["reason"] = refusal.reason
    elif isinstance(refusal, (InvalidParameter, InvalidFormat)):
        error["param"] = refusal.name
    elif isinstance(refusal, BackendFailed) and refusal.attempts:
        error["attempts"] = [{"endpoint": name, "error": why} for name, why in refusal.attempts]
    return encode({"error": error})


def error_fields(refusal: Refusal) -> Fields:
    """Make the header fields that go with such a body; the caller adds those of the exchange."""
    fields = [*HEAD]
    if refusal.retry_after is not None:
        fields.append((b"Retry-After", b"%d" % max(1, refusal.retry_after)))
    if isinstance(refusal, MethodNotAllowed):
        fields.append((b"Allow", refusal.allow.encode()))
    return fields


def abort_event(
    content_type: bytes | None,
    surface: str,
    message: str,
    content_encoding: bytes | None = None,
    number: int | None = None,
) -> bytes:
    """
    Write the last words of a stream that will never be whole (http-api.md §6.4, openai-surface.md §3).

    :param content_type: of the response whose head has been sent.
    :param surface: that of the exchange.
    :param content_encoding: of that response; plain words would be noise in a compressed body.
    :param number: that of the event, in a stream whose events have numbers.
    :return: ``b""`` for what has no way to say it.
    """
    kind = content_type.lower() if content_type else b""
    if content_encoding and content_encoding.strip().lower() != b"identity":
        return b""
    if b"text/event-stream" in kind and surface == ANTHROPIC:
        event = encode({"type": "error", "error": {"type": "api_error", "message": message}})
        return b"\n\nevent: error\ndata: " + event + b"\n\n"
    if b"text/event-stream" in kind and number is not None:
        error = {"type": "error", "code": "server_error", "message": message, "param": None, "sequence_number": number}
        return b"\n\nevent: error\ndata: " + encode(error) + b"\n\n"
    if b"text/event-stream" in kind:
        error = {"message": message, "type": "bad_gateway", "code": "BACKEND_STREAM_ABORTED"}
        return b"\n\ndata: " + encode({"error": error}) + b"\n\n"
    if b"application/x-ndjson" in kind:
        return b"\n" + encode({"error": message}) + b"\n"
    return b""


def _anthropic(refusal: Refusal, request_id: str) -> dict[str, object]:
    kind = ANTHROPIC_TYPES.get(refusal.status, "api_error")
    if isinstance(refusal, BackendTimeout):
        kind = "timeout_error"
    error = {"type": kind, "message": refusal.message or type(refusal).__name__, "code": refusal.code}
    return {"type": "error", "error": error, "request_id": request_id}
