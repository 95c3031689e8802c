"""
Reads what a reply says about its cost, from its end and after it has been sent.

Nothing here runs while a stream runs: its tap is the ``append`` of a short deque, which runs no Python.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress

import msgspec

from olla.dialect.costs import Facts, Reply, facts, usage_of
from olla.dialect.measures import Measures
from olla.domain.usage import Usage

LAST_PIECES = 6
"""
Pieces of a stream that are kept.

Backends write an event at a time, so that a piece holds at least one or the rest of one.  The last three matter
(the one with ``finish_reason``, the one with ``usage``, ``[DONE]``; fewer in other dialects), each may be cut in
two.  A piece has at most 64 KiB, so this is at most 384 KiB, and some 2 KiB for tokens as they come.
"""

FIRST_PIECES = 2
LAST_EVENTS = 4
ENOUGH = ("input_tokens", "output_tokens", "finish_reason")
WHOLE = 1024 * 1024
TAIL = 65536
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ArithmeticError)

PART = re.compile(
    rb'"(model|(?:finish|done|stop)_reason|(?:prompt_)?eval_count|(?:total|load|prompt_eval|eval)_duration'
    rb'|usage|timings|metrics|stats)"\s*:\s*'
    rb'("(?:[^"\\]|\\.){0,256}"|-?[0-9.eE+-]{1,32}|\{[^{}]{0,1000}(?:\{[^{}]{0,1000}\}[^{}]{0,1000}){0,9}\})'
)
"""What can be picked out of a document without its beginning.  Inside of text its quotes would be escaped."""

NUMBER = re.compile(rb'"sequence_number"\s*:\s*(\d{1,15})\s*[,}]')

decode = msgspec.json.Decoder(Reply).decode


class Tap:
    """
    Keeps the end of one body, and reads it when it is over.

    :ivar keep: takes each piece of the body.
    """

    __slots__ = ("_pieces", "_read", "_texts", "keep")

    def __init__(
        self,
        keep: Callable[[bytes], None],
        pieces: Iterable[bytes],
        read: Callable[[bytes], Facts],
        texts: Callable[[bytes], Iterable[bytes]],
    ) -> None:
        """
        Be ready for the first piece.

        :param pieces: where ``keep`` puts them.
        :param read: gives what is found in their sum.
        :param texts: gives the JSON documents in their sum, the last one first.
        """
        self.keep = keep
        self._pieces = pieces
        self._read = read
        self._texts = texts

    def finish(self, measures: Measures | None = None) -> Usage | None:
        """
        Read what was kept; ``None`` when that says nothing or cannot be read.

        :param measures: what the backend's profile extracts.
        """
        data = b"".join(self._pieces)
        found: Facts = {}
        with suppress(*UNREADABLE):
            found = self._read(data)
        if measures is not None and not measures.usual:
            found = {**found, **measures.facts(self._texts(data))}
        if measures is None or not measures.detailed:
            return usage_of(found)
        return usage_of(found, measures.others(self._texts(data)))

    def next_number(self) -> int | None:
        """Give the number of the event that would come next in a stream of ``/responses``; others number none."""
        numbers = NUMBER.findall(b"".join(self._pieces))
        return int(numbers[-1]) + 1 if numbers else None


class Tail:
    """Keeps a body whole up to 1 MiB, and of a longer one the last 64 KiB."""

    def __init__(self) -> None:
        self.pieces: deque[bytes] = deque()
        self._size = 0
        self._limit = WHOLE

    def keep(self, piece: bytes) -> None:
        """Take a piece."""
        self.pieces.append(piece)
        self._size += len(piece)
        if self._size > self._limit:
            self._limit = TAIL
            while self._size - len(self.pieces[0]) >= TAIL:
                self._size -= len(self.pieces.popleft())

    def read(self, data: bytes) -> Facts:
        """Read the sum of the pieces."""
        return facts(decode(data)) if self._limit == WHOLE else picked(data)

    def texts(self, data: bytes) -> Iterable[bytes]:
        """Give the document, if all of it is there."""
        return in_whole(data) if self._limit == WHOLE else ()


class Ends:
    """Keeps both ends of a stream: Anthropic's tells the tokens of the prompt in its first event."""

    def __init__(self) -> None:
        self.first: list[bytes] = []
        self.last: deque[bytes] = deque(maxlen=LAST_PIECES)

    def keep(self, piece: bytes) -> None:
        """Take a piece."""
        if len(self.first) < FIRST_PIECES:
            self.first.append(piece)
        self.last.append(piece)

    def read(self, data: bytes) -> Facts:
        """Read the sum of the last pieces, and what the first event adds to it."""
        found: Facts = {name: fact for name, fact in in_events(data).items() if fact is not None}
        start = b"".join(self.first).partition(b"data:")[2].partition(b"\n")[0]
        try:
            return {**facts(decode(start)), **found}
        except UNREADABLE:
            return found


