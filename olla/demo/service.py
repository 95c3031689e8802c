"""Runs both demonstration engines beside the proxy."""

from __future__ import annotations

import json
from typing import Any

from attrs import define, field, frozen
from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred

from olla.demo.engine import PACE, Engine
from olla.demo.ollama import OllamaEngine
from olla.demo.openai import OpenAIEngine
from olla.demo.site import EngineSite

HOST = "127.0.0.1"
SHARED = ("demo-llama", "demo-embed")
OLLAMA_MODELS = (*SHARED, "llama-tiny:1b")
OPENAI_MODELS = (*SHARED, "alpaca-mini")


@frozen
class DemoEndpoint:
    """Where an engine listens, as a configuration names it."""

    name: str
    url: str
    type: str


@define(eq=False)
class DemoService(Service):
    """
    Two engines on free ports of this machine; both have one model in common, so that balancing can be seen.

    :ivar _pace: seconds for a token.
    :ivar engines: in the order of :attr:`endpoints`.
    :ivar endpoints: empty before :meth:`bind`.
    """

    _reactor: Any
    _pace: float = PACE
    engines: tuple[Engine, ...] = field(init=False)
    endpoints: tuple[DemoEndpoint, ...] = field(init=False, default=())
    _listening: list[tuple[Any, EngineSite]] = field(init=False, factory=list)

    def __attrs_post_init__(self) -> None:
        self.engines = (
            OllamaEngine(OLLAMA_MODELS, self._reactor, self._pace, seed=1),
            OpenAIEngine(OPENAI_MODELS, self._reactor, self._pace, seed=2),
        )

    def bind(self) -> None:
        """Listen at once, since whoever configures endpoints must know their URLs before any service starts."""
        for engine in self.engines:
            site = EngineSite(engine)
            self._listening.append((self._reactor.listenTCP(0, site, interface=HOST), site))
        kinds = (("demo-ollama", "ollama"), ("demo-openai", "openai-compatible"))
        self.endpoints = tuple(
            DemoEndpoint(name, f"http://{HOST}:{port.getHost().port}", kind)
            for (name, kind), (port, _) in zip(kinds, self._listening, strict=True)
        )

    def privilegedStartService(self) -> None:
        """Listen, unless :meth:`bind` was called before."""
        super().privilegedStartService()
        if not self._listening:
            self.bind()

    def stopService(self) -> Deferred[Any]:
        """Stop listening, and cut what still runs; fires when nothing is left."""
        super().stopService()
        listening, self._listening = self._listening, []
        return gatherResults(
            [
                ended
                for port, site in listening
                for ended in (maybeDeferred(port.stopListening), site.cut())  # first no new ones
            ]
        )


def banner(address: str) -> str:
    """
    Say what to type next.

    :param address: of the proxy, ``http://localhost:40114``.
    """

    def chat(question: str) -> str:
        asked = {"model": SHARED[0], "stream": True, "messages": [{"role": "user", "content": question}]}
        return f"'{json.dumps(asked)}'"

    openai, json_type = f"{address}/olla/openai/v1/chat/completions", "-H 'Content-Type: application/json'"
    return f"""
Olla listens on {address}, with two embedded engines behind it.  In another terminal:

  curl -N {openai} {json_type} \\
       -d {chat("Hello!")}
  curl -N {address}/olla/ollama/api/chat {json_type} \\
       -d {chat("Hello!")}
  curl {address}/olla/models
  curl {address}/internal/status

Both engines have {SHARED[0]}: ask again, and see header X-Olla-Endpoint change (curl -i).  They play faults
when the message is just !cut, !busy, !hang, !slow or !refuse:

  curl -iN {openai} {json_type} \\
       -d {chat("!cut")}
"""
