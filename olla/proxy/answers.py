"""The header fields that we add to answers, and the answers that are ours alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import define, field

from olla.dialect.envelope import error_body, error_fields
from olla.dialect.fields import spent, told
from olla.domain.message import Fields, Head, Request
from olla.errors import RateLimited, Refusal
from olla.interfaces import IExchange
from olla.proxy.adapt import Adapter
from olla.proxy.cors import Cors
from olla.proxy.story import Story

REASONS = {
    200: b"OK",
    204: b"No Content",
    304: b"Not Modified",
    400: b"Bad Request",
    403: b"Forbidden",
    404: b"Not Found",
    405: b"Method Not Allowed",
    408: b"Request Timeout",
    413: b"Content Too Large",
    429: b"Too Many Requests",
    431: b"Request Header Fields Too Large",
    500: b"Internal Server Error",
    501: b"Not Implemented",
    502: b"Bad Gateway",
    503: b"Service Unavailable",
}


@define
class Answers:
    """
    Makes heads (http-api.md §4).

    :ivar version: ours, as in ``Via``.
    :ivar cors: who may read the answers.
    :ivar adapter: knows what belongs to each endpoint.
    :ivar clock: seconds, never going back.
    """

    version: str
    cors: Cors
    adapter: Adapter
    clock: Callable[[], float]
    _served_by: tuple[bytes, bytes] = field(init=False)
    _via: tuple[bytes, bytes] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._served_by = (b"X-Served-By", f"Olla/{self.version}".encode())
        self._via = (b"Via", f"1.1 olla/{self.version}".encode())

    def common(self, request: Request) -> Fields:
        """Give the fields of every answer: the id, and what browsers need."""
        return [*self._identity(request), *self.cors.block(request).fields]

    def relayed(self, head: Head, story: Story, limits: Sequence[tuple[bytes, bytes]], now: float) -> Head:
        """Make the head of a backend's answer as the client gets it."""
        request = story.request
        assert story.endpoint is not None
        shaping = self.adapter.of(story.endpoint)
        blocks = (
            shaping.to_client(head, self.cors.enabled, request.id_given),
            self.cors.block(request),
            told(story.decision, story.model),
        )
        fields = self._identity(request)
        fields += spent(now - request.received, story.attempts)
        fields += limits
        return Head(head.status, head.reason, fields, head.length, blocks)

    def local(self, request: Request, now: float) -> Fields:
        """Give the fields of a page of ours under ``/olla/``."""
        return [(b"X-Olla-Response-Time", b"%dms" % ((now - request.received) * 1000.0)), self._served_by]

    def refuse(
        self, exchange: IExchange, refusal: Refusal, story: Story, more: Sequence[tuple[bytes, bytes]] = ()
    ) -> None:
        """
        Answer with an error of ours (http-api.md §8).

        :param more: fields beside those of every such answer.
        """
        fields, body = self.refusal(refusal, story, exchange.surface)
        self.send(exchange, refusal.status, [*fields, *more], body)

    def refusal(self, refusal: Refusal, story: Story, surface: str) -> tuple[Fields, bytes]:
        """Make the fields and the body of an error of ours, and note in ``story`` what it is."""
        request, now = story.request, self.clock()
        body = error_body(refusal, request.id, surface)
        fields = [*error_fields(refusal), *self.common(request)]
        if surface in ("proxy", "anthropic"):
            if story.endpoint is not None:
                fields += self.adapter.of(story.endpoint).about()
            else:
                fields += [self._via, self._served_by]
            fields += told(story.decision, story.model).fields
            fields += spent(now - request.received, story.attempts)
        elif surface == "models":
            fields += self.local(request, now)
        fields += refusal.fields if isinstance(refusal, RateLimited) else request.admitted or ()
        story.status, story.code, story.error = refusal.status, refusal.code, refusal.message
        story.bytes_out = 0 if request.method == b"HEAD" else len(body)
        return fields, body

    def _identity(self, request: Request) -> Fields:
        identity = request.id.encode()
        if request.id_given:
            return [(b"X-Olla-Request-ID", identity), (b"X-Request-ID", identity)]
        return [(b"X-Olla-Request-ID", identity)]

    def send(self, exchange: IExchange, status: int, fields: Fields, body: bytes) -> None:
        """Answer with ``body``; a ``HEAD`` request gets the fields alone."""
        length = None if status == 304 else len(body)  # a length in a 304 is that of the 200 (RFC 9110, 8.6)
        exchange.respond(Head(status, REASONS.get(status, b"Unknown"), fields, length))
        if exchange.request.method != b"HEAD" and body:
            exchange.write(body)
        exchange.finish()
