"""The official ``openai`` and ``ollama`` packages, told Olla's address and nothing else, on both engines."""

from __future__ import annotations

import asyncio
import json
import math
from typing import Any, ClassVar

import ollama
import openai
from twisted.trial.unittest import SynchronousTestCase

from tests.process.program import Program
from tests.real.backends import CHAT_MODEL, MOCK_MODEL, MOCK_WORDS, World, world

SECONDS = 30.0
HELLO: list[Any] = [{"role": "user", "content": "hello"}]
TALKATIVE: dict[str, Any] = {"ignore_eos": True}
EACH_TIME_THE_SAME: dict[str, Any] = {"temperature": 0, "max_tokens": 60, "extra_body": TALKATIVE}
LLAMAS = {"alpha", "beta"}
DEMO_MODEL = "demo-llama"
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Tell the weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "enum": ["Oslo", "Rome"]}},
            "required": ["city"],
        },
    },
}


class RealCase(SynchronousTestCase):
    """
    Has the servers, and Olla with one engine in front of them.

    :cvar engine: which one.
    """

    engine: ClassVar[str]

    def setUp(self) -> None:
        """Start what does not run yet."""
        self.world: World = world()
        self.program: Program = self.world.olla(self.engine)

    def address(self, path: str) -> str:
        """Give an address of Olla's."""
        return f"http://127.0.0.1:{self.program.port}{path}"

    def client(self, prefix: str = "openai") -> openai.OpenAI:
        """Make a client of OpenAI's package."""
        client = openai.OpenAI(
            base_url=self.address(f"/olla/{prefix}/v1"), api_key="of-the-client", timeout=SECONDS, max_retries=0
        )
        self.addCleanup(client.close)
        return client


