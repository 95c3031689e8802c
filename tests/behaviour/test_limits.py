"""How often, and how much."""

from __future__ import annotations

from typing import Any

from tests.support import Backend, Client, ProxyCase, answer, on_each_engine, request, resets, says

SMALL = 256 * 1024


@on_each_engine
class Rates(ProxyCase):
    """How often."""

    def begin(self, **limits: Any) -> None:
        """Start with the default rates, but for ``limits``."""
        self.backend = Backend(play=says(answer({})))
        self.start({"a": self.backend}, server={"rate_limits": limits})

    def statuses(self, count: int, peer: str = "192.0.2.7", **fields: Any) -> list[int]:
        """Ask so often at once."""
        return [self.post(peer=peer, **fields).status for _ in range(count)]

    def test_defaults(self) -> None:
        """Of sixty at once fifty pass; then it is 100 per minute, and after a minute all again (C61, C69, R54)."""
        self.begin()
        self.assertEqual(self.statuses(60), [200] * 50 + [429] * 10)
        self.network.wait(6.0)
        self.assertEqual(self.statuses(12), [200] * 10 + [429] * 2)
        self.network.wait(60.0)
        self.assertEqual(self.statuses(51), [200] * 50 + [429])
        self.assertEqual(len(self.backend.seen), 110)

    def test_fields(self) -> None:
        """Each answer says what is left; only a 429 says when to return, and that is true (C62)."""
        self.begin(burst_size=2, per_ip_requests_per_minute=6)
        first, second, third = (self.post() for _ in range(3))
        self.assertEqual([one.field("X-RateLimit-Limit") for one in (first, second, third)], ["6"] * 3)
        self.assertEqual([one.field("X-RateLimit-Remaining") for one in (first, second, third)], ["1", "0", "0"])
        for one in (first, second, third):
            self.assertRegex(one.field("X-RateLimit-Reset") or "", r"^\d+$")
        self.assertEqual((first.field("Retry-After"), second.field("Retry-After")), (None, None))
        wait = int(third.field("Retry-After") or "0")
        self.assertGreaterEqual(wait, 1)
        self.network.wait(wait)
        self.assertEqual(self.post().status, 200)

    def test_fields_of_errors(self) -> None:
        """A request that was counted says what is left, be its answer an error of ours (C62, http-api.md §9.2)."""
        self.backend = Backend(play=resets)
        limits = {"burst_size": 9, "per_ip_requests_per_minute": 6}
        more = {"request_limits": {"max_body_size": 20}, "read_timeout": "2s"}
        self.start({"a": self.backend}, server={"rate_limits": limits, **more})
        head = b"POST /olla/openai/v1/x HTTP/1.1\r\nHost: h\r\nX-Request-ID: mine\r\nContent-Length: "
        for status, raw in (
            (404, request("POST", "/olla/openai/v1/x", b'{"model": "none"}', self.detour)),
            (502, request("POST", "/olla/openai/v1/x", b'{"model": "m"}', self.detour)),
            (404, request("GET", "/olla/models/none")),
            (501, request("GET", "/olla/ollama/api/list")),
            (413, head + b"21\r\n\r\n"),
            (413, head.replace(b"Content-Length: ", b"Transfer-Encoding: chunked\r\n\r\n15\r\n")),
            (408, head + b"20\r\n\r\n"),
            (408, head.replace(b"Content-Length: ", b"Transfer-Encoding: chunked\r\n\r\n5\r\n")),
        ):
            client = self.send(raw)
            self.network.wait(3.0)
            self.assertEqual((client.status, client.field("X-RateLimit-Limit")), (status, "6"), raw)
            self.assertIsNotNone(client.field("X-RateLimit-Remaining"), raw)
            self.assertEqual(client.field("X-Olla-Request-ID") == "mine", raw.startswith(head[:60]), raw)
            self.network.wait(10.0)

    def test_refusal(self) -> None:
        """A refusal is the error of http-api.md §8.3, counted once each (C55, C70)."""
        self.begin(burst_size=1)
        self.post()
        for _ in range(3):
            client = self.post()
            error = client.json["error"]
            self.assertEqual((client.status, error["type"]), (429, "rate_limit_exceeded"))
            self.assertEqual((error["code"], error["message"]), ("RATE_LIMIT_EXCEEDED", "Too Many Requests"))
        self.assertEqual(self.status()["security"]["violations"]["rate_limits"], 3)

    def test_one_allowance(self) -> None:
        """OpenAI's, Ollama's and the universal prefix, and listings, draw on one and the same allowance (B121)."""
        paths = ("/olla/openai/x", "/olla/proxy/x", "/olla/ollama/api/chat", "/olla/models", "/olla/openai/v1/models")
        for first in paths:
            self.stop()
            self.setUp()
            self.begin(burst_size=1)
            self.get(first)
            self.assertEqual([self.get(path).status for path in paths], [429] * len(paths), first)
            self.assertEqual(self.get("/olla/models", peer="192.0.2.8").status, 200)

    def test_health_has_its_own(self) -> None:
        """The health page answers while a client, or everybody, is refused (C63, C64)."""
        self.begin(burst_size=30, global_burst_size=30, global_requests_per_minute=6)
        self.assertEqual(self.statuses(31), [200] * 30 + [429])
        self.assertEqual(self.post(peer="192.0.2.8").status, 429)
        self.assertEqual([self.get("/internal/health").status for _ in range(30)], [200] * 30)

    def test_preflight_is_free(self) -> None:
        """A preflight is answered while its client is refused (C73)."""
        self.begin(burst_size=1)
        self.assertEqual(self.statuses(2), [200, 429])
        fields: dict[str, Any] = {"Origin": "http://app.test", "Access_Control_Request_Method": "POST"}
        self.assertEqual(self.send(request("OPTIONS", "/olla/openai/v1/x", **fields)).status, 204)

    def test_each_address_its_own(self) -> None:
        """A client at its limit does not use up another's (R54)."""
        self.begin(burst_size=2)
        self.assertEqual(self.statuses(3), [200, 200, 429])
        self.assertEqual(self.statuses(3, peer="192.0.2.8"), [200, 200, 429])

    def test_forged_addresses(self) -> None:
        """Without trust nothing that a client says changes who it is (C68, R55)."""
        for limits, peer in (({}, "10.0.0.1"), ({"trust_proxy_headers": True}, "192.0.2.7")):
            self.setUp()
            self.begin(burst_size=1, **limits)
            names = ("X_Forwarded_For", "X_Real_IP", "Forwarded", "CF_Connecting_IP", "True_Client_IP")
            claims: list[dict[str, Any]] = [{name: f"203.0.113.{n}"} for n, name in enumerate(names)]
            found = [self.post(peer=peer, **claim).status for claim in claims]
            self.assertEqual(found, [200, 429, 429, 429, 429])
            self.stop()

    def test_trusted_proxy(self) -> None:
        """A trusted peer's client is the rightmost address that is no trusted proxy (C68, R55)."""
        self.begin(burst_size=1, trust_proxy_headers=True)
        for chain, status in (
            ("6.6.6.6, 203.0.113.9", 200),
            ("7.7.7.7, 203.0.113.9", 429),
            ("203.0.113.9, 10.0.0.3", 429),
            ("203.0.113.10", 200),
        ):
            self.assertEqual(self.post(peer="10.0.0.1", X_Forwarded_For=chain).status, status, chain)

    def test_no_body_is_waited_for(self) -> None:
        """A refused client hears of it before it has sent its body (http-api.md §1.2)."""
        self.begin(burst_size=1, per_ip_requests_per_minute=1)
        self.post()
        client = self.send(b"POST /olla/openai/v1/x HTTP/1.1\r\nHost: h\r\nContent-Length: 5000\r\n\r\n")
        self.network.pump(0.5)
        self.assertTrue(client.got.startswith(b"HTTP/1.1 429 "))
        self.assertEqual(client.field("Connection"), "close")
        self.assertEqual((client.field("X-RateLimit-Remaining"), client.field("Retry-After")), ("0", "60"))

    def test_no_body_is_asked_for(self) -> None:
        """Nor is a refused client told to go on, in chunks and however much it announces (http-api.md §1.2, R15)."""
        self.begin(burst_size=1, per_ip_requests_per_minute=1)
        self.post()
        for framing in (b"Transfer-Encoding: chunked", b"Content-Length: 5", b"Content-Length: 1000000000000"):
            for expect in (b"", b"Expect: 100-continue\r\n"):
                head = b"POST /olla/openai/v1/x HTTP/1.1\r\nHost: h\r\n" + expect + framing + b"\r\n\r\n"
                client = self.send(head)
                self.network.pump(0.5)
                self.assertEqual((client.status, client.got.count(b"HTTP/1.1 ")), (429, 1), head)
                self.assertIsNotNone(client.lost)
        self.assertEqual(self.status()["security"]["violations"]["rate_limits"], 6)

    def test_no_body_of_ours_is_waited_for(self) -> None:
        """Nor is the body of a request for a page of ours, which counts as one without (http-api.md §1.2, C62)."""
        self.begin(burst_size=2, per_ip_requests_per_minute=1, health_requests_per_minute=1)
        head = b"GET %b HTTP/1.1\r\nHost: h\r\nContent-Length: 5000\r\n\r\n"
        for path in (b"/olla/models", b"/internal/health"):
            self.assertEqual([self.get(path.decode()).status for _ in range(2)], [200, 200])
            client = self.send(head % path)
            self.network.pump(0.5)
            self.assertEqual((client.status, client.field("Retry-After")), (429, "60"), path)
            self.assertIsNotNone(client.lost)

    def test_asked_once(self) -> None:
        """Whoever is let in before its body has come is not asked again when it has (http-api.md §1.2, R54)."""
        self.begin(burst_size=2, per_ip_requests_per_minute=1)
        for status, left in ((200, "1"), (200, "0"), (429, "0")):
            raw = request("POST", "/olla/openai/v1/x", b'{"model": "m"}', self.detour)
            client = self.send(raw[:-12])
            client.transport.write(raw[-12:])
            self.network.pump(0.5)
            self.assertEqual((client.status, client.field("X-RateLimit-Remaining")), (status, left))
        self.assertEqual(len(self.backend.seen), 2)


