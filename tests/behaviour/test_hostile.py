"""Requests that mean harm, byte for byte."""

from __future__ import annotations

import json
from typing import Any

from tests.support import Backend, Client, ProxyCase, answer, chunked, on_each_engine, request, says

POST = b"POST /olla/proxy/v1/x HTTP/1.1\r\nHost: h\r\n"
GET = b"GET /olla/proxy/v1/x HTTP/1.1\r\nHost: h\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
INNER = b"GET /olla/proxy/SMUGGLED HTTP/1.1\r\nHost: h\r\n\r\n"


class Hostile(ProxyCase):
    """One endpoint, which answers everything that reaches it."""

    def setUp(self) -> None:
        super().setUp()
        self.backend = Backend(play=says(answer({"from": "backend"})))

    def begin(self, **more: Any) -> None:
        """Start with that endpoint."""
        self.start({"a": self.backend}, **more)

    def ask(self, raw: bytes) -> Client:
        """
        Send ``raw``, and what would be taken for a request of its own if it were left over.

        On the detour a chunked upload comes first, so that all this meets the server that took the connection over.
        """
        client = self.connect()
        if self.detour:
            client.transport.write(CHUNKED + chunked(b"first"))
            self.network.pump()
            client.got = b""
            self.backend.seen.clear()
        client.transport.write(raw + INNER)
        self.network.pump(0.5)
        return client

    def assertRefused(self, *requests: bytes) -> None:
        """Check that each is refused with a 4xx or 501 or 505, closed, and reaches no backend in any part."""
        for raw in requests:
            client = self.ask(raw)
            self.assertIn(client.status, (400, 501, 505), raw)
            self.assertEqual(client.got.count(b"HTTP/1.1 "), 1, raw)
            self.assertIsNotNone(client.lost, raw)
        self.assertEqual([seen.line for seen in self.backend.seen], [])


