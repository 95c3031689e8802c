"""What all Ollama endpoints have in memory, told as one of them would: ``/olla/ollama/api/ps`` (http-api.md §2.4)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import msgspec
from attrs import define
from twisted.internet.defer import CancelledError, Deferred, gatherResults

from olla.balance.member import Member
from olla.web.page import NO_STORE, Page, json_page

Query = Mapping[bytes, Sequence[bytes]]

OLLAMA = "ollama"
decode = msgspec.json.Decoder(dict[str, Any]).decode


@define(eq=False)
class RunningPage:
    """
    Asks every Ollama endpoint that can be asked, all at once.

    :ivar members: gives the endpoints and their states.
    :ivar ask: gives the body of an endpoint's own page, ``b""`` when it does not answer well and in time.
    """

    members: Callable[[], Iterable[Member]]
    ask: Callable[[Member], Awaitable[bytes]]

    def page(self, query: Query) -> Deferred[Page]:
        """Make it; an endpoint that does not answer is left out."""
        asked = [member for member in self.members() if member.profile == OLLAMA and member.status.routable]
        answers = gatherResults([Deferred.fromCoroutine(self._models(member)) for member in asked])
        return answers.addCallback(lambda found: json_page({"models": [*chain.from_iterable(found)]}, NO_STORE))

    async def _models(self, member: Member) -> list[dict[str, Any]]:
        try:
            models = decode(await self.ask(member)).get("models")
        except (msgspec.DecodeError, RecursionError, CancelledError):  # cancelled: the client has left meanwhile
            return []
        return [
            {**model, "olla_endpoint": member.name}
            for model in (models if isinstance(models, list) else ())
            if isinstance(model, dict)
        ]
