"""Tests of :mod:`olla.web.channel`: what Twisted's server would do otherwise."""

from __future__ import annotations

from tests.support import Backend, ProxyCase, answer, chunked, request, says

SMALL = {"max_body_size": 100, "max_header_size": 4096}
LIMITS = {"request_limits": SMALL, "read_header_timeout": "2s", "read_timeout": "4s", "idle_timeout": "6s"}
POST = b"POST /olla/openai/v1/chat/completions HTTP/1.1\r\nHost: h\r\n"


class SiteCase(ProxyCase):
    """A proxy on Twisted's server, with small limits."""

    def setUp(self) -> None:
        super().setUp()
        self.backend = Backend(play=says(answer({})))
        self.start({"a": self.backend}, server=LIMITS)


class SizeTests(SiteCase):
    """What is too large."""

    def test_announced_body(self) -> None:
        """A body announced too large is refused before it has come (http-api.md §9.3)."""
        client = self.send(POST + b"Content-Length: 101\r\n\r\n")
        self.assertEqual((client.status, client.json["error"]["code"]), (413, "REQUEST_TOO_LARGE"))
        self.assertEqual(self.backend.seen, [])

    def test_chunked_body(self) -> None:
        """A chunked one is refused as soon as it outgrows the limit, without waiting for its end (§9.3)."""
        client = self.send(POST + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(b"x" * 60, b"y" * 41)[:-5])
        self.assertEqual(client.status, 413)
        self.assertEqual(self.backend.seen, [])

    def test_limit(self) -> None:
        """One that is just as large as it may be passes (§9.3)."""
        self.assertEqual(self.post(body=b"x" * 100).status, 200)

    def test_head(self) -> None:
        """A head that is too large is told so, be it many fields or one line (http-api.md §9.4)."""
        for head in (b"".join(b"X-%d: y\r\n" % number for number in range(500)), b"X-A: " + b"y" * 9000 + b"\r\n"):
            client = self.send(POST + head + b"\r\n")
            self.assertEqual((client.status, client.json["error"]["code"]), (431, "HEADERS_TOO_LARGE"))

    def test_pipelined_after_refusal(self) -> None:
        """After a refusal nothing else on that connection is taken for a request."""
        client = self.send(POST + b"Content-Length: 101\r\n\r\n" + request("GET", "/internal/health"))
        self.assertEqual(client.got.count(b"HTTP/1.1 "), 1)

    def test_malformed(self) -> None:
        """What is no request is told so in JSON (http-api.md §8.3)."""
        client = self.send(b"GET\r\n\r\n")
        self.assertEqual((client.status, client.json["error"]["code"]), (400, "MALFORMED_REQUEST"))


class TimeTests(SiteCase):
    """What takes too long."""

    def test_dripping_head(self) -> None:
        """A head that drips in is cut off in time: no byte pushes the end back (http-api.md §1.1)."""
        client = self.connect()
        for byte in b"GET / HT":
            client.transport.write(bytes([byte]))
            self.network.wait(0.5)
        self.assertIsNotNone(client.lost)
        self.assertEqual(client.got, b"")

    def test_dripping_body(self) -> None:
        """So is a body, with an answer (http-api.md §1.1)."""
        client = self.send(POST + b"Content-Length: 50\r\n\r\n")
        for _ in range(9):
            client.transport.write(b"x")
            self.network.wait(0.5)
        self.assertEqual(client.status, 408)
        self.assertEqual(self.backend.seen, [])

    def test_idle(self) -> None:
        """An idle connection is kept for a while and used again, then closed (http-api.md §1.1)."""
        client = self.get("/internal/health")
        self.network.wait(5.0)
        self.assertIsNone(client.lost)
        client.transport.write(request("GET", "/internal/health"))
        self.network.pump()
        self.assertEqual(client.got.count(b"HTTP/1.1 200"), 2)
        self.network.wait(6.5)
        self.assertIsNotNone(client.lost)


class BodyTests(SiteCase):
    """Large bodies."""

    def test_spooled(self) -> None:
        """A body of more than 1 MiB reaches the backend whole (R12)."""
        self.stop()
        self.setUpLarge()
        body = b'{"model":"m","pad":"' + b"x" * (3 << 20) + b'"}'
        self.assertEqual(self.post(body=body).status, 200)
        (seen,) = self.backend.seen
        self.assertEqual(seen.body, body)

    def setUpLarge(self) -> None:
        """Start again with the usual limits."""
        ProxyCase.setUp(self)
        self.backend = Backend(play=says(answer({})))
        self.start({"a": self.backend})