class OpenAIPackage:
    """What a user of the ``openai`` package gets; mixed into one class for each engine."""

    def test_list(self: Any) -> None:
        """The list holds the models of every backend, each once (C11, C104)."""
        names = [model.id for model in self.client().models.list()]
        self.assertLessEqual({CHAT_MODEL, MOCK_MODEL, DEMO_MODEL}, set(names))
        self.assertEqual(len(names), len(set(names)))

    def test_chat(self: Any) -> None:
        """A chat is answered by a server that has the model, and the headers say which, and why (C21, C22)."""
        raw = self.client().chat.completions.with_raw_response.create(
            model=CHAT_MODEL, messages=HELLO, max_tokens=20, extra_headers={"X-Request-ID": "real-1"}
        )
        answer = raw.parse()
        self.assertTrue(answer.choices[0].message.content.strip())
        self.assertGreater(answer.usage.completion_tokens, 0)
        self.assertIn(raw.headers["X-Olla-Endpoint"], LLAMAS)
        self.assertEqual(raw.headers["X-Olla-Backend-Type"], "llamacpp")
        self.assertEqual(raw.headers["X-Olla-Model"], CHAT_MODEL)
        self.assertEqual(raw.headers["X-Olla-Request-ID"], "real-1")
        self.assertEqual(raw.headers["X-Olla-Routing-Decision"], "routed")
        self.assertRegex(raw.headers["X-Olla-Response-Time"], r"^\d+ms$")

    def test_stream(self: Any) -> None:
        """A stream says, word for word, what its server says without a proxy (C39)."""
        with self.client().chat.completions.create(
            model=CHAT_MODEL,
            messages=HELLO,
            stream=True,
            stream_options={"include_usage": True},
            **EACH_TIME_THE_SAME,
        ) as stream:
            through = list(stream)
            name = stream.response.headers["X-Olla-Endpoint"]
        server = next(one for one in self.world.llamas if one.name == name)
        direct = openai.OpenAI(base_url=server.url + "/v1", api_key="none", timeout=SECONDS)
        self.addCleanup(direct.close)
        said = direct.chat.completions.create(model=CHAT_MODEL, messages=HELLO, **EACH_TIME_THE_SAME)
        words = [one.choices[0].delta.content or "" for one in through if one.choices]
        self.assertGreater(len([word for word in words if word]), 20)
        self.assertEqual("".join(words), said.choices[0].message.content)
        self.assertEqual(through[-1].usage.completion_tokens, said.usage.completion_tokens)

    def test_completions(self: Any) -> None:
        """The older completions go through as well, at once and streamed (C11)."""
        asked = {"model": CHAT_MODEL, "prompt": "hello", "max_tokens": 8, "extra_body": TALKATIVE}
        self.assertTrue(self.client().completions.create(**asked).choices[0].text)
        stream = self.client().completions.create(stream=True, **asked)
        self.assertGreater(len([one for one in stream if one.choices[0].text]), 1)

    def test_tools(self: Any) -> None:
        """A tool is called; its result comes back in a second turn, and words answer it (C11)."""
        client = self.client()
        asked = {"model": CHAT_MODEL, "max_tokens": 200, "tools": [WEATHER]}
        first = client.chat.completions.create(messages=HELLO, tool_choice="required", **asked)
        message = first.choices[0].message
        self.assertEqual(first.choices[0].finish_reason, "tool_calls")
        (call,) = message.tool_calls
        self.assertEqual(call.function.name, "weather")
        self.assertIn(json.loads(call.function.arguments)["city"], ("Oslo", "Rome"))
        result = {"role": "tool", "tool_call_id": call.id, "content": "green and quiet"}
        turns = [*HELLO, message.model_dump(exclude_none=True), result]
        second = client.chat.completions.create(messages=turns, tool_choice="none", **asked)
        self.assertTrue(second.choices[0].message.content.strip())

    def test_tools_streamed(self: Any) -> None:
        """A streamed tool call arrives in pieces that make valid JSON (C39)."""
        with self.client().chat.completions.stream(
            model=CHAT_MODEL, messages=HELLO, max_tokens=200, tools=[WEATHER], tool_choice="required"
        ) as stream:
            final = stream.get_final_completion()
        (call,) = final.choices[0].message.tool_calls
        self.assertEqual(call.function.name, "weather")
        self.assertIn("city", json.loads(call.function.arguments))

    def test_embeddings(self: Any) -> None:
        """Texts become vectors in their order, in numbers or packed as the package asks by itself (C39)."""
        answer = self.client().embeddings.create(model=CHAT_MODEL, input=["hello river", "stone"])
        first, second = (one.embedding for one in answer.data)
        self.assertEqual((len(first), len(second)), (64, 64))
        self.assertNotEqual(first, second)
        self.assertTrue(all(math.isfinite(number) for number in first))

    def test_litellm(self: Any) -> None:
        """A gateway that wants a key of its own gets ours and not the client's, under its prefix too (C8, C30)."""
        for prefix in ("openai", "litellm"):
            raw = self.client(prefix).chat.completions.with_raw_response.create(model=MOCK_MODEL, messages=HELLO)
            self.assertEqual(raw.parse().choices[0].message.content, MOCK_WORDS)
            self.assertEqual(raw.headers["X-Olla-Endpoint"], "litellm")
            self.assertFalse([name for name in raw.headers if name.lower() in ("authorization", "x-api-key")])
            stream = self.client(prefix).chat.completions.create(model=MOCK_MODEL, messages=HELLO, stream=True)
            self.assertEqual("".join(one.choices[0].delta.content or "" for one in stream), MOCK_WORDS)

    def test_unknown_model(self: Any) -> None:
        """A model that nobody has is an error which the package understands (C55)."""
        with self.assertRaises(openai.NotFoundError) as caught:
            self.client().chat.completions.create(model="nobody-has-this", messages=HELLO)
        self.assertIn("nobody-has-this", str(caught.exception))
        self.assertTrue(caught.exception.code)

    def test_error_of_the_backend(self: Any) -> None:
        """What a backend refuses is refused in its own words (C40)."""
        with self.assertRaises(openai.BadRequestError):
            self.client().chat.completions.create(model=CHAT_MODEL, messages=HELLO, temperature="warm")

    def test_many_at_once(self: Any) -> None:
        """Forty streams at once are all whole, and both servers take part (R48)."""

        async def one(client: openai.AsyncOpenAI) -> tuple[str, str | None]:
            stream = await client.chat.completions.create(
                model=CHAT_MODEL, messages=HELLO, max_tokens=40, stream=True, extra_body=TALKATIVE
            )
            reason = None
            async for part in stream:
                reason = part.choices[0].finish_reason or reason
            return stream.response.headers["X-Olla-Endpoint"], reason

        async def all_of_them() -> list[tuple[str, str | None]]:
            address = self.address("/olla/openai/v1")
            async with openai.AsyncOpenAI(base_url=address, api_key="none", timeout=60, max_retries=0) as client:
                return await asyncio.gather(*(one(client) for _ in range(40)))

        ended = asyncio.run(all_of_them())
        self.assertEqual({reason for _, reason in ended}, {"length"})
        self.assertEqual({name for name, _ in ended}, LLAMAS)


