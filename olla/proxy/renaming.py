"""Gives an answer to a client that asked for its model under an alias (``aliases.rewrite_response``)."""

from __future__ import annotations

from attrs import define
from zope.interface import implementer

from olla.dialect.naming_back import NamingBack
from olla.domain.message import Head, Request
from olla.domain.requirements import Requirements
from olla.interfaces import IExchange, IPaced

STREAMS = (b"text/event-stream", b"application/x-ndjson")


def naming_back(
    request: Request, described: tuple[bytes | None, bytes | None], model: str, wanted: Requirements
) -> NamingBack | None:
    """
    Give what names the model in an answer as the client did; ``None`` where that is so already, or cannot be.

    :param described: type and encoding of the answer's body.
    :param model: name that the backend was sent.
    """
    kind, packed = described
    if model == wanted.model or kind is None or packed is not None or request.method == b"HEAD":
        return None
    lines = kind.lower().startswith(STREAMS)
    return NamingBack(model, wanted.model, lines=lines) if lines or b"json" in kind.lower() else None


@implementer(IExchange)
@define(eq=False)
class Renaming:
    """An exchange in whose body the model has the name that the client knows."""

    _exchange: IExchange
    _names: NamingBack

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
        """Send what is whole of a piece and those before it."""
        renamed = self._names.feed(data)
        if renamed:
            self._exchange.write(renamed)
        else:
            self._exchange.flush()  # the head need not wait

    def write_last(self, data: bytes) -> None:
        """Send the last piece and all that is left."""
        self._exchange.write_last(self._names.feed(data) + self._names.finish())

    def flush(self) -> None:
        """See :class:`IExchange`."""
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
        left = self._names.finish()
        if left:
            self._exchange.write(left)
