"""Tests of :mod:`olla.proxy.adapt`."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from olla.balance.breaker import Breaker
from olla.balance.member import Member
from olla.dialect.inspect import requirements
from olla.domain.endpoint import Endpoint
from olla.domain.message import Body, Outgoing, Request
from olla.domain.profile import Profile
from olla.proxy.adapt import Adapter

PATH = "/v1/chat/completions"


def member(**settings: object) -> Member:
    """Make a member of a fleet."""
    return Member(Endpoint("a", "http", "h", 8000, **settings), Breaker())  # type: ignore[arg-type]


class AdapterTests(SynchronousTestCase):
    """What one endpoint gets."""

    def setUp(self) -> None:
        profiles = {"dmr": Profile("dmr", path_rewrites=(("/v1/", "/engines/v1/"),))}
        self.adapter = Adapter(profiles, lambda peer: False, "1.2.3", {})

    def adapt(
        self,
        body: bytes,
        model: str = "",
        to: Member | None = None,
        method: bytes = b"POST",
        rest: str = PATH,
    ) -> Outgoing:
        """Adapt a request for ``to``, which takes the model as ``model``."""
        framed = Body.of(body)
        fields = [(b"Host", b"proxy"), (b"Content-Type", b"application/json")]
        request = Request(method, b"/olla/openai" + rest.encode(), fields, framed, bool(body), "192.0.2.1")
        wanted = requirements(PATH, b"", b"application/json", framed, None)
        return self.adapter.adapt(request, rest.encode(), wanted, to or member(), model or wanted.model)

    def test_unchanged(self) -> None:
        """Method, target and body reach the backend byte for byte (C31, C32)."""
        body = b'{ "model" : "m",\n"x":1.50}'
        sent = self.adapt(body, rest=PATH + "?a=%2F")
        self.assertEqual((sent.method, sent.target), (b"POST", PATH.encode() + b"?a=%2F"))
        self.assertEqual((sent.body.whole(), sent.framed), (body, True))
        self.assertEqual(sent.blocks[0].fields[0], (b"Host", b"h:8000"))

    def test_renamed(self) -> None:
        """An alias changes the model's name and no other byte (http-api.md §5.2)."""
        sent = self.adapt(b'{ "model" : "m",\n"x":"m"}', "real/m")
        self.assertEqual(sent.body.whole(), b'{ "model" : "real/m",\n"x":"m"}')
        self.assertEqual(json.loads(sent.body.whole())["model"], "real/m")

    def test_target(self) -> None:
        """The target is that of the endpoint's kind and base path (http-api.md §5.1)."""
        kind = member(profile="dmr")
        self.assertEqual(self.adapt(b"{}", to=kind).target, b"/engines/v1/chat/completions")
        based = {"base_path": "/base"}
        self.assertEqual(self.adapt(b"{}", to=member(**based)).target, PATH.encode())
        self.assertEqual(self.adapt(b"{}", to=member(**based, preserve_path=True)).target, b"/base" + PATH.encode())

    def test_framed(self) -> None:
        """Where a body is expected its length is told, be it none (http-api.md §5.2)."""
        self.assertEqual(
            [self.adapt(b"", method=method).framed for method in (b"POST", b"PUT", b"PATCH", b"GET", b"DELETE")],
            [True, True, True, False, False],
        )

    def test_long(self) -> None:
        """A model's name of any length is not kept for the next request (R56)."""
        self.adapt(b'{"model": "%b"}' % (b"m" * 10000))
        self.assertEqual(len(self.adapter._patience), 0)

    def test_detected(self) -> None:
        """A type that was found out shows to clients from then on, and is forgotten with its endpoint (§4.4)."""
        one = member()

        def shown() -> bytes:
            fields = dict(self.adapter.of(one.endpoint).about())
            return fields[b"X-Olla-Backend-Type"]

        before = shown()
        one.profile = "vllm"
        self.adapter.detected(one)
        self.assertEqual(shown(), b"vllm")
        self.adapter.forget(one.endpoint)
        self.adapter.forget(one.endpoint)
        self.assertEqual(shown(), before)
