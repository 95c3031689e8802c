"""
Collecting heads from pieces: until a head is whole nothing is made of it, except when it can become none.

The lines that heads begin with are known here, so that nonsense need not wait for an empty line.
"""

from __future__ import annotations

import re

from olla.errors import BadReply, BadRequest, HeadersTooLarge

TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
# A target is visible ASCII without a fragment (RFC 9112 §3.2).
REQUEST_LINE = re.compile(rb"(" + TOKEN + rb") ([!\"$-~]+) HTTP/1\.([01])")
REPLY_LINE = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9]{2})(?: ([\t -~\x80-\xff]*))?")
BROKEN_LINE = re.compile(rb"(?<!\r)\n|\r[^\n]|\x00")
EMPTY_LINES = re.compile(rb"^(?:\r\n)+")
CR = 13


class Gatherer:
    """Collects bytes until a head is whole, and refuses early what can become none."""

    __slots__ = ("_buffer", "_line_seen", "limit")
    skips_empty_lines = False

    def __init__(self, limit: int) -> None:
        """
        Begin with nothing.

        :param limit: bytes that a head may have.
        """
        self.limit = limit
        self._buffer = bytearray()
        self._line_seen = False

    @property
    def waiting(self) -> bool:
        """Whether a head has begun and is not whole."""
        return bool(self._buffer)

    def take(self, data: bytes) -> tuple[bytes, bytes] | None:
        """
        Add bytes.

        :param data: one at least.
        :return: the head with its empty line, and the bytes after it; ``None`` until it is whole.
        :raise OllaError: as :meth:`oversized` and :meth:`malformed` make it.
        """
        buffer = self._buffer
        if buffer:
            start = max(len(buffer) - 3, 0)
            buffer += data
            if buffer[0] == CR:  # only a CR can have been held so far: its LF is here
                data = bytes(buffer)
                buffer.clear()
                return self.take(data)
            end = buffer.find(b"\r\n\r\n", start) + 4
            if end < 4:
                self._check(start)
                return None
            data = bytes(buffer)
            buffer.clear()
            self._line_seen = False
        else:
            if data[0] == CR and self.skips_empty_lines:
                data = EMPTY_LINES.sub(b"", data, 1)
                if not data:
                    return None
            end = data.find(b"\r\n\r\n") + 4
            if end < 4:
                buffer += data
                self._check(0)
                return None
        if end > self.limit:
            raise self.oversized()
        return data[:end], data[end:]

    def oversized(self) -> Exception:
        """Make the error for a head above the limit."""
        raise NotImplementedError

    def malformed(self) -> Exception:
        """Make the error for what cannot become a head."""
        raise NotImplementedError

    def plausible(self, beginning: bytearray, *, line: bool) -> bool:
        """
        Say whether a head may begin so.

        :param line: whether its first line is whole.
        """
        raise NotImplementedError

    def _check(self, start: int) -> None:
        buffer = self._buffer
        if BROKEN_LINE.search(buffer, max(start - 1, 0)):
            raise self.malformed()
        if not self._line_seen:
            self._line_seen = buffer.find(b"\n", start) >= 0
            if not self.plausible(buffer, line=self._line_seen):
                raise self.malformed()
        if len(buffer) > self.limit:
            raise self.oversized()


class RequestGatherer(Gatherer):
    """Collects the heads of requests; empty lines before one are dropped (RFC 9112 §2.2)."""

    __slots__ = ()
    skips_empty_lines = True

    def oversized(self) -> Exception:
        """See :meth:`Gatherer.oversized`."""
        return HeadersTooLarge()

    def malformed(self) -> Exception:
        """See :meth:`Gatherer.malformed`."""
        return BadRequest("Malformed request")

    def plausible(self, beginning: bytearray, *, line: bool) -> bool:
        """See :meth:`Gatherer.plausible`."""
        return not line or REQUEST_LINE.fullmatch(first_line(beginning)) is not None


class ReplyGatherer(Gatherer):
    """Collects the heads of replies."""

    __slots__ = ()

    def oversized(self) -> Exception:
        """See :meth:`Gatherer.oversized`."""
        return BadReply("the head of the backend's answer is too large")

    def malformed(self) -> Exception:
        """See :meth:`Gatherer.malformed`."""
        return BadReply("what the backend sent is not HTTP")

    def plausible(self, beginning: bytearray, *, line: bool) -> bool:
        """See :meth:`Gatherer.plausible`."""
        if line:
            return REPLY_LINE.fullmatch(first_line(beginning)) is not None
        return b"HTTP/1.".startswith(beginning[:7])


def first_line(head: bytes | bytearray) -> bytes:
    """Give the first line of a head, or what is there of it."""
    return bytes(head.partition(b"\r\n")[0])
