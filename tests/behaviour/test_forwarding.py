"""What goes to a backend, and what comes back."""

from __future__ import annotations

import json

from tests.support import (
    HEADER_END,
    SSE,
    Backend,
    ProxyCase,
    answer,
    chunk,
    chunked,
    on_each_engine,
    request,
    says,
    says_and_closes,
)


@on_each_engine
class Forwarding(ProxyCase):
    """One request, one backend."""

    def test_body_and_status_pass_unchanged(self) -> None:
        """A backend's status and body reach the client as they are, whatever the status (C39, C40, B75)."""
        for status in (200, 404, 422, 500):
            self.setUp()
            backend = Backend(play=says(answer(b'{"odd":  "spacing"}', status)))
            self.start({"a": backend})
            client = self.post()
            self.assertEqual((client.status, client.body, client.whole), (status, b'{"odd":  "spacing"}', True))
            self.stop()

    def test_request_reaches_the_backend(self) -> None:
        """The prefix goes, the query stays byte for byte, the body has one length, no chunks (C8, C31, C32)."""
        backend = Backend(play=says(answer({})))
        self.start({"a": backend})
        self.post("/olla/proxy/v1/x%2Fy?a=1&a=%2F&b", {"model": "m", "pad": "x" * 300})
        (seen,) = backend.seen
        self.assertEqual(seen.line, b"POST /v1/x%2Fy?a=1&a=%2F&b HTTP/1.1")
        self.assertEqual(seen.fields("Content-Length"), [str(len(seen.body))])
        self.assertEqual(seen.fields("Transfer-Encoding"), [])
        self.assertEqual(json.loads(seen.body), {"model": "m", "pad": "x" * 300})

    def test_fields_of_the_request(self) -> None:
        """Host, Via and forwarding fields are ours; cookies and hop-by-hop stay behind (C28, C29, C33, C34)."""
        backend = Backend(play=says(answer({})))
        self.start({"a": backend})
        self.post(
            Cookie="a=b",
            Authorization="Bearer t",
            Connection="keep-alive, X-Hop",
            X_Hop="1",
            Via="1.1 foo",
            X_Forwarded_For="1.1.1.1",
            X_Request_ID="abc-123",
            X_Custom="kept",
        )
        (seen,) = backend.seen
        self.assertEqual(seen.fields("Host"), ["127.0.0.1:9000"])
        self.assertEqual(seen.fields("X-Forwarded-Host"), ["proxy.test"])
        self.assertEqual(seen.fields("X-Forwarded-For"), ["192.0.2.7"])
        self.assertEqual(seen.fields("Via"), ["1.1 foo, 1.1 olla/0.1.0"])
        self.assertEqual(seen.fields("X-Request-ID"), ["abc-123"])
        self.assertEqual(seen.fields("Authorization"), ["Bearer t"])
        self.assertEqual(seen.fields("X-Model"), ["m"])
        self.assertEqual(seen.fields("X-Custom"), ["kept"])
        self.assertEqual(seen.fields("Cookie") + seen.fields("X-Hop"), [])

    def test_fields_of_the_response(self) -> None:
        """The client learns where its request went and why; nobody can forge that (C17, C21, C22, C23, C25)."""
        reply = answer(
            {}, X_Olla_Endpoint="evil", Set_Cookie="a=b", Access_Control_Allow_Origin="http://evil", X_Own="1"
        )
        self.start({"a": Backend(play=says(reply))})
        client = self.post(X_Request_ID="abc-123")
        self.assertEqual(client.fields("X-Olla-Endpoint"), ["a"])
        self.assertEqual(client.field("X-Olla-Backend-Type"), "openai")
        self.assertEqual(client.field("X-Olla-Model"), "m")
        self.assertEqual(client.field("X-Olla-Request-ID"), "abc-123")
        self.assertEqual(client.field("X-Olla-Routing-Decision"), "routed")
        self.assertEqual(client.field("X-Olla-Routing-Reason"), "model_found")
        self.assertEqual(client.fields("Access-Control-Allow-Origin"), ["*"])
        self.assertEqual(client.field("X-Own"), "1")
        self.assertEqual(client.fields("Set-Cookie"), [])
        self.assertRegex(client.field("X-Olla-Response-Time") or "", r"^\d+ms$")

    def test_stream_passes_piece_by_piece(self) -> None:
        """Each event or line arrives before the next one is made, all fields before the first (C26, C38, B81)."""
        for head, form in (
            (SSE, b"data: %d\n\n"),
            (SSE.replace(b"text/event-stream", b"application/x-ndjson"), b'{"n":%d}\n'),
        ):
            self.setUp()
            backend = Backend(play=says(head))
            self.start({"a": backend})
            client = self.post()
            self.assertEqual((client.status, client.body), (200, b""))
            self.assertEqual(client.field("X-Olla-Endpoint"), "a")
            (connection,) = [one for one in backend.connections if one.lost is None and one._backend.seen][-1:]
            events = [form % number for number in range(3)]
            for number, event in enumerate(events, 1):
                connection.transport.write(chunk(event))
                self.network.pump()
                self.assertEqual(client.body, b"".join(events[:number]))
            self.assertFalse(client.whole)
            connection.transport.write(b"0\r\n\r\n")
            self.network.pump()
            self.assertEqual((client.whole, client.body), (True, b"".join(events)))
            self.stop()

    def test_close_delimited_body_is_whole(self) -> None:
        """A body that ends with the backend's connection reaches the client with a proper end (R27)."""
        reply = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nall of it"
        self.start({"a": Backend(play=says_and_closes(reply))})
        client = self.post()
        self.assertEqual((client.body, client.whole), (b"all of it", True))

    def test_length_without_a_body(self) -> None:
        """The length that a 304 tells of what it stands for goes on, as that of an answer to ``HEAD`` does (R26)."""
        for method, first in (("GET", b"304 Not Modified"), ("HEAD", b"200 OK")):
            backend = Backend(play=says(b"HTTP/1.1 " + first + b"\r\nETag: x\r\nContent-Length: 8\r\n\r\n"))
            self.start({"a": backend})
            client = self.send(request(method, "/olla/proxy/x"))
            self.assertEqual((client.field("Content-Length"), client.field("Transfer-Encoding")), ("8", None))
            self.assertEqual(client.got.partition(HEADER_END)[2], b"")
            self.stop()

    def test_interim_answers_are_skipped(self) -> None:
        """1xx answers are not the answer, and are not passed on (R25)."""
        reply = b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + answer(b"yes")
        self.start({"a": Backend(play=says(reply))})
        client = self.post()
        self.assertEqual((client.status, client.body), (200, b"yes"))

    def test_connection_is_used_again(self) -> None:
        """Two requests of one client go over one connection, in order, each with its own answer (R12)."""
        backend = Backend(play=lambda connection, seen: connection.transport.write(answer(seen.body)))
        self.start({"a": backend})
        client = self.post(body={"model": "m", "n": 1})
        first = client.body
        client.got = b""
        body = {"model": "m", "n": 2}
        client.transport.write(request("POST", "/olla/openai/v1/completions", body, self.detour))
        self.network.pump()
        self.assertEqual([json.loads(first)["n"], client.json["n"]], [1, 2])
        self.assertEqual(len([c for c in backend.connections if c.transport.sent.count(b'"n"')]), 1)

    def test_alias_changes_nothing_but_the_name(self) -> None:
        """An alias gives way to the endpoint's own name, and nothing else changes (C27, C36, C37, B52)."""
        backend = Backend(play=says(answer({})))
        self.start({"a": backend}, model_aliases={"Fast": ["m"]})
        body = b'{"messages":[{"content":"\\"model\\": \\"fast\\""}] ,  "model" : "fast"}'
        client = self.post(body=body)
        self.assertEqual(backend.seen[0].body, body.replace(b'"model" : "fast"', b'"model" : "m"'))
        self.assertEqual(client.field("X-Olla-Model"), "m")
        self.assertEqual(client.field("X-Olla-Routing-Strategy"), "alias")

    def test_broken_json_is_forwarded(self) -> None:
        """A body that is not JSON goes to a backend, which judges it (C46)."""
        backend = Backend(play=says(answer({"error": "bad"}, 400)))
        self.start({"a": backend})
        client = self.post(body=b'{"model":')
        self.assertEqual((client.status, backend.seen[0].body), (400, b'{"model":'))

    def test_usage_is_logged(self) -> None:
        """The seed's provider metrics are in the debug log, for a stream too (C124, B115)."""
        usage = {"model": "m-real", "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}}
        events = b"data: {}\n\n", b"data: " + json.dumps(usage).encode() + b"\n\n", b"data: [DONE]\n\n"
        self.start({"a": Backend(play=says(SSE + chunked(*events)))})
        self.post()
        (record,) = [one for one in self.records() if one["msg"] == "Provider metrics"]
        self.assertEqual(record["level"], "DEBUG")
        self.assertEqual(
            (record["provider_model"], record["provider_prompt_tokens"], record["provider_completion_tokens"]),
            ("m-real", 3, 4),
        )
