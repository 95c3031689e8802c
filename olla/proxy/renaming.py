"""Gives an answer to a client that asked for its model under an alias (``aliases.rewrite_response``)."""

from __future__ import annotations

from attrs import define

from olla.dialect.naming_back import NamingBack
from olla.domain.message import Request
from olla.domain.requirements import Requirements
from olla.proxy.holding import Holding

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


@define(eq=False)
class Renaming(Holding):
    """Gives the model in the body the name that the client knows."""

    _names: NamingBack

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

    def rest(self) -> bytes:
        """Give what is left."""
        return self._names.finish()
