"""Writes small pieces of a body together, where nobody waits for each of them (http-api.md §6.1)."""

from __future__ import annotations

from attrs import define, field
from zope.interface import implementer

from olla.dialect.flush import flushes
from olla.domain.message import Head, Request
from olla.interfaces import IExchange, IPaced

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


@implementer(IExchange)
@define(eq=False)
class Gathering:
    """
    An exchange that passes on the first piece at once, and later ones when there are 4 KiB of them or no more come.
    """

    _exchange: IExchange
    _held: list[bytes] = field(init=False, factory=list)
    _size: int = field(init=False, default=ENOUGH)

    @property
    def request(self) -> Request:
        """See :class:`IExchange`."""
        return self._exchange.request

    @property
    def surface(self) -> str:
        """See :class:`IExchange`."""
        return self._exchange.surface

    @property
    def responded(self) -> bool:
        """See :class:`IExchange`."""
        return self._exchange.responded

    def respond(self, head: Head) -> None:
        """See :class:`IExchange`."""
        self._exchange.respond(head)

    def write(self, data: bytes) -> None:
        """Send a piece of the body, now or later."""
        self._held.append(data)
        self._size += len(data)
        if self._size >= ENOUGH:
            self._exchange.write(self._taken())

    def write_last(self, data: bytes) -> None:
        """Send the last piece, and what waits."""
        self._held.append(data)
        self._exchange.write_last(self._taken())

    def flush(self) -> None:
        """Send the head if it waits; the body may wait on."""
        self._exchange.flush()

    def finish(self) -> None:
        """The body is whole."""
        self._release()
        self._exchange.finish()

    def abort(self) -> None:
        """The body will never be whole; what has come of it is sent."""
        self._release()
        self._exchange.abort()

    def pace(self, source: IPaced | None) -> None:
        """See :class:`IExchange`."""
        self._exchange.pace(source)

    def _release(self) -> None:
        if self._held:
            self._exchange.write(self._taken())

    def _taken(self) -> bytes:
        taken = b"".join(self._held) if len(self._held) > 1 else self._held[0]
        self._held.clear()
        self._size = 0
        return taken