@on_each_engine
class Framing(Hostile):
    """Where a request ends."""

    def test_two_framings(self) -> None:
        """Content-Length with Transfer-Encoding is refused, in any order and spelling (R1)."""
        self.begin()
        length, coding = b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"
        self.assertRefused(
            POST + length + coding + b"\r\n0\r\n\r\n",
            POST + coding + length + b"\r\n0\r\n\r\n",
            POST + b"content-length: 5\r\ntRANSFER-eNCODING: Chunked\r\n\r\n0\r\n\r\n",
            POST + length + b"Transfer-Encoding: identity\r\n\r\nhello",
            POST + b"Transfer-Encoding: identity\r\n" + length + b"\r\nhello",
        )

    def test_lengths(self) -> None:
        """Lengths that differ, or that are no plain numbers, are refused (R2, R3)."""
        self.begin()
        self.assertRefused(POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello")
        for value in (
            b"+5",
            b"-5",
            b"0x5",
            b"5_0",
            b"5 5",
            b"",
            b"5, 6",
            b"5;",
            b"\xd9\xa5",
            b"5.0",
            b"5\x0b",
            b"9" * 5000,
        ):
            self.assertRefused(POST + b"Content-Length: " + value + b"\r\n\r\nhello")

    def test_codings(self) -> None:
        """Any coding but ``chunked``, once, is refused (R4)."""
        self.begin()
        for value in (
            *(b"xchunked", b"chunked, chunked", b",chunked", b"gzip", b"gzip, chunked", b"chunked, identity"),
            *(b"\xa0chunked", b"\x0bchunked", b'"chunked"', b"chunked;q=1", b"", b"chunked\x00"),
            *(b"identity", b"chunked\r\nTransfer-Encoding: identity", b"identity\r\nTransfer-Encoding: chunked"),
            b"\r\n chunked",
        ):
            self.assertRefused(POST + b"Transfer-Encoding: " + value + b"\r\n\r\n0\r\n\r\n")
        self.assertRefused(POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")

    def test_coding_of_an_old_client(self) -> None:
        """HTTP/1.0 knows no chunks: such a request is refused or closed behind (R1)."""
        self.begin()
        client = self.ask(CHUNKED.replace(b"HTTP/1.1", b"HTTP/1.0") + chunked(b"hello"))
        self.assertIsNotNone(client.lost)
        self.assertNotIn(b"SMUGGLED", b"".join(seen.line for seen in self.backend.seen))

    def test_chunks(self) -> None:
        """Chunks that are not exactly as they must be are refused (R8)."""
        self.begin()
        for body in (
            *(b"0x5\r\nhello\r\n0\r\n\r\n", b"+5\r\nhello\r\n0\r\n\r\n", b"-5\r\nhello\r\n0\r\n\r\n"),
            *(b"5_\r\nhello\r\n0\r\n\r\n", b"\r\nhello\r\n0\r\n\r\n"),
            *(
                b"5\nhello\r\n0\r\n\r\n",
                b"5\rhello\r\n0\r\n\r\n",
                b"5\r\nhelloXX0\r\n\r\n",
                b"5;a\nb\r\nhello\r\n0\r\n\r\n",
            ),
            *(b"5 5\r\nhello\r\n0\r\n\r\n", b"5\r\nhello!\r\n0\r\n\r\n", b"g\r\nhello\r\n0\r\n\r\n"),
        ):
            self.assertRefused(CHUNKED + body)

    def test_enormous_lengths(self) -> None:
        """A length that no machine has is refused at once, announced or as a chunk (R3, R8, R53)."""
        self.begin()
        for raw in (
            POST + b"Content-Length: " + b"9" * 30 + b"\r\n\r\nhello",
            *(CHUNKED + size + b"\r\nhello" for size in (b"e8d4a51000", b"f" * 16, b"f" * 17, b"1" + b"0" * 16)),
            CHUNKED + b"5\r\nhello\r\n" + b"f" * 16 + b"\r\n",
        ):
            client = self.ask(raw)
            self.assertTrue(client.got.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 413 ")), raw)
            self.assertIsNotNone(client.lost)
            self.assertEqual(self.backend.seen, [])

    def test_trailers(self) -> None:
        """Trailers are dropped, whatever they are called (R9)."""
        self.begin()
        for name in (b"Content-Length: 9", b"Authorization: evil", b"Host: evil", b"X-Trailer: evil"):
            self.send(CHUNKED + b"5\r\nhello\r\n0\r\n" + name + b"\r\n\r\n")
        for seen in self.backend.seen:
            self.assertEqual((seen.fields("Content-Length"), seen.body), (["5"], b"hello"))
            self.assertNotIn(b"evil", seen.head)
        self.assertEqual(len(self.backend.seen), 4)

    def test_enormous_chunk_without_a_limit(self) -> None:
        """Where bodies may have any size, a chunk may not: no number of bytes overflows 63 bits (R8)."""
        self.begin(server={"request_limits": {"max_body_size": 0}})
        self.assertRefused(CHUNKED + b"f" * 16 + b"\r\nhello")

    def test_bytes_left_over(self) -> None:
        """What follows a request's end is a request of its own, never part of the one before (R12)."""
        self.begin()
        client = self.ask(POST + b"Content-Length: 5\r\n\r\nhello")
        self.assertEqual([seen.body for seen in self.backend.seen], [b"hello", b""])
        self.assertEqual(client.got.count(b"HTTP/1.1 200"), 2)


@on_each_engine
class Heads(Hostile):
    """What a head may be."""

    def test_names(self) -> None:
        """Names with blanks or nothing in them are refused (R5)."""
        self.begin()
        for line in (b"X : a", b"X\t: a", b"X\xa0: a", b"X Y: a", b": a", b"no colon", b"X\x01: a", b"X(: a"):
            self.assertRefused(GET + line + b"\r\n\r\n")

    def test_values(self) -> None:
        """Folded lines and control bytes are refused, or never passed on raw (R6, R7)."""
        self.begin()
        self.assertRefused(
            GET + b"X: a\x00b\r\n\r\n",
            GET + b"X: a\rb\r\n\r\n",
            GET + b"X: a\nY: b\r\n\r\n",
            GET + b"X\x00: a\r\n\r\n",
            GET + b"X: a\x0bb\r\n\r\n",
            GET.replace(b"\r\n", b"\n") + b"\n",
        )
        self.ask(GET + b"X: a\r\n folded\r\n\r\n")
        for seen in self.backend.seen:
            self.assertNotIn(b"\r\n ", seen.head)

    def test_ends_of_lines(self) -> None:
        """A line with another end is refused at once, even where no right one follows (R7, R8)."""
        self.begin()
        for raw in (
            *(GET.replace(b"\r\n", b"\n") + b"\n", GET + b"X: a\n\n", GET + b"X: a\rb", GET + b"X: \x00"),
            *(b"GET /olla/proxy/v1/x HTTP/1.1\n", CHUNKED + b"5\nhello\n0\n\n", CHUNKED + b"5\r\nhello\r\n0\n\n"),
            CHUNKED + b"5\r\nhello\r\n0\r\n\n",
        ):
            client = self.connect()
            if self.detour:
                client.transport.write(CHUNKED + chunked(b"first"))
                self.network.pump()
                client.got = b""
                self.backend.seen.clear()
            for piece in (raw[:-3], raw[-3:]):
                client.transport.write(piece)
                self.network.pump(0.3)
            self.assertEqual(client.status, 400, raw)
            self.assertEqual(self.backend.seen, [])

    def test_request_lines(self) -> None:
        """Lines that are not method, target and version are refused (R10)."""
        self.begin()
        for line in (
            *(b"GET /olla/proxy/x", b"GET  /olla/proxy/x HTTP/1.1", b"GET /olla/proxy/x  HTTP/1.1"),
            *(b"GET /olla/proxy/x HTTP/1.1 x", b"GET /olla/proxy/x y HTTP/1.1", b" GET /olla/proxy/x HTTP/1.1"),
            *(b"GET /olla/proxy/x HTTP/1.x", b"GET /olla/proxy/x HTTP/2.0", b"GET /olla/proxy/x http/1.1"),
            *(b"G\x00T /olla/proxy/x HTTP/1.1", b"GET /olla/proxy/\x01 HTTP/1.1", b"GET\t/olla/proxy/x\tHTTP/1.1"),
            *(b"GET /olla/proxy/\xff HTTP/1.1", b"G(T /olla/proxy/x HTTP/1.1", b"GET /olla/proxy/x HTTP/11.1"),
        ):
            self.assertRefused(line + b"\r\nHost: h\r\n\r\n")

    def test_host_routes_nothing(self) -> None:
        """Wherever Host points, the request goes to the endpoint (R11, C28)."""
        self.begin()
        for host in (b"127.0.0.1:1", b"evil.example", b"[::1]:80", b"169.254.169.254"):
            self.assertEqual(self.send(b"GET /olla/proxy/x HTTP/1.1\r\nHost: " + host + b"\r\n\r\n").status, 200)
        self.assertEqual({seen.fields("Host")[0] for seen in self.backend.seen}, {"127.0.0.1:9000"})

    def test_upgrade(self) -> None:
        """Upgrades are not offered to a backend: a websocket is refused by name, others are ignored (R13)."""
        self.begin()
        for what, status in (("websocket", 501), ("WebSocket", 501), ("h2c", 200)):
            fields = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": what, "HTTP2_Settings": "AAA"}
            self.assertEqual(self.get("/olla/proxy/x", **fields).status, status)
        self.assertEqual(len(self.backend.seen), 1)
        for seen in self.backend.seen:
            self.assertEqual(seen.fields("Upgrade") + seen.fields("HTTP2-Settings"), [])

    def test_close(self) -> None:
        """``close`` is heard among other options, and in a second field (R12)."""
        self.begin()
        for fields in (b"Connection: x, close\r\n", b"Connection: x\r\nConnection: Close\r\n"):
            client = self.ask(GET + fields + b"\r\n")
            self.assertEqual(client.got.count(b"HTTP/1.1 200"), 1)
            self.assertIsNotNone(client.lost)
            self.assertNotIn(b"SMUGGLED", b"".join(seen.line for seen in self.backend.seen))

    def test_connection_names(self) -> None:
        """Naming our own fields in Connection does not take them away (R14)."""
        self.begin()
        self.get("/olla/proxy/x", Connection="X-Forwarded-For, Via, Host, X-Request-ID, X-Hop", X_Hop="1")
        (seen,) = self.backend.seen
        for name in ("X-Forwarded-For", "Via", "Host", "X-Request-ID"):
            self.assertEqual(len(seen.fields(name)), 1, name)
        self.assertEqual(seen.fields("X-Hop"), [])


@on_each_engine
class Hosts(Hostile):
    """The one field that a request must have."""

    def test_hosts(self) -> None:
        """A request has one Host, which is a host (R11)."""
        self.begin()
        line = b"GET /olla/proxy/x HTTP/1.1\r\n"
        self.assertRefused(
            line + b"\r\n",
            line + b"Host: a\r\nHost: b\r\n\r\n",
            line + b"Host: a\r\nHost: a\r\n\r\n",
            line + b"Host: a/b\r\n\r\n",
            line + b"Host: a?b\r\n\r\n",
            line + b"Host: a#b\r\n\r\n",
            line + b"Host: a@b\r\n\r\n",
        )


@on_each_engine
class Targets(Hostile):
    """Where a request goes."""

    def test_never_outside(self) -> None:
        """No spelling of a way up leads out of the prefix or the endpoint's base path (C4, C132, R16)."""
        self.start({"a": self.backend}, endpoint={"preserve_path": True, "url": "http://127.0.0.1:9000/base"})
        ups = ("..", "%2e%2e", ".%2e", "%2E.", "..;", "%252e%252e", "..%2f", "..%5c", "..\\", "%c0%ae%c0%ae", "..%00")
        for up in ups:
            for path in (f"/olla/proxy/{up}/{up}/x", f"/olla/proxy/v1/{up}/{up}/{up}/x", f"/olla/openai/{up}/secret"):
                client = self.get(path)
                self.assertIn(client.status, (200, 400, 404), path)
        for seen in self.backend.seen:
            target = seen.line.split()[1]
            self.assertTrue(target.startswith(b"/base/"), target)
            self.assertNotIn(b"/../", target.lower().replace(b"%2e", b".") + b"/")

    def test_pages_are_not_reached(self) -> None:
        """Nor is a page of ours reached through a prefix (C4)."""
        self.begin()
        for path in ("/olla/ollama/../../internal/health", "/olla/proxy/../../version", "/olla/%2e%2e/internal/status"):
            self.assertEqual(self.get(path).status, 404, path)
        self.assertEqual(self.backend.seen, [])

    def test_encoded_line_ends(self) -> None:
        """Line ends and zeros that are encoded stay encoded (R17)."""
        self.begin()
        target = "/a%0d%0aX-Evil:%201%00?q=%0d%0aX-Evil:%201"
        client = self.get("/olla/proxy" + target)
        if client.status == 200:
            self.assertEqual(self.backend.seen[0].line.decode(), f"GET {target} HTTP/1.1")
        else:
            self.assertEqual(client.status, 400)
        self.assertEqual([seen.fields("X-Evil") for seen in self.backend.seen if seen.fields("X-Evil")], [])

    def test_as_it_came(self) -> None:
        """Encoded delimiters, UTF-8 and the order of a query pass as they came (C5, C32, R18)."""
        self.begin()
        for target in ("/v1/a%2Fb%3Fc%23d%25", "/v1/%C3%A9?b=2&a=1&b=%20+", "/v1/x?", "/v1/x?a[]=1&c=%", "/v1/x//y"):
            self.assertEqual(self.get("/olla/proxy" + target).status, 200, target)
            self.assertEqual(self.backend.seen[-1].line.decode(), f"GET {target} HTTP/1.1")

    def test_never_to_an_address_of_the_client(self) -> None:
        """No form of target makes a connection to an address in it (R19)."""
        caught = Backend(play=says(answer({"from": "elsewhere"})))
        self.network.listeners[9999] = caught
        self.begin()
        for target in (
            *("http://127.0.0.1:9999/", "http://127.0.0.1:9999/olla/proxy/x", "//127.0.0.1:9999/x", "@127.0.0.1:9999"),
            *("/olla/proxy//127.0.0.1:9999/x", "/olla/proxy/@127.0.0.1:9999/", "/olla/proxy@127.0.0.1:9999/"),
            *("/olla/proxy/http://127.0.0.1:9999/", "*", "127.0.0.1:9999"),
        ):
            for method in ("GET", "CONNECT", "TRACE", "OPTIONS"):
                client = self.send(request(method, target))
                self.assertTrue(client.got.startswith(b"HTTP/1.1 "), target)
                self.assertNotIn(b"elsewhere", client.got)
        self.assertEqual(caught.connections, [])

    def test_absolute_form(self) -> None:
        """A target with an address in it is malformed, with a body as without one (R19, http-api.md §8.3)."""
        self.begin()
        for body in (b"", b"{}"):
            client = self.send(request("POST", "http://h/olla/proxy/x", body))
            self.assertEqual((client.status, client.json["error"]["code"]), (400, "MALFORMED_REQUEST"))
        self.assertEqual(self.backend.seen, [])

    def test_long_paths(self) -> None:
        """Of a path of any length nothing is kept: there is no end to them (R56)."""
        self.begin()
        self.assertEqual(self.get("/olla/proxy/" + "x" * 10_000).status, 200)
        assert self.proxy is not None
        self.assertEqual([path for _, path in self.proxy.parts._supported if len(path) > 1000], [])

    def test_trace(self) -> None:
        """TRACE gives back nothing that a client sent (R19)."""
        self.begin()
        self.assertNotIn(b"hunter2", self.send(request("TRACE", "/internal/health", Authorization="hunter2")).got)

    def test_trace_and_connect_are_not_proxied(self) -> None:
        """No backend is asked to show what we send it, or for a tunnel (R19, R59)."""
        self.begin()
        for method in ("TRACE", "CONNECT"):
            for framing in (b"\r\n", b"Content-Length: 5\r\n\r\nhello", b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"):
                client = self.ask(method.encode() + b" /olla/proxy/v1/x HTTP/1.1\r\nHost: h\r\n" + framing)
                self.assertEqual(client.status, 405, (method, framing))
                self.assertIn(b'"METHOD_NOT_ALLOWED"', client.got)
                self.assertIn(b"\r\nAllow: GET, HEAD, POST,", client.got)
                self.assertLessEqual({seen.line.split()[0] for seen in self.backend.seen}, {b"GET"})


@on_each_engine
class Bodies(Hostile):
    """What is in a body."""

    def test_json_bombs(self) -> None:
        """Deep, long and broken JSON goes on byte for byte, or is a 4xx; it is never a 5xx of ours (R57, C46)."""
        self.begin()
        for body in (
            *(b"[" * 200_000, b"{" * 200_000, b'{"a":' * 200_000, b"[" * 200_000 + b"]" * 200_000),
            b'{"model":"m","x":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
            b'{"model":"m","n":' + b"9" * 1_000_000 + b"}",
            b'{"model":"m","n":1e999999999}',
            b'{"model": ' + b"9" * 10_000 + b"}",
            b'{"model":"m"' + b"".join(b',"k%d":1' % number for number in range(50_000)) + b"}",
            *(
                b'{"model":"\\ud800"}',
                b'{"model":"\\u0000m"}',
                b'{"model":{"a":1}}',
                b'{"model":null}',
                b'{"model":[]}',
            ),
            *(b"\xff\xfe{}", b"\xef\xbb\xbf{}", b"null", b"1", b'"m"', b"[]", b"{", b'{"model":', b"\x00" * 1000),
            b'{"model":"' + b"x" * 1_000_000 + b'"}',
        ):
            count = len(self.backend.seen)
            client = self.post(body=body)
            self.assertTrue(client.status < 500, (client.got[:200], body[:40]))
            if client.status == 200:
                self.assertEqual(self.backend.seen[count].body, body)

    def test_bombs_with_an_alias(self) -> None:
        """Where the body is rewritten, the rest of it stays as it is, too (C36, R57)."""
        self.begin(model_aliases={"quick": ["m"]})
        deep = b"[" * 50_000 + b"]" * 50_000
        for rest in (deep, b"9" * 100_000, b'"\\ud800"'):
            client = self.post(body=b'{"x":' + rest + b',"model":"quick"}')
            self.assertEqual(client.status, 200)
            self.assertEqual(self.backend.seen[-1].body, b'{"x":' + rest + b',"model":"m"}')

    def test_model_twice(self) -> None:
        """With two models the backend sees the same bytes, or none (R58)."""
        self.backend.models = ("m", "n")
        self.begin()
        body = b'{"model":"m","model":"n"}'
        client = self.post(body=body)
        self.assertIn(client.status, (200, 400))
        self.assertEqual([seen.body for seen in self.backend.seen], [body] if client.status == 200 else [])


@on_each_engine
class Telling(Hostile):
    """What we tell of it."""

    def lines(self) -> list[bytes]:
        """Give the lines of the log."""
        assert self.proxy is not None
        self.proxy.parts.telemetry.lines.flush()
        return b"".join(self.logged).splitlines()

    def test_log_injection(self) -> None:
        """Nothing that a client sends makes a line of its own, or colours one (R61, C20)."""
        self.begin()
        evil = '\u2028{"evil":1}\u0085\x1b[31m'.encode()
        self.send(GET + b"User-Agent: a" + evil[:3] + b"b\r\nReferer: http://x/" + evil[3:13] + b"\r\n\r\n")
        self.get("/olla/proxy/%0a%7b%22evil%22:1%7d%1b[31m?%0d%0aevil")
        self.post(body={"model": 'm\n{"evil":1}\r\n\x1b[31m\u2028\u0085'})
        self.post("/nope", X_Request_ID="\x1b[31mevil")
        lines = self.lines()
        self.assertTrue(lines)
        for line in lines:
            self.assertIsInstance(json.loads(line), dict)
            self.assertNotIn(b"\x1b", line)
            self.assertNotIn("\u2028".encode(), line)
            self.assertNotIn(b'{"evil"', line)

    def test_no_way_in_is_told(self) -> None:
        """Errors show neither traces nor files of ours (R62, C57)."""
        self.begin()
        self.backend.play = says(b"\x00\x01garbage\r\n\r\n")
        found = b"".join(
            client.got
            for client in (
                *(self.post(), self.get("/olla/models?format=%00"), self.get("/olla/models/%ff")),
                *(self.ask(POST + b"Content-Length: x\r\n\r\n"), self.post(body=b"[" * 200_000)),
            )
        )
        for word in (b"Traceback", b".py", b"/olla/olla", b"twisted", b"Exception"):
            self.assertNotIn(word, found)

    def test_secrets(self) -> None:
        """An endpoint's secrets are on no page, in no answer, no error and no line, even at debug (R59, C57)."""
        auth = {"auth": {"type": "bearer", "token": "hunter2"}, "headers": {"X-Tenant": "hunter2"}}
        self.begin(endpoint=auth)
        found = []
        for play in (
            says(answer({}, Authorization="Bearer hunter2", X_Tenant="hunter2")),
            says(answer({}, 500)),
            says(b"garbage hunter2\r\n\r\n"),
            says(b"HTTP/1.1 200 OK\r\nX: hunter2\x00\r\n\r\n"),
            says(b"HTTP/1.1 200 OK\r\nContent-Length: hunter2\r\n\r\n"),
            lambda connection, seen: connection.transport.abortConnection(),
        ):
            self.backend.play = play
            found.append(self.post())
            self.network.wait(5.0)
        self.assertEqual(self.backend.seen[0].fields("Authorization"), ["Bearer hunter2"])
        del self.network.listeners[9000]
        found.append(self.post())
        found += [self.get(path) for path in ("/internal/status", "/internal/status/endpoints", "/internal/process")]
        found += [self.get(path) for path in ("/internal/status/models", "/internal/stats/models", "/olla/models")]
        self.assertNotIn(b"hunter2", b"".join(client.got for client in found))
        self.assertNotIn(b"hunter2", b"".join(self.lines()))

    def test_what_a_client_sends_in_confidence(self) -> None:
        """Prompts, tokens, cookies and secrets in a query are in no line (R60, C125)."""
        self.begin()
        for play in (says(answer({})), says(answer({}, 500)), says(b"garbage\r\n\r\n")):
            self.backend.play = play
            self.post(
                "/olla/proxy/v1/chat/completions?api_key=hunter2&api%5Fkey=hunter2&token=hunter2",
                {"model": "m", "messages": [{"role": "user", "content": "hunter2"}]},
                Authorization="Bearer hunter2",
                Cookie="session=hunter2",
                X_Api_Key="hunter2",
                Referer="http://x/?token=hunter2",
            )
        self.assertNotIn(b"hunter2", b"".join(self.lines()))
