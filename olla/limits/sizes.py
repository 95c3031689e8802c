"""How large the head of a request is (http-api.md §9.4)."""

from __future__ import annotations

from olla.domain.message import Request

MOST_FIELDS = 1000
"""No request may have more header fields than this."""

AROUND_TARGET = len("  HTTP/1.1")


def head_size(request: Request) -> int:
    """Measure the request line, and each field with four bytes for what stands around name and value."""
    size = len(request.method) + len(request.target) + AROUND_TARGET
    for name, value in request.fields:
        size += len(name) + len(value) + 4
    return size


def head_too_large(request: Request, limit: int) -> bool:
    """
    Tell whether it is to be refused with 431.

    :param limit: bytes; a head of exactly so many passes.
    """
    return head_size(request) > limit or len(request.fields) > MOST_FIELDS
