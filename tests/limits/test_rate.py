"""Tests of :mod:`olla.limits.rate`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from olla.domain.bucket import Bucket
from olla.interfaces import ILimiter, IVerdict
from olla.limits.rate import ADMITTED, Everybody, PerClient, Unlimited

EPOCH = 1_700_000_000.5


def wall() -> float:
    """Stand in for the time of day."""
    return EPOCH


class PerClientTests(SynchronousTestCase):
    """A bucket for each client."""

    def setUp(self) -> None:
        """Allow 60 a minute, three at once."""
        self.limiter = PerClient("proxy", 60, 3, wall)

    def test_provides(self) -> None:
        """Limiters and verdicts are what the interfaces promise."""
        verifyObject(ILimiter, self.limiter)
        verifyObject(ILimiter, Everybody("proxy", Bucket(1.0, 1)))
        verifyObject(ILimiter, Unlimited())
        verifyObject(IVerdict, self.limiter.admit("192.0.2.1", "proxy", 0.0))
        verifyObject(IVerdict, ADMITTED)

    def test_burst(self) -> None:
        """Of sixty requests at once exactly fifty pass with the defaults (C61, R54, B119)."""
        limiter = PerClient("proxy", 100, 50, wall)
        allowed = [limiter.admit("192.0.2.1", "proxy", 9.0).allowed for _ in range(60)]
        self.assertEqual(allowed, [True] * 50 + [False] * 10)
        self.assertTrue(all(limiter.admit("192.0.2.1", "proxy", 69.0).allowed for _ in range(50)))

    def test_fields(self) -> None:
        """The fields tell the limit, what is left, and when the bucket will be full again (C62)."""
        verdict = self.limiter.admit("192.0.2.1", "proxy", 9.0)
        self.assertEqual(
            verdict.fields,
            (
                (b"X-RateLimit-Limit", b"60"),
                (b"X-RateLimit-Remaining", b"2"),
                (b"X-RateLimit-Reset", b"1700000002"),
            ),
        )
        self.assertEqual(verdict.retry_after, 0)

    def test_refusal(self) -> None:
        """A refusal has the fields too, and names whole seconds, after which a retry passes (C62, B119)."""
        slow = PerClient("proxy", 24, 1, wall)
        slow.admit("192.0.2.1", "proxy", 9.0)
        verdict = slow.admit("192.0.2.1", "proxy", 9.1)
        self.assertFalse(verdict.allowed)
        self.assertEqual(verdict.retry_after, 3)
        self.assertEqual(dict(verdict.fields)[b"X-RateLimit-Remaining"], b"0")
        self.assertTrue(slow.admit("192.0.2.1", "proxy", 9.1 + verdict.retry_after).allowed)

    def test_clients_apart(self) -> None:
        """One client's requests are not held against another."""
        for _ in range(4):
            self.limiter.admit("192.0.2.1", "proxy", 0.0)
        self.assertTrue(self.limiter.admit("192.0.2.2", "proxy", 0.0).allowed)

    def test_kinds_apart(self) -> None:
        """It takes nothing for requests of the other kind and says nothing of them (C63)."""
        for _ in range(9):
            self.assertIs(self.limiter.admit("192.0.2.1", "health", 0.0), ADMITTED)
        self.assertTrue(self.limiter.admit("192.0.2.1", "proxy", 0.0).allowed)

    def test_ipv6_by_network(self) -> None:
        """Addresses of one /64 share a bucket, those of another have their own (§9.2)."""
        for host in range(3):
            self.assertTrue(self.limiter.admit(f"2001:db8::{host}", "proxy", 0.0).allowed)
        self.assertFalse(self.limiter.admit("2001:db8::ffff:1", "proxy", 0.0).allowed)
        self.assertTrue(self.limiter.admit("2001:db8:0:1::1", "proxy", 0.0).allowed)
        self.limiter.give_back("2001:db8::77", "proxy", 0.0)
        self.assertTrue(self.limiter.admit("2001:db8::78", "proxy", 0.0).allowed)

    def test_bounded(self) -> None:
        """Past the bound the least recently used bucket is dropped (§9.2, R56)."""
        limiter = PerClient("proxy", 60, 1, wall, 2)
        for client in ("a", "b", "a", "c"):
            limiter.admit(client, "proxy", 0.0)
        self.assertEqual(len(limiter), 2)
        self.assertFalse(limiter.admit("a", "proxy", 0.0).allowed)
        self.assertTrue(limiter.admit("b", "proxy", 0.0).allowed)

    def test_sweep(self) -> None:
        """Clients idle for ten minutes are forgotten, others are not (§9.2)."""
        self.limiter.admit("old", "proxy", 0.0)
        self.limiter.admit("young", "proxy", 1.0)
        self.limiter.sweep(600.0)
        self.assertEqual(len(self.limiter), 2)
        self.limiter.sweep(600.5)
        self.assertEqual(len(self.limiter), 1)
        self.limiter.sweep(9999.0)
        self.assertEqual(len(self.limiter), 0)


class EverybodyTests(SynchronousTestCase):
    """One bucket for all."""

    def test_shared(self) -> None:
        """All clients take from it, and it refuses with the time until its own next token (§9.2)."""
        limiter = Everybody("proxy", Bucket(0.1, 2))
        self.assertIs(limiter.admit("a", "proxy", 0.0), ADMITTED)
        self.assertIs(limiter.admit("b", "proxy", 0.0), ADMITTED)
        verdict = limiter.admit("c", "proxy", 0.0)
        self.assertEqual((verdict.allowed, verdict.retry_after, verdict.fields), (False, 10, ()))

    def test_spares_our_pages(self) -> None:
        """However empty it is, pages of ours are not refused (C64)."""
        limiter = Everybody("proxy", Bucket(0.1, 1))
        limiter.admit("a", "proxy", 0.0)
        self.assertIs(limiter.admit("a", "health", 0.0), ADMITTED)
