"""
The limiters that come with Olla: one bucket for each client, one for everybody (http-api.md §9).

A limiter with nothing to say of a request answers :data:`ADMITTED`.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from typing import ClassVar, Final

import msgspec
from attrs import define, field, frozen
from zope.interface import implementer

from olla.domain.bucket import Bucket
from olla.interfaces import ILimiter, IVerdict
from olla.limits.address import bucket_key

MOST_CLIENTS = 100_000
IDLE = 600.0

Fields = tuple[tuple[bytes, bytes], ...]


@implementer(IVerdict)
class Verdict(msgspec.Struct, frozen=True):
    """
    A verdict without a story; a msgspec structure, for one is made for each request.

    :ivar limiter: name of the limiter that refused; ``""`` when allowed.
    """

    allowed: bool = True
    retry_after: int = 0
    fields: Fields = ()
    limiter: str = ""


ADMITTED: Final = Verdict()


@implementer(IVerdict)
class ClientVerdict(msgspec.Struct):
    """
    What a client's bucket says.

    :ivar allowed: whether a token was there.
    :ivar retry_after: whole seconds until one will be.
    :ivar bucket: the client's.
    :ivar tell: makes header fields of it.
    """

    allowed: bool
    retry_after: int
    bucket: Bucket
    tell: Callable[[Bucket], Fields]
    limiter: ClassVar[str] = ""

    @property
    def fields(self) -> Fields:
        """What is left of the limit at this moment: read after a token went back, it tells of that too."""
        return self.tell(self.bucket)


@implementer(ILimiter)
@define(eq=False)
class PerClient:
    """
    Gives each client a bucket of its own: ``per-ip`` and ``health``.

    The buckets are in the order of their last use, so that the least recently used one is the first.

    :ivar kind: the kind of request that it limits; it lets others through.
    :ivar per_minute: requests a minute, more than 0.
    :ivar burst: requests at once.
    """

    kind: str
    per_minute: int
    burst: int
    _wall: Callable[[], float]  # seconds since 1970, for X-RateLimit-Reset alone
    _most: int = MOST_CLIENTS
    _buckets: OrderedDict[str | bytes, Bucket] = field(init=False, factory=OrderedDict)
    _limit: tuple[bytes, bytes] = field(init=False)
    _reset_at: int = field(init=False, default=0)
    _reset: tuple[bytes, bytes] = field(init=False, default=(b"", b""))

    def __attrs_post_init__(self) -> None:
        self._limit = (b"X-RateLimit-Limit", b"%d" % self.per_minute)

    def __len__(self) -> int:
        """How many clients have a bucket."""
        return len(self._buckets)

    def admit(self, client: str, kind: str, now: float) -> IVerdict:
        """Take a token of that client."""
        if kind != self.kind:
            return ADMITTED
        key = bucket_key(client) if ":" in client else client
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._add(key)
        else:
            self._buckets.move_to_end(key)
        wait = bucket.take(now)
        if wait:
            return ClientVerdict(False, whole_seconds(wait), bucket, self._tell)
        return ClientVerdict(True, 0, bucket, self._tell)

    def give_back(self, client: str, kind: str, now: float) -> None:
        """Return the token taken last."""
        bucket = self._buckets.get(bucket_key(client))
        if kind == self.kind and bucket is not None:
            bucket.put_back()

    def sweep(self, now: float) -> None:
        """Forget clients not seen for ten minutes."""
        buckets = self._buckets
        while buckets:
            key = next(iter(buckets))
            if now - buckets[key].used <= IDLE:
                return
            del buckets[key]

    def _tell(self, bucket: Bucket) -> Fields:
        reset_at = math.ceil(self._wall() + (bucket.burst - bucket.tokens) / bucket.rate)
        if reset_at != self._reset_at:  # mostly as last time, and its text costs more than asking
            self._reset_at, self._reset = reset_at, (b"X-RateLimit-Reset", b"%d" % reset_at)
        return self._limit, (b"X-RateLimit-Remaining", b"%d" % bucket.tokens), self._reset

    def _add(self, key: str | bytes) -> Bucket:
        if len(self._buckets) >= self._most:
            self._buckets.popitem(last=False)
        bucket = self._buckets[key] = Bucket(self.per_minute / 60, self.burst)
        return bucket


@implementer(ILimiter)
@define(eq=False)
class Everybody:
    """
    One bucket for all proxied requests: ``global``.

    :ivar kind: the kind of request that it limits; it lets others through.
    """

    kind: str
    _bucket: Bucket

    def admit(self, client: str, kind: str, now: float) -> IVerdict:
        """Take a token."""
        if kind != self.kind:
            return ADMITTED
        wait = self._bucket.take(now)
        return Verdict(False, whole_seconds(wait)) if wait else ADMITTED

    def give_back(self, client: str, kind: str, now: float) -> None:
        """Return the token taken last."""
        if kind == self.kind:
            self._bucket.put_back()

    def sweep(self, now: float) -> None:
        """Do nothing: there is nobody to forget."""


@implementer(ILimiter)
@frozen
class Unlimited:
    """What a limit of zero or less becomes."""

    def admit(self, client: str, kind: str, now: float) -> IVerdict:
        """Let everybody through."""
        return ADMITTED

    def give_back(self, client: str, kind: str, now: float) -> None:
        """Do nothing: nothing was taken."""

    def sweep(self, now: float) -> None:
        """Do nothing: there is nobody to forget."""


def whole_seconds(wait: float) -> int:
    """Round up to what ``Retry-After`` can say: never too early, never 0."""
    return max(1, math.ceil(wait))
