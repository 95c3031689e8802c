"""What is noted about one request while it travels, told as one event at its end."""

from __future__ import annotations

from olla.domain.endpoint import Endpoint
from olla.domain.message import Request
from olla.domain.routing import Decision
from olla.domain.usage import Usage
from olla.events import Finished
from olla.interfaces import IReply


class Story:
    """
    The notes of one request; the fields are those of :class:`olla.events.Finished`.

    :ivar reply: the reply that was relayed, whose counts are final only at the end.
    """

    __slots__ = (
        "attempts",
        "bytes_out",
        "code",
        "decision",
        "endpoint",
        "error",
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
        "usage",
    )

    def __init__(self, request: Request, surface: str) -> None:
        self.request = request
        self.surface = surface
        self.outcome = "cancelled"
        self.status = 499
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
        self.usage: Usage | None = None
        self.session = ""
        self.sticky = ""
        self.reply: IReply | None = None

    def finished(self, now: float) -> Finished:
        """Make the event that ends it."""
        request, reply = self.request, self.reply
        path, _, query = request.target.partition(b"?")
        get, started = request.get, request.received
        first_at = reply.first_at if reply is not None else 0.0
        return Finished(
            request.id,
            self.outcome,
            self.surface,
            request.method.decode("latin-1"),
            path.decode("latin-1"),
            query.decode("latin-1"),
            self.status,
            request.peer,
            request.client,
            started,
            now - started,
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
            reply.copied if reply is not None else self.bytes_out,
            self.attempts,
            self.usage,
            (get(b"user-agent") or b"").decode("latin-1"),
            (get(b"referer") or b"").decode("latin-1"),
            (get(b"content-type") or b"").decode("latin-1"),
            (get(b"accept") or b"").decode("latin-1"),
            self.session,
            self.sticky,
        )
