"""Tests of :mod:`olla.wire.headers`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from olla.domain.message import Block
from olla.wire.headers import Prepared


class PreparedTests(SynchronousTestCase):
    """Fields as Twisted's server and Agent take them."""

    def setUp(self) -> None:
        """Prepare some."""
        self.headers = Prepared([Block([(b"Host", b"h"), (b"x-B", b"1")])], [(b"X-b", b"2")])

    def test_as_they_are(self) -> None:
        """They keep their order and their spelling, and what Twisted adds stands behind them."""
        self.headers.setRawHeaders("Transfer-Encoding", ["chunked"])
        self.assertEqual(
            [(name, list(values)) for name, values in self.headers.getAllRawHeaders()],
            [(b"Host", [b"h"]), (b"x-B", [b"1"]), (b"X-b", [b"2"]), (b"Transfer-Encoding", [b"chunked"])],
        )

    def test_looked_up(self) -> None:
        """They are found by name, however it is spelled."""
        self.headers.setRawHeaders(b"Content-Length", [b"3"])
        self.assertEqual(self.headers.getRawHeaders(b"HOST"), [b"h"])
        self.assertEqual(self.headers.getRawHeaders("X-B"), [b"1", b"2"])
        self.assertEqual(self.headers.getRawHeaders(b"content-length"), [b"3"])
        self.assertEqual(self.headers.getRawHeaders(b"x", ()), ())
        self.assertIsNone(self.headers.getRawHeaders(b"x"))
        self.assertEqual([self.headers.hasHeader(name) for name in ("host", b"x-b", b"y")], [True, True, False])

    def test_one_line_each(self) -> None:
        """A value that would be two lines is refused (R28, C20)."""
        with self.assertRaises(ValueError):
            Prepared([], [(b"a", b"1\r\nb: 2")])
