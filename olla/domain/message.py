"""Requests and replies as they travel, without a socket in sight."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import BinaryIO

from attrs import define, field, frozen

Fields = list[tuple[bytes, bytes]]
"""Header fields in the order they came, names spelled as they came, repeated ones repeated."""

PIECE = 65536


@frozen
class Segment:
    """A run of bytes in an open file."""

    file: BinaryIO
    start: int
    stop: int


@frozen
class Body:
    """
    The whole body of a request: held in memory when small, in an unlinked file when not.

    It can be read any number of times, so that a second endpoint can get what the first one refused.

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

    def spent(self) -> Body:
        """Give what is left when nobody will read it again: its size."""
        return Body((), self.size)

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


@define
class Request:
    """
    What a client asks, read whole.

    :ivar method: as sent, ``b"POST"``.
    :ivar target: path and query in origin form, byte for byte as sent.
    :ivar fields: all header fields as sent, hop-by-hop ones included.
    :ivar body: the decoded body, whatever its framing was.
    :ivar has_body: whether the client framed a body, be it an empty one.
    :ivar peer: address of the other end of the connection (IPv4-mapped IPv6 is unmapped).
    :ivar client: address of the client behind trusted proxies; the peer's without any.
    :ivar received: seconds on the reactor's clock when its head had been read.
    :ivar id: the id under which everything about it is logged.
    :ivar id_given: whether the client chose the id.
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
    _index: dict[bytes, bytes] | None = field(init=False, default=None, repr=False, eq=False)

    def commit(self) -> None:
        """
        Let go of the body: an endpoint has answered, and nobody else will be asked.

        A stream may be held for an hour, and thousands of them at once.
        """
        self.body = self.body.spent()
        self._index = None

    def get(self, name: bytes) -> bytes | None:
        """
        Look up the first field of that name.

        :param name: in lower case.
        """
        index = self._index
        if index is None:
            index = self._index = {key.lower(): value for key, value in reversed(self.fields)}
        return index.get(name)


@define
class Head:
    """
    What comes back before the body.

    :ivar status: 200 … 599.
    :ivar reason: the phrase after it, possibly empty.
    :ivar fields: header fields in order; framing fields (``Content-Length``, ``Transfer-Encoding``) and
        hop-by-hop ones are *not* among them.
    :ivar length: bytes of the body that follows; ``None`` when only its end will tell.
    """

    status: int
    reason: bytes
    fields: Fields
    length: int | None = None


@define
class Outgoing:
    """
    One attempt's request, ready to be written to a backend.

    :ivar method: as the client sent it.
    :ivar target: path and query at the backend.
    :ivar fields: complete header fields, ``Host`` first, framing fields excepted.
    :ivar body: what to send; its size becomes ``Content-Length``.
    :ivar framed: send ``Content-Length`` even when the body is empty.
    """

    method: bytes
    target: bytes
    fields: Fields
    body: Body = EMPTY
    framed: bool = False
