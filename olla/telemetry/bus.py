"""Tells events to those who listen."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, TypeVar

from attrs import define, field
from twisted.logger import Logger

from olla.events import Event

E = TypeVar("E", bound=Event)

MANY = 16
ENOUGH = 1024 * 1024


@define(eq=False)
class Bus:
    """
    Hands each event to the listeners for its type, in the order in which they came.

    That a request is over may be told later: counting it and writing of it cost as much as half of its way, and less
    for many at once.  Who shows what listeners have counted calls :meth:`settle` before.
    """

    _listeners: dict[type[Event], list[Callable[[Event], None]]] = field(init=False, factory=dict)
    _later: list[Callable[[], Event]] = field(init=False, factory=list)
    _size: int = field(init=False, default=0)
    _log: ClassVar[Logger] = Logger()

    def listen(self, kind: type[E], listener: Callable[[E], None]) -> None:
        """
        Call ``listener`` with each event of exactly that type, from now on.

        :param listener: what it raises is logged, and keeps nothing else from happening.
        """
        self._listeners.setdefault(kind, []).append(listener)  # type: ignore[arg-type]  # only told its kind

    def tell(self, event: Event) -> None:
        """Hand ``event`` to its listeners, after all that came before it; this never raises."""
        if self._later:
            self.settle()
        self._hand(event)

    def tell_later(self, make: Callable[[], Event], size: int) -> None:
        """
        Tell what ``make`` gives once :meth:`settle` is called, or many wait.

        :param size: bytes that ``make`` holds on to.
        """
        self._later.append(make)
        self._size += size
        if len(self._later) >= MANY or self._size >= ENOUGH:
            self.settle()

    def settle(self) -> None:
        """Tell what waits; to be called a few times a second."""
        later, self._later, self._size = self._later, [], 0
        for make in later:
            try:
                event = make()
            except Exception:  # as with a listener
                self._log.failure("An event could not be made")
            else:
                self._hand(event)

    def _hand(self, event: Event) -> None:
        for listener in self._listeners.get(type(event), ()):
            try:
                listener(event)
            except Exception:  # a listener may fail in any way; the journey must not
                self._log.failure("A listener failed on {kind}", kind=type(event).__name__)
