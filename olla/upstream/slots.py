"""Asks servers that say so how many requests they work on at once (profiles.md §8.5)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import define

from olla.balance.member import Member
from olla.upstream.ask import Asker, Unanswered

PURPOSE = "Discovery"
LIMIT = 1 << 20
SECONDS = 2.0
MOST = 4096
SLOTS: Final[Mapping[str, tuple[str, str]]] = {"llamacpp": ("/props", "total_slots")}
"""By kind: the path to ask, and the key of the answer."""


@define(eq=False)
class SlotReader:
    """
    Asks an endpoint for its slots.

    :ivar found: told how many an endpoint has; not called where it does not say.
    """

    _asker: Asker
    found: Callable[[Member, int], None]

    async def read(self, member: Member) -> None:
        """Ask ``member``, if its kind has an answer to that; silence and nonsense change nothing."""
        if member.profile not in SLOTS:
            return
        endpoint, (path, key) = member.endpoint, SLOTS[member.profile]
        try:
            answer = await self._asker.ask(endpoint, endpoint.url + path, PURPOSE, LIMIT, SECONDS)
            said: Any = json.loads(answer.body) if answer.status == 200 else None
        except (Unanswered, ValueError, RecursionError):
            return
        slots = said.get(key) if isinstance(said, dict) else None
        if type(slots) is int and 0 < slots <= MOST:
            self.found(member, slots)
