"""
Finds the members of a JSON object without building a tree, in documents whole, cut off or broken.

The usual way to a request's few fields is one msgspec decode (:mod:`olla.dialect.inspect`).  This scan is for what
that cannot do: give positions, look at every occurrence of a repeated key, and read a document that is cut short,
malformed, or nested beyond any recursion.  It neither recurses nor looks at each byte in Python: after escapes
have been blanked every quote begins or ends a string, and depth is a matter of counting brackets between quotes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import accumulate, islice

import msgspec

SCAN_LIMIT = 8 * 1024 * 1024
"""Bytes of a body that are looked at."""

MAX_MATCHES = 100_000
"""Keys that are looked at; beyond this somebody only wants to keep us busy."""

STRIDE = 65536
OPENING = re.compile(rb"[ \t\r\n]*\{")
BRACKETS = b"{}[]"
OTHERS = bytes(byte for byte in range(256) if byte not in BRACKETS)
STEP = {ord("{"): 1, ord("["): 1, ord("}"): -1, ord("]"): -1}


def keys(*names: str) -> re.Pattern[bytes]:
    """
    Make the pattern of some keys in any letter case, each letter plain or escaped.

    :param names: lower case letters and ``_``.
    """
    spelled = (
        "".join(rf"(?:{letter}|\\u00(?:{ord(letter):x}|{ord(letter.upper()):x}))" for letter in name) for name in names
    )
    return re.compile(rf'("(?:{"|".join(spelled)})")[ \t\r\n]*:[ \t\r\n]*'.encode(), re.IGNORECASE)


def members(data: bytes, wanted: re.Pattern[bytes]) -> Iterator[tuple[str, int, int]]:
    """
    Find members of the outermost object, in order, repeated ones repeated.

    :param data: the beginning of a document, or all of it.
    :param wanted: made by :func:`keys`.
    :return: key, start and stop of each value that is a whole string, quotes included; for any other value start
        and stop are the same.
    """
    opening = OPENING.match(data)
    if opening is None:
        return
    plain = data.replace(b"\\\\", b"__").replace(b'\\"', b"__")
    at, depth, inside = opening.end(), 1, 0
    for match in islice(wanted.finditer(plain, at), MAX_MATCHES):
        while at < match.start():
            chunk = plain[at : min(match.start(), at + STRIDE)].split(b'"')
            brackets = b"".join(chunk[inside::2]).translate(None, OTHERS)
            if depth <= brackets.count(b"}") + brackets.count(b"]") and ends(brackets, depth):
                return
            depth += 2 * (brackets.count(b"{") + brackets.count(b"[")) - len(brackets)
            inside ^= len(chunk) - 1 & 1
            at = min(match.start(), at + STRIDE)
        if depth == 1 and not inside:
            start = match.end()
            stop = plain.find(b'"', start + 1) + 1 if plain.startswith(b'"', start) else start
            yield text(match.group(1)), start, max(start, stop)


def ends(brackets: bytes, depth: int) -> bool:
    """Say whether the outermost object ends within these brackets; what follows it is not looked at."""
    return depth + min(accumulate(STEP[bracket] for bracket in brackets)) <= 0


def text(literal: bytes) -> str:
    """Decode a JSON string; ``""`` for what is none."""
    try:
        return msgspec.json.decode(literal, type=str)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
