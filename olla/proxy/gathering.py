"""Writes small pieces of a body together, where nobody waits for each of them (http-api.md §6.1)."""

from __future__ import annotations

from attrs import define, field

from olla.dialect.flush import flushes
from olla.domain.message import Head
from olla.proxy.holding import Holding

ENOUGH = 4096
GATHERED = "gathered"


def gathers(head: Head, kind: bytes | None, profile: str, stream: bool) -> bool:
    """
    Say whether nobody waits for each piece of a reply's body.

    :param kind: its type.
    :param profile: ``proxy.profile``.
    :param stream: whether the client asked for a stream.
    """
    gathered: bool | None = head.made.get(GATHERED)
    if gathered is None:
        gathered = head.made[GATHERED] = not flushes(profile, kind, stream=False)
    return gathered and not flushes(profile, kind, stream)


@define(eq=False)
class Gathering(Holding):
    """Passes on the first piece at once, and later ones when there are 4 KiB of them or no more come."""

    _held: list[bytes] = field(init=False, factory=list)
    _size: int = field(init=False, default=ENOUGH)

    def write(self, data: bytes) -> None:
        """Send a piece of the body, now or later."""
        self._held.append(data)
        self._size += len(data)
        if self._size >= ENOUGH:
            self._exchange.write(self.rest())

    def write_last(self, data: bytes) -> None:
        """Send the last piece, and what waits."""
        self._held.append(data)
        self._exchange.write_last(self.rest())

    def rest(self) -> bytes:
        """Give what waits."""
        rest = self._held[0] if len(self._held) == 1 else b"".join(self._held)
        self._held.clear()
        self._size = 0
        return rest
