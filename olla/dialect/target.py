"""
Turns the target of a request into a path to match routes with, and into the target that a backend sees.

What is forwarded keeps the bytes of the client.  Only dot segments are resolved on the way, in any spelling that a
server behind may take for one, so that nobody leaves the prefix of a route or the base path of an endpoint.
"""

from __future__ import annotations

import re
from itertools import islice
from urllib.parse import unquote_to_bytes

import msgspec

from olla.domain.endpoint import Endpoint
from olla.domain.profile import Profile

# Encoded once or many times, as overlong UTF-8, with a path parameter or a NUL behind: what servers were seen to
# take for a dot or a slash (reliability.md R16).
DOT = rb"(?:\.|%(?:25)*2e|%u002e|%c0%[2a]e|%e0%[48]0%ae|\xc0\xae)"
SLASH = rb"(?:/|\\|%(?:25)*(?:2f|5c)|%u00(?:2f|5c)|%c0%af|%c1%9c|%e0%80%af|\xc0\xaf)"
END = rb"(?:;|%(?:25)*(?:3b|00))"

SEPARATOR = re.compile(rb"(" + SLASH + rb")", re.IGNORECASE)
DOTS = re.compile(SLASH + DOT + rb"{1,2}(?=" + SLASH + rb"|" + END + rb"|\Z)", re.IGNORECASE)
ONE = re.compile(DOT + rb"(?:" + END + rb".*)?", re.IGNORECASE | re.DOTALL)
TWO = re.compile(DOT + rb"{2}(?:" + END + rb".*)?", re.IGNORECASE | re.DOTALL)
SEGMENT = re.compile(rb"/+([^/]+)")

# What nearly all paths are made of, so that the rest is not looked for in each of them.
PLAIN = re.compile(rb"/[\w/.~!$&'()*+,=:@-]*")
IRREGULAR = re.compile(rb"/[/.]")
DOTTED = re.compile(rb"[.%\xc0]")

PREFIX = 2
"""Segments in each prefix of ours, ``/olla/ollama`` or ``/internal/ui``."""


class Target(msgspec.Struct, frozen=True):
    """
    What the first line of a request asks for.

    :ivar path: decoded, without repeated slashes and dot segments, to match routes with; ``""`` when it climbs out
        of its prefix and must match none.
    :ivar raw: path and query as the client wrote them, dot segments resolved.
    """

    path: str
    raw: bytes

    def rest(self, prefix: str) -> bytes:
        """
        Give path and query after a prefix, as the client wrote them; it begins with a slash.

        :param prefix: that ``path`` begins with, in whole segments, without a slash at its end.
        """
        start = prefix.encode()
        if self.raw.startswith(start):
            rest = self.raw[len(start) :]
        else:
            rest = self.raw[self._stop(prefix.count("/")) :]
        return rest if rest.startswith(b"/") else b"/" + rest

    def _stop(self, count: int) -> int:
        segments = SEGMENT.finditer(self.raw.partition(b"?")[0])
        return [match.end() for match in islice(segments, count)][-1]

    @property
    def query(self) -> bytes:
        """The query as the client wrote it, without its question mark."""
        return self.raw.partition(b"?")[2]


def read_target(target: bytes) -> Target | None:
    """
    Read the target of a request.

    :return: ``None`` unless it is in origin form: the absolute form, ``*`` and ``host:port`` are not for us.
    """
    raw = target.partition(b"#")[0]
    path, mark, query = raw.partition(b"?")
    if PLAIN.fullmatch(path) and not IRREGULAR.search(path):
        return Target(path.decode(), raw)
    if not path.startswith(b"/"):
        return None
    clean, climbs = resolved(path, PREFIX)
    return Target("" if climbs else _matched(clean), clean + mark + query)


def resolved(path: bytes, floor: int = 0) -> tuple[bytes, bool]:
    """
    Resolve dot segments, encoded ones too; a path without any stays as it is, byte for byte.

    :param floor: how many segments at the beginning must stay, and do.
    :return: the path, and whether it tried to climb above them.
    """
    if DOTTED.search(path) is None or DOTS.search(path) is None:
        return path, False
    kept: list[bytes] = []
    climbs = False
    parts = SEPARATOR.split(path)
    for separator, segment in zip(parts[1::2], parts[2::2], strict=True):
        if TWO.fullmatch(segment):
            climbs = climbs or len(kept) <= floor
            del kept[max(floor, len(kept) - 1) :]
        elif segment and not ONE.fullmatch(segment):
            kept.append(separator + segment)
    last = parts[-1]
    open_ended = not last or ONE.fullmatch(last) or TWO.fullmatch(last)
    return b"".join(kept) + (b"/" if open_ended or not kept else b""), climbs


def decoded(path: bytes) -> str:
    """Decode a path without its query, to compare it with the paths of a profile."""
    if PLAIN.fullmatch(path):
        return path.decode()
    return unquote_to_bytes(path).decode("utf-8", "replace")


def backend_target(endpoint: Endpoint, profile: Profile, rest: bytes) -> bytes:
    """
    Make the target that a backend sees.

    :param profile: of that endpoint.
    :param rest: path and query after the route's prefix, as :meth:`Target.rest` gives them.
    :return: the query as it was, the path under ``base_path`` if the endpoint preserves that.
    """
    path, mark, query = rest.partition(b"?")
    path = resolved(path or b"/")[0]
    base = endpoint.base_path.rstrip("/").encode() if endpoint.preserve_path else b""
    if base.endswith(b"/v1") and (path == b"/v1" or path.startswith(b"/v1/")):
        path = path[3:]
    elif profile.path_rewrites and decoded(path) not in profile.paths:
        path = _rewritten(profile, path, base)
    return (_under(base, path) if base else path) + mark + query


def _matched(path: bytes) -> str:
    segments = [decoded(segment) for segment in path.split(b"/") if segment]
    if any("/" in segment for segment in segments[:PREFIX]):
        return ""
    return "/" + "/".join(segments) + ("/" if segments and path.endswith(b"/") else "")


def _under(base: bytes, path: bytes) -> bytes:
    return base + b"/" + path.lstrip(b"/") if path else base


def _rewritten(profile: Profile, path: bytes, base: bytes) -> bytes:
    """Begin a path as the kind of backend has it, unless the address leads into that part already."""
    for start, instead in profile.path_rewrites:
        if path.startswith(start.encode()):
            inside = instead.encode().split(b"/")[1] in base.split(b"/")
            return path if inside else instead.encode() + path[len(start.encode()) :]
    return path
