"""What OpenAI clients call besides chat completions: where the model stands, and that bytes pass."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Mapping
from typing import Any

from olla.dialect.inflate import inflated
from olla.domain.message import Body
from tests.support import (
    SSE,
    Backend,
    Client,
    ProxyCase,
    answer,
    chunk,
    on_each_engine,
    request,
    says,
    says_and_closes,
)

BOUNDARY = "--b0undary"
FORM = f'multipart/form-data; boundary="{BOUNDARY}"'
JSON_PATHS = (
    *("completions", "responses", "responses/input_tokens", "responses/compact", "embeddings", "audio/speech"),
    *("images/generations", "moderations", "rerank", "score", "pooling", "classify", "tokenize", "detokenize"),
    *("realtime/client_secrets", "realtime/sessions"),
)


def form(*parts: tuple[str, bytes], file: bytes = b"", last: bool = True) -> bytes:
    """Write a multipart body: fields, and a file before the last of them."""
    written = []
    for name, value in parts:
        disposition = f'Content-Disposition: form-data; name="{name}"'
        written.append(f"--{BOUNDARY}\r\n{disposition}\r\n\r\n".encode() + value + b"\r\n")
    if file:
        disposition = 'Content-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav'
        written.insert(-1, f"--{BOUNDARY}\r\n{disposition}\r\n\r\n".encode() + file + b"\r\n")
    return b"".join(written) + (f"--{BOUNDARY}--\r\n".encode() if last else b"")


class SurfaceCase(ProxyCase):
    """Two endpoints; ``a`` has the model ``m``, ``b`` the model ``org/n``."""

    def setUp(self) -> None:
        super().setUp()
        self.a = Backend(models=["m", "whisper"], play=says(answer({"from": "a"})))
        self.b = Backend(models=["org/n"], play=says(answer({"from": "b"})))

    def begin(self, **sections: Any) -> None:
        """Start with both."""
        self.start({"a": self.a, "b": self.b}, proxy={"load_balancer": "round-robin"}, **sections)

    def routed(self, client: Client, endpoint: str, model: str) -> None:
        """Check where a request went, and for which model."""
        self.assertEqual(client.status, 200)
        self.assertEqual((client.field("X-Olla-Endpoint"), client.field("X-Olla-Model")), (endpoint, model))

    def ask(self, path: str, body: bytes | Mapping[str, Any], kind: str = "application/json", **fields: str) -> Client:
        """Post."""
        return self.send(request("POST", path, body, self.detour, Content_Type=kind, **fields))


@on_each_engine
class Models(SurfaceCase):
    """Where the model's name is found (openai-surface.md §1)."""

    def test_any_path(self) -> None:
        """A JSON body's model decides on every path, listed by some profile or not, under each prefix (§1)."""
        self.begin()
        for path in JSON_PATHS:
            for prefix in ("/olla/openai/v1/", "/olla/proxy/v1/", "/olla/openai/", "/olla/proxy/v2/"):
                for model, endpoint in (("m", "a"), ("org/n", "b")):
                    self.routed(self.ask(prefix + path, {"input": "x", "model": model}), endpoint, model)
                client = self.ask(prefix + path, {"model": "nobody"})
                self.assertEqual((client.status, client.json["error"]["code"]), (404, "MODEL_NOT_FOUND"))

    def test_behind_megabytes(self) -> None:
        """A vision request of 5 MiB is routed by a model that stands behind its messages (C47, B37)."""
        self.begin()
        image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * (5 << 20)}}
        body = {"messages": [{"role": "user", "content": [image]}], "model": "org/n"}
        for _ in range(2):
            client = self.ask("/olla/openai/v1/chat/completions", body)
            self.routed(client, "b", "org/n")
        self.assertEqual(json.loads(self.b.seen[0].body), body)

    def test_form(self) -> None:
        """A transcription is routed by its form's model, before or after the file, and passes unchanged (C54, §4)."""
        self.begin()
        sound = bytes(range(256)) * 2048
        for model, endpoint in (("whisper", "a"), ("org/n", "b")):
            for parts in (
                form(("model", model.encode()), ("response_format", b"json"), file=sound),
                form(("language", b"en"), ("model", model.encode()), file=sound),
            ):
                self.routed(self.ask("/olla/openai/v1/audio/transcriptions", parts, FORM), endpoint, model)
                seen = (self.a if endpoint == "a" else self.b).seen[-1]
                self.assertEqual((seen.body, seen.fields("Content-Type")), (parts, [FORM]))

    def test_form_alias(self) -> None:
        """An alias in a form gives way to the endpoint's name there alone, and the length is right (§1, §4)."""
        self.begin(model_aliases={"Ears": ["whisper"]})
        parts = form(("prompt", b"Ears"), ("model", b"Ears"), file=b"Ears")
        self.routed(self.ask("/olla/openai/v1/audio/translations", parts, FORM), "a", "whisper")
        self.assertEqual(self.a.seen[-1].body, form(("prompt", b"Ears"), ("model", b"whisper"), file=b"Ears"))
        self.ask("/olla/openai/v1/x", b"a=Ears&model=Ears&b=1", "application/x-www-form-urlencoded")
        self.assertEqual(self.a.seen[-1].body, b"a=Ears&model=whisper&b=1")

    def test_broken_form(self) -> None:
        """A broken form is forwarded as it is, without a model (§4)."""
        self.begin()
        for body in (form(("model", b"m"), last=False)[:-8], b"--other\r\n\r\nm\r\n", b"nonsense"):
            client = self.ask("/olla/openai/v1/audio/transcriptions", body, FORM)
            self.assertEqual((client.status, client.field("X-Olla-Model")), (200, None))
            self.assertIn(body, [seen.body for seen in self.a.seen + self.b.seen])

    def test_path(self) -> None:
        """A model in a path decides, with its slashes where it is the last part; an alias there gives way (§1)."""
        self.begin(model_aliases={"big": ["org/n"]})
        for path in ("engines/m/embeddings", "openai/deployments/m/chat/completions?api-version=1"):
            self.routed(self.ask(f"/olla/openai/{path}", {"input": "x"}), "a", "m")
            self.assertEqual(self.a.seen[-1].line.decode(), f"POST /{path} HTTP/1.1")
        self.routed(self.ask("/olla/openai/openai/deployments/big/embeddings", {"input": "x"}), "b", "org/n")
        self.assertEqual(self.b.seen[-1].line.decode(), "POST /openai/deployments/org%2Fn/embeddings HTTP/1.1")
        for path in ("openai/deployments/org%2fn/embeddings?x=1", "engines/org%2Fn/embeddings"):
            self.routed(self.ask(f"/olla/openai/{path}", {"input": "x"}), "b", "org/n")
            self.assertEqual(self.b.seen[-1].line.decode(), f"POST /{path} HTTP/1.1")
        for path in ("org/n", "org%2Fn"):
            self.routed(self.send(request("DELETE", f"/olla/openai/v1/models/{path}")), "b", "org/n")

    def test_query(self) -> None:
        """A model in the query decides for what has no body, and an alias there gives way (§1)."""
        self.begin(model_aliases={"big": ["org/n"]})
        for query in ("model=org%2Fn&x=%2F", "x=1&model=big"):
            self.routed(self.get(f"/olla/openai/v1/realtime?{query}"), "b", "org/n")
            self.assertIn(b"model=org%2Fn", self.b.seen[-1].line)

    def test_session(self) -> None:
        """Calls of ``/realtime`` name their model in ``session``, and an alias is changed there (§2)."""
        self.begin(model_aliases={"talk": ["org/n"]})
        for asked in ("org/n", "talk"):
            session = {"type": "realtime", "model": asked}
            for path in ("client_secrets", "sessions", "transcription_sessions"):
                client = self.ask(f"/olla/openai/v1/realtime/{path}", {"a": {"model": "m"}, "session": session})
                self.routed(client, "b", "org/n")
                self.assertEqual(json.loads(self.b.seen[-1].body)["session"], {**session, "model": "org/n"})
            body = form(("sdp", b"v=0\r\n"), ("session", json.dumps(session).encode()))
            self.routed(self.ask("/olla/openai/v1/realtime/calls", body, FORM), "b", "org/n")
            sent = json.dumps({**session, "model": "org/n"}).encode()
            self.assertEqual(self.b.seen[-1].body, form(("sdp", b"v=0\r\n"), ("session", sent)))
            path = f"/olla/openai/v1/realtime/calls?model={asked.replace('/', '%2F')}"
            self.routed(self.ask(path, b"v=0\r\n", "application/sdp"), "b", "org/n")
            self.assertIn(b"/v1/realtime/calls?model=org%2Fn ", self.b.seen[-1].line)

    def test_session_elsewhere(self) -> None:
        """A ``session`` of any other call names no model (§1)."""
        self.begin()
        self.ask("/olla/openai/v1/audio/speech", {"session": {"model": "nobody"}})
        body = form(("session", b'{"model":"nobody"}'))
        self.assertEqual(self.ask("/olla/openai/v1/audio/transcriptions", body, FORM).status, 200)

    def test_compressed(self) -> None:
        """A compressed body is looked into, and forwarded as it came (§7)."""
        self.begin()
        for model, endpoint in (("m", "a"), ("org/n", "b")):
            packed = gzip.compress(json.dumps({"model": model, "input": "x" * 999}).encode())
            self.routed(self.ask("/olla/openai/v1/embeddings", packed, Content_Encoding="gzip"), endpoint, model)
            seen = (self.a if endpoint == "a" else self.b).seen[-1]
            self.assertEqual((seen.body, seen.fields("Content-Encoding")), (packed, ["gzip"]))

    def test_compressed_alias(self) -> None:
        """An alias in a compressed body gives way to the backend's own name; the rest stays, compressed alike (§7)."""
        self.begin(model_aliases={"big": ["org/n"]})
        plain = {"model": "big", "input": "x" * 999}
        raw = zlib.compressobj(wbits=-15)
        data = json.dumps(plain).encode()
        for packed, encoding in (
            (gzip.compress(data), "gzip"),
            (gzip.compress(data[:50]) + gzip.compress(data[50:]), "gzip"),
            (zlib.compress(data), "deflate"),
            (raw.compress(data) + raw.flush(), "deflate"),
        ):
            client = self.ask("/olla/openai/v1/embeddings", packed, Content_Encoding=encoding)
            self.routed(client, "b", "org/n")
            seen = self.b.seen[-1]
            self.assertEqual(seen.fields("Content-Encoding"), [encoding])
            told = inflated(Body.of(seen.body), encoding.encode()).whole()
            self.assertEqual(json.loads(told), {**plain, "model": "org/n"})
            self.assertEqual(told.replace(b"org/n", b"big"), data)

    def test_compressed_form(self) -> None:
        """So does one in a compressed form."""
        self.begin(model_aliases={"big": ["org/n"]})
        packed = gzip.compress(b"input=" + b"x" * 999 + b"&model=big&n=1")
        kind = "application/x-www-form-urlencoded"
        self.routed(self.ask("/olla/openai/v1/embeddings", packed, kind, Content_Encoding="gzip"), "b", "org/n")
        told = gzip.decompress(self.b.seen[-1].body)
        self.assertEqual(told, b"input=" + b"x" * 999 + b"&model=org%2Fn&n=1")

    def test_compressed_alias_refused(self) -> None:
        """An alias in what grows too large is refused, since no backend knows it; what breaks off names no model."""
        self.begin(model_aliases={"big": ["org/n"]})
        for model, statuses in (("org/n", (200, 200)), ("big", (413, 200))):
            large = gzip.compress(b'{"model": "%b", "input": "' % model.encode() + b"x" * (9 << 20) + b'"}')
            broken = gzip.compress(json.dumps({"model": model, "input": "x" * 99}).encode())[:24]
            asked = [self.ask("/olla/openai/v1/embeddings", one, Content_Encoding="gzip") for one in (large, broken)]
            self.assertEqual(tuple(client.status for client in asked), statuses)
            self.assertIsNone(asked[1].field("X-Olla-Model"))

    def test_compressed_otherwise(self) -> None:
        """What is compressed in a way unknown to us is refused nothing; path and query still name a model (§1)."""
        self.begin(model_aliases={"big": ["org/n"]})
        for encoding in ("br", "gzip, gzip", "x-unknown"):
            client = self.ask("/olla/openai/v1/embeddings", b"\x1b\x03\x00\xf8", Content_Encoding=encoding)
            self.assertEqual(client.status, 200)
            path = "/olla/openai/openai/deployments/big/embeddings"
            self.routed(self.ask(path, b"\x1b\x03\x00\xf8", Content_Encoding=encoding), "b", "org/n")
            self.assertEqual(self.b.seen[-1].body, b"\x1b\x03\x00\xf8")

    def test_kinds_of_json(self) -> None:
        """``+json`` counts as JSON, and so does a body without a type that begins like an object (§1)."""
        self.begin()
        self.routed(self.ask("/olla/openai/v1/x", b'{"model": "m"}', "application/problem+json"), "a", "m")
        raw = b'POST /olla/openai/v1/x HTTP/1.1\r\nHost: h\r\nContent-Length: 18\r\n\r\n{"model": "org/n"}'
        self.routed(self.send(raw), "b", "org/n")

    def test_capitals(self) -> None:
        """An alias with a capital letter is found in any letter case (C49, B55)."""
        self.begin(model_aliases={"Fast": ["m"]})
        for name in ("Fast", "fast", "FAST"):
            self.routed(self.post(body={"model": name}), "a", "m")
        self.assertEqual({seen.body for seen in self.a.seen}, {b'{"model": "m"}'})


