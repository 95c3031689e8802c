"""Answers what is refused before it has been read: whole requests, and whole connections (http-api.md §1.2, §9)."""

from __future__ import annotations

from collections.abc import Callable, Container

from attrs import define
from twisted.logger import Logger

from olla.dialect.envelope import error_body, error_fields
from olla.dialect.target import Target, read_target
from olla.domain.message import Fields, Head, Request
from olla.errors import (
    BadRequest,
    InternalError,
    NotSupported,
    Refusal,
    RequestTooLarge,
    RouteNotFound,
    TooManyClients,
)
from olla.events import Event, SizeRefused
from olla.pending import Pending
from olla.proxy.admission import HEALTH, PROXY, Admission, Limits
from olla.proxy.answers import REASONS, Answers
from olla.proxy.routes import READING, Routes
from olla.proxy.story import Story
from olla.web.app import MODELS, READ, no_route, surface_of, wrong_method
from olla.wire.compose import reply_head


@define(eq=False)
class Unread:
    """
    Judges requests by their heads.

    :ivar pages: paths of ours that can only be read.
    :ivar tell: told what was refused.
    :ivar clock: seconds, never going back.
    """

    admission: Admission
    answers: Answers
    routes: Routes
    pages: Container[str]
    tell: Callable[[Event], None]
    clock: Callable[[], float]
    _log = Logger()

    def admit(self, request: Request) -> Pending[Limits] | None:
        """
        Judge a request whose body has yet to come by path and method, and ask the limiters.

        :return: what to wait for when another process has them; the body may come meanwhile.
        :raise Refusal: when it may not come in; nobody needs to read the body.
        """
        if self.routes.is_proxied(request.method, request.target):
            if self.answers.cors.is_preflight(request):
                return None
            return self.admission.admit_unread(request, PROXY, self.clock())
        if request.method == b"OPTIONS":
            return None
        target = read_target(request.target)
        path = target.path if target is not None else ""
        misplaced = self._misplaced(request, target)
        if misplaced is not None and not isinstance(misplaced, NotSupported):
            raise misplaced
        asked = self.admission.admit_unread(request, HEALTH if path in self.pages else PROXY, self.clock())
        if misplaced is not None and asked is None:
            raise misplaced
        return asked

    def refuse(self, refusal: Refusal, request: Request) -> bytes:
        """Make the whole answer to a request that is refused before it has been read."""
        self.admission.identify(request)
        target = read_target(request.target)
        path = target.path if target is not None else ""
        if isinstance(refusal, RequestTooLarge):
            refusal = self._misplaced(request, target) or refusal
        story = Story(request, surface_of(path))
        story.outcome = "rejected"
        if refusal.status in (413, 431):
            self.tell(SizeRefused(request.client, refusal.status))
        fields, body = self.answers.refusal(refusal, story, story.surface)
        if isinstance(refusal, InternalError):
            self._log.error("A body could not be kept", request_id=request.id, error=str(refusal.__cause__))
        self.tell(story.finished(self.clock()))
        return _answer(refusal, fields, b"" if request.method == b"HEAD" else body, len(body))

    def turn_away(self) -> bytes:
        """Make the whole answer to a client that comes when as many are connected as may be."""
        refusal, request = TooManyClients(), Request(b"", b"", [], received=self.clock())
        self.admission.identify(request)
        body = error_body(refusal, request.id, "proxy")
        return _answer(refusal, [*error_fields(refusal), *self.answers.common(request)], body, len(body))

    def _misplaced(self, request: Request, target: Target | None) -> Refusal | None:
        """Give what is to be said of path and method before anything is said of size."""
        if target is None:
            return BadRequest("Malformed request")
        path = target.path
        if path in self.pages or path == MODELS or path.startswith(f"{MODELS}/"):
            return None if request.method in READING else wrong_method(request, READ)
        if not path.startswith("/olla/"):
            return no_route(request)
        try:
            return self.routes.unsupported(request.method, self.routes.find(request.target))
        except RouteNotFound:
            return no_route(request)
        except Refusal as refusal:
            return refusal


def _answer(refusal: Refusal, fields: Fields, body: bytes, size: int) -> bytes:
    head = Head(refusal.status, REASONS.get(refusal.status, b"Bad Request"), fields, size)
    return reply_head(head, bodiless=not body, persistent=False) + body
