"""Writing heads, in both directions: one place, which lets nothing through that would end a line early."""

from __future__ import annotations

from olla.domain.message import Fields, Head, Outgoing
from olla.wire.head import BODILESS


def request_head(outgoing: Outgoing) -> bytes:
    """
    Write the head of a request; a length is added when there is a body or ``outgoing.framed``.

    :raise ValueError: when a part of it holds a line break or NUL.
    """
    size = outgoing.body.size
    framing = b"Content-Length: %d\r\n\r\n" % size if size or outgoing.framed else b"\r\n"
    block = _block(b"%b %b HTTP/1.1" % (outgoing.method, outgoing.target), outgoing.fields)
    return block + framing


def reply_head(head: Head, *, bodiless: bool, persistent: bool) -> bytes:
    """
    Write the head of an answer.

    :param bodiless: the request was ``HEAD``.
    :param persistent: the connection is kept; says ``Connection: close`` otherwise.
    :raise ValueError: when a part of it holds a line break or NUL.
    """
    status = head.status
    if head.length is not None and status != 204:
        framing = b"Content-Length: %d\r\n" % head.length
    elif not bodiless and status not in BODILESS:
        framing = b"Transfer-Encoding: chunked\r\n"
    else:
        framing = b""
    end = b"\r\n" if persistent else b"Connection: close\r\n\r\n"
    return _block(b"HTTP/1.1 %d %b" % (status, head.reason), head.fields) + framing + end


def _block(line: bytes, fields: Fields) -> bytes:
    block = b"\r\n".join([line, *map(b": ".join, fields), b""])
    # Each line has one CR and one LF; one more of them, or a NUL, is somebody's attempt to add a line.
    if len(block) - len(block.translate(None, b"\r\n\0")) != 2 * len(fields) + 2:
        raise ValueError("a line break or NUL in a header field")
    return block
