"""An exchange before another one, where some of a body waits for more."""

from __future__ import annotations

from abc import ABC, abstractmethod

from attrs import define
from zope.interface import implementer

from olla.domain.message import Head, Request
from olla.interfaces import IExchange, IPaced


@implementer(IExchange)
@define(eq=False)
class Holding(ABC):
    """Passes everything on to an exchange, the body as subclasses want it, and at the end whatever they still hold."""

    _exchange: IExchange

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

    @abstractmethod
    def write(self, data: bytes) -> None:
        """Send a piece of the body, now or later."""

    @abstractmethod
    def write_last(self, data: bytes) -> None:
        """Send the last piece of the body, and all that is held."""

    @abstractmethod
    def rest(self) -> bytes:
        """Give what is held, and hold it no longer."""

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
        left = self.rest()
        if left:
            self._exchange.write(left)
