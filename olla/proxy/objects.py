"""Sends who asks for an object to the endpoint that made it (openai-surface.md §5)."""

from __future__ import annotations

from collections.abc import Callable

from attrs import Factory, define, evolve, field
from cachetools import TTLCache

from olla.balance.eligible import Plan
from olla.balance.member import Member
from olla.domain.requirements import Requirements
from olla.errors import NoEndpoints, ObjectNotFound
from olla.pending import Pending

MOST = 100_000
LIFETIME = 86400.0
ENOUGH = 65536

Keep = Callable[[bytes], object]


@define(eq=False)
class Objects:
    """
    Remembers for a day where each of the last hundred thousand objects was made.

    :ivar find: gives an endpoint by its name; ``None`` when it is configured no more.
    """

    find: Callable[[str], Member | None]
    _clock: Callable[[], float]  # seconds that never go back
    _places: TTLCache[str, str] = field(
        init=False, default=Factory(lambda self: TTLCache(MOST, LIFETIME, timer=self._clock), takes_self=True)
    )

    def narrow(self, plan: Plan, wanted: Requirements) -> Plan | Pending[Plan]:
        """
        Leave of a plan the endpoint that has what is asked for; all of it when nobody knows who has it.

        :return: to be waited for when another process may know.
        :raise ObjectNotFound: when that endpoint is configured no more: no other has it.
        :raise NoEndpoints: when it cannot be asked now.
        """
        return self.narrowed(plan, wanted.object)

    def narrowed(self, plan: Plan, object: str) -> Plan:
        """Leave of a plan the endpoint of which it is known here that it has ``object``; see :meth:`narrow`."""
        name = self._places.get(object)
        if name is None:
            return plan
        member = self.find(name)
        if member is None:
            raise ObjectNotFound(f"No endpoint has {object} any more")
        if member not in plan.candidates:
            raise NoEndpoints(f"The endpoint that has {object} is not available")
        return evolve(plan, candidates=(member,))

    def place(self, name: str, endpoint: str) -> None:
        """Take note of the endpoint that has the object ``name``."""
        self._places[name] = endpoint

    def place_of(self, name: str) -> str | None:
        """Name the endpoint that has the object ``name``; ``None`` when that is not known."""
        return self._places.get(name)


@define(eq=False)
class Learning:
    """
    Waits for an object's id in the beginning of an answer, so that it is known while the answer still comes.

    :ivar read: finds it in what has come so far; ``""`` when it is not there yet.
    :ivar learned: told the id; nobody is when 64 KiB have come without one.
    """

    read: Callable[[bytes], str]
    learned: Callable[[str], None]
    _seen: bytes | None = field(init=False, default=b"")

    def beside(self, keep: Keep | None) -> Keep:
        """Give what takes each piece of the body, and hands it on to ``keep``."""

        def both(piece: bytes) -> None:
            if self._seen is not None:
                self._look(self._seen + piece[:ENOUGH])
            if keep is not None:
                keep(piece)

        return both

    def _look(self, seen: bytes) -> None:
        name = self.read(seen)
        if name:
            self.learned(name)
        self._seen = None if name or len(seen) >= ENOUGH else seen
