"""Tests of :mod:`olla.limits.sizes`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from olla.domain.message import Request
from olla.limits.sizes import MOST_FIELDS, head_size, head_too_large


class HeadSizeTests(SynchronousTestCase):
    """How large a head is."""

    def test_measure(self) -> None:
        """Names, values, four for each field, and the request line are counted (§9.4)."""
        request = Request(b"GET", b"/olla/x?y", [(b"Host", b"h:1"), (b"A", b"")])
        self.assertEqual(head_size(request), len("GET /olla/x?y HTTP/1.1") + (4 + 3 + 4) + (1 + 0 + 4))

    def test_edge(self) -> None:
        """A head of exactly the limit passes, one byte more does not (B125)."""
        request = Request(b"GET", b"/", [(b"A", b"b")])
        self.assertFalse(head_too_large(request, head_size(request)))
        self.assertTrue(head_too_large(request, head_size(request) - 1))

    def test_number_of_fields(self) -> None:
        """A thousand fields pass, one more does not (§9.4)."""
        fields = [(b"A", b"")] * MOST_FIELDS
        self.assertFalse(head_too_large(Request(b"GET", b"/", fields), 1 << 20))
        self.assertTrue(head_too_large(Request(b"GET", b"/", [*fields, (b"A", b"")]), 1 << 20))
