"""The engine speaks OpenAI's dialect."""

from __future__ import annotations

import json
from typing import Any

from tests.demo.support import CHAT, MODELS, EngineCase, chat, events

TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


class ListingTests(EngineCase):
    """What is there."""

    def test_models(self) -> None:
        """Models are listed, and each can be asked for, its name escaped or not."""
        listed = self.get("/v1/models").json
        self.assertEqual((listed["object"], [one["id"] for one in listed["data"]]), ("list", list(MODELS)))
        self.assertEqual(self.get("/v1/models/demo%2Dllama").json, listed["data"][0])

    def test_health(self) -> None:
        """Its health page says that all is well."""
        self.assertEqual(self.get("/health").json, {"status": "ok"})


class ChatTests(EngineCase):
    """Chats, streamed and not."""

    def stream(self, **more: Any) -> list[Any]:
        """Ask for a stream, and read it."""
        client = self.answer(CHAT, chat(stream=True, **more))
        self.assertEqual(client.field("Content-Type"), "text/event-stream")
        return events(client.body)

    def test_stream(self) -> None:
        """A stream begins with the role, goes on token by token, gives its reason, and ends with ``[DONE]``."""
        *tokens, last, done = self.stream()
        self.assertEqual({chunk["object"] for chunk in tokens}, {"chat.completion.chunk"})
        self.assertEqual(tokens[0]["choices"][0]["delta"]["role"], "assistant")
        self.assertEqual({chunk["choices"][0]["finish_reason"] for chunk in tokens}, {None})
        self.assertEqual(last["choices"], [{"index": 0, "delta": {}, "finish_reason": "stop"}])
        self.assertEqual(done, "[DONE]")
        self.assertEqual(len({chunk["id"] for chunk in (*tokens, last)}), 1)

    def test_same_words(self) -> None:
        """The same question gets the same words, streamed or not."""
        said = "".join(chunk["choices"][0]["delta"]["content"] for chunk in self.stream()[:-2])
        whole = self.answer(CHAT, chat()).json
        self.assertEqual(whole["choices"][0]["message"], {"role": "assistant", "content": said})
        self.assertEqual(whole["object"], "chat.completion")
        self.assertIn("“Where to?”", said)

    def test_usage(self) -> None:
        """Tokens are counted in the whole answer, and at the end of a stream when asked for."""
        whole = self.answer(CHAT, chat()).json["usage"]
        *tokens, _, counted, _ = self.stream(stream_options={"include_usage": True})
        self.assertEqual((counted["choices"], counted["usage"]), ([], whole))
        spoken = len(tokens)
        self.assertEqual(whole, {"prompt_tokens": 2, "completion_tokens": spoken, "total_tokens": spoken + 2})

    def test_limit(self) -> None:
        """A limit of tokens is kept, and is the reason then."""
        *tokens, last, _ = self.stream(max_tokens=3)
        self.assertEqual((len(tokens), last["choices"][0]["finish_reason"]), (3, "length"))
        whole = self.answer(CHAT, chat(max_completion_tokens=2, max_tokens=9)).json
        self.assertEqual(whole["usage"]["completion_tokens"], 2)

    def test_tool(self) -> None:
        """A tool is called when one is required, named, or spoken of; its arguments fit its schema."""
        for choice in (
            {"tool_choice": "required"},
            {"tool_choice": {"type": "function", "function": {"name": "weather"}}},
        ):
            whole = self.answer(CHAT, chat(tools=[TOOL], **choice)).json["choices"][0]
            (call,) = whole["message"]["tool_calls"]
            self.assertEqual((whole["finish_reason"], whole["message"]["content"]), ("tool_calls", None))
            self.assertEqual((call["type"], call["function"]["name"]), ("function", "weather"))
            self.assertEqual(json.loads(call["function"]["arguments"]), {"city": "llama"})
        other = {"type": "function", "function": {"name": "other"}}
        whole = self.answer(CHAT, chat(tools=[TOOL, other], tool_choice=other)).json["choices"][0]
        self.assertEqual(whole["message"]["tool_calls"][0]["function"], {"name": "other", "arguments": "{}"})
        spoken_of = self.answer(CHAT, chat("Use the tool!", tools=[TOOL])).json["choices"][0]
        self.assertEqual(spoken_of["finish_reason"], "tool_calls")

    def test_no_tool(self) -> None:
        """No tool is called otherwise, nor when the client forbids it, nor when the tool's result has come."""
        call = {"role": "tool", "tool_call_id": "call_demo", "content": "rain"}
        asked = chat("Use the tool!", tools=[TOOL])
        for body in (
            chat(tools=[TOOL]),
            {**asked, "tool_choice": "none"},
            {**asked, "tools": []},
            {**asked, "messages": [*asked["messages"], call]},
        ):
            self.assertEqual(self.answer(CHAT, body).json["choices"][0]["finish_reason"], "stop")

    def test_tool_stream(self) -> None:
        """Streamed, the call is in one chunk."""
        first, last, done = self.stream(tools=[TOOL], tool_choice="required")
        (call,) = first["choices"][0]["delta"]["tool_calls"]
        self.assertEqual((call["index"], call["function"]["name"]), (0, "weather"))
        self.assertEqual((last["choices"][0]["finish_reason"], done), ("tool_calls", "[DONE]"))


