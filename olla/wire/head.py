"""
Strict reading of heads, in both directions, without a socket.

The grammar is llhttp's, which refuses folded lines, bare CR or LF, control characters, white space before a colon,
repeated or malformed lengths, and a length beside a transfer coding.  What it lets pass (other versions, fragments,
transfer codings, any number of fields, a missing ``Host``) is refused here.  It gets each head whole, so that where
the bytes were cut can make no difference, and without callbacks: a call into Python for each field costs more than
taking apart what it has found to be well-formed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from itertools import repeat
from typing import Any

import msgspec
from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser, HttpResponseParser

from olla.domain.message import Fields, Head
from olla.errors import BadReply, BadRequest, HeadersTooLarge
from olla.wire.body import BodyReader, ChunkedBody, ClosingBody, CountedBody, NoBody
from olla.wire.gather import REQUEST_LINE, ReplyGatherer
from olla.wire.recent import Recent, apart

MAX_FIELDS = 1000
MAX_REPLY_HEAD = 262144

BLANK = b" \t"
PARTITION = bytes.partition
COLONS = repeat(b":")
VERSIONS = {b"HTTP/1.1": True, b"HTTP/1.0": False}
PRINTABLE = bytes(c for c in range(9, 256) if c == 9 or (c >= 32 and c != 127))
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


class RequestHead(msgspec.Struct):
    """
    The head of a request, as read.

    :ivar fields: in order, as spelled, without ``Content-Length``.
    :ivar index: the first value of each name in lower case, without that one too.
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
    made: dict[Any, Any] = {}


def parse_request(head: bytes) -> RequestHead:
    """
    Read the head of a request.

    :param head: from the request line to the empty line, both included.
    :raise BadRequest: when it breaks the grammar or its framing is ambiguous.
    :raise HeadersTooLarge: when it has more than 1000 fields.
    """
    lines = head.split(b"\r\n")
    if len(lines) - 3 > MAX_FIELDS:
        raise HeadersTooLarge()
    try:
        HttpRequestParser(None).feed_data(head)
        method, target, version = lines[0].split(b" ")
        modern = VERSIONS[version]
    except (HttpParserUpgrade, HttpParserError, ValueError, KeyError):
        method, target, modern = _unusual_line(head, lines[0])
    if b"#" in target:
        raise BadRequest("Malformed request")
    fields: Fields = []
    index: dict[bytes, bytes] = {}
    for name, _, value in map(PARTITION, lines[1:-2], COLONS):
        value = value.strip(BLANK)  # white space around it is not part of it
        fields.append((name, value))
        index[name.lower()] = value
    if len(index) != len(fields):
        index = _first_of_each(fields)
    host = index.get(b"host")
    if modern if host is None else not is_host(host):
        raise BadRequest("Malformed request")
    length = index.pop(b"content-length", None)
    if length is not None:
        fields = [pair for pair in fields if pair[0].lower() != b"content-length"]
    chunked = b"transfer-encoding" in index
    if chunked and (not _is_chunked(index[b"transfer-encoding"]) or not modern):
        raise BadRequest("Malformed request")
    options = _options(v for n, v in fields if n.lower() == b"connection") if b"connection" in index else ()
    return RequestHead(
        method,
        target,
        fields,
        index,
        None if length is None else int(length),
        chunked,
        b"close" not in options if modern else b"keep-alive" in options,
        modern and not chunked and b"expect" not in index and b"upgrade" not in index,
    )


def policy_size(head: bytes) -> int:
    """Measure a well-formed head as ``max_header_size`` does: every field as if it were written ``Name: value``."""
    line, *fields = head[:-4].split(b"\r\n")
    parted = (field.partition(b":") for field in fields)
    return len(line) + sum(len(name) + len(value.strip(BLANK)) + 4 for name, _, value in parted)


def _unusual_line(head: bytes, line: bytes) -> tuple[bytes, bytes, bool]:
    """Check a head that llhttp does not pass, or not simply: there are more methods than it knows."""
    match = REQUEST_LINE.fullmatch(line)
    try:
        HttpRequestParser(None).feed_data(b"GET / HTTP/1.1" + head[len(line) :])
    except HttpParserUpgrade:
        pass
    except HttpParserError:
        match = None
    if match is None:
        raise BadRequest("Malformed request")
    return match[1], match[2], match[3] == b"1"


def _first_of_each(fields: Fields) -> dict[bytes, bytes]:
    names = [name.lower() for name, _ in fields]
    if any(names.count(name) > 1 for name in SINGLE):
        raise BadRequest("Malformed request")
    return {name.lower(): value for name, value in reversed(fields)}


@lru_cache(256)
def is_host(value: bytes) -> bool:
    """Say whether ``value`` can be that of a ``Host`` field (RFC 9112 §3.2)."""
    return HOST.fullmatch(value) is not None