class OllamaPackage:
    """What a user of the ``ollama`` package gets; mixed into one class for each engine."""

    def ollama(self: Any) -> ollama.Client:
        """Make a client of Ollama's package."""
        return ollama.Client(host=self.address("/olla/ollama"), timeout=SECONDS)

    def test_list(self: Any) -> None:
        """The list holds Ollama's models, and no other backend's (C104)."""
        names = [model.model for model in self.ollama().list().models]
        self.assertIn(DEMO_MODEL, [str(name).removesuffix(":latest") for name in names])
        self.assertNotIn(CHAT_MODEL, names)

    def test_chat(self: Any) -> None:
        """A chat is answered, with its counts (C8)."""
        answer = self.ollama().chat(model=DEMO_MODEL, messages=HELLO)
        self.assertTrue(answer.message.content)
        self.assertGreater(answer.eval_count or 0, 0)

    def test_stream(self: Any) -> None:
        """A stream of lines comes as many parts, the last of which says that it is the last (C8, C39)."""
        parts = list(self.ollama().chat(model=DEMO_MODEL, messages=HELLO, stream=True))
        self.assertGreater(len(parts), 3)
        self.assertEqual([part.done for part in parts], [False] * (len(parts) - 1) + [True])

    def test_generate(self: Any) -> None:
        """A prompt is answered, at once and streamed (C8)."""
        self.assertTrue(self.ollama().generate(model=DEMO_MODEL, prompt="hello").response)
        parts = self.ollama().generate(model=DEMO_MODEL, prompt="hello", stream=True)
        self.assertTrue("".join(part.response for part in parts))

    def test_embed(self: Any) -> None:
        """Texts become vectors (C8)."""
        answer = self.ollama().embed(model="demo-embed", input=["hello", "stone"])
        self.assertEqual(len(answer.embeddings), 2)
        self.assertNotEqual(answer.embeddings[0], answer.embeddings[1])

    def test_show_and_ps(self: Any) -> None:
        """A model is described by a server that has it; what runs is told of all servers (http-api.md §2.4)."""
        self.assertIn("completion", self.ollama().show(DEMO_MODEL).capabilities or [])
        self.assertTrue(self.ollama().ps().models)

    def test_unknown_model(self: Any) -> None:
        """A model that nobody has is an error which the package understands (C55)."""
        with self.assertRaises(ollama.ResponseError) as caught:
            self.ollama().chat(model="nobody-has-this", messages=HELLO)
        self.assertEqual(caught.exception.status_code, 404)

    def test_management(self: Any) -> None:
        """Pulling a model is not a proxy's business, and says so (C13)."""
        with self.assertRaises(ollama.ResponseError) as caught:
            self.ollama().pull(DEMO_MODEL)
        self.assertEqual(caught.exception.status_code, 501)


class OpenAIOnSherpa(OpenAIPackage, RealCase):
    """The ``openai`` package, engine ``sherpa``."""

    engine = "sherpa"


class OpenAIOnOlla(OpenAIPackage, RealCase):
    """The ``openai`` package, engine ``olla``."""

    engine = "olla"


class OllamaOnSherpa(OllamaPackage, RealCase):
    """The ``ollama`` package, engine ``sherpa``."""

    engine = "sherpa"


class OllamaOnOlla(OllamaPackage, RealCase):
    """The ``ollama`` package, engine ``olla``."""

    engine = "olla"
