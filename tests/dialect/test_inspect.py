"""Tests for olla.dialect.inspect."""

from __future__ import annotations

import io
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from olla.dialect.inspect import PARSED, requirements
from olla.domain.message import Body
from olla.domain.requirements import EMBEDDINGS, TOOLS, VISION, Requirements

JSON = b"application/json"
CHAT = "/v1/chat/completions"


def asked(body: Any, path: str = CHAT, content_type: bytes | None = JSON, query: bytes = b"") -> Requirements:
    """Inspect a request; a body that is not bytes is written as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return requirements(path, query, content_type, Body.of(data))


class ModelTests(SynchronousTestCase):
    """Which model a request names."""

    def test_top_level(self) -> None:
        """The name is trimmed and keeps its spelling (B41)."""
        self.assertEqual(asked({"model": "  Llama3.1:8B\n"}).model, "Llama3.1:8B")

    def test_nested_is_never_taken(self) -> None:
        """A ``model`` within messages or in their text is none (B38)."""
        body = {"messages": [{"content": '"model": "a"', "x": {"model": "b"}}], "model": "c"}
        self.assertEqual(asked(body).model, "c")
        self.assertEqual(asked({"messages": [{"x": {"model": "b"}}], "input": {"model": "d"}}).model, "")

    def test_order(self) -> None:
        """Exact key, then another letter case, then the first message (http-api.md §7.1)."""
        first = {"messages": [{"model": "m"}, {"model": "n"}]}
        self.assertEqual(asked({"Model": "b", "model": "a", **first}).model, "a")
        self.assertEqual(asked({"MODEL": "b", **first}).model, "b")
        self.assertEqual(asked({"MODEL": "b", "Model": "c"}).model, "c")
        self.assertEqual(asked(first).model, "m")
        self.assertEqual(asked({"model": 5, "messages": [{"model": "m"}]}).model, "m")

    def test_no_model(self) -> None:
        """What is not a string, empty or blank is no model."""
        values: tuple[Any, ...] = (None, 5, True, [], {}, "", "  ", ["a"])
        for value in values:
            self.assertEqual(asked({"model": value}).model, "")
        for body in (b"[]", b"5", b'"model"', b"null", b"", b"\xef\xbb\xbf" + b'{"model":"a"}', b'["model"]'):
            self.assertEqual(asked(body).model, "")

    def test_last_of_repeated_keys(self) -> None:
        """Of two ``model`` keys the last counts, whatever it is (R58)."""
        self.assertEqual(asked(b'{"model":"a","model":"b"}').model, "b")
        self.assertEqual(asked(b'{"model":"a","model":5}').model, "")
        large = b'{"model":"a","model":"b","x":"' + b"x" * PARSED
        self.assertEqual(asked(large).model, "b")

    def test_cut_off(self) -> None:
        """JSON that is cut off names no model; one too large to be parsed names what came before the cut (§7.1)."""
        body = b'{"messages":[{"content":"\\"x\\u00e9"}],"stream":true,"model":"abc","tools":[1]}'
        for cut in range(len(body)):
            found = asked(body[:cut])
            self.assertEqual((found.model, found.stream), ("", False))
        large = b'{"x":"' + b"x" * PARSED + b'",' + body[1:]
        for cut in range(len(large) - len(body), len(large)):
            found = asked(large[:cut])
            self.assertEqual(found.model, "abc" if cut > large.index(b'"abc"') + 4 else "")
            self.assertEqual(found.stream, cut > large.index(b"true") + 3)

    def test_broken(self) -> None:
        """JSON that only some backends take names its model, what none takes names none; neither is an error (R57)."""
        for odd in (
            *(b'"\xff"', b'"\\ud800"', b'"a\nb"', b"NaN", b"1e999", b"9" * 100000),
            *(b"[" * 200000 + b"]" * 200000, b"[" * 200000, b'{"a":' * 200000),
        ):
            self.assertEqual(asked(b'{"model":"a","x":' + odd + b"}").model, "a", odd[:9])
        for odd in (b"\xff", b"01", b"tru", b'"\\q"', b"}", b"", b'1 "y"', b"1,", b"1} x"):
            self.assertEqual(asked(b'{"model":"a","x":' + odd + b"}").model, "", odd)
        for name in (b'"\\ud800"', b'"\xff"', b'"\\ud800\\udc00"'):
            self.assertIn(asked(b'{"model":' + name + b"}").model, ("", "\U00010000"))

    @given(st.binary(max_size=300), st.sampled_from([JSON, None, b"multipart/form-data; boundary=x"]))
    def test_never_fails(self, body: bytes, content_type: bytes | None) -> None:
        """Whatever a body holds, inspection ends without an error (R57)."""
        asked(body, content_type=content_type)
        asked(b'{"model":' + body, content_type=content_type)

    def test_large(self) -> None:
        """The key is found behind 6 MiB, and behind 9 MiB it is not (B37)."""
        for megabytes, model in ((0.5, "a"), (1.5, "a"), (6, "a"), (9, "")):
            body = b'{"messages":["' + b"x" * int(megabytes * 1048576) + b'"],"model":"a"}'
            self.assertEqual(asked(body).model, model)
        body = b'{"model":"a","stream":true,"messages":["' + b"x" * 9 * 1048576 + b'"]}'
        self.assertEqual((asked(body).model, asked(body).stream), ("a", True))

    def test_spooled(self) -> None:
        """A body in a file is read as one in memory is."""
        data = b'{"messages":["' + b"x" * 2_000_000 + b'"],"model":"a"}'
        found = requirements(CHAT, b"", JSON, Body.spooled(io.BytesIO(data), len(data)))
        self.assertEqual(found.model, "a")

    def test_content_type(self) -> None:
        """JSON is read when declared, and undeclared or declared a form when it begins as an object (B39)."""
        body = b' {"model":"a"}'
        for content_type in (
            *(b"application/json; charset=utf-8", b"Application/JSON", b"application/vnd.x+json", None),
            *(b"application/x-www-form-urlencoded",),
        ):
            self.assertEqual(asked(body, content_type=content_type).model, "a")
        for other in (b"text/plain", b"application/octet-stream", b"multipart/form-data; boundary=x"):
            self.assertEqual(asked(body, content_type=other).model, "")
        self.assertEqual(asked(b'"model":"a"', content_type=None).model, "")

    def test_native_name(self) -> None:
        """``name`` is the model on Ollama's own paths, and on no others (http-api.md §7.1)."""
        self.assertEqual(asked({"name": "a"}, path="/api/show").model, "a")
        self.assertEqual(asked({"name": "a", "model": "b"}, path="/api/show").model, "b")
        self.assertEqual(asked({"name": "a"}).model, "")

    def test_path(self) -> None:
        """A path that names a model decides (openai-surface.md §1)."""
        body = {"model": "b"}
        self.assertEqual(asked(b"", path="/v1/models/org/name").model, "org/name")
        self.assertEqual(asked(body, path="/v1/engines/davinci/completions").model, "davinci")
        self.assertEqual(asked(body, path="/openai/deployments/gpt/chat/completions").model, "gpt")

    def test_path_without_model(self) -> None:
        """Paths that look alike name none: those of Docker Model Runner, oMLX and LM Studio."""
        for path in (
            "/engines/v1/chat/completions",
            "/engines/llama.cpp/v1/chat/completions",
            "/api/v1/models/load",
        ):
            self.assertEqual(asked({"model": "b"}, path=path).model, "b")
        self.assertEqual(asked(b"", path="/v1/models/status").model, "")
        self.assertEqual(asked(b"", path="/v1/models").model, "")

    def test_query(self) -> None:
        """A query names a model for ``/realtime`` and where there is no body (openai-surface.md §1)."""
        self.assertEqual(asked(b"", query=b"x=1&model=a%2Fb", content_type=None).model, "a/b")
        self.assertEqual(asked({"model": "b"}, query=b"model=a", path="/v1/realtime").model, "a")
        self.assertEqual(asked({"model": "b"}, query=b"model=a").model, "b")

    def test_forms(self) -> None:
        """Forms of both kinds name a model and say where it stands."""
        data = b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\n whisper \r\n--b--\r\n'
        found = asked(data, content_type=b"multipart/form-data; boundary=b")
        self.assertEqual((found.model, found.quoted), ("whisper", False))
        self.assertEqual([data[start:stop] for start, stop in found.spans], [b" whisper "])
        found = asked(b"model=a%20b&stream=true", content_type=b"application/x-www-form-urlencoded")
        self.assertEqual((found.model, found.stream), ("a b", True))