@on_each_engine
class Passing(SurfaceCase):
    """What passes as it is."""

    def test_sound(self) -> None:
        """Sound comes back byte for byte, while it is made (openai-surface.md §2)."""
        pieces = [bytes([number]) * 5000 for number in range(5)]
        self.a.play = says(SSE.replace(b"text/event-stream", b"audio/mpeg") + chunk(pieces[0]))
        self.begin()
        client = self.ask("/olla/openai/v1/audio/speech", {"model": "m", "input": "x"})
        self.assertEqual((client.field("Content-Type"), client.body), ("audio/mpeg", pieces[0]))
        for number in range(1, 5):
            self.a.connections[-1].transport.write(chunk(pieces[number]))
            self.network.pump()
            self.assertEqual(client.body, b"".join(pieces[: number + 1]))
        self.a.connections[-1].transport.write(b"0\r\n\r\n")
        self.network.pump()
        self.assertTrue(client.whole)

    def test_named_events(self) -> None:
        """Named events, comments and a stream without ``[DONE]`` are relayed untouched (openai-surface.md §3)."""
        events = [
            b'event: response.created\ndata: {"type":"response.created","sequence_number":0}\n\n',
            b": still here\n\n",
            b'event: response.completed\ndata: {"type":"response.completed","sequence_number":1}\n\n',
        ]
        self.a.play = says(SSE + b"".join(map(chunk, events)) + b"0\r\n\r\n")
        self.begin()
        client = self.ask("/olla/openai/v1/responses", {"model": "m", "stream": True})
        self.assertEqual((client.body, client.whole), (b"".join(events), True))

    def test_broken_events(self) -> None:
        """A stream of numbered events that breaks ends with an error event that has the next number (§3, C42)."""
        events = b'data: {"sequence_number": 8, "delta": "\\"sequence_number\\":1,"}\n\ndata: {"sequence_number":77'
        self.a.play = says_and_closes(SSE + chunk(events))
        self.begin()
        client = self.ask("/olla/openai/v1/responses", {"model": "m", "stream": True})
        before, _, after = client.body.rpartition(b"\n\nevent: error\ndata: ")
        self.assertEqual((before, client.whole), (events, False))
        error = json.loads(after)
        self.assertEqual((error["type"], error["code"], error["sequence_number"]), ("error", "server_error", 9))

    def test_fields(self) -> None:
        """OpenAI's fields pass in both directions; the backend's limits under a name of their own (§7)."""
        given = {
            "OpenAI_Organization": "o", "OpenAI_Project": "p", "OpenAI_Beta": "b", "Idempotency_Key": "i",
            "X_Stainless_Lang": "python", "Range": "bytes=0-9",
        }  # fmt: skip
        self.a.play = says(
            answer({}, 206, openai_processing_ms="5", x_request_id="theirs", x_ratelimit_limit_requests="9", ETag='"e"')
        )
        self.begin()
        client = self.ask("/olla/openai/v1/x", {"model": "m"}, **given)
        for name, value in given.items():
            self.assertEqual(self.a.seen[0].fields(name.replace("_", "-")), [value])
        self.assertEqual(client.status, 206)
        for name, value in (
            ("openai-processing-ms", "5"),
            ("x-request-id", "theirs"),
            ("x-upstream-ratelimit-limit-requests", "9"),
            ("etag", '"e"'),
        ):
            self.assertEqual(client.fields(name), [value], name)

    def test_embeddings_needed(self) -> None:
        """Embeddings that name no model go to who can make them (B45, behaviour.md §7)."""
        self.b.models = ["nomic-embed-text"]
        self.begin()
        for _ in range(4):
            client = self.ask("/olla/openai/v1/embeddings", {"input": "x"})
            self.assertEqual(client.field("X-Olla-Endpoint"), "b")

    def test_vision_needed(self) -> None:
        """So does a picture; one that names a model goes to that model, whoever is known to see (B44)."""
        self.b.models = ["llava:7b"]
        self.begin()
        picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
        messages = [{"role": "user", "content": [picture]}]
        for _ in range(4):
            client = self.ask("/olla/openai/v1/chat/completions", {"messages": messages})
            self.assertEqual(client.field("X-Olla-Endpoint"), "b")
            client = self.ask("/olla/openai/v1/chat/completions", {"messages": messages, "model": "m"})
            self.routed(client, "a", "m")

    def test_path_preferred(self) -> None:
        """Without a model, a path that one kind alone lists goes to that kind (http-api.md §7.3)."""
        self.network.listeners[9100] = self.a
        self.network.listeners[9101] = self.b
        endpoints = [
            {"name": "a", "url": "http://127.0.0.1:9100", "type": "openai-compatible"},
            {"name": "b", "url": "http://127.0.0.1:9101", "type": "vllm"},
        ]
        self.start(discovery={"static": {"endpoints": endpoints}})
        for _ in range(4):
            client = self.ask("/olla/proxy/v2/rerank", {"query": "x"})
            self.assertEqual(client.field("X-Olla-Endpoint"), "b")
            self.routed(self.ask("/olla/proxy/v2/rerank", {"query": "x", "model": "m"}), "a", "m")
