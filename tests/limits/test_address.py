"""Tests of :mod:`olla.limits.address`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from olla.domain.message import Request
from olla.limits.address import ClientAddress, bucket_key, unmapped

TRUSTED = ("127.0.0.0/8", "10.0.0.0/8", " fd00::/8 ")


def request(*forwarded: bytes, real: bytes | None = None) -> Request:
    """Make a request with forwarding fields."""
    fields = [(b"X-Forwarded-For", value) for value in forwarded]
    if real is not None:
        fields.append((b"X-Real-IP", real))
    return Request(b"GET", b"/", fields)


class ClientAddressTests(SynchronousTestCase):
    """Whose request it is."""

    def setUp(self) -> None:
        """Trust some proxies."""
        self.address = ClientAddress(True, TRUSTED)

    def test_trust_off(self) -> None:
        """Without trust the fields are ignored, whoever sends them (R55)."""
        address = ClientAddress(False, TRUSTED)
        self.assertEqual(address.of("10.0.0.1", request(b"6.6.6.6", real=b"7.7.7.7")), "10.0.0.1")

    def test_untrusted_peer(self) -> None:
        """A peer that is no trusted proxy stands for itself (B122, R55)."""
        self.assertEqual(self.address.of("198.51.100.7", request(b"6.6.6.6")), "198.51.100.7")

    def test_from_the_right(self) -> None:
        """The first address from the right that is no trusted proxy counts, so that none can be forged (C68)."""
        self.assertEqual(self.address.of("10.0.0.1", request(b"6.6.6.6, 203.0.113.9")), "203.0.113.9")
        chain = request(b"6.6.6.6", b"203.0.113.9, 10.2.2.2", b"127.0.0.1")
        self.assertEqual(self.address.of("10.0.0.1", chain), "203.0.113.9")

    def test_nobody_outside(self) -> None:
        """With trusted addresses alone X-Real-IP counts, then the left-most one, then the peer (§9.5)."""
        inside = b"rubbish, 10.1.1.1, 10.2.2.2"
        self.assertEqual(self.address.of("10.0.0.1", request(inside, real=b"203.0.113.9")), "203.0.113.9")
        self.assertEqual(self.address.of("10.0.0.1", request(inside, real=b"rubbish")), "10.1.1.1")
        self.assertEqual(self.address.of("10.0.0.1", request(b"unknown,,")), "10.0.0.1")
        self.assertEqual(self.address.of("10.0.0.1", request()), "10.0.0.1")

    def test_spellings(self) -> None:
        """Ports, brackets, quotes and mapped addresses are understood."""
        for spelled, meant in (
            (b"203.0.113.9:4711", "203.0.113.9"),
            (b'"[2001:DB8::1]:4711"', "2001:db8::1"),
            (b"::ffff:203.0.113.9", "203.0.113.9"),
            (b"2001:db8:0::1", "2001:db8::1"),
        ):
            self.assertEqual(self.address.of("10.0.0.1", request(spelled)), meant)

    def test_ipv6_proxy(self) -> None:
        """A trusted proxy may have an IPv6 address."""
        self.assertEqual(self.address.of("fd00::1", request(b"203.0.113.9")), "203.0.113.9")

    def test_bad_network(self) -> None:
        """A network that cannot be read is refused (§9.5)."""
        self.assertRaises(ValueError, ClientAddress, True, ("10.0.0.0/99",))


class SpellingTests(SynchronousTestCase):
    """One client, one spelling."""

    def test_unmapped(self) -> None:
        """An IPv4-mapped address is the IPv4 address; all others stay (§9.5)."""
        self.assertEqual(unmapped("::ffff:192.0.2.1"), "192.0.2.1")
        self.assertEqual(unmapped("::FFFF:c000:201"), "192.0.2.1")
        for other in ("192.0.2.1", "2001:db8::1", "", "::ffff:nonsense"):
            self.assertEqual(unmapped(other), other)

    def test_bucket_key(self) -> None:
        """IPv6 is known by its /64, IPv4 by itself, however it is spelled (§9.2)."""
        self.assertEqual(bucket_key("2001:db8::1"), bucket_key("2001:db8:0:0:ffff::2%eth0"))
        self.assertNotEqual(bucket_key("2001:db8::1"), bucket_key("2001:db8:0:1::1"))
        self.assertEqual(bucket_key("::ffff:192.0.2.1"), bucket_key("192.0.2.1"))
        self.assertNotEqual(bucket_key("::ffff:192.0.2.1"), bucket_key("::ffff:192.0.2.2"))
        self.assertEqual(bucket_key("no:address"), "no:address")
