"""The engine speaks Ollama's dialect."""

from __future__ import annotations

import json
from typing import Any

from olla.demo.ollama import OllamaEngine
from tests.demo.support import CHAT, MODELS, PACE, EngineCase, chat
from tests.demo.test_openai import TOOL
from tests.support import Client

FIGURES = {
    "total_duration",
    "load_duration",
    "prompt_eval_count",
    "prompt_eval_duration",
    "eval_count",
    "eval_duration",
}
PROMPT = {"model": "demo-llama", "prompt": "Where to?"}


def lines(client: Client) -> list[Any]:
    """Read a stream."""
    return [json.loads(line) for line in client.body.splitlines()]


class OllamaCase(EngineCase):
    """An engine of that kind."""

    kind = OllamaEngine


class ListingTests(OllamaCase):
    """What is there."""

    def test_root(self) -> None:
        """The root says that it is running, to ``GET`` and ``HEAD``."""
        client = self.get("/")
        self.assertEqual((client.status, client.body), (200, b"Ollama is running"))
        self.assertEqual(self.ask("/", method="HEAD").status, 200)

    def test_version(self) -> None:
        """It has a version."""
        self.assertIsInstance(self.get("/api/version").json["version"], str)

    def test_tags(self) -> None:
        """Models are listed with their details; those in memory, with when they leave it."""
        models = self.get("/api/tags").json["models"]
        self.assertEqual([one["name"] for one in models], list(MODELS))
        self.assertEqual(models[0]["details"]["family"], "llama")
        self.assertEqual([len(one["digest"]) for one in models], [64, 64])
        (running,) = self.get("/api/ps").json["models"]
        self.assertEqual((running["model"], running["expires_at"]), ("demo-llama", "1970-01-01T00:05:00Z"))

    def test_show(self) -> None:
        """A model tells what it can do, by either name of the field."""
        self.assertIn("completion", self.ask("/api/show", {"model": "demo-llama"}).json["capabilities"])
        self.assertEqual(self.ask("/api/show", {"name": "demo-embed"}).json["capabilities"], ["embedding"])

    def test_openai(self) -> None:
        """It lists models in OpenAI's dialect as well."""
        self.assertEqual([one["id"] for one in self.get("/v1/models").json["data"]], list(MODELS))
        self.assertEqual(self.get("/health").status, 404)


