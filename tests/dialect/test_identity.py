"""Tests for olla.dialect.identity."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from olla.dialect.identity import Identities


class IdentityTests(SynchronousTestCase):
    """Ids of requests."""

    def test_given(self) -> None:
        """A fit id is taken (C17)."""
        for given in (b"abc-123", b"!", b"~" * 128):
            self.assertEqual(Identities().identify(given), (given.decode(), True))

    def test_unfit(self) -> None:
        """Too long, empty, or with a space, a control character or a byte beyond ASCII: replaced (C18, C20)."""
        for given in (b"x" * 129, b"", b"a b", b"a\tb", b"\xc3\xa9", b"a\n", b"a\x7f", None):
            made, taken = Identities().identify(given)
            self.assertFalse(taken)
            self.assertRegex(made, r"^[a-z]+-[a-z]+-[0-9a-f]{12}$")

    def test_distinct(self) -> None:
        """Ten thousand of them differ (C19)."""
        identities = Identities()
        self.assertEqual(len({identities.make() for _ in range(10000)}), 10000)

    def test_random_bytes_are_used_once(self) -> None:
        """Each id is made from bytes of its own, fetched for many at a time."""
        asked: list[int] = []

        def count(size: int) -> bytes:
            asked.append(size)
            return bytes(index // 7 % 256 for index in range(size))

        identities = Identities(count)
        made = [identities.make() for _ in range(257)]
        self.assertEqual(asked, [7 * 256, 7 * 256])
        self.assertEqual([made[0], made[1]], ["huacaya-grazing-000000000000", "huacaya-trekking-010101010101"])
        self.assertEqual(made[256], made[0])
