"""Reads JSON documents that stand one to a line, however the stream is cut into pieces."""

from __future__ import annotations

from olla.errors import BrokenBody

MAX_LINE = 16 * 1024 * 1024


class LineParser:
    """
    Turns the bytes of an ``application/x-ndjson`` body into its lines; empty ones are passed over.

    :ivar limit: bytes that one line may have.
    """

    def __init__(self, limit: int = MAX_LINE) -> None:
        self.limit = limit
        self._pieces: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[bytes]:
        """
        Take a piece of the stream.

        :return: the lines that it completes, white space around them removed.
        :raise BrokenBody: when a line is larger than ``limit``.
        """
        *lines, rest = data.split(b"\n")
        if lines:
            lines[0] = b"".join(self._pieces) + lines[0]
            self._pieces, self._size = [], 0
        if rest:
            self._pieces.append(rest)
            self._size += len(rest)
        if self._size > self.limit:
            raise BrokenBody(f"a line is larger than {self.limit} bytes")
        return [line for line in map(bytes.strip, lines) if line]

    def finish(self) -> list[bytes]:
        """Take the end of the stream: the last line counts without its line feed as well."""
        line = b"".join(self._pieces).strip()
        self._pieces, self._size = [], 0
        return [line] if line else []
