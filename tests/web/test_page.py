"""Tests of pages of ours."""

from __future__ import annotations

import gzip

from twisted.trial.unittest import SynchronousTestCase

from olla.domain.message import Request
from olla.web.page import NO_STORE, Page, accepts_gzip, json_page, listing_page, status_page, tag_matches


def request(**fields: bytes) -> Request:
    return Request(b"GET", b"/", [(name.replace("_", "-").encode(), value) for name, value in fields.items()])


def headers(page: Page) -> dict[bytes, bytes]:
    return dict(page.fields)


class TagTests(SynchronousTestCase):
    """Conditional requests."""

    def test_unchanged(self) -> None:
        """A client that names the tag gets 304 with tag, caching and Vary, and nothing else (§11.1)."""
        page = status_page({"a": "x" * 300})
        answer = page.for_request(request(if_none_match=page.tag, accept_encoding=b"gzip"))
        self.assertEqual((answer.status, answer.body), (304, b""))
        self.assertEqual(
            headers(answer),
            {b"Cache-Control": b"private, no-cache", b"ETag": page.tag, b"Vary": b"Accept-Encoding"},
        )

    def test_comparison(self) -> None:
        """Tags compare weakly, in lists, and * is any; a very long field names nothing (§11.1)."""
        for field in (b'W/"abc"', b'"abc"', b'"x", W/"abc"', b"*"):
            self.assertTrue(tag_matches(b'W/"abc"', field), field)
        self.assertFalse(tag_matches(b'W/"abc"', None))
        for field in (b"", b'"x"', b"abc", b'"abc",' + b" " * 1024):
            self.assertFalse(tag_matches(b'W/"abc"', field), field)

    def test_stable_fields(self) -> None:
        """Ages and times of checks do not change the tag, everything else does (§11.1)."""
        content = {
            "timestamp": "a",
            "n": 1,
            "list": [{"last_seen": "2s ago", "response_time": "1ms", "id": "x"}],
        }
        later = {
            "timestamp": "b",
            "n": 1,
            "list": [{"last_seen": "3s ago", "response_time": "2ms", "id": "x"}],
        }
        self.assertEqual(status_page(content).tag, status_page(later).tag)
        self.assertNotEqual(status_page(content).tag, status_page({**later, "n": 2}).tag)
        self.assertRegex(status_page(content).tag.decode(), r'^W/"[0-9a-z]{1,13}"$')

    def test_listing(self) -> None:
        """A listing is tagged by all that it says (§13.7)."""
        page = listing_page({"last_seen": 1})
        self.assertNotEqual(page.tag, listing_page({"last_seen": 2}).tag)
        self.assertEqual(page.for_request(request(if_none_match=page.tag)).status, 304)
        self.assertNotIn(b"Vary", headers(page.for_request(request())))

    def test_untagged(self) -> None:
        """A page without a tag has no ETag and is always sent."""
        page = json_page({"a": 1}, NO_STORE).for_request(request(if_none_match=b"*"))
        self.assertEqual((page.status, page.body), (200, b'{"a":1}'))
        self.assertEqual(headers(page), {b"Content-Type": b"application/json", b"Cache-Control": b"no-store"})


class GzipTests(SynchronousTestCase):
    """Compression."""

    def test_large_page(self) -> None:
        """A status page of 256 bytes or more is compressed for who can read it (§11.1)."""
        page = status_page({"a": "x" * 300})
        zipped = page.for_request(request(accept_encoding=b"gzip"))
        self.assertEqual(gzip.decompress(zipped.body), page.body)
        self.assertEqual(headers(zipped)[b"Content-Encoding"], b"gzip")
        plain = page.for_request(request())
        self.assertEqual(plain.body, page.body)
        for answer in (zipped, plain):
            self.assertEqual(headers(answer)[b"Vary"], b"Accept-Encoding")

    def test_small_page(self) -> None:
        """A small page is sent as it is (§11.1)."""
        page = status_page({"a": 1}).for_request(request(accept_encoding=b"gzip"))
        self.assertEqual(page.body, b'{"a":1}')

    def test_acceptance(self) -> None:
        """gzip counts as accepted by name or through *, unless its quality is 0 (§11.1)."""
        for field in (b"gzip", b"GZIP;q=0.1", b"*", b"br, gzip", b"*;q=0, gzip"):
            self.assertTrue(accepts_gzip(field), field)
        self.assertFalse(accepts_gzip(None))
        for field in (b"", b"br", b"gzip;q=0", b"*, gzip;q=0", b"gzip;q=x", b"gzip" + b" " * 1024):
            self.assertFalse(accepts_gzip(field), field)
