"""Every model of a mixed fleet, listed and used through each prefix, with the official packages and on both engines."""

from __future__ import annotations

import atexit
import json
from collections.abc import Iterable
from functools import cache
from typing import Any, ClassVar
from urllib.request import Request, urlopen

import ollama
import openai
from twisted.trial.unittest import SynchronousTestCase

from tests.process.program import UNLIMITED, Program, free_port
from tests.real.backends import wait_until_well
from tests.real.engines import KINDS, WORDS, Engine, Kind

SECONDS = 30.0
HELLO: list[Any] = [{"role": "user", "content": "hello"}]
SAID = "".join(WORDS)
EVERYBODY = ("openai", "openai-compatible", "openai_compatible", "proxy")
"""Prefixes that lead to every kind of server."""


@cache
def fleet(engine: str, workers: int) -> Program:
    """Start one server of each kind, and Olla in front of them, once for all tests; they end with the process."""
    engines = [Engine(kind) for kind in KINDS]
    for one in engines:
        one.start()
    port = free_port()
    program = Program(
        port=port,
        config={
            "server": {"port": port, "workers": workers, "rate_limits": UNLIMITED},
            "proxy": {"engine": engine},
            "discovery": {"static": {"endpoints": [one.endpoint() for one in engines]}},
            "logging": {"level": "error"},
        },
    )
    atexit.register(program.stop)
    wait_until_well(program.wait())
    return program


class FleetCase(SynchronousTestCase):
    """
    Has one server of each kind, and Olla in front of them.

    :cvar engine: of Olla.
    :cvar workers: processes that share the work.
    """

    engine: ClassVar[str]
    workers: ClassVar[int] = 1

    def setUp(self) -> None:
        """Start what does not run yet."""
        self.program = fleet(self.engine, self.workers)

    def address(self, path: str) -> str:
        """Give an address of Olla's."""
        return f"http://127.0.0.1:{self.program.port}/olla/{path}"

    def client(self, base: str) -> openai.OpenAI:
        """Make a client of OpenAI's package."""
        client = openai.OpenAI(base_url=self.address(base), api_key="none", timeout=SECONDS, max_retries=0)
        self.addCleanup(client.close)
        return client

    def ollama(self) -> ollama.Client:
        """Make a client of Ollama's package."""
        return ollama.Client(host=self.address("ollama"), timeout=SECONDS)

    def rest(self, path: str, body: Any = None) -> Any:
        """Ask as a script with plain HTTP does."""
        data = None if body is None else json.dumps(body).encode()
        asked = Request(self.address(path), data, {"Content-Type": "application/json"})
        with urlopen(asked, timeout=SECONDS) as response:
            return json.load(response)


class Fleet:
    """What users of such a fleet get; mixed into one class for each engine."""

    def test_each_kind(self: Any) -> None:
        """Each kind's prefixes list its models and no others', and every one is used there, by it (C9, C10, C108)."""
        for kind in KINDS:
            for prefix in kind.prefixes:
                for base in dict.fromkeys(("/v1", kind.bases[0])):
                    self.use_all(f"{prefix}{base}", kind.models, [kind])

    def test_everybody(self: Any) -> None:
        """The prefixes of everybody list every model once, and every one is used there (C11, C108)."""
        every = {name for kind in KINDS for name in kind.models}
        for prefix in EVERYBODY:
            self.use_all(f"{prefix}/v1", every, KINDS)
            names = [one.id for one in self.client(prefix).models.list()]  # the package finds it without /v1 as well
            self.assertEqual(sorted(names), sorted(every))

    def use_all(self: Any, base: str, models: Iterable[str], kinds: Iterable[Kind]) -> None:
        """List models, and use each in every way."""
        client = self.client(base)
        self.assertEqual(sorted(one.id for one in client.models.list()), sorted(models), base)
        for name in models:
            having = [kind for kind in kinds if name in kind.models]
            types = {kind.type for kind in having}
            self.assertEqual(client.models.retrieve(name).id, name)
            used = self.embed if name in having[0].embedding else self.chat
            self.assertIn(used(client, name), types, (base, name))

    def chat(self: Any, client: openai.OpenAI, name: str) -> str:
        """Chat with a model, streamed too; say what kind of server answered last."""
        answer = client.chat.completions.create(model=name, messages=HELLO)
        self.assertEqual((answer.choices[0].message.content, answer.model), (SAID, name))
        self.assertEqual(client.completions.create(model=name, prompt="hello").choices[0].text, SAID)
        with client.chat.completions.create(model=name, messages=HELLO, stream=True) as stream:
            words = [part.choices[0].delta.content or "" for part in stream]
            self.assertEqual(tuple(filter(None, words)), WORDS)
            return str(stream.response.headers["X-Olla-Backend-Type"])

    def embed(self: Any, client: openai.OpenAI, name: str) -> str:
        """Have a model make embeddings; say what kind of server did."""
        raw = client.embeddings.with_raw_response.create(model=name, input=["a", "b"], encoding_format="float")
        self.assertEqual([one.embedding for one in raw.parse().data], [[0.5, 0.25]] * 2)
        return str(raw.headers["X-Olla-Backend-Type"])

    def test_ollama_package(self: Any) -> None:
        """Ollama's package lists Ollama's models and uses every one in every way (C8, C104, C108)."""
        client = self.ollama()
        kind = next(kind for kind in KINDS if kind.type == "ollama")
        self.assertEqual(sorted(one.model for one in client.list().models), sorted(kind.models))
        self.assertEqual([one.model for one in client.ps().models], kind.models[:1])
        for name in kind.models:
            self.assertEqual(client.show(name).capabilities, ["completion"])
        for name in kind.embedding:
            self.assertEqual(client.embed(model=name, input="a").embeddings, [[0.5, 0.25]])
        for name in kind.chatting:
            self.assertEqual(client.chat(model=name, messages=HELLO).message.content, SAID)
            self.assertEqual(client.generate(model=name, prompt="hello").response, SAID)
            parts = list(client.chat(model=name, messages=HELLO, stream=True))
            self.assertEqual(tuple(one.message.content for one in parts[:-1]), WORDS)
            self.assertEqual([one.done for one in parts], [False] * len(WORDS) + [True])

    def test_lmstudio_rest(self: Any) -> None:
        """LM Studio's own paths list its models, and use every one, under each spelling of its name (C9, C108)."""
        kind = next(kind for kind in KINDS if kind.type == "lm-studio")
        for prefix in kind.prefixes:
            for base in ("api/v0", "api/v1", "v1"):
                listed = self.rest(f"{prefix}/{base}/models")["data"]
                self.assertEqual(sorted(one["id"] for one in listed), sorted(kind.models), base)
            for name in kind.chatting:
                answer = self.rest(f"{prefix}/api/v0/chat/completions", {"model": name, "messages": HELLO})
                self.assertEqual(answer["choices"][0]["message"]["content"], SAID)
            for name in kind.embedding:
                answer = self.rest(f"{prefix}/api/v0/embeddings", {"model": name, "input": "a"})
                self.assertEqual(len(answer["data"]), 1)


class FleetOnSherpa(Fleet, FleetCase):
    """Engine ``sherpa``."""

    engine = "sherpa"


class FleetOnOlla(Fleet, FleetCase):
    """Engine ``olla``."""

    engine = "olla"


class FleetOnWorkers(Fleet, FleetCase):
    """Several processes."""

    engine = "olla"
    workers = 2
