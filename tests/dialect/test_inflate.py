"""Tests of :mod:`olla.dialect.inflate`."""

from __future__ import annotations

import gzip
import zlib

from twisted.trial.unittest import SynchronousTestCase

from olla.dialect.inflate import INFLATED, inflated
from olla.domain.message import Body

TEXT = b'{"model": "m"}'


class InflateTests(SynchronousTestCase):
    """Looking into bodies (openai-surface.md §7)."""

    def test_known(self) -> None:
        """gzip and deflate are read, by any of their names in any letter case."""
        for encoding, data in (
            (b"gzip", gzip.compress(TEXT)),
            (b" X-GZip", gzip.compress(TEXT)),
            (b"deflate", zlib.compress(TEXT)),
        ):
            self.assertEqual(inflated(Body.of(data), encoding).whole(), TEXT)

    def test_others(self) -> None:
        """What is not known, or not what it says, stays as it is."""
        body = Body.of(TEXT)
        for encoding in (b"zstd", b"br", b"gzip, gzip", b"", b"identity", b"gzip"):
            self.assertIs(inflated(body, encoding), body)

    def test_cut(self) -> None:
        """Of a body that breaks off its beginning is read."""
        data = gzip.compress(TEXT + bytes(range(256)) * 99)
        self.assertTrue(inflated(Body.of(data[:-100]), b"gzip").whole().startswith(TEXT))

    def test_bomb(self) -> None:
        """However much a small body grows to, only so much of it is made."""
        self.assertEqual(inflated(Body.of(gzip.compress(bytes(64 << 20))), b"gzip").size, INFLATED)
