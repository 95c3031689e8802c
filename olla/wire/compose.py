"""Writing heads, in both directions: one place, which lets nothing through that would end a line early."""

from __future__ import annotations

from olla.domain.message import LINE_ENDS, Head, Outgoing, lines
from olla.wire.head import BODILESS


def request_head(outgoing: Outgoing) -> bytes:
    """
    Write the head of a request; a length is added when there is a body or ``outgoing.framed``.

    :raise ValueError: when a part of it holds a line break or NUL.
    """
    size = outgoing.body.size
    line = _checked(b"%b %b HTTP/1.1" % (outgoing.method, outgoing.target))
    framing = b"Content-Length: %d\r\n\r\n" % size if size or outgoing.framed else b"\r\n"
    return b"".join((line, b"\r\n", *[block.text for block in outgoing.blocks], lines(outgoing.fields), framing))


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
    line = _checked(b"HTTP/1.1 %d %b" % (status, head.reason))
    end = b"\r\n" if persistent else b"Connection: close\r\n\r\n"
    return b"".join((line, b"\r\n", *[block.text for block in head.blocks], lines(head.fields), framing, end))


def _checked(line: bytes) -> bytes:
    if len(line.translate(None, LINE_ENDS)) != len(line):
        raise ValueError("a line break or NUL in the first line")
    return line
