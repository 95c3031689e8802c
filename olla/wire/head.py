"""
Strict reading of heads, in both directions, without a socket.

The grammar of fields is llhttp's, which refuses folded lines, bare CR or LF, control characters, white space
before a colon, repeated or malformed lengths, and a length beside a transfer coding.  What it lets pass (its own
idea of methods, versions, targets and transfer codings, any number of fields, a missing ``Host``) is refused here.
It gets each head whole, so that where the bytes were cut can make no difference.
"""

from __future__ import annotations

import re

from attrs import define
from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser, HttpResponseParser

from olla.domain.message import Fields, Head
from olla.errors import BadReply, BadRequest, HeadersTooLarge
from olla.wire.body import BodyReader, ChunkedBody, ClosingBody, CountedBody, FieldSink, NoBody, Sink
from olla.wire.gather import REPLY_LINE, REQUEST_LINE, ReplyGatherer

MAX_FIELDS = 1000
MAX_REPLY_HEAD = 262144

HOST = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._~!$&'()*+,;=%-]*)(?::[0-9]*)?")

BODILESS = frozenset({204, 304})
SINGLE = (b"host", b"content-length", b"transfer-encoding")

# Not to be passed on (RFC 9110 §7.6.1); the last two are framing, which each side makes anew.
HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"upgrade",
        b"transfer-encoding",
        b"content-length",
    }
)


@define
class RequestHead:
    """
    The head of a request, as read.

    :ivar fields: all of them, in order, as spelled.
    :ivar index: the first value of each name in lower case.
    :ivar length: of the body; ``None`` when the head frames none, or in chunks.
    :ivar chunked: whether the body comes in chunks.
    :ivar persistent: whether the client wants the connection kept.
    :ivar plain: whether it is HTTP/1.1 without chunks, ``Expect`` and ``Upgrade``.
    """

    method: bytes
    target: bytes
    fields: Fields
    index: dict[bytes, bytes]
    length: int | None
    chunked: bool
    persistent: bool
    plain: bool


def parse_request(head: bytes) -> RequestHead:
    """
    Read the head of a request.

    :param head: from the request line to the empty line, both included.
    :raise BadRequest: when it breaks the grammar or its framing is ambiguous.
    :raise HeadersTooLarge: when it has more than 1000 fields.
    """
    line = REQUEST_LINE.match(head)
    if line is None:
        raise BadRequest("Malformed request")
    method, target, minor = line.groups()
    fields = _request_fields(head, line.end())
    index = {name.lower(): value for name, value in reversed(fields)}
    if len(index) != len(fields):
        _check_single(fields)
    host = index.get(b"host")
    if minor == b"1" if host is None else not HOST.fullmatch(host):
        raise BadRequest("Malformed request")
    chunked = _is_chunked(index.get(b"transfer-encoding"))
    if chunked is None or (chunked and minor == b"0"):
        raise BadRequest("Malformed request")
    length = index.get(b"content-length")
    options = _options(fields) if b"connection" in index else ()
    return RequestHead(
        method,
        target,
        fields,
        index,
        None if length is None else int(length),
        chunked,
        b"close" not in options if minor == b"1" else b"keep-alive" in options,
        minor == b"1" and not chunked and b"expect" not in index and b"upgrade" not in index,
    )


def policy_size(head: RequestHead, line: int) -> int:
    """
    Measure a head as ``max_header_size`` does (http-api.md §9.4).

    :param line: bytes of the request line.
    """
    return line + sum(len(name) + len(value) + 4 for name, value in head.fields)


def _request_fields(head: bytes, start: int) -> Fields:
    lines = head.count(b"\n") - 2
    if lines > MAX_FIELDS:
        raise HeadersTooLarge()
    sink = FieldSink()
    try:
        # Under a request line of ours: llhttp knows fewer methods and more versions than there are.
        HttpRequestParser(sink).feed_data(b"GET / HTTP/1.1\r\n" + head[start:])
    except HttpParserUpgrade:
        pass
    except HttpParserError:
        raise BadRequest("Malformed request") from None
    if len(sink.fields) != lines:
        raise BadRequest("Malformed request")
    return sink.fields


def _check_single(fields: Fields) -> None:
    names = [name.lower() for name, _ in fields]
    if any(names.count(name) > 1 for name in SINGLE):
        raise BadRequest("Malformed request")


def _is_chunked(coding: bytes | None) -> bool | None:
    """Read the value of ``Transfer-Encoding``; ``None`` when it is anything but the one coding there is."""
    if coding is None:
        return False
    return True if coding.lower() == b"chunked" else None


