"""Decides whether each piece of a response must go out at once."""

from __future__ import annotations

import re

STREAMS = re.compile(
    rb"text/event-stream|application/(?:x-ndjson|stream\+json|json-seq)|text/plain; charset=utf-8",
    re.IGNORECASE,
)
WHOLE = re.compile(
    rb"(?:image|video|audio|font|model)/|application/(?:pdf|zip|gzip|x-tar|x-rar|x-7z-compressed)"
    rb"|.*application/(?:octet-stream|msword|vnd\.(?:ms-excel|ms-powerpoint|openxmlformats-officedocument))",
    re.IGNORECASE,
)


def flushes(profile: str, content_type: bytes | None, stream: bool) -> bool:
    """
    Say whether to flush after each piece.

    :param profile: ``proxy.profile``: ``auto``, ``streaming`` or ``standard``.
    :param content_type: of the response.
    :param stream: whether the client asked for a stream.
    """
    if profile != "auto":
        return profile == "streaming"
    return stream or content_type is None or bool(STREAMS.search(content_type)) or not WHOLE.match(content_type)
