"""Keeps a conversation at one endpoint, and says so in the response (http-api.md §7.5)."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define

from olla.balance.affinity import Affinity, Stay
from olla.balance.member import Member
from olla.dialect.conversation import beginning, opening
from olla.domain.message import Fields, Request
from olla.domain.requirements import Requirements
from olla.pending import Pending

HEADER = "session_header"


@define(eq=False)
class Sessions:
    """
    Finds the key of a request, and pins it to who answers.

    :ivar affinity: remembers the pins.
    """

    affinity: Affinity

    def recall(
        self, request: Request, wanted: Requirements, candidates: Sequence[Member], now: float
    ) -> Stay | Pending[Stay]:
        """
        Look up where a request belongs.

        :param candidates: members that can serve it.
        :return: what is known; to be waited for when another process remembers it.
        """

        def material(source: str) -> bytes | None:
            if source == HEADER:
                return wanted.session.encode()
            if source == "prefix_hash":
                return beginning(request.body)
            if source == "conversation":
                return opening(request.body)
            if source == "auth_header":
                return request.get(b"authorization")
            return request.client.encode()

        return self.affinity.recall(self.affinity.key(material, wanted.model), candidates, now)

    def settle(self, stay: Stay, member: Member, wanted: Requirements, now: float) -> tuple[str, Fields]:
        """
        Pin the session to ``member``, which has answered.

        :return: the outcome, and the fields that tell the client.
        """
        outcome = self.affinity.settle(stay, member, now)
        return outcome, told(stay, outcome, wanted.session)


def told(stay: Stay, outcome: str, session: str) -> Fields:
    """
    Make the fields that tell a client of its session (http-api.md §4.2).

    :param session: what the client calls it; ``""`` without.
    """
    fields: Fields = [(b"X-Olla-Sticky-Session", outcome.encode())]
    if stay.source:
        fields.append((b"X-Olla-Sticky-Key-Source", stay.source.encode()))
    if stay.source == HEADER:
        fields.append((b"X-Olla-Session-ID", session.encode("latin-1")))
    return fields
