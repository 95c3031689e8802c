"""Who a request is from, what it is called, and whether it is let in."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import define

from olla.dialect.identity import Identities
from olla.domain.message import Request
from olla.errors import Draining, RateLimited
from olla.events import Event, Limited
from olla.interfaces import IVerdict
from olla.pending import Pending

PROXY = "proxy"
HEALTH = "health"

Limits = Sequence[tuple[bytes, bytes]]
"""Header fields in which limiters tell of themselves."""


@define
class Admission:
    """
    The first step of each journey, and of each page of ours.

    :ivar identities: names requests.
    :ivar address: gives the client's address behind trusted proxies.
    :ivar gate: asks the limiters in their order; ``(client, kind, now)``.
    :ivar tell: told of each refusal.
    :ivar draining: whether the process is stopping.
    :ivar closed: whether it has come so far with that that nothing new is begun.
    """

    identities: Identities
    address: Callable[[str, Request], str]
    gate: Callable[[str, str, float], IVerdict]
    tell: Callable[[Event], None]
    draining: bool = False
    closed: bool = False

    def identify(self, request: Request) -> None:
        """Give ``request`` its id and its client's address (http-api.md §3, §9.5)."""
        request.id, request.id_given = self.identities.identify(request.get(b"x-request-id"))
        request.client = self.address(request.peer, request)

    def admit_unread(self, request: Request, kind: str, now: float) -> Pending[Limits] | None:
        """
        Let in a request before its body is read (http-api.md §1.2); :meth:`admit` asks nobody again.

        :return: what to wait for when another process has the limiters and has yet to answer; once :meth:`admit` is
            called, its caller alone hears.
        :raise Refusal: as :meth:`admit`.
        """
        request.client = self.address(request.peer, request)
        limits = self.admit(request, kind, now)
        if not isinstance(limits, Pending):
            return None
        if not limits.done:
            return limits
        limits.result()
        return None

    def admit(self, request: Request, kind: str, now: float) -> Limits | Pending[Limits]:
        """
        Let ``request`` in.

        :param kind: ``proxy`` or ``health``.
        :return: header fields for its response; to be waited for when another process has the limiters, and then
            it fails with the same refusals.
        :raise RateLimited: with when to return; its fields are in :attr:`RateLimited.fields`.
        :raise Draining: when nothing new is begun any more.
        """
        if self.closed and kind == PROXY:
            raise Draining("The proxy is stopping")
        if request.admitted is not None:
            return request.admitted
        verdict = self.gate(request.client, kind, now)
        if not verdict.allowed:
            raise self.refusal(request, kind, verdict)
        request.admitted = verdict.fields
        return request.admitted

    def refusal(self, request: Request, kind: str, verdict: IVerdict) -> RateLimited:
        """Tell that a limiter refuses ``request``, and give what the client is told."""
        self.tell(Limited(request.client, kind, verdict.retry_after))
        return RateLimited(wait=verdict.retry_after, fields=tuple(verdict.fields))
