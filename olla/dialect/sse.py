"""Reads server-sent events, however the stream is cut into pieces."""

from __future__ import annotations

import msgspec

from olla.errors import BrokenBody

MAX_EVENT = 16 * 1024 * 1024


class Event(msgspec.Struct, frozen=True):
    """
    One event.

    :ivar data: its data lines, joined with line feeds.
    :ivar name: what its ``event`` field says; ``""`` without.
    """

    data: bytes
    name: str = ""


class EventParser:
    """
    Turns the bytes of a ``text/event-stream`` into events; comments, ids and retry times are passed over.

    :ivar limit: bytes that one event may have.
    """

    def __init__(self, limit: int = MAX_EVENT) -> None:
        self.limit = limit
        self._line: list[bytes] = []  # pieces of a line whose end has not come
        self._data: list[bytes] = []
        self._name = ""
        self._size = 0
        self._after_return = False
        self._begun = False

    def feed(self, data: bytes) -> list[Event]:
        """
        Take a piece of the stream.

        :return: the events that it completes.
        :raise BrokenBody: when an event is larger than ``limit``.
        """
        data = self._unified(data)
        if b"\n" not in data:
            self._hold(data)
            return []
        first, *lines, rest = data.split(b"\n")
        events: list[Event] = []
        self._take(self._held(first), events)
        for line in lines:
            self._take(line, events)
        self._hold(rest)
        return events

    def finish(self) -> list[Event]:
        """Take the end of the stream: an event that only lacks the empty line after it is given as well."""
        events: list[Event] = []
        self._take(self._held(b""), events)
        self._take(b"", events)
        return events

    def _unified(self, data: bytes) -> bytes:
        if self._after_return and data:
            data = data[1:] if data.startswith(b"\n") else data
            self._after_return = False
        if b"\r" in data:
            self._after_return = data.endswith(b"\r")
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return data

    def _hold(self, piece: bytes) -> None:
        if piece:
            self._line.append(piece)
            self._grow(len(piece))

    def _held(self, rest: bytes) -> bytes:
        line = b"".join(self._line) + rest
        self._size -= len(line) - len(rest)
        self._line = []
        return line

    def _grow(self, size: int) -> None:
        self._size += size
        if self._size > self.limit:
            raise BrokenBody(f"an event is larger than {self.limit} bytes")

    def _take(self, line: bytes, events: list[Event]) -> None:
        if not self._begun:
            line = line.removeprefix(b"\xef\xbb\xbf")
            self._begun = True
        if not line:
            if self._data:
                events.append(Event(b"\n".join(self._data), self._name))
            self._data, self._name, self._size = [], "", 0
            return
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._grow(len(value) + 1)
            self._data.append(value)
        elif field == b"event":
            self._name = value.decode("utf-8", "replace")
