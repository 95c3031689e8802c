"""What is noted about one request while it travels, told as one event at its end."""

from __future__ import annotations

from collections.abc import Callable

from olla.domain.endpoint import Endpoint
from olla.domain.message import Request
from olla.domain.routing import Decision
from olla.domain.usage import Usage
from olla.events import Finished
from olla.interfaces import IReply

ASKED = "asked"
LEFT = 499
"""What stands for the status of an answer that the client did not wait for."""

SHOWN = (b"user-agent", b"referer", b"content-type", b"accept")


class Story:
    """
    The notes of one request; the fields are those of :class:`olla.events.Finished`.

    :ivar reply: the reply that is relayed; ``None`` once its counts are final, and taken over.
    :ivar ended: seconds on the reactor's clock when it was over.
    :ivar cost: reads what the backend said it cost; ``None`` when there is nothing to read.
    """

    __slots__ = (
        "attempts",
        "bytes_out",
        "code",
        "cost",
        "decision",
        "ended",
        "endpoint",
        "error",
        "first_at",
        "head_at",
        "model",
        "outcome",
        "queued",
        "reply",
        "request",
        "session",
        "status",
        "sticky",
        "stream",
        "surface",
    )

    def __init__(self, request: Request, surface: str) -> None:
        self.request = request
        self.surface = surface
        self.outcome = "cancelled"
        self.status = LEFT
        self.endpoint: Endpoint | None = None
        self.model = ""
        self.stream = False
        self.decision: Decision | None = None
        self.code = ""
        self.error = ""
        self.head_at = 0.0
        self.queued = 0.0
        self.attempts = 0
        self.bytes_out = 0
        self.first_at = 0.0
        self.ended = 0.0
        self.cost: Callable[[], Usage | None] | None = None
        self.session = ""
        self.sticky = ""
        self.reply: IReply | None = None

    def end(self, now: float) -> None:
        """Note that it is over, and let go of all that is large: it may be told a little later."""
        self.ended = now
        self.request.commit()
        reply, self.reply = self.reply, None
        if reply is not None:
            self.first_at, self.bytes_out = reply.first_at, reply.copied

    def finished(self, now: float) -> Finished:
        """End it, and make the event that tells so."""
        self.end(now)
        return self.event()

    def event(self) -> Finished:
        """Make the event that tells of its end."""
        request, started = self.request, self.request.received
        asked = request.made.get(ASKED)
        if asked is None:
            asked = request.made[ASKED] = _asked(request)
        method, path, query, user_agent, referer, content_type, accept = asked
        first_at = self.first_at
        return Finished(
            request.id,
            self.outcome,
            self.surface,
            method,
            path,
            query,
            self.status,
            request.peer,
            request.client,
            started,
            self.ended - started,
            self.endpoint,
            self.model,
            self.stream,
            self.decision,
            self.code,
            self.error,
            self.head_at - started if self.head_at else 0.0,
            first_at - started if first_at else 0.0,
            self.queued,
            request.size,
            self.bytes_out,
            self.attempts,
            self.cost() if self.cost is not None else None,
            user_agent,
            referer,
            content_type,
            accept,
            self.session,
            self.sticky,
        )


def _asked(request: Request) -> tuple[str, ...]:
    """Give method, path, query and the fields that are shown, as text."""
    path, _, query = request.target.partition(b"?")
    values = (request.method, path, query, *(request.get(name) or b"" for name in SHOWN))
    return tuple(value.decode("latin-1") for value in values)
