"""Sticky sessions: which endpoint a conversation was served by (behaviour.md §11, http-api.md §7.5)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from hashlib import blake2b

from attrs import Factory, define, field, frozen

from olla.balance.member import Member

HIT, MISS, REPIN, DISABLED = "hit", "miss", "repin", "disabled"
SPILL_FACTOR = 2.0
SPILL_FLOOR = 2


@frozen
class Stickiness:
    """
    How sessions stick.

    :ivar sources: where a key is looked for, in order: ``session_header``, ``prefix_hash``, ``conversation``,
        ``auth_header``, ``ip``.
    :ivar idle_ttl: seconds after which an unused pin is forgotten; 0 or less for never.
    :ivar max_sessions: pins kept at most; 0 for no limit.
    :ivar prefix_bytes: how much of what ``prefix_hash`` gives is looked at; 0 or less for all.
    """

    sources: tuple[str, ...] = ("session_header", "prefix_hash", "auth_header")
    idle_ttl: float = 600.0
    max_sessions: int = 10000
    prefix_bytes: int = 512


@frozen
class Key:
    """
    What a session is known by; nothing of the client's can be read out of it.

    :ivar source: which of the sources it comes from.
    """

    source: str
    digest: bytes


@frozen
class Stay:
    """
    What is known of one request's session before it is sent.

    :ivar key: ``None`` when the request has nothing to know it by.
    :ivar preferred: the endpoint to prefer, if any.
    :ivar spilled: whether its own endpoint has too much to do, so that this request goes elsewhere and the pin
        stays.
    :ivar pinned: name of the endpoint that it is pinned to: ``""`` when that is lost, ``None`` for an unknown session.
    """

    key: Key | None = None
    preferred: Member | None = None
    spilled: bool = False
    pinned: str | None = None

    @property
    def source(self) -> str:
        """Name of the source of its key, ``""`` without one."""
        return self.key.source if self.key else ""

    def outcome(self, endpoint: str) -> str:
        """Say what becomes of the session when ``endpoint`` answers: ``hit``, ``miss``, ``repin`` or ``disabled``."""
        if self.key is None:
            return DISABLED
        if self.pinned is None:
            return MISS
        if self.pinned == endpoint:
            return HIT
        return MISS if self.spilled and self.pinned else REPIN


@define
class Counts:
    """What has happened to sessions so far."""

    insertions: int = 0
    hits: int = 0
    misses: int = 0
    repins: int = 0
    evictions: int = 0


@define
class _Pin:
    member: Member | None
    expires: float


@define(eq=False)
class Affinity:
    """
    Remembers the endpoint of each session.  ``now`` is seconds on a clock that never goes back.

    A pin whose endpoint is lost stays without one, so that the session's next request is known as a ``repin``.

    :ivar rules: how sessions stick.
    :ivar secret: at most 64 random bytes; makes keys that nobody can guess from the store.
    """

    rules: Stickiness
    _secret: bytes = field(repr=False)
    counts: Counts = field(init=False, factory=Counts)
    _pins: OrderedDict[bytes, _Pin] = field(init=False, default=Factory(OrderedDict))  # first to expire first

    def __len__(self) -> int:
        """Count the sessions remembered."""
        return len(self._pins)

    def key(self, material: Callable[[str], bytes | None], model: str) -> Key | None:
        """
        Make a request's key.

        :param material: gives what a source has for this request: the value of the header field; for
            ``prefix_hash`` the raw JSON of its messages; for ``conversation`` the text of its system messages and
            its first user message; for ``ip`` the client's address.
        :param model: keys of different models are different; letter case does not matter.
        """
        for source in self.rules.sources:
            value = material(source)
            if not value:
                continue
            if source == "prefix_hash" and self.rules.prefix_bytes > 0:
                value = value[: self.rules.prefix_bytes]
            digest = blake2b(source.encode(), digest_size=16, key=self._secret)
            name = model.lower().encode()
            digest.update(b":%d:%b:" % (len(name), name))
            digest.update(value)
            return Key(source, digest.digest())
        return None

    def recall(self, key: Key | None, candidates: Sequence[Member], now: float) -> Stay:
        """
        Look up what endpoint a request should go to.

        :param candidates: members that can serve it.  Never mutated.
        """
        self._expire(now)
        pin = self._pins.get(key.digest) if key else None
        if pin is None:
            return Stay(key)
        if pin.member is None:
            return Stay(key, pinned="")
        if pin.member not in candidates:
            return Stay(key, pinned=pin.member.name)
        if overloaded(pin.member, candidates):
            return Stay(key, spilled=True, pinned=pin.member.name)
        return Stay(key, pin.member, pinned=pin.member.name)

    def settle(self, stay: Stay, member: Member, now: float) -> str:
        """
        Take note of who answered; the pin moves there.

        :return: ``hit``, ``miss``, ``repin`` or ``disabled``.  A request that was spilled is a miss.
        """
        if stay.key is None:
            return DISABLED
        self._expire(now)
        pin = self._pins.pop(stay.key.digest, None)
        if pin is None:
            outcome = MISS
            self.counts.insertions += 1
        elif pin.member is member:
            outcome = HIT
        elif stay.spilled and pin.member is not None:
            outcome, member = MISS, pin.member
        else:
            outcome = REPIN
        self._count(outcome)
        self._pins[stay.key.digest] = _Pin(member, now + self.rules.idle_ttl)
        if 0 < self.rules.max_sessions < len(self._pins):
            self._evict()
        return outcome

    def forget(self, member: Member) -> None:
        """Take the endpoint out of all pins: it is lost."""
        for pin in self._pins.values():
            if pin.member is member:
                pin.member = None

    def _count(self, outcome: str) -> None:
        if outcome == HIT:
            self.counts.hits += 1
        elif outcome == MISS:
            self.counts.misses += 1
        else:
            self.counts.repins += 1

    def _expire(self, now: float) -> None:
        while self.rules.idle_ttl > 0 and self._pins:
            if next(iter(self._pins.values())).expires > now:
                return
            self._evict()

    def _evict(self) -> None:
        self._pins.popitem(last=False)
        self.counts.evictions += 1


def overloaded(member: Member, candidates: Sequence[Member]) -> bool:
    """Say whether a member has more than twice the mean of the other candidates to do, and more than a trifle."""
    if member.in_flight <= SPILL_FLOOR or len(candidates) == 1:
        return False
    others = sum(candidate.in_flight for candidate in candidates) - member.in_flight
    return member.in_flight > SPILL_FACTOR * others / (len(candidates) - 1)  # its own part would outweigh one other
