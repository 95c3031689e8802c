"""Decides whether each piece of a response must go out at once."""

from __future__ import annotations

STREAMS = (
    b"text/event-stream",
    b"application/x-ndjson",
    b"application/stream+json",
    b"application/json-seq",
    b"text/plain; charset=utf-8",
)
WHOLE = (
    *(b"image/", b"video/", b"audio/", b"font/", b"model/", b"application/pdf", b"application/zip"),
    *(b"application/gzip", b"application/x-tar", b"application/x-rar", b"application/x-7z-compressed"),
)
WHOLE_ANYWHERE = (
    b"application/octet-stream",
    b"application/vnd.ms-excel",
    b"application/vnd.openxmlformats-officedocument",
    b"application/msword",
    b"application/vnd.ms-powerpoint",
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
    kind = content_type.lower() if content_type else b""
    if stream or any(name in kind for name in STREAMS):
        return True
    return not kind.startswith(WHOLE) and not any(name in kind for name in WHOLE_ANYWHERE)
