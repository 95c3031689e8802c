"""A page of ours, and how a client that has it already, or wants it small, is answered."""

from __future__ import annotations

import gzip
from hashlib import blake2b

import msgspec
from attrs import evolve, frozen

from olla.domain.endpoint import DIGITS
from olla.domain.message import Fields, Request

LONGEST_FIELD = 1024
SMALLEST_ZIPPED = 256
NO_STORE, NO_CACHE, PRIVATE = b"no-store", b"no-cache", b"private, no-cache"
VOLATILE = frozenset(
    {
        "timestamp",
        "uptime",
        "last_check",
        "next_check",
        "health_check",
        "last_model_sync",
        "last_seen",
        "health_check_at",
        "next_check_at",
        "last_model_sync_at",
        "response_time",
    }
)
"""Keys whose values change although nothing has happened (http-api.md §11.1)."""


@frozen
class Page:
    """
    An answer, complete but for what is said in every answer.

    :ivar tag: entity tag, ``b""`` for a page that is never asked for conditionally.
    :ivar zippable: whether it may be sent compressed; ``Vary`` then says so.
    """

    status: int
    fields: Fields
    body: bytes
    tag: bytes = b""
    zippable: bool = False

    def for_request(self, request: Request) -> Page:
        """Give what this client gets: 304 when it has the page already, compressed when it can read that."""
        kept = [*self.fields, (b"ETag", self.tag)] if self.tag else self.fields
        if self.zippable:
            kept = [*kept, (b"Vary", b"Accept-Encoding")]
        if self.tag and self.status == 200 and tag_matches(self.tag, request.get(b"if-none-match")):
            return Page(304, [(name, value) for name, value in kept if name != b"Content-Type"], b"")
        if (
            self.zippable
            and self.status == 200
            and len(self.body) >= SMALLEST_ZIPPED
            and accepts_gzip(request.get(b"accept-encoding"))
        ):
            return Page(200, [*kept, (b"Content-Encoding", b"gzip")], gzip.compress(self.body, 5, mtime=0))
        return evolve(self, fields=kept)


def json_page(value: object, cache: bytes, status: int = 200) -> Page:
    """
    Make a page of ``value``.

    :param cache: value of ``Cache-Control``.
    """
    fields: Fields = [(b"Content-Type", b"application/json"), (b"Cache-Control", cache)]
    return Page(status, fields, msgspec.json.encode(value))


def listing_page(value: object) -> Page:
    """Make a page that is tagged by all that it says (http-api.md §13.7)."""
    page = json_page(value, NO_CACHE)
    return evolve(page, tag=weak_tag(page.body))


def status_page(value: object) -> Page:
    """Make a page that is tagged by what it says beyond ages and times of checks, and may be compressed."""
    tag = weak_tag(msgspec.json.encode(_settled(value), order="deterministic"))
    return evolve(json_page(value, PRIVATE), tag=tag, zippable=True)


def weak_tag(data: bytes) -> bytes:
    """Make a weak entity tag: 64 bits in base 36."""
    value = int.from_bytes(blake2b(data, digest_size=8).digest(), "big")
    digits = ""
    while value:
        value, rest = divmod(value, 36)
        digits = DIGITS[rest] + digits
    return f'W/"{digits or "0"}"'.encode()


def tag_matches(tag: bytes, field: bytes | None) -> bool:
    """
    Say whether an ``If-None-Match`` field names ``tag``, compared weakly.

    :param field: a list of tags or ``*``; one of more than 1 KiB names nothing.
    """
    if field is None or len(field) > LONGEST_FIELD:
        return False
    named = [part.strip() for part in field.split(b",")]
    return b"*" in named or tag.removeprefix(b"W/") in [part.removeprefix(b"W/") for part in named]


def accepts_gzip(field: bytes | None) -> bool:
    """Say whether an ``Accept-Encoding`` field allows gzip, by name or through ``*``; one over 1 KiB does not."""
    if field is None or len(field) > LONGEST_FIELD:
        return False
    quality = {}
    for part in field.lower().split(b","):
        coding, _, rest = part.partition(b";")
        quality[coding.strip()] = _quality(rest)
    return quality.get(b"gzip", quality.get(b"*", 0.0)) > 0.0


def _quality(parameters: bytes) -> float:
    for parameter in parameters.split(b";"):
        name, _, value = parameter.partition(b"=")
        if name.strip() == b"q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


def _settled(value: object) -> object:
    if isinstance(value, dict):
        return {key: _settled(one) for key, one in value.items() if key not in VOLATILE}
    return [_settled(one) for one in value] if isinstance(value, (list, tuple)) else value