class OtherTests(EngineCase):
    """Completions, responses, embeddings."""

    def test_completion(self) -> None:
        """A prompt is completed, streamed or not, with the same words."""
        body = {"model": "demo-llama", "prompt": "Up the"}
        whole = self.answer("/v1/completions", body).json
        *tokens, last, _ = events(self.answer("/v1/completions", {**body, "stream": True}).body)
        self.assertEqual("".join(one["choices"][0]["text"] for one in tokens), whole["choices"][0]["text"])
        self.assertEqual({one["object"] for one in (whole, *tokens)}, {"text_completion"})
        self.assertEqual(last["choices"][0]["finish_reason"], "stop")

    def test_embeddings(self) -> None:
        """Each text has its embedding, in the order given."""
        body = {"model": "demo-embed", "input": ["one two", "three"]}
        made = self.answer("/v1/embeddings", body).json
        self.assertEqual([one["index"] for one in made["data"]], [0, 1])
        self.assertNotEqual(made["data"][0]["embedding"], made["data"][1]["embedding"])
        self.assertEqual(made["usage"], {"prompt_tokens": 3, "total_tokens": 3})

    def test_response(self) -> None:
        """A response holds one message, and counts its tokens."""
        made = self.answer("/v1/responses", {"model": "demo-llama", "input": "Hello there"}).json
        (message,) = made["output"]
        self.assertEqual((made["object"], made["status"], message["role"]), ("response", "completed", "assistant"))
        self.assertEqual(made["usage"]["input_tokens"], 2)
        self.assertEqual(made["usage"]["output_tokens"], len(message["content"][0]["text"].split()))

    def test_response_stream(self) -> None:
        """Streamed, its events are named and numbered, come token by token, and end with the whole response."""
        body = {"model": "demo-llama", "input": "Hello there", "max_output_tokens": 3}
        raw = self.answer("/v1/responses", {**body, "stream": True}).body
        blocks = [block.split(b"\n") for block in raw.split(b"\n\n") if block]
        names = [name.removeprefix(b"event: ").decode() for name, _ in blocks]
        values = [json.loads(data.removeprefix(b"data: ")) for _, data in blocks]
        self.assertEqual([value["type"] for value in values], names)
        self.assertEqual([value["sequence_number"] for value in values], list(range(len(values))))
        self.assertEqual(names[0], "response.created")
        self.assertEqual((names.count("response.output_text.delta"), names[-1]), (3, "response.incomplete"))
        text = "".join(value.get("delta", "") for value in values)
        self.assertEqual(values[-1]["response"]["output"][0]["content"][0]["text"], text)


class ErrorTests(EngineCase):
    """What cannot be answered."""

    def error(self, path: str, body: Any, status: int) -> dict[str, Any]:
        """Ask for something that fails, and give the error."""
        client = self.ask(path, body)
        self.assertEqual(client.status, status, client.got)
        self.assertEqual(set(client.json["error"]), {"message", "type", "param", "code"})
        error: dict[str, Any] = client.json["error"]
        return error

    def test_unknown_model(self) -> None:
        """An unknown model is not found, wherever it is asked for."""
        self.assertEqual(self.error(CHAT, chat() | {"model": "x"}, 404)["code"], "model_not_found")
        self.assertEqual(self.get("/v1/models/x").json["error"]["code"], "model_not_found")
        self.assertEqual(self.error(CHAT, {"messages": []}, 400)["param"], "model")

    def test_wrong_use(self) -> None:
        """A model for embeddings does not chat."""
        self.error(CHAT, chat() | {"model": "demo-embed"}, 400)

    def test_malformed(self) -> None:
        """What is not JSON, not an object, of the wrong type, or missing is a bad request."""
        for body in (
            b"{",
            b"[]",
            b"",
            b"\xff",
            chat(stream="yes"),
            chat(tools=[1]),
            chat(stream=True, stream_options=1),
        ):
            self.error(CHAT, body, 400)
        self.assertEqual(self.error(CHAT, chat() | {"messages": []}, 400)["param"], "messages")
        self.error(CHAT, chat(tools=[TOOL], tool_choice={"function": {"name": "x"}}), 400)

    def test_embeddings(self) -> None:
        """Embeddings are made of something, and not of too much."""
        nothings: tuple[object, ...] = ("", [], None, ["x"] * 2049, {})
        for given in nothings:
            self.error("/v1/embeddings", {"model": "demo-embed", "input": given}, 400)

    def test_paths(self) -> None:
        """Unknown paths are not found; known ones want their method."""
        self.error("/v1/nothing", {}, 404)
        self.error("/v1/models", {}, 405)
        self.assertEqual(self.get(CHAT).status, 405)
