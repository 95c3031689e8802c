"""Tests of :mod:`olla.dialect.inflate`."""

from __future__ import annotations

import gzip
import zlib

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from olla.dialect.inflate import CODINGS, INFLATED, inflated, repacked
from olla.domain.message import Body
from olla.errors import BadRequest, RequestTooLarge

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
        for encoding in (b"br", b"gzip, gzip", b"", b"identity", b"gzip"):
            self.assertIs(inflated(body, encoding), body)

    def test_cut(self) -> None:
        """Of a body that breaks off its beginning is read."""
        data = gzip.compress(TEXT + bytes(range(256)) * 99)
        self.assertTrue(inflated(Body.of(data[:-100]), b"gzip").whole().startswith(TEXT))

    def test_bomb(self) -> None:
        """However much a small body grows to, only so much of it is made."""
        self.assertEqual(inflated(Body.of(gzip.compress(bytes(64 << 20))), b"gzip").size, INFLATED)

    def test_raw(self) -> None:
        """``deflate`` is read without zlib's head as well, which some clients leave out."""
        raw = zlib.compressobj(wbits=-15)
        data = raw.compress(TEXT) + raw.flush()
        self.assertEqual(inflated(Body.of(data), b"deflate").whole(), TEXT)

    def test_zstd(self) -> None:
        """zstd is read and written where this Python can, and grows no further."""
        if b"zstd" not in CODINGS:
            raise SkipTest("neither compression.zstd nor zstandard is there")
        pack = CODINGS[b"zstd"].pack
        self.assertEqual(inflated(Body.of(pack(TEXT)), b"ZSTD").whole(), TEXT)
        self.assertEqual(inflated(Body.of(pack(bytes(64 << 20))), b"zstd").size, INFLATED)
        self.assertEqual(inflated(Body.of(TEXT), b"zstd").whole(), TEXT)
        changed = repacked(Body.of(pack(TEXT)), b"zstd", lambda body: Body.of(body.whole().replace(b"m", b"n")))
        self.assertEqual(inflated(changed, b"zstd").whole(), TEXT.replace(b"m", b"n"))
        with self.assertRaises(RequestTooLarge):
            repacked(Body.of(pack(bytes(INFLATED + 1))), b"zstd", lambda body: body)


class RepackTests(SynchronousTestCase):
    """Changing what compressed bodies say."""

    def test_nothing_to_change(self) -> None:
        """Where nothing changes, or nobody can look into it, it stays the very body."""
        body = Body.of(gzip.compress(TEXT))
        self.assertIs(repacked(body, b"gzip", lambda one: one), body)
        self.assertIs(repacked(body, b"br", lambda one: Body.of(b"other")), body)

    def test_refused(self) -> None:
        """What is too large, broken off, or something else is refused."""
        bomb = Body.of(gzip.compress(bytes(INFLATED + 1)))
        broken, other = Body.of(gzip.compress(TEXT)[:-1]), Body.of(TEXT)
        for body, refusal in ((bomb, RequestTooLarge), (broken, BadRequest), (other, BadRequest)):
            with self.assertRaises(refusal):
                repacked(body, b"gzip", lambda one: one)
        with self.assertRaises(RequestTooLarge):
            repacked(Body.of(bytes(INFLATED + 1)), b"gzip", lambda one: one)
        full = Body.of(gzip.compress(bytes(INFLATED)))
        self.assertIs(repacked(full, b"gzip", lambda one: one), full)
