"""An owner and its workers in memory: whole proxies, joined by connections that deliver when told to."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from attrs import define, field
from twisted.internet.protocol import Factory
from twisted.trial.unittest import SynchronousTestCase

from olla.config import load
from olla.crew.messages import Stop
from olla.crew.post import Post
from olla.crew.setting import Setting
from olla.plugged import limiter_factories, selector_factories
from olla.supervisor import SupervisorService
from olla.worker import WorkerService
from tests.network import Network
from tests.support import PORT, UNLIMITED, Backend, Client, request

LINKS = 60000


class _Reactor:
    """The network, as one worker sees it: it can be stopped on its own."""

    def __init__(self, network: Network, stop: Callable[[], None]) -> None:
        self._network = network
        self.stop = stop

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)


@define(eq=False)
class Launched:
    """A worker without a process of its own."""

    case: CrewCase
    ended: Callable[[str], None]
    service: WorkerService | None = None
    killed: bool = False
    post: Post = field(init=False)

    def begin(self, number: int) -> None:
        case = self.case
        self.post = case.supervisor.owner.post(number)
        supervisor, parts = case.supervisor, case.supervisor.parts
        memory = supervisor.memory.fileno()
        setting = Setting(number, supervisor.crew.size, parts.config, parts.secret, 0, memory)
        service = self.service = WorkerService(setting, _Reactor(case.network, self._finish))
        service.listens = False
        case.network.listeners[LINKS + number] = Factory.forProtocol(lambda: self.post.link)
        case.network.connect(service.desk.link, LINKS + number)
        case.network.listeners[PORT + number] = service.fronts[0]
        service.privilegedStartService()
        service.startService()
        case.supervisor.owner.welcome(self.post)
        case.workers[number] = self

    def stop(self) -> None:
        if self.service is not None:
            self.post.say(Stop())
        else:
            self.ended("unused")

    def kill(self) -> None:
        """End without a word, as a process does that is killed."""
        service = self.service
        assert service is not None
        self.killed = True
        service.desk.left = lambda: None
        service.desk.link.transport.abortConnection()
        for front in service.fronts:
            front.abort()
        self.case.network.pump()
        service.stopService()
        self.case.network.wait(0.3, 0.05)
        self.ended("signal 9")

    def _finish(self) -> None:
        assert self.service is not None
        self.service.stopService().addBoth(lambda _: self.ended("status 0"))


class MemorySupervisor(SupervisorService):
    """A supervisor whose workers are in the same process."""

    case: CrewCase

    def _launch(self, ended: Callable[[str], None]) -> Any:
        return Launched(self.case, ended)


class CrewCase(SynchronousTestCase):
    """
    A proxy of several workers in memory.

    :ivar engine: of the configuration.
    :ivar network: the reactor of all.
    :ivar workers: those that run, by number.
    """

    engine = "olla"

    def setUp(self) -> None:
        self.network = Network()
        self.logged: list[bytes] = []
        self.workers: dict[int, Launched] = {}

    def start(
        self,
        backends: Mapping[str, Backend | None],
        endpoint: Mapping[str, Any] | None = None,
        size: int = 2,
        **sections: Mapping[str, Any],
    ) -> None:
        """Start an owner and ``size`` workers with a backend for each name; see :class:`tests.support.ProxyCase`."""
        endpoints = []
        for number, (name, backend) in enumerate(backends.items()):
            if backend is not None:
                self.network.listeners[9000 + number] = backend
            keys = {"type": "openai", "priority": 100 - number, **(endpoint or {})}
            endpoints.append({"name": name, "url": f"http://127.0.0.1:{9000 + number}", **keys})
        server = {"rate_limits": UNLIMITED, "workers": size, **sections.pop("server", {})}
        config = {
            "server": server,
            "proxy": {"engine": self.engine, **sections.pop("proxy", {})},
            "discovery": {"static": {"endpoints": endpoints}, **sections.pop("discovery", {})},
            "logging": {"level": "debug"},
            **sections,
        }
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name, "olla.yaml")
        self.path.write_text(json.dumps(config))

        def read() -> Any:
            return load(
                str(self.path),
                environ={},
                cwd=Path(folder.name),
                selectors=selector_factories(),
                limiters=limiter_factories(),
            )

        self.supervisor = MemorySupervisor(read().config, self.network, (), "", read, [self.logged.append])
        self.supervisor.case = self
        self.supervisor.listens = False
        self.supervisor.privilegedStartService()
        self.supervisor.startService()
        self.addCleanup(self.stop)
        self.network.pump(0.01)

    def stop(self) -> None:
        """Stop all, and prove that nothing is left behind."""
        stopped = self.supervisor.stopService()
        self.network.wait(14.0, 0.05)
        self.successResultOf(stopped)
        self.assertEqual([str(call) for call in self.network.getDelayedCalls()], [])

    def send(self, worker: int, data: bytes, peer: str = "192.0.2.7") -> Client:
        """Let a client send ``data`` to one worker, and deliver everything."""
        client = Client()
        self.network.connect(client, PORT + worker, peer)
        client.transport.write(data)
        self.network.pump()
        return client

    def post(self, worker: int, body: Any = None, peer: str = "192.0.2.7", **fields: str) -> Client:
        """Send a chat to one worker; with model ``m`` by default."""
        path = "/olla/openai/v1/chat/completions"
        return self.send(worker, request("POST", path, {"model": "m"} if body is None else body, **fields), peer)

    def get(self, worker: int, path: str) -> Client:
        """Get a page from one worker."""
        return self.send(worker, request("GET", path))

    def status(self, worker: int) -> Any:
        """Give the page ``/internal/status``."""
        return self.get(worker, "/internal/status").json
