"""
Where bodies end: counting, chunks, or the end of the connection; and where a request's body is kept.

A reader of a body gives the decoded bytes in one piece for each piece that it is fed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, Protocol

from attrs import define, field
from httptools import HttpParserError, HttpResponseParser

from olla.domain.message import Body
from olla.errors import BadReply, InternalError

MAX_IDLE_FRAMING = 65536
SPOOL_ABOVE = 1048576
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class BodyReader(Protocol):
    """
    Finds the end of one body.

    :ivar ended: whether it is whole.
    :ivar surplus: whether bytes came after its end.
    """

    ended: bool
    surplus: bool

    def feed(self, data: bytes) -> bytes:
        """
        Read on.

        :return: decoded bytes of the body, ``b""`` when there are none in ``data``.
        :raise BadReply: when the framing is broken.
        """

    def close(self) -> bool:
        """Say whether the body is whole when the connection ends here."""


class Sink:
    """
    Takes a message in chunks; llhttp calls it.

    :ivar pieces: decoded pieces of the body that nobody has taken yet.
    :ivar begun: messages begun; a second one is something nobody asked for.
    :ivar whole: how many of ``pieces`` belong to the message once it has ended; ``-1`` before.
    """

    __slots__ = ("begun", "on_body", "pieces", "whole")

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.on_body = self.pieces.append  # called straight from C, without a Python frame for each chunk
        self.begun = 0
        self.whole = -1

    def on_message_begin(self) -> None:
        """A message begins."""
        self.begun += 1

    def on_message_complete(self) -> None:
        """A message has ended."""
        if self.whole < 0:
            self.whole = len(self.pieces)


class NoBody:
    """The body that does not exist: of an answer to ``HEAD``, of 204 and 304, of length zero."""

    __slots__ = ("surplus",)
    ended = True

    def __init__(self) -> None:
        self.surplus = False

    def feed(self, data: bytes) -> bytes:
        """See :class:`BodyReader`."""
        self.surplus = self.surplus or bool(data)
        return b""

    def close(self) -> bool:
        """See :class:`BodyReader`."""
        return True


class CountedBody:
    """A body of known length."""

    __slots__ = ("_left", "ended", "surplus")

    def __init__(self, length: int) -> None:
        """
        Begin.

        :param length: bytes, more than none.
        """
        self.ended = False
        self.surplus = False
        self._left = length

    def feed(self, data: bytes) -> bytes:
        """See :class:`BodyReader`."""
        left = self._left - len(data)
        if left > 0:
            self._left = left
            return data
        piece = data[: self._left] if left else data
        self.surplus = self.surplus or left < 0
        self.ended = True
        self._left = 0
        return piece

    def close(self) -> bool:
        """See :class:`BodyReader`."""
        return self.ended


class ClosingBody:
    """A body that ends with the connection."""

    __slots__ = ("ended",)
    surplus = False

    def __init__(self) -> None:
        self.ended = False

    def feed(self, data: bytes) -> bytes:
        """See :class:`BodyReader`."""
        return data

    def close(self) -> bool:
        """See :class:`BodyReader`."""
        self.ended = True
        return True


class ChunkedBody:
    """A body in chunks; extensions and trailers are checked and dropped."""

    __slots__ = ("_idle", "_parse", "_sink", "ended", "surplus")

    def __init__(self) -> None:
        """Begin behind a head that has been found to be in order."""
        sink = Sink()
        parser = HttpResponseParser(sink)
        parser.feed_data(CHUNKED)
        # After the head this concerns trailers alone: a length there is dropped like the rest (RFC 9110 §6.5.1).
        parser.set_dangerous_leniencies(lenient_chunked_length=True, lenient_transfer_encoding=True)
        self.ended = False
        self.surplus = False
        self._idle = 0
        self._parse = parser.feed_data
        self._sink = sink

    def feed(self, data: bytes) -> bytes:
        """See :class:`BodyReader`."""
        if self.ended:
            self.surplus = True
            return b""
        sink = self._sink
        try:
            self._parse(data)
        except HttpParserError as error:
            if sink.whole < 0:
                raise BadReply(f"malformed chunks in the backend's answer: {error}") from None
            self.surplus = True
        pieces = sink.pieces
        if sink.whole >= 0:
            self.ended = True
            self.surplus = self.surplus or sink.begun > 1
            del pieces[sink.whole :]
        if not pieces:
            self._count_idle(len(data))
            return b""
        self._idle = 0
        piece = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        return piece

    def close(self) -> bool:
        """See :class:`BodyReader`."""
        return self.ended

    def _count_idle(self, size: int) -> None:
        """Bound what is not body: extensions and trailers without end."""
        self._idle += size
        if self._idle > MAX_IDLE_FRAMING:
            raise BadReply("extensions or trailers without end in the backend's answer")


@define
class Intake:
    """
    Gathers the body of a request: in memory up to 1 MiB, in an unlinked temporary file above.

    Where no file can be had, or the disk is full, making it and each method raise
    :exc:`~olla.errors.InternalError`.

    :ivar left: bytes still to come.
    """

    left: int
    _size: int = field(init=False)
    _pieces: list[bytes] = field(init=False, factory=list)
    _file: BinaryIO | None = field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        self._size = self.left
        if self._size > SPOOL_ABOVE:
            with _room():
                self._file = tempfile.TemporaryFile(prefix="olla-")  # noqa: SIM115  the body made of it owns it

    def add(self, data: bytes) -> bytes:
        """
        Take what belongs to the body.

        :return: the bytes after its end.
        """
        mine = data[: self.left]
        self.left -= len(mine)
        if self._file is not None:
            with _room():
                self._file.write(mine)
        else:
            self._pieces.append(mine)
        return data[len(mine) :]

    def body(self) -> Body:
        """Give the body; once, when nothing is left to come."""
        if self._file is not None:
            with _room():
                self._file.flush()
            return Body.spooled(self._file, self._size)
        return Body.of(b"".join(self._pieces))


@contextmanager
def _room() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InternalError() from error
