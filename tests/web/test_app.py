"""Tests of :mod:`olla.web.app`."""

from __future__ import annotations

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from olla.web.app import parse_qs_bytes, surface_of
from tests.support import Backend, ProxyCase, answer, on_each_engine, request, says


class HelperTests(SynchronousTestCase):
    """Reading targets."""

    def test_surface(self) -> None:
        """Each path belongs to one surface."""
        for path, surface in (
            ("/internal/health", "internal"),
            ("/version", "internal"),
            ("/olla/models", "models"),
            ("/olla/models/a/b", "models"),
            ("/olla/modelsx/y", "proxy"),
            ("/olla/anthropic/v1/messages", "anthropic"),
            ("/olla/ollama/api/chat", "proxy"),
        ):
            self.assertEqual(surface_of(path), surface, path)

    def test_query(self) -> None:
        """A query is read with its empty values; one that cannot be read is none."""
        self.assertEqual(parse_qs_bytes(b"/x?a=1&a=2&b="), {b"a": [b"1", b"2"], b"b": [b""]})
        self.assertEqual(parse_qs_bytes(b"/x?" + b"a&" * 200), {})
        self.assertEqual(parse_qs_bytes(b"/x"), {})


@on_each_engine
class Surface(ProxyCase):
    """Pages, and what is none."""

    def setUp(self) -> None:
        super().setUp()
        self.backend = Backend(play=says(answer({})))

    def test_pages(self) -> None:
        """Each fixed path answers, for HEAD with the same fields and no body (C8, http-api.md §2.6)."""
        self.start({"a": self.backend})
        for path in ("/internal/health", "/internal/status", "/version", "/olla/models", "/olla/models/"):
            got, headed = self.get(path), self.send(request("HEAD", path))
            self.assertEqual((got.status, headed.status), (200, 200), path)
            self.assertEqual(headed.got.partition(b"\r\n\r\n")[2], b"")
            self.assertEqual(headed.field("Content-Type"), got.field("Content-Type"))
        self.assertEqual(self.backend.seen, [])

    def test_methods(self) -> None:
        """A method that a page has not is refused with those that it has; OPTIONS lists them (C12)."""
        self.start({"a": self.backend})
        for path in ("/olla/models", "/internal/health"):
            client = self.post(path)
            self.assertEqual((client.status, client.json["error"]["code"]), (405, "METHOD_NOT_ALLOWED"))
            options = self.send(request("OPTIONS", path))
            self.assertEqual(options.status, 204)
            for told in (client.field("Allow"), options.field("Allow")):
                self.assertEqual(told, "GET, HEAD")

    def test_nowhere(self) -> None:
        """An unknown path or provider is a 404 in JSON, and no backend sees it (C14, C15, C130)."""
        self.start({"a": self.backend})
        for path, code in (
            ("/olla/nonexistent/v1/models", "UNKNOWN_PROVIDER"),
            ("/internal/ui/", "ROUTE_NOT_FOUND"),
            ("/internal/health/", "ROUTE_NOT_FOUND"),
            ("/", "ROUTE_NOT_FOUND"),
            ("/olla", "ROUTE_NOT_FOUND"),
        ):
            client = self.get(path)
            self.assertEqual((client.status, client.json["error"]["code"]), (404, code), path)
        self.assertEqual(self.backend.seen, [])

    def test_nowhere_with_body(self) -> None:
        """What has a body is told the same of a path that is none: method and path (http-api.md §8.3)."""
        self.start({"a": self.backend})
        for path in ("/nope", "/olla", "/olla/proxy/../../nope", "/olla/anthropic/v1/nope"):
            self.assertEqual(self.post(path).json["error"]["message"], f"No route for POST {path}")

    def test_management(self) -> None:
        """Ollama's management is not supported, and no backend is asked (C13)."""
        self.start({"a": self.backend}, {"type": "ollama"})
        client = self.post("/olla/ollama/api/pull")
        self.assertEqual((client.status, client.json["error"]["code"]), (501, "NOT_SUPPORTED"))
        self.assertEqual(self.backend.seen, [])

    def test_preflight(self) -> None:
        """A preflight is answered by us, for an unknown path and a limited client too (C72, C73)."""
        self.start({"a": self.backend}, server={"rate_limits": {"per_ip_requests_per_minute": 1, "burst_size": 1}})
        for _ in range(3):
            client = self.send(
                request(
                    "OPTIONS",
                    "/olla/nowhere/x",
                    Origin="https://app.test",
                    Access_Control_Request_Method="POST",
                    Access_Control_Request_Headers="x-api-key",
                )
            )
            self.assertEqual((client.status, client.body), (204, b""))
            self.assertIn("x-api-key", client.field("Access-Control-Allow-Headers") or "")
            self.assertIsNotNone(client.field("X-Olla-Request-ID"))
        self.assertEqual(self.backend.seen, [])

    def test_crash(self) -> None:
        """A fault of ours in a page is a 500 that tells nothing, and is logged (http-api.md §8.3)."""
        self.start({"a": self.backend})
        assert self.proxy is not None

        def breaks(query: object) -> None:
            raise ZeroDivisionError("secret")

        app = self.proxy.parts.app
        app.pages = evolve(app.pages, models=breaks)  # type: ignore[arg-type]  # it never gives anything
        client = self.get("/olla/models")
        self.assertEqual((client.status, client.json["error"]["code"]), (500, "INTERNAL_ERROR"))
        self.assertNotIn(b"secret", client.got)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_crash_on_the_way_to_a_page(self) -> None:
        """So is one before any page was found, in the same words (C55, http-api.md §8.3)."""
        self.start({"a": self.backend})
        assert self.proxy is not None
        self.proxy.parts.app.routes = None  # type: ignore[assignment]  # a fault of ours
        client = self.get("/olla/nowhere/x")
        self.assertEqual((client.status, client.json["error"]["code"]), (500, "INTERNAL_ERROR"))
        self.assertEqual(len(self.flushLoggedErrors(AttributeError)), 1)
