"""Tests of :mod:`olla.proxy.cors`."""

from __future__ import annotations

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from olla.domain.message import Request
from olla.proxy.cors import Cors

ANYBODY = Cors(True, ["*"], ["GET", "POST", "OPTIONS"], ["*"], [], False, 300, True)
SOME = evolve(ANYBODY, origins=["https://app.example.com", "https://*.example.org"])
SEED = {
    b"Access-Control-Allow-Origin": b"*",
    b"Access-Control-Allow-Methods": b"GET, POST, OPTIONS",
    b"Access-Control-Allow-Headers": b"Content-Type, Authorization",
}


def asks(origin: bytes | None = b"https://app.example.com", method: bytes = b"GET", **fields: bytes) -> Request:
    """Make a request from a page at ``origin``."""
    given = [(name.replace("_", "-").encode(), value) for name, value in fields.items()]
    return Request(method, b"/", [*given, *([(b"Origin", origin)] if origin is not None else [])])


def preflight(origin: bytes = b"https://app.example.com", method: bytes = b"POST", names: bytes = b"") -> Request:
    """Make a browser's question before the request."""
    return asks(origin, b"OPTIONS", Access_Control_Request_Method=method, Access_Control_Request_Headers=names)


class FieldTests(SynchronousTestCase):
    """Fields of responses."""

    def test_seed(self) -> None:
        """Without an origin there are exactly the seed's three fields (C71)."""
        self.assertEqual(dict(ANYBODY.block(asks(None)).fields), SEED)

    def test_exposed(self) -> None:
        """With one, ours can be read by scripts, or those that the operator names (C74)."""
        fields = dict(ANYBODY.block(asks()).fields)
        self.assertEqual({name: fields[name] for name in SEED}, SEED)
        for name in (b"X-Olla-Model", b"X-Olla-Endpoint", b"Retry-After", b"X-RateLimit-Remaining"):
            self.assertIn(name, fields[b"Access-Control-Expose-Headers"].split(b", "))
        own = dict(evolve(ANYBODY, exposed=["X-A", "X-B"]).block(asks()).fields)
        self.assertEqual(own[b"Access-Control-Expose-Headers"], b"X-A, X-B")

    def test_disabled(self) -> None:
        """Switched off, there is none (C77)."""
        off = evolve(ANYBODY, enabled=False)
        self.assertEqual((list(off.block(asks()).fields), off.is_preflight(preflight())), ([], False))

    def test_internal(self) -> None:
        """``internal_api: false`` takes out the pages for operators, and no other path (http-api.md §10.3)."""
        ours = evolve(ANYBODY, internal=False)
        for target in (b"/internal/health", b"//internal/./status?x", b"/%69nternal/ui/", b"/version", b"/version?x"):
            asked = Request(b"GET", target, [])
            self.assertEqual((list(ours.block(asked).fields), ours.preflight(asked)), ([], []), target)
        for target in (b"/olla/models", b"/%6flla/proxy/x", b"/", b"/nope", b"/versions", b"/internalise", b"*"):
            self.assertEqual(dict(ours.block(Request(b"GET", target, [])).fields), SEED, target)

    def test_explicit(self) -> None:
        """An explicit origin is echoed as it was spelled, any other gets nothing but Vary (http-api.md §10.3)."""
        for origin, allowed in (
            (b"https://app.example.com", True),
            (b"HTTPS://App.Example.Com", True),
            (b"https://a.b.example.org", True),
            (b"https://example.org", False),
            (b"https://app.example.com.evil", False),
            (b"https://evil/https://app.example.com", False),
            (b"http://app.example.com", False),
            (b"null", False),
            (None, False),
        ):
            with self.subTest(origin=origin):
                fields = dict(SOME.block(asks(origin)).fields)
                self.assertEqual(fields.get(b"Access-Control-Allow-Origin"), origin if allowed else None)
                self.assertEqual(fields[b"Vary"], b"Origin")
                self.assertEqual(len(fields) > 1, allowed)

    def test_dots(self) -> None:
        """A dot in an origin stands for a dot."""
        self.assertEqual(dict(SOME.block(asks(b"https://appXexample.com")).fields), {b"Vary": b"Origin"})

    def test_credentials(self) -> None:
        """Browsers may send theirs only where the operator says so (http-api.md §10.3)."""
        name = b"Access-Control-Allow-Credentials"
        self.assertNotIn(name, dict(SOME.block(asks()).fields))
        self.assertEqual(dict(evolve(SOME, credentials=True).block(asks()).fields)[name], b"true")

    @given(st.binary(max_size=40))
    def test_line_breaks(self, origin: bytes) -> None:
        """Nothing but an allowed origin is ever echoed."""
        echoed = dict(SOME.block(asks(origin)).fields).get(b"Access-Control-Allow-Origin", b"https://app.example.com")
        self.assertIn(echoed.lower()[:8], b"https://")


class PreflightTests(SynchronousTestCase):
    """Questions before the request."""

    def test_is(self) -> None:
        """It takes OPTIONS, an origin and a method (http-api.md §10.2)."""
        self.assertTrue(ANYBODY.is_preflight(preflight()))
        self.assertFalse(ANYBODY.is_preflight(asks(method=b"OPTIONS")))
        self.assertFalse(ANYBODY.is_preflight(asks(None, b"OPTIONS", Access_Control_Request_Method=b"GET")))
        self.assertFalse(ANYBODY.is_preflight(asks(Access_Control_Request_Method=b"GET")))

    def test_asked(self) -> None:
        """Whatever names are asked for are allowed, as they were spelled, each once (C72)."""
        fields = dict(ANYBODY.preflight(preflight(names=b"content-type,x-api-key,anthropic-version, x-api-key,")))
        self.assertEqual(
            fields,
            {
                b"Access-Control-Allow-Origin": b"*",
                b"Access-Control-Allow-Methods": b"GET, POST, OPTIONS",
                b"Access-Control-Allow-Headers": b"Content-Type, Authorization, x-api-key, anthropic-version",
                b"Access-Control-Max-Age": b"300",
            },
        )

    def test_explicit(self) -> None:
        """With explicit origins the answer varies by what was asked (http-api.md §10.2)."""
        fields = dict(evolve(SOME, credentials=True, max_age=0).preflight(preflight()))
        self.assertEqual(fields[b"Access-Control-Allow-Origin"], b"https://app.example.com")
        self.assertEqual(fields[b"Access-Control-Allow-Credentials"], b"true")
        self.assertEqual(fields[b"Vary"], b"Origin, Access-Control-Request-Method, Access-Control-Request-Headers")
        self.assertNotIn(b"Access-Control-Max-Age", fields)

    def test_refused(self) -> None:
        """A wrong origin, method or name gets no Access-Control field at all (http-api.md §10.2)."""
        listed = evolve(SOME, headers=["X-One", "X-Two"])
        for cors, request in (
            (SOME, preflight(b"https://evil")),
            (SOME, preflight(method=b"DELETE")),
            (listed, preflight(names=b"x-one, x-three")),
        ):
            names = [name for name, _ in cors.preflight(request)]
            self.assertEqual(names, [b"Vary"])

    def test_listed(self) -> None:
        """An explicit list is answered whole, and asked for in any case and spacing (http-api.md §10.2)."""
        listed = evolve(ANYBODY, headers=["X-One", "X-Two"])
        fields = dict(listed.preflight(preflight(names=b" x-TWO ,x-one")))
        self.assertEqual(fields[b"Access-Control-Allow-Headers"], b"X-One, X-Two")
