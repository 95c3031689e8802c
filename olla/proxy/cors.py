"""Which browsers may read the answers (http-api.md §10)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from attrs import define, field

from olla.dialect.target import read_target
from olla.domain.message import Block, Fields, Request

EXPOSED = (
    "X-Olla-Request-ID, X-Olla-Endpoint, X-Olla-Backend-Type, X-Olla-Model, X-Olla-Response-Time, "
    "X-Olla-Routing-Strategy, X-Olla-Routing-Decision, X-Olla-Routing-Reason, X-Olla-Mode, "
    "X-Olla-Sticky-Session, X-Olla-Sticky-Key-Source, X-Olla-Session-ID, "
    "X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, Retry-After"
)
ALWAYS_ALLOWED = ("Content-Type", "Authorization")
VARY = (b"Vary", b"Origin")
CORS = "cors"


@define
class Cors:
    """
    Decorates responses and answers preflights.

    :ivar enabled: whether any of it is done.
    :ivar origins: exact origins, or with one ``*`` inside; ``*`` alone for everybody.
    :ivar methods: what ``Access-Control-Allow-Methods`` lists.
    :ivar headers: what ``Access-Control-Allow-Headers`` lists; ``*`` for whatever is asked.
    :ivar exposed: fields that scripts may read; empty for all of ours.
    :ivar credentials: whether browsers may send theirs.
    :ivar max_age: seconds for which a preflight holds; ``0`` sends none.
    :ivar internal: whether pages under ``/internal/`` and ``/version`` take part.
    """

    enabled: bool
    origins: Sequence[str]
    methods: Sequence[str]
    headers: Sequence[str]
    exposed: Sequence[str]
    credentials: bool
    max_age: int
    internal: bool
    _anybody: bool = field(init=False)
    _allowed: re.Pattern[bytes] = field(init=False)
    _plain: tuple[tuple[bytes, bytes], ...] = field(init=False)
    _cross: tuple[tuple[bytes, bytes], ...] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._anybody = "*" in self.origins
        patterns = (re.escape(origin.lower()).replace(r"\*", ".*") for origin in self.origins)
        self._allowed = re.compile("|".join(f"(?:{pattern})" for pattern in patterns).encode() or b"(?!)")
        listed = list(ALWAYS_ALLOWED) if "*" in self.headers else list(self.headers)
        self._plain = (
            (b"Access-Control-Allow-Methods", ", ".join(self.methods).encode()),
            (b"Access-Control-Allow-Headers", ", ".join(listed).encode()),
        )
        exposed = ", ".join(self.exposed) or EXPOSED
        self._cross = ((b"Access-Control-Expose-Headers", exposed.encode()),)
        if self.credentials:
            self._cross += ((b"Access-Control-Allow-Credentials", b"true"),)

    def block(self, request: Request) -> Block:
        """Give the fields that the response to ``request`` gets."""
        block: Block | None = request.made.get(CORS)
        if block is None:
            block = request.made[CORS] = Block(self._fields(request))
        return block

    def _fields(self, request: Request) -> Sequence[tuple[bytes, bytes]]:
        if not self.enabled or not self._takes_part(request):
            return ()
        origin = request.get(b"origin")
        if self._anybody:
            allowed = ((b"Access-Control-Allow-Origin", b"*"), *self._plain)
            return allowed if origin is None else (*allowed, *self._cross)
        if origin is None or not self._allowed.fullmatch(origin.lower()):
            return (VARY,)
        return ((b"Access-Control-Allow-Origin", origin), *self._plain, *self._cross, VARY)

    def _takes_part(self, request: Request) -> bool:
        return self.internal or not _is_internal(request.target)

    def is_preflight(self, request: Request) -> bool:
        """Say whether ``request`` is one that we answer ourselves, before anything else."""
        return (
            request.method == b"OPTIONS"
            and self.enabled
            and request.get(b"origin") is not None
            and request.get(b"access-control-request-method") is not None
        )

    def preflight(self, request: Request) -> Fields:
        """Give the fields of the answer to a preflight: 204 without any body."""
        if not self._takes_part(request):
            return []
        vary = (
            []
            if self._anybody
            else [(b"Vary", b"Origin, Access-Control-Request-Method, Access-Control-Request-Headers")]
        )
        origin = request.get(b"origin") or b""
        method = (request.get(b"access-control-request-method") or b"").decode("latin-1")
        asked = [
            name.strip()
            for name in (request.get(b"access-control-request-headers") or b"").decode("latin-1").split(",")
            if name.strip()
        ]
        headers = self._allowed_headers(asked)
        if not (self._anybody or self._allowed.fullmatch(origin.lower())) or headers is None:
            return list(vary)
        if method.upper() not in {"GET", "HEAD", "POST", "OPTIONS", *(name.upper() for name in self.methods)}:
            return list(vary)
        fields: Fields = [
            (b"Access-Control-Allow-Origin", b"*" if self._anybody else origin),
            self._plain[0],
            (b"Access-Control-Allow-Headers", ", ".join(headers).encode("latin-1")),
        ]
        if self.max_age:
            fields.append((b"Access-Control-Max-Age", b"%d" % self.max_age))
        if self.credentials:
            fields.append((b"Access-Control-Allow-Credentials", b"true"))
        return fields + vary

    def _allowed_headers(self, asked: Sequence[str]) -> list[str] | None:
        if "*" in self.headers:
            known = [name.lower() for name in ALWAYS_ALLOWED]
            return [*ALWAYS_ALLOWED, *(name for name in dict.fromkeys(asked) if name.lower() not in known)]
        listed = {name.lower() for name in self.headers}
        return list(self.headers) if all(name.lower() in listed for name in asked) else None


def _is_internal(target: bytes) -> bool:
    read = read_target(target)
    return read is not None and (read.path == "/version" or read.path.startswith("/internal/"))
