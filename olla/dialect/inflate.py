"""Looks into compressed bodies, and changes them; what is forwarded stays compressed (openai-surface.md §7)."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from importlib import import_module
from io import BytesIO
from typing import Any, Final

from attrs import frozen

from olla.domain.message import Body
from olla.errors import BadRequest, RequestTooLarge

INFLATED = 8 * 1024 * 1024
READ = 1024 * 1024
GZIP, ZLIB, RAW = 31, 15, -15
FASTEST = 1
TOO_LARGE = "A compressed body must not be larger than 8 MiB when another model is named in it"
BROKEN = "The request's body is not what its Content-Encoding says"


class Unreadable(ValueError):
    """The data is not of that coding."""


@frozen
class Coding:
    """
    A way to compress.

    :ivar begin: gives the beginning of what was compressed, at most so many bytes, and whether that is all of it; may
        raise :exc:`Unreadable`.
    :ivar pack: compresses.
    """

    begin: Callable[[bytes, int], tuple[bytes, bool]]
    pack: Callable[[bytes], bytes]


def inflated(body: Body, encoding: bytes) -> Body:
    """
    Give the beginning of a body as it was before it was compressed, at most 8 MiB of it.

    :param encoding: value of ``Content-Encoding``.
    :return: ``body`` itself when that names no compression we know, or not just one; what cannot be read ends there.
    """
    coding = CODINGS.get(encoding.strip().lower())
    if coding is None:
        return body
    try:
        return Body.of(coding.begin(body.peek(READ), INFLATED)[0])
    except Unreadable:
        return body


def repacked(body: Body, encoding: bytes, change: Callable[[Body], Body]) -> Body:
    """
    Change what a compressed body says.

    :param change: makes another body of what was compressed.
    :return: compressed as before; ``body`` itself where nothing changes, or nobody here could have looked into it.
    :raise RequestTooLarge: when there is more in it than 8 MiB.
    :raise BadRequest: when it is broken.
    """
    coding = CODINGS.get(encoding.strip().lower())
    if coding is None:
        return body
    if body.size > INFLATED:
        raise RequestTooLarge(TOO_LARGE)
    try:
        data, whole = coding.begin(body.whole(), INFLATED + 1)
    except Unreadable:
        raise BadRequest(BROKEN) from None
    if len(data) > INFLATED:
        raise RequestTooLarge(TOO_LARGE)
    if not whole:
        raise BadRequest(BROKEN)
    before = Body.of(data)
    after = change(before)
    return body if after is before else Body.of(coding.pack(after.whole()))


def _zlib_begin(window: int) -> Callable[[bytes, int], tuple[bytes, bool]]:
    def begin(data: bytes, most: int) -> tuple[bytes, bool]:
        pieces, left = [], most
        while True:
            reader = zlib.decompressobj(window)
            try:
                pieces.append(reader.decompress(data, left))
            except zlib.error:
                raise Unreadable from None
            left -= len(pieces[-1])
            data = reader.unused_data
            if not reader.eof or not left or window != GZIP or not data.startswith(b"\x1f\x8b"):
                return b"".join(pieces), reader.eof

    return begin


def _zlib_pack(window: int) -> Callable[[bytes], bytes]:
    def pack(data: bytes) -> bytes:
        writer = zlib.compressobj(FASTEST, zlib.DEFLATED, window)
        return writer.compress(data) + writer.flush()

    return pack


def _deflate_begin(data: bytes, most: int) -> tuple[bytes, bool]:
    """Read ``deflate``, which has a head of zlib's and which many a client sends without (RFC 9110 §8.4.1.2)."""
    try:
        return _zlib_begin(ZLIB)(data, most)
    except Unreadable:
        return _zlib_begin(RAW)(data, most)


def _zstd() -> Mapping[bytes, Coding]:
    """Give the coding ``zstd`` where Python has it (3.14), or the package ``zstandard`` is installed."""
    for name, reader in (("compression.zstd", "ZstdFile"), ("zstandard", "")):
        try:
            module: Any = import_module(name)
        except ImportError:
            continue
        return {b"zstd": _zstd_of(module, reader)}
    return {}


def _zstd_of(module: Any, reader: str) -> Coding:
    def begin(data: bytes, most: int) -> tuple[bytes, bool]:
        source: Any = BytesIO(data)
        opened = getattr(module, reader)(source) if reader else module.ZstdDecompressor().stream_reader(source)
        try:
            found = opened.read(most)
            return found, not opened.read(1)
        except EOFError:
            return b"", False
        except (module.ZstdError, OSError):
            raise Unreadable from None

    return Coding(begin, module.compress)


CODINGS: Final[Mapping[bytes, Coding]] = {
    **dict.fromkeys((b"gzip", b"x-gzip"), Coding(_zlib_begin(GZIP), _zlib_pack(GZIP))),
    b"deflate": Coding(_deflate_begin, _zlib_pack(ZLIB)),
    **_zstd(),
}