def tap_for(
    content_type: bytes | None, content_encoding: bytes | None, length: int | None, surface: str = "proxy"
) -> Tap | None:
    """
    Make what is to be told each piece of a reply's body.

    :param length: of the body; ``None`` when it is not known.
    :param surface: that of the exchange.
    :return: ``None`` when nothing can be read in such a body: it is compressed, or neither JSON nor a stream.
    """
    if content_type is None or content_encoding is not None:
        return None
    kind = content_type.lower()
    if kind.startswith(b"text/event-stream") and surface == "anthropic":
        ends = Ends()
        return Tap(ends.keep, ends.last, ends.read, last_events)
    if kind.startswith(b"text/event-stream"):
        events: deque[bytes] = deque(maxlen=LAST_PIECES)
        return Tap(events.append, events, in_events, last_events)
    if b"ndjson" in kind or b"jsonl" in kind:
        lines: deque[bytes] = deque(maxlen=LAST_PIECES)
        return Tap(lines.append, lines, in_lines, last_line)
    if b"json" not in kind:
        return None
    if length is not None and length <= WHOLE:
        pieces: list[bytes] = []
        return Tap(pieces.append, pieces, in_document, in_whole)
    tail = Tail()
    return Tap(tail.keep, tail.pieces, tail.read, tail.texts)


def in_document(data: bytes) -> Facts:
    """Read a whole JSON body."""
    return facts(decode(data))


def in_lines(data: bytes) -> Facts:
    """Read the last line of NDJSON, be its beginning lost."""
    (line,) = last_line(data)
    try:
        return facts(decode(line))
    except UNREADABLE:
        return picked(line)


def in_whole(data: bytes) -> Sequence[bytes]:
    """Give the one document of a JSON body."""
    return (data,)


def last_line(data: bytes) -> Sequence[bytes]:
    """Give the last line of NDJSON."""
    return (data.rstrip().rpartition(b"\n")[2],)


def in_events(data: bytes) -> Facts:
    """Read the last events of a stream: of each figure the last one counts."""
    found: Facts = {}
    for document in _last_documents(data):
        for name, fact in facts(document).items():
            if found.get(name) is None:
                found[name] = fact
        if all(found.get(name) is not None for name in ENOUGH):
            return found
    first = data.partition(b"\n")[0]
    if found.get("output_tokens") is None and b'"usage"' in first:
        found = {**found, **{name: fact for name, fact in picked(first).items() if fact is not None}}
    return found


def picked(data: bytes) -> Facts:
    """Read what is left of a JSON document whose beginning is lost; of a name found twice the last one counts."""
    parts: dict[bytes, bytes] = dict(PART.findall(data))
    return facts(decode(b"{" + b",".join(b'"' + name + b'":' + text for name, text in parts.items()) + b"}"))


def _last_documents(data: bytes) -> Iterator[Reply]:
    for text in last_events(data):
        try:
            yield decode(text)
        except UNREADABLE:
            pass  # [DONE], or an event whose beginning or end is lost


def last_events(data: bytes) -> Iterator[bytes]:
    """Give what the last events of a stream hold, the last one first; one may lack its beginning or end."""
    stop = len(data)
    for _ in range(LAST_EVENTS):
        start = data.rfind(b"\ndata:", 0, stop)
        start = 0 if start < 0 and data.startswith(b"data:") else start
        if start < 0 or not stop:
            return
        end = data.find(b"\n", start + 1, stop)
        yield data[data.index(b":", start) + 1 : stop if end < 0 else end]
        stop = start
