"""Tests of :mod:`olla.domain.endpoint`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from olla.domain.endpoint import Endpoint, endpoint_id


class EndpointTests(SynchronousTestCase):
    """A configured backend."""

    def test_authority(self) -> None:
        """A port is named only where it is not the scheme's own; IPv6 addresses have brackets (C28)."""
        for scheme, host, port, authority in (
            ("http", "h", 80, "h"),
            ("http", "h", 443, "h:443"),
            ("https", "h", 443, "h"),
            ("https", "h", 80, "h:80"),
            ("http", "::1", 11434, "[::1]:11434"),
            ("http", "::1", 80, "[::1]"),
        ):
            with self.subTest(authority=authority):
                endpoint = Endpoint("a", scheme, host, port, "/base")
                self.assertEqual(endpoint.authority, authority)
                self.assertEqual(endpoint.url, f"{scheme}://{authority}/base")

    def test_identity(self) -> None:
        """Two entries for one server are two endpoints (http-api.md §6.3)."""
        first, second = Endpoint("a", "http", "h", 80), Endpoint("a", "http", "h", 80)
        self.assertNotEqual(first, second)
        self.assertEqual(len({first, second}), 2)

    def test_secrets(self) -> None:
        """Neither credential nor fields are shown (K33)."""
        fields = ((b"X-Key", b"k3y"),)
        endpoint = Endpoint("a", "http", "h", 80, fields=fields, credential=(b"Authorization", b"k3y"))
        self.assertNotIn("k3y", repr(endpoint) + endpoint.url)


class IdTests(SynchronousTestCase):
    """Short names."""

    def test_known(self) -> None:
        """It is FNV-1a over 32 bits in base 36 (http-api.md §11.1)."""
        for text, value in (("", 0x811C9DC5), ("a", 0xE40C292C), ("foobar", 0xBF9CF968)):
            self.assertEqual(int(endpoint_id(text), 36), value)

    def test_stable(self) -> None:
        """It depends on the address alone, and tells addresses apart."""
        self.assertEqual(endpoint_id("http://h:1"), endpoint_id("http://h:1"))
        self.assertNotEqual(endpoint_id("http://h:1"), endpoint_id("http://h:2"))
