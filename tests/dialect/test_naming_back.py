"""Tests of :mod:`olla.dialect.naming_back`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from olla.dialect.naming_back import LONGEST, NamingBack

EVENTS = (
    b'data: {"id":"1","model":"big","choices":[{"delta":{"content":"\\"model\\":\\"big\\""}}]}\n\n'
    b'event: response.created\ndata: {"response": {"model": "big", "inner": {"model": "big"}}}\r\n\r\n'
    b'data: {"message":{"model":"big"},"model":"other"}\n\n'
    b"data: [DONE]\n\n"
)
RENAMED = (
    b'data: {"id":"1","model":"my \\"own\\"","choices":[{"delta":{"content":"\\"model\\":\\"big\\""}}]}\n\n'
    b'event: response.created\ndata: {"response": {"model": "my \\"own\\"", "inner": {"model": "big"}}}\r\n\r\n'
    b'data: {"message":{"model":"my \\"own\\""},"model":"other"}\n\n'
    b"data: [DONE]\n\n"
)
DOCUMENT = b'{"object": "list", "data": [{"model": "big"}],\n "model": "big", "usage": {}}'


def names(*, lines: bool) -> NamingBack:
    """Put another name in place of ``big``."""
    return NamingBack("big", 'my "own"', lines=lines)


class NamingBackTests(SynchronousTestCase):
    """Naming the model as the client did (B57)."""

    @given(st.lists(st.integers(1, 40), min_size=1, max_size=60))
    def test_events(self, sizes: list[int]) -> None:
        """Only the outermost name and that of a response or message is changed, wherever the pieces were cut."""
        naming, out, at = names(lines=True), b"", 0
        for size in sizes:
            out += naming.feed(EVENTS[at : at + size])
            at += size
        out += naming.feed(EVENTS[at:])
        self.assertEqual(out + naming.finish(), RENAMED)

    def test_at_once(self) -> None:
        """A line goes on as soon as it is whole."""
        naming = names(lines=True)
        self.assertEqual(naming.feed(b'data: {"model":"big"}\n'), b'data: {"model":"my \\"own\\""}\n')

    def test_document(self) -> None:
        """A document is held until its end, and then has the other name where it stood."""
        naming = names(lines=False)
        self.assertEqual(b"".join(naming.feed(DOCUMENT[at : at + 7]) for at in range(0, len(DOCUMENT), 7)), b"")
        renamed = DOCUMENT.replace(b'\n "model": "big"', b'\n "model": "my \\"own\\""')
        self.assertEqual(naming.finish(), renamed)

    def test_too_long(self) -> None:
        """What is too long to be held goes on as it is, all of it, in order."""
        for lines in (True, False):
            naming, data = names(lines=lines), b'{"data": "' + b"x" * LONGEST
            whole = data + b'", "model": "big"}'
            self.assertEqual(naming.feed(data) + naming.feed(whole[len(data) :]) + naming.finish(), whole)
