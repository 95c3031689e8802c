"""Both engines start together, are known early, and leave nothing behind."""

from __future__ import annotations

import json
import re
import shlex
from urllib.parse import urlsplit

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from olla.demo.service import DemoService, banner
from tests.demo.support import CHAT, chat
from tests.network import Network
from tests.support import Client, request


class ServiceTests(SynchronousTestCase):
    """The service."""

    def setUp(self) -> None:
        """Bind it."""
        self.network = Network()
        self.service = DemoService(self.network)
        self.service.bind()

    def ask(self, url: str, method: str, path: str, body: object = b"") -> Client:
        """Send a request to one of the engines."""
        client = Client()
        transport = self.network.connect(client, urlsplit(url).port or 0)
        transport.write(request(method, path, body))  # type: ignore[arg-type]  # bytes or a mapping
        self.network.pump()
        return client

    def test_endpoints(self) -> None:
        """Once bound, and before it starts, it says where it listens; on this machine, each engine on its port."""
        self.assertEqual(
            [(one.name, one.type) for one in self.service.endpoints],
            [("demo-ollama", "ollama"), ("demo-openai", "openai-compatible")],
        )
        urls = [urlsplit(one.url) for one in self.service.endpoints]
        self.assertEqual({(url.scheme, url.hostname) for url in urls}, {("http", "127.0.0.1")})
        self.assertEqual({url.port for url in urls}, set(self.network.listeners))

    def test_private(self) -> None:
        """Nobody but this machine reaches the engines, which take whatever port is free."""
        reactor = MemoryReactorClock()
        DemoService(reactor).bind()
        bound = [(port, interface) for port, _, _, interface in reactor.tcpServers]
        self.assertEqual(bound, [(0, "127.0.0.1")] * 2)

    def test_models(self) -> None:
        """Both have a model to chat and one for embeddings in common, and each has one of its own."""
        ollama, openai = (
            {model["id"] for model in self.ask(one.url, "GET", "/v1/models").json["data"]}
            for one in self.service.endpoints
        )
        self.assertEqual(ollama & openai, {"demo-llama", "demo-embed"})
        self.assertEqual((ollama - openai, openai - ollama), ({"llama-tiny:1b"}, {"alpaca-mini"}))

    def test_bound_once(self) -> None:
        """What is bound is not bound again when it starts; what is not is bound then."""
        ports = set(self.network.listeners)
        self.service.privilegedStartService()
        self.assertEqual(set(self.network.listeners), ports)
        unbound = DemoService(Network())
        unbound.privilegedStartService()
        self.assertEqual(len(unbound.endpoints), 2)

    def test_stop(self) -> None:
        """Stopping listens no more, breaks what runs or hangs, waits for the connections, and leaves no timer."""
        url = self.service.endpoints[0].url
        clients = [
            self.ask(url, "POST", "/api/chat", chat()),
            self.ask(url, "POST", CHAT, chat("!hang")),
            self.ask(url, "GET", "/"),
        ]
        clients[0].transport.pauseProducing()  # one that does not even read
        self.network.pump(1)
        self.service.startService()
        stopped = self.service.stopService()
        self.assertEqual(self.network.listeners, {})
        self.assertNoResult(stopped)
        self.network.pump()
        self.successResultOf(stopped)
        self.assertNotIn(None, [client.lost for client in clients])
        self.assertEqual(self.network.getDelayedCalls(), [])

    def test_last_connection(self) -> None:
        """Stopping waits for the last connection."""
        url = self.service.endpoints[0].url
        clients = [self.ask(url, "GET", "/"), self.ask(url, "GET", "/")]
        stopped = self.service.stopService()
        clients[0].transport.other.deliver()
        self.assertNoResult(stopped)
        clients[1].transport.other.deliver()
        self.successResultOf(stopped)

    def test_idle_stop(self) -> None:
        """Stopping without connections is done at once."""
        self.successResultOf(self.service.stopService())


class BannerTests(SynchronousTestCase):
    """What to type next."""

    def test_commands(self) -> None:
        """Each command can be read by a shell, goes to the proxy, and sends JSON with a model that is there."""
        text = banner("http://localhost:40114")
        commands = re.findall(r"^  (curl (?:.*\\\n)*.*)$", text, re.MULTILINE)
        self.assertEqual(len(commands), 5)
        bodies = []
        for command in commands:
            words = shlex.split(command)
            self.assertEqual(len([word for word in words if word.startswith("http://localhost:40114/")]), 1)
            if "-d" in words:
                bodies.append(json.loads(words[words.index("-d") + 1]))
        self.assertEqual([body["model"] for body in bodies], ["demo-llama"] * 3)
        for path in (
            "/olla/openai/v1/chat/completions",
            "/olla/ollama/api/chat",
            "/olla/models",
            "/internal/status",
        ):
            self.assertIn(path, text)
