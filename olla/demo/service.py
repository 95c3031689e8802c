"""Runs both demonstration engines beside the proxy."""

from __future__ import annotations

from typing import Any

from attrs import define, field, frozen
from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.web.http import HTTPChannel
from twisted.web.server import Site

from olla.demo.engine import Engine
from olla.demo.ollama import OllamaEngine
from olla.demo.openai import OpenAIEngine

HOST = "127.0.0.1"
SHARED = ("demo-llama", "demo-embed")


@frozen
class DemoEndpoint:
    """Where an engine listens, as a configuration names it."""

    name: str
    url: str
    type: str


class EngineSite(Site):
    """Listens for one engine, and can cut what runs."""

    noisy = False
    protocol: Any = HTTPChannel  # plain: HTTP/2 is not for a demonstration

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._open: set[Any] = set()

    def buildProtocol(self, addr: Any) -> Any:
        """Make the channel of one connection, and remember it."""
        channel: Any = super().buildProtocol(addr)
        self._open = {one for one in self._open if one.transport is not None and one.transport.connected}
        self._open.add(channel)
        return channel

    def log(self, request: Any) -> None:
        """The proxy in front keeps the log."""

    def cut(self) -> None:
        """Cut every connection."""
        for channel in self._open:
            if channel.transport is not None:
                channel.transport.abortConnection()


@define(eq=False)
class DemoService(Service):
    """
    Two engines on free ports of this machine; both have one model in common, so that balancing can be seen.

    :ivar engines: in the order of :attr:`endpoints`.
    """

    _reactor: Any
    _pace: float = 0.06
    engines: tuple[Engine, ...] = field(init=False)
    endpoints: tuple[DemoEndpoint, ...] = field(init=False, default=())
    _listening: list[tuple[Any, EngineSite]] = field(init=False, factory=list)

    def __attrs_post_init__(self) -> None:
        self.engines = (
            OllamaEngine((*SHARED, "llama-tiny:1b"), self._reactor, self._pace, seed=1),
            OpenAIEngine((*SHARED, "alpaca-mini"), self._reactor, self._pace, seed=2),
        )

    def bind(self) -> None:
        """Listen at once; the endpoints are known from then on."""
        for engine in self.engines:
            site = EngineSite(engine)
            self._listening.append((self._reactor.listenTCP(0, site, interface=HOST), site))
        kinds = (("demo-ollama", "ollama"), ("demo-openai", "openai-compatible"))
        self.endpoints = tuple(
            DemoEndpoint(name, f"http://{HOST}:{port.getHost().port}", kind)
            for (name, kind), (port, _) in zip(kinds, self._listening, strict=True)
        )

    def stopService(self) -> Deferred[Any]:
        """Stop listening, and cut what still runs."""
        super().stopService()
        listening, self._listening = self._listening, []
        for _, site in listening:
            site.cut()
        return gatherResults([maybeDeferred(port.stopListening) for port, _ in listening])


def banner(address: str) -> str:
    """
    Say what to type next.

    :param address: of the proxy, ``http://localhost:40114``.
    """
    chat = '{"model": "demo-llama", "stream": true, "messages": [{"role": "user", "content": "Hello!"}]}'
    return f"""
Olla listens on {address}, with two embedded engines behind it.  In another terminal:

  curl -N {address}/olla/openai/v1/chat/completions -H 'Content-Type: application/json' \\
       -d '{chat}'
  curl -N {address}/olla/ollama/api/chat -d '{chat}'
  curl {address}/olla/models
  curl {address}/internal/status
"""