class StreamTests(OllamaCase):
    """Chats and prompts."""

    def test_chat(self) -> None:
        """Unless asked otherwise it streams a line for each token, and one with the figures."""
        client = self.answer("/api/chat", chat())
        *tokens, last = lines(client)
        self.assertEqual(client.field("Content-Type"), "application/x-ndjson")
        self.assertEqual({(one["done"], one["message"]["role"]) for one in tokens}, {(False, "assistant")})
        self.assertEqual((last["done"], last["done_reason"], last["message"]["content"]), (True, "stop", ""))
        self.assertLessEqual(FIGURES, set(last))
        self.assertEqual((last["prompt_eval_count"], last["eval_count"]), (2, len(tokens)))
        self.assertEqual(last["eval_duration"], len(tokens) * PACE * 1e9)

    def test_generate(self) -> None:
        """A prompt is answered in ``response``, with the same words when not streamed."""
        *tokens, last = lines(self.answer("/api/generate", PROMPT))
        whole = self.answer("/api/generate", {**PROMPT, "stream": False})
        self.assertEqual(whole.field("Content-Type"), "application/json")
        self.assertEqual(whole.json["response"], "".join(one["response"] for one in tokens))
        self.assertEqual({key: whole.json[key] for key in FIGURES}, {key: last[key] for key in FIGURES})

    def test_pace(self) -> None:
        """Lines come one by one."""
        client = self.ask("/api/chat", chat())
        self.assertEqual(len(lines(client)), 1)
        self.network.wait(PACE * 3, PACE)
        self.assertEqual(len(lines(client)), 4)

    def test_cut(self) -> None:
        """A cut stream breaks without its last line."""
        client = self.ask("/api/chat", chat("!cut"))
        self.network.wait(PACE * 5, PACE)
        self.assertEqual([one["done"] for one in lines(client)], [False] * 3)
        self.assertEqual((client.whole, client.lost is not None), (False, True))

    def test_limit(self) -> None:
        """A limit of tokens is kept, and is the reason then; a negative one is none."""
        limited = self.answer("/api/chat", chat(stream=False, options={"num_predict": 2})).json
        self.assertEqual((limited["eval_count"], limited["done_reason"]), (2, "length"))
        free = self.answer("/api/chat", chat(stream=False, options={"num_predict": -1})).json
        self.assertEqual(free["done_reason"], "stop")

    def test_load(self) -> None:
        """Without a question a model is loaded, and nothing said."""
        loaded = self.ask("/api/generate", {"model": "demo-llama"}).json
        self.assertEqual((loaded["done_reason"], loaded["response"]), ("load", ""))

    def test_tool(self) -> None:
        """A tool is called with arguments that are an object."""
        called, last = lines(self.answer("/api/chat", chat("Use the tool!", tools=[TOOL])))
        function = {"name": "weather", "arguments": {"city": "llama"}}
        self.assertEqual(called["message"]["tool_calls"], [{"function": function}])
        self.assertNotIn("tool_calls", last["message"])

    def test_latest(self) -> None:
        """A model goes by its name with or without ``:latest``, and answers to the one it was called by."""
        self.assertEqual(
            self.answer("/api/chat", chat(stream=False, model="demo-llama:latest")).json["model"],
            "demo-llama:latest",
        )

    def test_openai(self) -> None:
        """It chats in OpenAI's dialect as well."""
        self.assertEqual(self.answer(CHAT, chat()).json["object"], "chat.completion")


class EmbeddingTests(OllamaCase):
    """Embeddings, the new way and the old."""

    def test_embed(self) -> None:
        """One text or several have one embedding each."""
        one = self.answer("/api/embed", {"model": "demo-embed", "input": "a b"}).json
        two = self.answer("/api/embed", {"model": "demo-embed", "input": ["a b", "c"]}).json
        self.assertEqual((len(one["embeddings"]), len(two["embeddings"])), (1, 2))
        self.assertEqual((two["embeddings"][0], two["prompt_eval_count"]), (one["embeddings"][0], 3))
        old = self.answer("/api/embeddings", {"model": "demo-embed", "prompt": "a b"}).json
        self.assertEqual(old, {"embedding": one["embeddings"][0]})


class ErrorTests(OllamaCase):
    """What cannot be answered."""

    def test_unknown_model(self) -> None:
        """An unknown model is not found, in the words of Ollama, or in the envelope of OpenAI under ``/v1``."""
        for path in ("/api/chat", "/api/generate", "/api/show", "/api/embed"):
            client = self.ask(path, {"model": "x", "input": "a"})
            self.assertEqual((client.status, client.json), (404, {"error": "model 'x' not found"}))
        error = self.ask(CHAT, chat() | {"model": "x"}).json["error"]
        self.assertEqual((error["message"], error["type"]), ("model 'x' not found", "not_found_error"))

    def test_malformed(self) -> None:
        """What is not JSON, or of the wrong type, is a bad request; every error is one string."""
        bodies: tuple[Any, ...] = (
            b"{",
            b"",
            b"7",
            {"model": 1},
            {},
            chat() | {"model": "demo-embed"},
            chat(options=3),
        )
        for body in bodies:
            client = self.ask("/api/chat", body)
            self.assertEqual((client.status, type(client.json["error"])), (400, str))
        self.assertEqual(self.ask("/api/tags", {}).status, 405)
        self.assertEqual(self.ask("/api/chat", chat("!busy")).status, 503)