def _is_chunked(coding: bytes) -> bool:
    """Say whether ``Transfer-Encoding`` is the one coding there is."""
    return coding.lower() == b"chunked"


def _options(values: Iterable[bytes]) -> set[bytes]:
    """Give what all the values of ``Connection`` say, in lower case."""
    return {option.strip(BLANK) for value in values for option in value.lower().split(b",")}


class ReplyHead(msgspec.Struct):
    """
    The head of a reply, as read.

    :ivar fields: what may be passed on.
    :ivar length: as the head tells it; ``None`` without.
    :ivar persistent: whether the connection outlives the reply, as far as the head tells.
    """

    status: int
    reason: bytes
    fields: Fields
    length: int | None
    chunked: bool
    modern: bool
    persistent: bool
    made: dict[Any, Any] = {}


def parse_reply(head: bytes) -> ReplyHead:
    """
    Read the head of a reply.

    :param head: from the status line to the empty line, both included.
    :raise BadReply: when it breaks the grammar, or its framing is ambiguous.
    """
    lines = head.split(b"\r\n")
    version, _, rest = lines[0].partition(b" ")
    code, _, reason = rest.partition(b" ")
    modern = VERSIONS.get(version)
    if modern is None or reason.translate(None, PRINTABLE):  # llhttp lets anything stand in a reason
        raise BadReply("what the backend sent is not HTTP")
    if len(lines) - 3 > MAX_FIELDS:
        raise BadReply("the head of the backend's answer has too many fields")
    kept: Fields = []
    told: bytes | None = None
    codings: list[bytes] = []
    options: list[bytes] = []
    persistent = modern
    for field, _, value in map(PARTITION, lines[1:-2], COLONS):
        name, value = field.lower(), value.strip(BLANK)
        if name not in HOP_BY_HOP:
            kept.append((field, value))
        elif name == b"content-length":
            told = value
        elif name == b"transfer-encoding":
            codings.append(value)
        elif name == b"connection":
            options.append(value)
    if options:
        named = _options(options)
        persistent = b"close" not in named and (modern or b"keep-alive" in named)
        kept = [pair for pair in kept if pair[0].lower() not in named]
    if codings and not (len(codings) == 1 and _is_chunked(codings[0])):
        raise BadReply("unknown transfer coding in the backend's answer")
    try:
        HttpResponseParser(None).feed_data(head)
    except HttpParserUpgrade:
        raise BadReply("the backend switched protocols unasked") from None
    except HttpParserError as error:
        raise BadReply(f"malformed head of the backend's answer: {error}") from None
    status = int(code)
    if not 100 <= status <= 599:
        raise BadReply("what the backend sent is not HTTP")
    if status == 101:
        raise BadReply("the backend switched protocols unasked")
    return ReplyHead(status, reason, kept, None if told is None else int(told), bool(codings), modern, persistent)


class ReplyReader:
    """
    Reads one reply: interim heads skipped, the head, the body, and where it ends.

    :ivar head: ``None`` until it has come; its fields are what may be passed on.
    :ivar body: knows when the reply has ended; ``None`` until the head has come.
    :ivar persistent: whether the connection may serve another request after this reply.
    """

    __slots__ = ("_gatherer", "_head_only", "_recent", "body", "head", "persistent")

    def __init__(self, *, head_only: bool, recent: Recent[ReplyHead]) -> None:
        """
        Expect a reply.

        :param head_only: the request was ``HEAD``.
        :param recent: what was read in heads of late, by any reader.
        """
        self._gatherer = ReplyGatherer(MAX_REPLY_HEAD)
        self._recent = recent
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
            text, data = split
            body = self.body = self._begin(text)
            if not data:
                return b""
        return body.feed(data)

    def close(self) -> bool:
        """Say whether the reply is whole when the connection ends here."""
        return self.body is not None and self.body.close()

    def _begin(self, text: bytes) -> BodyReader | None:
        """Read a head; ``None`` for an interim one."""
        key, length = apart(text)
        head = self._recent.get(key)
        if head is None:
            head = parse_reply(text)
            if head.status < 200:
                self._gatherer.limit -= len(text)
                return None
            if key:
                self._recent.put(key, head)
        told = head.length if length < 0 else length
        status = head.status
        self.persistent = head.persistent
        self.head = Head(status, head.reason, head.fields, None if status == 204 else told, (), head.made)
        if self._head_only or status in BODILESS:
            return NoBody()
        if head.chunked:
            self.persistent = head.persistent and head.modern  # no HTTP/1.0 server knows what it says here
            return ChunkedBody()
        if told is not None:
            return CountedBody(told) if told else NoBody()
        self.persistent = False
        return ClosingBody()
