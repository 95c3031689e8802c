"""Looks into a compressed body; what is forwarded stays compressed (openai-surface.md §7)."""

from __future__ import annotations

import zlib

from olla.domain.message import Body

INFLATED = 8 * 1024 * 1024
READ = 1024 * 1024
WINDOW = {b"gzip": 31, b"x-gzip": 31, b"deflate": 15}


def inflated(body: Body, encoding: bytes) -> Body:
    """
    Give the beginning of a body as it was before it was compressed, at most 8 MiB of it.

    :param encoding: value of ``Content-Encoding``.
    :return: ``body`` itself when that names no compression we know, or not just one; what cannot be read ends there.
    """
    window = WINDOW.get(encoding.strip().lower())
    if window is None:
        return body
    try:
        return Body.of(zlib.decompressobj(window).decompress(body.peek(READ), INFLATED))
    except zlib.error:
        return body
