"""One demonstration engine behind a network in memory."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from olla.demo.engine import Engine
from olla.demo.openai import OpenAIEngine
from olla.demo.site import EngineSite
from tests.network import Network
from tests.support import Client, request

PORT = 80
PACE = 0.5
MODELS = ("demo-llama", "demo-embed")
CHAT = "/v1/chat/completions"


def chat(question: str = "Where to?", **more: Any) -> dict[str, Any]:
    """Make the body of a chat, which is good for both dialects."""
    return {"model": "demo-llama", "messages": [{"role": "user", "content": question}], **more}


def events(body: bytes) -> list[Any]:
    """Read server-sent events without names; ``[DONE]`` stays a string."""
    data = [block.removeprefix(b"data: ") for block in body.split(b"\n\n") if block]
    return [value.decode() if value == b"[DONE]" else json.loads(value) for value in data]


class EngineCase(SynchronousTestCase):
    """
    An engine that says a token every half second.

    :ivar network: its reactor.
    """

    kind: type[OpenAIEngine] = OpenAIEngine

    def setUp(self) -> None:
        """Let it listen."""
        self.network = Network()
        self.engine: Engine = self.kind(MODELS, self.network, PACE)
        self.site = EngineSite(self.engine)
        self.network.listenTCP(PORT, self.site)

    def tearDown(self) -> None:
        """Prove that it leaves nothing behind."""
        cut = self.site.cut()
        self.network.pump()
        self.successResultOf(cut)
        self.assertEqual([str(call) for call in self.network.getDelayedCalls()], [])

    def ask(self, path: str = CHAT, body: Any = b"", method: str = "POST", **fields: str) -> Client:
        """Send a request on a connection of its own, and deliver what is said at once."""
        client = Client()
        transport = self.network.connect(client, PORT)
        transport.write(request(method, path, body, False, **fields))
        self.network.pump()
        return client

    def get(self, path: str) -> Client:
        """Send a ``GET``."""
        return self.ask(path, method="GET")

    def answer(self, path: str, body: Any) -> Client:
        """Send a request, and wait for the end of the answer."""
        client = self.ask(path, body)
        self.network.wait(60, PACE)
        self.assertTrue(client.whole, client.got)
        return client