@on_each_engine
class Sizes(ProxyCase):
    """How much."""

    def begin(self, **limits: Any) -> None:
        """Start with ``limits``."""
        self.backend = Backend(play=says(answer({})))
        self.start({"a": self.backend}, server={"request_limits": limits})

    def assertRefused(self, client: Client, status: int, code: str) -> None:
        """Check that it is our refusal, and that nothing reached a backend."""
        self.assertEqual((client.status, client.json["error"]["code"]), (status, code))
        self.assertIsNotNone(client.field("X-Olla-Request-ID"))
        self.assertEqual(self.backend.seen, [])

    def test_body_exactly(self) -> None:
        """A body of exactly the limit passes, one byte more does not, framed either way (C66)."""
        for chunked in (False, True):
            self.setUp()
            self.begin(max_body_size=SMALL)
            more = request("POST", "/olla/openai/v1/x", b"x" * (SMALL + 1), detour=chunked)
            self.assertRefused(self.send(more), 413, "REQUEST_TOO_LARGE")
            self.assertEqual(self.send(request("POST", "/olla/proxy/x", b"x" * SMALL, detour=chunked)).status, 200)
            self.assertEqual(len(self.backend.seen[0].body), SMALL)
            self.stop()

    def test_announced(self) -> None:
        """What is announced too large is refused at once, and the connection closed (C66, R53)."""
        self.begin(max_body_size=SMALL)
        head = b"POST /olla/openai/v1/x HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n"
        for length in (SMALL + 1, 10**12):
            client = self.send(head % length)
            self.assertRefused(client, 413, "REQUEST_TOO_LARGE")
            self.assertEqual(client.field("Connection"), "close")

    def test_place_before_size(self) -> None:
        """Of a body that is too large, and in no place for one, the place is told (http-api.md §1.2, §9.3)."""
        self.begin(max_body_size=SMALL)
        for path, status, code in (
            ("/nowhere", 404, "ROUTE_NOT_FOUND"),
            ("/olla/nobody/v1/x", 404, "UNKNOWN_PROVIDER"),
            ("/olla/models", 405, "METHOD_NOT_ALLOWED"),
            ("/olla/models/m", 405, "METHOD_NOT_ALLOWED"),
            ("/internal/status", 405, "METHOD_NOT_ALLOWED"),
            ("/olla/ollama/api/pull", 501, "NOT_SUPPORTED"),
            ("/olla/ollama/api/chat", 413, "REQUEST_TOO_LARGE"),
        ):
            for chunked in (False, True):
                client = self.send(request("POST", path, b"x" * (SMALL + 1), detour=chunked))
                self.assertRefused(client, status, code)
                self.assertEqual(client.field("Connection"), "close")
                self.assertEqual(client.field("Allow"), "GET, HEAD" if status == 405 else None)
        self.assertEqual(self.backend.seen, [])

    def test_place_before_body(self) -> None:
        """Nobody has to send a body to hear that it is in no place for one (http-api.md §1.2)."""
        self.begin()
        for path, status, code in (
            ("/nowhere", 404, "ROUTE_NOT_FOUND"),
            ("/olla/nobody/v1/x", 404, "UNKNOWN_PROVIDER"),
            ("/olla/models/m", 405, "METHOD_NOT_ALLOWED"),
            ("/internal/status", 405, "METHOD_NOT_ALLOWED"),
            ("/olla/ollama/api/pull", 501, "NOT_SUPPORTED"),
        ):
            for framing in (
                "Content-Length: 5000",
                "Transfer-Encoding: chunked",
                "Expect: 100-continue\r\nContent-Length: 5",
            ):
                client = self.send(f"POST {path} HTTP/1.1\r\nHost: h\r\n{framing}\r\n\r\n".encode())
                self.network.pump(0.5)
                self.assertRefused(client, status, code)
                self.assertEqual(client.got.count(b"HTTP/1.1 "), 1)
                self.assertIsNotNone(client.lost)

    def test_fields(self) -> None:
        """What is refused before it was read has the fields of any error of its route (SC3, http-api.md §4.3)."""
        self.begin(max_body_size=SMALL, max_header_size=4096)
        field = b"X: " + b"x" * 5000
        for path, proxied in ((b"/olla/openai/v1/x", True), (b"/olla/models", False)):
            for method, more in ((b"GET", b"Content-Length: 999999"), (b"GET", field), (b"HEAD", field)):
                client = self.send(method + b" " + path + b" HTTP/1.1\r\nHost: h\r\n" + more + b"\r\n\r\n")
                self.assertIn(client.status, (413, 431))
                self.assertRegex(client.field("X-Olla-Response-Time") or "", r"^\d+ms$")
                self.assertRegex(client.field("X-Served-By") or "", r"^Olla/")
                self.assertEqual(client.field("Via") is not None, proxied)
                self.assertEqual(client.body == b"", method == b"HEAD")

    def test_head_without_body(self) -> None:
        """An error of ours has no body for ``HEAD``, however early it comes (http-api.md §8.1)."""
        self.begin(max_header_size=4096)
        client = self.send(b"HEAD /olla/openai/v1/x HTTP/1.1\r\nHost: h\r\nX: " + b"x" * 9000 + b"\r\n\r\n")
        self.assertEqual((client.status, client.body), (431, b""))
        self.assertGreater(int(client.field("Content-Length") or "0"), 0)

    def test_chunks_without_end(self) -> None:
        """Chunks that never end are refused as soon as they are too many (C66, R53)."""
        self.begin(max_body_size=SMALL)
        client = self.send(b"POST /olla/openai/v1/x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(300):
            client.transport.write(b"400\r\n" + b"x" * 1024 + b"\r\n")
        self.network.pump(0.5)
        self.assertRefused(client, 413, "REQUEST_TOO_LARGE")

    def test_chunk_extensions_without_end(self) -> None:
        """Framing is no way around the limits: an endless extension or trailer is refused (R8, R50)."""
        for rest in (b"5;x=" + b"y" * 3_000_000, b"0\r\nX: " + b"y" * 3_000_000, b"0" * 3_000_000):
            self.setUp()
            self.begin()
            head = b"POST /olla/openai/v1/x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
            client = self.connect()
            client.transport.write(head)
            for at in range(0, len(rest), 65536):
                client.transport.write(rest[at : at + 65536])
            self.network.pump(0.5)
            self.assertIsNotNone(client.lost)
            self.assertTrue(not client.got or 400 <= client.status < 500)
            self.assertEqual(self.backend.seen, [])
            self.stop()

    def test_head(self) -> None:
        """A head over ``max_header_size`` is 431, one within it is not (C67)."""
        self.begin(max_header_size=65536)
        self.assertRefused(self.post(X_Big="x" * 80_000), 431, "HEADERS_TOO_LARGE")
        self.assertEqual(self.post(X_Big="x" * 60_000).status, 200)

    def test_head_exactly(self) -> None:
        """A head of exactly the limit passes, one byte more does not: four bytes around each field (B125)."""
        self.begin(max_header_size=8192)
        line, names = "GET /olla/proxy/x HTTP/1.1", {"Host": "h", "X-A": "b", "X-Pad": ""}
        empty = len(line) + sum(len(name) + len(value) + 4 for name, value in names.items())
        for over, refused in ((0, False), (1, True)):
            names["X-Pad"] = "p" * (8192 - empty + over)
            fields = "".join(f"{name}: {value}\r\n" for name, value in names.items())
            client = self.send(f"{line}\r\n{fields}\r\n".encode())
            self.assertEqual(client.status == 431, refused, over)

    def test_head_without_end(self) -> None:
        """A head, or a request line, that never ends is refused while it comes (R50)."""
        for start in (b"GET /olla/proxy/x HTTP/1.1\r\nHost: h\r\nX: ", b"GET /olla/proxy/"):
            self.setUp()
            self.begin(max_header_size=65536)
            client = self.send(start)
            for _ in range(100):
                client.transport.write(b"x" * 65536)
            self.network.pump(0.5)
            self.assertIn(client.status, (400, 414, 431))
            self.assertIsNotNone(client.lost)
            self.assertEqual(self.backend.seen, [])
            self.stop()

    def test_many_fields(self) -> None:
        """A thousand fields are a 4xx or served, never a 5xx, and quickly (R50)."""
        self.begin()
        fields: dict[str, Any] = {f"X_F{number}": "y" for number in range(1000)}
        client = self.post(**fields)
        self.assertIn(client.status, (200, 400, 431))
        self.assertEqual(self.post().status, 200)

    def test_violations_are_counted(self) -> None:
        """Each refusal for size is counted on the status page (http-api.md §11.4)."""
        self.begin(max_body_size=100, max_header_size=8192)
        self.post(body=b"x" * 200)
        self.post(X_Big="x" * 10_000)
        self.assertEqual(self.status()["security"]["violations"]["size_limits"], 2)