class NeedsTests(SynchronousTestCase):
    """What else a request needs."""

    def test_stream(self) -> None:
        """Only ``true`` asks for a stream."""
        for value, stream in ((True, True), (False, False), (None, False), ("true", False), (1, False)):
            self.assertEqual(asked({"model": "a", "stream": value}).stream, stream)

    def test_tools(self) -> None:
        """Each of the four keys tells of tools, unless it is null; also where the scan has to read it."""
        for key in ("tools", "functions", "tool_choice", "function_call"):
            for model in ("a", 5):
                self.assertEqual(asked({"model": model, key: [{}]}).capabilities, {TOOLS})
                self.assertEqual(asked({"model": model, key: None}).capabilities, set())

    def test_vision(self) -> None:
        """Images in the words of OpenAI, Anthropic and Ollama are seen; talk of them is not."""
        for content in (
            [{"type": "image_url", "image_url": {"url": "http://x"}}],
            [{"type": "text", "text": "a"}, {"type": "image", "source": {}}],
            [{"type": "input_image"}],
            [{"type": "text", "text": "data:image/png;base64,AA"}],
            {"type": "image_url"},
        ):
            self.assertEqual(asked({"messages": [{"content": content}]}).capabilities, {VISION})
        self.assertEqual(asked({"model": "a", "images": ["AA"]}, path="/api/generate").capabilities, {VISION})
        talk = 'Send {"type": "image"} or "images": ["a"], or data:image/png'
        self.assertEqual(asked({"messages": [{"content": talk}], "images": []}).capabilities, set())

    def test_large_image(self) -> None:
        """The need of a 2 MiB image is seen (B40)."""
        url = "data:image/png;base64," + "A" * 2 * 1048576
        body = {"messages": [{"content": [{"type": "image_url", "image_url": {"url": url}}]}], "model": "a"}
        self.assertEqual(asked(body).capabilities, {VISION})

    def test_embeddings(self) -> None:
        """The path tells of embeddings, not an ``input`` (behaviour.md §7)."""
        self.assertEqual(asked({"input": "a"}, path="/v1/embeddings").capabilities, {EMBEDDINGS})
        self.assertEqual(asked({"input": "a"}, path="/v1/responses").capabilities, set())

    def test_session(self) -> None:
        """The client's session is kept for stickiness."""
        self.assertEqual(requirements(CHAT, b"", JSON, Body.of(b"{}"), b" s1 ").session, "s1")
        self.assertEqual(requirements(CHAT, b"", None, Body.of(b""), None).session, "")
