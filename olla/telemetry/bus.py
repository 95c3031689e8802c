"""Tells events to those who listen."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, TypeVar

from attrs import define, field
from twisted.logger import Logger

from olla.events import Event

E = TypeVar("E", bound=Event)


@define(eq=False)
class Bus:
    """Hands each event to the listeners for its type, in the order in which they came."""

    _listeners: dict[type[Event], list[Callable[[Event], None]]] = field(init=False, factory=dict)
    _log: ClassVar[Logger] = Logger()

    def listen(self, kind: type[E], listener: Callable[[E], None]) -> None:
        """
        Call ``listener`` with each event of exactly that type, from now on.

        :param listener: what it raises is logged, and keeps nothing else from happening.
        """
        self._listeners.setdefault(kind, []).append(listener)  # type: ignore[arg-type]  # only told its kind

    def tell(self, event: Event) -> None:
        """Hand ``event`` to its listeners; this never raises."""
        for listener in self._listeners.get(type(event), ()):
            try:
                listener(event)
            except Exception:  # a listener may fail in any way; the journey must not
                self._log.failure("A listener failed on {kind}", kind=type(event).__name__)