def _options(fields: Fields) -> set[bytes]:
    """Give what all the ``Connection`` fields say, in lower case."""
    values = (value.lower() for name, value in fields if name.lower() == b"connection")
    return {option.strip(b" \t") for value in values for option in value.split(b",")}


class ReplyReader:
    """
    Reads one reply: interim heads skipped, the head, the body, and where it ends.

    :ivar head: ``None`` until it has come; its fields are what may be passed on.
    :ivar body: knows when the reply has ended; ``None`` until the head has come.
    :ivar persistent: whether the connection may serve another request after this reply.
    """

    __slots__ = ("_gatherer", "_head_only", "body", "head", "persistent")

    def __init__(self, *, head_only: bool) -> None:
        """
        Expect a reply.

        :param head_only: the request was ``HEAD``.
        """
        self._gatherer = ReplyGatherer(MAX_REPLY_HEAD)
        self.expect(head_only=head_only)

    def expect(self, *, head_only: bool) -> None:
        """Expect another reply, after one that has ended on a connection that persists."""
        self.head: Head | None = None
        self.body: BodyReader | None = None
        self.persistent = False
        self._head_only = head_only
        self._gatherer.limit = MAX_REPLY_HEAD

    @property
    def ended(self) -> bool:
        """Whether the reply is whole."""
        return self.body is not None and self.body.ended

    @property
    def surplus(self) -> bool:
        """Whether bytes came that nobody asked for."""
        return self.body is not None and self.body.surplus

    def feed(self, data: bytes) -> bytes:
        """
        Read on.

        :return: decoded bytes of the body.
        :raise BadReply: when this is not a reply; the connection is of no more use.
        """
        body = self.body
        while body is None:
            split = self._gatherer.take(data)
            if split is None:
                return b""
            head, data = split
            body = self.body = self._read(head)
            if not data:
                return b""
        return body.feed(data)

    def close(self) -> bool:
        """Say whether the reply is whole when the connection ends here."""
        return self.body is not None and self.body.close()

    def _read(self, head: bytes) -> BodyReader | None:
        """Read a head; ``None`` for an interim one."""
        line = REPLY_LINE.match(head)
        if line is None:
            raise BadReply("what the backend sent is not HTTP")
        lines = head.count(b"\n") - 2
        sink = Sink()
        parser = HttpResponseParser(sink)
        try:
            if lines > MAX_FIELDS:
                raise BadReply("the head of the backend's answer has too many fields")
            parser.feed_data(head)
        except HttpParserUpgrade:
            raise BadReply("the backend switched protocols unasked") from None
        except HttpParserError as error:
            raise BadReply(f"malformed head of the backend's answer: {error}") from None
        if len(sink.fields) != lines:
            raise BadReply("malformed head of the backend's answer")
        status = int(line[2])
        if status < 200:
            if status == 101:
                raise BadReply("the backend switched protocols unasked")
            self._gatherer.limit -= len(head)
            return None
        return self._frame(line, status, parser, sink)

    def _frame(self, line: re.Match[bytes], status: int, parser: HttpResponseParser, sink: Sink) -> BodyReader:
        """Take the framing out of the fields (RFC 9112 §6.3)."""
        kept: Fields = []
        length: int | None = None
        chunked: bool | None = False
        named: set[bytes] = set()
        persistent = modern = line[1] == b"1"
        for pair in sink.fields:
            name = pair[0].lower()
            if name not in HOP_BY_HOP:
                kept.append(pair)
            elif name == b"content-length":
                length = int(pair[1])
            elif name == b"transfer-encoding":
                chunked = _is_chunked(pair[1]) if chunked is False else None
            elif name == b"connection":
                named = _options(sink.fields)
                persistent = b"close" not in named and (modern or b"keep-alive" in named)
        if named:
            kept = [pair for pair in kept if pair[0].lower() not in named]
        if chunked is None:
            raise BadReply("unknown transfer coding in the backend's answer")
        body: BodyReader
        if self._head_only or status in BODILESS:
            body = NoBody()
        elif chunked:
            body = ChunkedBody(parser, sink)
            persistent = persistent and modern  # no HTTP/1.0 server knows what it says here
        elif length is not None:
            body = CountedBody(length) if length else NoBody()
        else:
            body = ClosingBody()
            persistent = False
        self.persistent = persistent
        self.head = Head(status, line[3] or b"", kept, None if status == 204 else length)
        return body
