"""Tests of :mod:`olla.proxy.answers`."""

from __future__ import annotations

import json
from collections.abc import Iterable

from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from olla.domain.endpoint import Endpoint
from olla.domain.message import Head, Request
from olla.domain.routing import ROUTED, Decision
from olla.errors import InternalError, MethodNotAllowed, RateLimited, Refusal
from olla.interfaces import IExchange
from olla.proxy.adapt import Adapter
from olla.proxy.answers import Answers
from olla.proxy.cors import Cors
from olla.proxy.story import Story

CORS = Cors(True, ["*"], ["GET"], ["*"], [], False, 300, True)


@implementer(IExchange)
class Exchange:
    """Notes what a client gets."""

    responded = False

    def __init__(self, method: bytes = b"POST", surface: str = "proxy") -> None:
        self.request = Request(method, b"/olla/x", [], received=10.0, id="id-1", client="192.0.2.1")
        self.surface = surface
        self.said: list[object] = []
        self.head = Head(0, b"", [])

    def respond(self, head: Head) -> None:
        """Note the head."""
        self.head = head

    def write(self, data: bytes) -> None:
        """Note a piece."""
        self.said.append(data)

    write_last = write

    def flush(self) -> None:
        """Nothing waits."""

    def finish(self) -> None:
        """Note the end."""
        self.said.append("end")

    def abort(self) -> None:
        """Note the break."""
        self.said.append("abort")

    def pace(self, source: object) -> None:
        """Nothing to pace."""


def named(fields: Iterable[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    """Give all values of a field."""
    return [value for key, value in fields if key.lower() == name.lower()]


class AnswersTests(SynchronousTestCase):
    """Heads of answers."""

    def setUp(self) -> None:
        adapter = Adapter({}, lambda peer: False, "1.2.3", {})
        self.answers = Answers("1.2.3", CORS, adapter, lambda: 10.25)

    def refuse(self, exchange: Exchange, refusal: Refusal, endpoint: Endpoint | None = None) -> Story:
        """Answer with a refusal, and give the notes of it."""
        story = Story(exchange.request, exchange.surface)
        story.endpoint = endpoint
        self.answers.refuse(exchange, refusal, story)
        return story

    def test_common(self) -> None:
        """Every answer has the id; under its own name too when the client chose it (http-api.md §4.1)."""
        request = Request(b"GET", b"/", [], id="id-1")
        self.assertEqual(named(self.answers.common(request), b"X-Olla-Request-ID"), [b"id-1"])
        self.assertEqual(named(self.answers.common(request), b"X-Request-ID"), [])
        request.id_given = True
        self.assertEqual(named(self.answers.common(request), b"X-Request-ID"), [b"id-1"])

    def test_relayed(self) -> None:
        """A backend's answer keeps status, reason, length and fields, and gets ours (http-api.md §4.2)."""
        exchange = Exchange()
        story = Story(exchange.request, "proxy")
        story.endpoint = Endpoint("gpu-1", "http", "h", 80, type="vllm", profile="vllm")
        story.model, story.attempts = "m", 2
        story.decision = Decision("strict", ROUTED, "model_found")
        head = Head(418, b"Teapot", [(b"X-Own", b"1")], 7)
        made = self.answers.relayed(head, story, [(b"X-RateLimit-Limit", b"5")], 10.5)
        self.assertEqual((made.status, made.reason, made.length), (418, b"Teapot", 7))
        fields = [*(pair for block in made.blocks for pair in block.fields), *made.fields]
        for name, value in (
            (b"X-Own", b"1"),
            (b"X-Olla-Endpoint", b"gpu-1"),
            (b"X-Olla-Backend-Type", b"vllm"),
            (b"X-Olla-Model", b"m"),
            (b"X-Olla-Attempts", b"2"),
            (b"X-Olla-Routing-Decision", b"routed"),
            (b"X-Olla-Response-Time", b"500ms"),
            (b"X-Served-By", b"Olla/1.2.3"),
            (b"X-RateLimit-Limit", b"5"),
            (b"Access-Control-Allow-Origin", b"*"),
        ):
            self.assertEqual(named(fields, name), [value], name)

    def test_refused(self) -> None:
        """An error of ours has its status, envelope and fields, and is noted (http-api.md §4.3, §8.1)."""
        exchange = Exchange()
        story = self.refuse(exchange, RateLimited(wait=3, fields=((b"X-RateLimit-Remaining", b"0"),)))
        body, end = exchange.said
        assert isinstance(body, bytes)
        self.assertEqual((exchange.head.status, exchange.head.reason), (429, b"Too Many Requests"))
        self.assertEqual((exchange.head.length, end), (len(body), "end"))
        self.assertEqual(json.loads(body)["error"]["request_id"], "id-1")
        for name, value in (
            (b"Retry-After", b"3"),
            (b"X-RateLimit-Remaining", b"0"),
            (b"X-Olla-Request-ID", b"id-1"),
            (b"X-Served-By", b"Olla/1.2.3"),
            (b"X-Olla-Response-Time", b"250ms"),
            (b"Content-Type", b"application/json"),
        ):
            self.assertEqual(named(exchange.head.fields, name), [value], name)
        self.assertEqual((story.status, story.code, story.bytes_out), (429, "RATE_LIMIT_EXCEEDED", len(body)))

    def test_tried(self) -> None:
        """An error after an attempt says at whom it was (http-api.md §4.3)."""
        exchange = Exchange()
        self.refuse(exchange, InternalError(), Endpoint("gpu-1", "http", "h", 80))
        self.assertEqual(named(exchange.head.fields, b"X-Olla-Endpoint"), [b"gpu-1"])
        self.assertEqual(len(named(exchange.head.fields, b"X-Served-By")), 1)

    def test_page(self) -> None:
        """An error on a page of ours tells nothing of backends (http-api.md §11.1)."""
        exchange = Exchange(surface="internal")
        self.refuse(exchange, MethodNotAllowed("no"))
        self.assertEqual(named(exchange.head.fields, b"Allow"), [b"GET, HEAD"])
        self.assertEqual(named(exchange.head.fields, b"Via"), [])

    def test_head(self) -> None:
        """HEAD gets the same fields, the length too, and no body (http-api.md §2.6)."""
        exchange = Exchange(b"HEAD")
        story = self.refuse(exchange, InternalError())
        self.assertEqual((exchange.said, story.bytes_out), (["end"], 0))
        self.assertGreater(exchange.head.length or 0, 0)

    def test_local(self) -> None:
        """A page under /olla/ tells how long it took and who made it (http-api.md §4.1)."""
        fields = self.answers.local(Exchange().request, 10.125)
        self.assertEqual(fields, [(b"X-Olla-Response-Time", b"125ms"), (b"X-Served-By", b"Olla/1.2.3")])
