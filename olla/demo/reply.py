"""What a demonstration engine answers, before it is said."""

from __future__ import annotations

import json
from collections.abc import Iterable

from attrs import frozen

JSON = "application/json"
SSE = "text/event-stream"
NDJSON = "application/x-ndjson"


@frozen
class Reply:
    """
    An answer, in the pieces in which it is said.

    :ivar end: what follows the last token: the whole body, unless it is streamed.
    :ivar tokens: what each token adds to a stream; ``b""`` for each when it is not streamed, since it takes its
        time all the same.
    """

    end: bytes
    tokens: tuple[bytes, ...] = ()
    kind: str = JSON
    status: int = 200
    streamed: bool = False
    headers: tuple[tuple[str, str], ...] = ()


def whole(value: object, tokens: int = 0, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    """
    Answer with one JSON value.

    :param tokens: that it takes to make it.
    """
    return Reply(json.dumps(value).encode(), (b"",) * tokens, status=status, headers=headers)


def text(value: str) -> Reply:
    """Answer with plain text."""
    return Reply(value.encode(), kind="text/plain; charset=utf-8")


def events(tokens: Iterable[bytes], end: bytes) -> Reply:
    """Answer with a stream of server-sent events."""
    return Reply(end, tuple(tokens), SSE, streamed=True, headers=(("Cache-Control", "no-cache"),))


def lines(tokens: Iterable[bytes], end: bytes) -> Reply:
    """Answer with a stream of JSON values, one a line."""
    return Reply(end, tuple(tokens), NDJSON, streamed=True)


def event(value: object, name: str = "") -> bytes:
    """Write one server-sent event."""
    named = f"event: {name}\n" if name else ""
    return f"{named}data: {json.dumps(value)}\n\n".encode()


def line(value: object) -> bytes:
    """Write one line of JSON."""
    return json.dumps(value).encode() + b"\n"
