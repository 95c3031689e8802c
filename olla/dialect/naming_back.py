"""Names the model in an answer as the client did (behaviour.md B57)."""

from __future__ import annotations

import msgspec

from olla.dialect.rewrite import model_spans
from olla.dialect.scan import keys, members, text

INNER = keys("response", "message")
"""Where OpenAI's responses and Anthropic's messages have the model in their first event."""

LONGEST = 1024 * 1024


class NamingBack:
    """
    Puts the client's name of a model in place of the backend's, piece by piece.

    A stream of events or lines is changed line by line, and a line goes on as soon as it is whole; any other
    document is held until its end.  Beyond 1 MiB without either, what comes goes on as it is.
    """

    def __init__(self, theirs: str, ours: str, *, lines: bool) -> None:
        """
        Be ready for the first piece.

        :param theirs: name that the backend knows.
        :param ours: name that the client has used.
        :param lines: whether each line is a document of its own.
        """
        self._theirs = theirs
        self._ours = msgspec.json.encode(ours)
        self._lines = lines
        self._held = b""
        self._given_up = False

    def feed(self, data: bytes) -> bytes:
        """Take a piece; gives what can go on."""
        if self._given_up:
            return data
        whole, end, rest = (self._held + data).rpartition(b"\n") if self._lines else (b"", b"", self._held + data)
        if len(rest) > LONGEST:
            self._given_up = True
            self._held, rest = b"", rest
            return self._renamed(whole) + end + rest
        self._held = rest
        return self._renamed(whole) + end

    def finish(self) -> bytes:
        """Give what is left at the end."""
        held, self._held = self._held, b""
        return self._renamed(held)

    def _renamed(self, data: bytes) -> bytes:
        if b'"model"' not in data:
            return data
        if not self._lines:
            return self._document(data)
        return b"\n".join(self._line(line) for line in data.split(b"\n"))

    def _line(self, line: bytes) -> bytes:
        at = line.find(b"{")
        return line if at < 0 or b'"model"' not in line else line[:at] + self._document(line[at:])

    def _document(self, document: bytes) -> bytes:
        spans = [*model_spans(document)]
        for _, at, _ in members(document, INNER):
            spans += [(at + start, at + stop) for start, stop in model_spans(document[at:])]
        for start, stop in sorted(spans, reverse=True):
            if text(document[start:stop]) == self._theirs:
                document = document[:start] + self._ours + document[stop:]
        return document
