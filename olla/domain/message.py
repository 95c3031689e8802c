"""
Requests and replies as they travel, without a socket in sight.

They are msgspec structures: some are made for each request, and these cost less than half of attrs values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, BinaryIO

import msgspec
from attrs import frozen

Fields = list[tuple[bytes, bytes]]
"""Header fields in the order they came, names spelled as they came, repeated ones repeated."""

PIECE = 65536
LINE_ENDS = b"\r\n\0"


def lines(fields: Iterable[tuple[bytes, bytes]]) -> bytes:
    """
    Write header fields, each line with its end.

    :raise ValueError: when one of them holds a line break or NUL, and could not be sent as one line.
    """
    pairs = list(map(b": ".join, fields))
    pairs.append(b"")
    text = b"\r\n".join(pairs)
    # Each line has one CR and one LF; one more of them, or a NUL, is somebody's attempt to add a line.
    if len(text) - len(text.translate(None, LINE_ENDS)) != 2 * len(pairs) - 2:
        raise ValueError("a line break or NUL in a header field")
    return text


def first(fields: Iterable[tuple[bytes, bytes]], name: bytes) -> bytes | None:
    """
    Give the value of the first field of that name; ``None`` without one.

    :param name: in lower case.
    """
    return next((value for key, value in fields if key.lower() == name), None)


class Block:
    """
    Header fields that many messages have alike, written once.

    :ivar fields: they, in order.
    :ivar text: the same, each line with its end.
    """

    __slots__ = ("fields", "text")

    def __init__(self, fields: Iterable[tuple[bytes, bytes]]) -> None:
        """
        Write them.

        :raise ValueError: when one of them could not be sent as one line.
        """
        self.fields = tuple(fields)
        self.text = lines(self.fields)


@frozen
class Segment:
    """A run of bytes in an open file."""

    file: BinaryIO
    start: int
    stop: int


class Body(msgspec.Struct, frozen=True):
    """
    The whole body of a request: held in memory when small, in an unlinked file when not.

    It can be read any number of times, so that a second endpoint can get what the first one refused, and never
    changes.

    :ivar parts: what it consists of, in order.
    :ivar size: bytes in all.
    """

    parts: tuple[bytes | Segment, ...] = ()
    size: int = 0

    @classmethod
    def of(cls, data: bytes) -> Body:
        """Hold ``data``."""
        return cls((data,), len(data)) if data else EMPTY

    @classmethod
    def spooled(cls, file: BinaryIO, size: int) -> Body:
        """Refer to the first ``size`` bytes of ``file``, which stays open as long as this value lives."""
        return cls((Segment(file, 0, size),), size)

    def peek(self, limit: int) -> bytes:
        """Give the first ``limit`` bytes, or all when there are fewer."""
        if len(self.parts) == 1 and isinstance(self.parts[0], bytes):
            return self.parts[0][:limit] if self.size > limit else self.parts[0]
        return self._between(0, min(limit, self.size))

    def whole(self) -> bytes:
        """Give all of it at once; only for what is known to be small."""
        return self.peek(self.size)

    def pieces(self) -> Iterator[bytes]:
        """Give it in pieces of at most 64 KiB (those in memory whole)."""
        for part in self.parts:
            if isinstance(part, bytes):
                yield part
                continue
            at = part.start
            while at < part.stop:
                part.file.seek(at)
                data = part.file.read(min(PIECE, part.stop - at))
                at += len(data)
                yield data

    def splice(self, start: int, stop: int, replacement: bytes) -> Body:
        """Make a body in which the bytes from ``start`` to before ``stop`` are ``replacement``."""
        parts = (*self._cut(0, start), replacement, *self._cut(stop, self.size))
        kept = tuple(part for part in parts if part)
        if all(isinstance(part, bytes) for part in kept):
            return Body.of(b"".join(part for part in kept if isinstance(part, bytes)))
        return Body(kept, self.size - (stop - start) + len(replacement))

    def _cut(self, start: int, stop: int) -> Iterable[bytes | Segment]:
        at = 0
        for part in self.parts:
            size = len(part) if isinstance(part, bytes) else part.stop - part.start
            low, high = max(start - at, 0), min(stop - at, size)
            if low < high:
                if isinstance(part, bytes):
                    yield part[low:high]
                else:
                    yield Segment(part.file, part.start + low, part.start + high)
            at += size

    def _between(self, start: int, stop: int) -> bytes:
        return b"".join(Body(tuple(self._cut(start, stop)), stop - start).pieces())


EMPTY = Body()


class Request(msgspec.Struct):
    """
    What a client asks, read whole.

    :ivar method: as sent, ``b"POST"``.
    :ivar target: path and query in origin form, byte for byte as sent.
    :ivar fields: header fields as sent, hop-by-hop ones included; shared between requests with the same head, which
        for that have no ``Content-Length`` among them.  Never mutated.
    :ivar body: the decoded body, whatever its framing was.
    :ivar has_body: whether the client framed a body, be it an empty one.
    :ivar peer: address of the other end of the connection (IPv4-mapped IPv6 is unmapped).
    :ivar client: address of the client behind trusted proxies; the peer's without any.
    :ivar received: seconds on the reactor's clock when its head had been read.
    :ivar id: the id under which everything about it is logged.
    :ivar id_given: whether the client chose the id.
    :ivar made: what has been made of method, target and fields alone, by whom: the same for each request with the
        same head, as most are that come on one connection.  Not more than one thing for each endpoint.
    :ivar admitted: the limiters' header fields, once they have let it in; ``None`` before.
    :ivar asked: what fires with their verdict, where another process has them and was asked; ``None`` before.
    :ivar secure: whether it came over TLS.
    """

    method: bytes
    target: bytes
    fields: Fields
    body: Body = EMPTY
    has_body: bool = False
    peer: str = ""
    client: str = ""
    received: float = 0.0
    id: str = ""
    id_given: bool = False
    made: dict[Any, Any] = {}
    index: dict[bytes, bytes] | None = None
    admitted: Sequence[tuple[bytes, bytes]] | None = None
    asked: Any = None
    secure: bool = False
    _size: int = -1

    def commit(self) -> None:
        """
        Let go of the body, if that has not been done: nobody else will be asked.

        A stream may be held for an hour, and thousands of them at once.
        """
        self._size = self.size
        self.body = EMPTY
        self.index = self.asked = None

    @property
    def size(self) -> int:
        """Bytes of the body, after it was let go of too."""
        return self.body.size if self._size < 0 else self._size

    def get(self, name: bytes) -> bytes | None:
        """
        Look up the first field of that name.

        :param name: in lower case.
        """
        index = self.index
        if index is None:
            index = self.index = {key.lower(): value for key, value in reversed(self.fields)}
        return index.get(name)


class Head(msgspec.Struct):
    """
    What comes back before the body.

    :ivar status: 200 … 599.
    :ivar reason: the phrase after it, possibly empty.
    :ivar fields: header fields in order; framing fields (``Content-Length``, ``Transfer-Encoding``) and
        hop-by-hop ones are *not* among them.  Never mutated.
    :ivar length: bytes of the body that follows; ``None`` when only its end will tell.
    :ivar blocks: more fields, before ``fields``.
    :ivar made: what has been made of status, reason and fields alone; as in :class:`Request`.
    """

    status: int
    reason: bytes
    fields: Fields
    length: int | None = None
    blocks: tuple[Block, ...] = ()
    made: dict[Any, Any] = {}


class Outgoing(msgspec.Struct):
    """
    One attempt's request, ready to be written to a backend.

    :ivar method: as the client sent it.
    :ivar target: path and query at the backend.
    :ivar fields: complete header fields but for ``blocks``, framing fields excepted.
    :ivar body: what to send; its size becomes ``Content-Length``.
    :ivar framed: send ``Content-Length`` even when the body is empty.
    :ivar blocks: fields before the others, ``Host`` first.
    :ivar patience: seconds until the answer begins; 0.0 where that is up to the endpoint.
    """

    method: bytes
    target: bytes
    fields: Fields
    body: Body = EMPTY
    framed: bool = False
    blocks: tuple[Block, ...] = ()
    patience: float = 0.0
