"""A whole proxy in memory, with scripted clients and backends around it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from attrs import define, field
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from olla.config import load
from olla.plugged import limiter_factories, selector_factories
from olla.service import ProxyService, makeProxyService
from tests.network import MemoryTransport, Network

PORT = 40114
HEADER_END = b"\r\n\r\n"
LISTING = {"object": "list", "data": [{"id": "m", "object": "model", "owned_by": "test"}]}
SSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
UNLIMITED = {
    "per_ip_requests_per_minute": 0,
    "global_requests_per_minute": 0,
    "health_requests_per_minute": 0,
}


def chunk(piece: bytes) -> bytes:
    """Frame ``piece`` as one chunk of a body that goes on."""
    return b"%x\r\n%b\r\n" % (len(piece), piece)


def chunked(*pieces: bytes) -> bytes:
    """Frame ``pieces`` as a whole chunked body."""
    return b"".join(map(chunk, pieces)) + b"0\r\n\r\n"


def answer(body: bytes | Mapping[str, Any], status: int = 200, **fields: str) -> bytes:
    """Write a whole response with a length; underscores in names of ``fields`` stand for hyphens."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {"Content-Type": "application/json", **{k.replace("_", "-"): v for k, v in fields.items()}}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} X\r\n{lines}Content-Length: {len(data)}\r\n\r\n".encode() + data


@define
class Seen:
    """A request as a backend saw it."""

    head: bytes
    body: bytes

    @property
    def line(self) -> bytes:
        """The request line."""
        return self.head.split(b"\r\n", 1)[0]

    def fields(self, name: str) -> list[str]:
        """Give all values of one field."""
        found = []
        for line in self.head.decode("latin-1").split("\r\n")[1:]:
            key, _, value = line.partition(": ")
            if key.lower() == name.lower():
                found.append(value)
        return found


class BackendConnection(Protocol):
    """
    One connection at a scripted backend.

    :ivar lost: why it ended; ``None`` while it stands.
    """

    transport: MemoryTransport

    def __init__(self, backend: Backend) -> None:
        self.lost: Failure | None = None
        self._backend = backend
        self._data = b""

    def dataReceived(self, data: bytes) -> None:
        self._data += data
        while True:
            head, end, rest = self._data.partition(HEADER_END)
            if not end:
                return
            length = next(
                (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")),
                0,
            )
            if len(rest) < length:
                return
            self._data = rest[length:]
            self._backend.asked(self, Seen(head, rest[:length]))

    def connectionLost(self, reason: Failure = Failure(Exception())) -> None:  # noqa: B008
        self.lost = reason


@define(eq=False)
class Backend(Factory):
    """
    A backend that does as it is told.

    :ivar models: names that it lists.
    :ivar healthy: status of its health page.
    :ivar tells: its answers to checks and listings at some paths.
    :ivar page: its answer to what pages of ours ask it; ``None`` for the one to checks.
    :ivar play: what it does with a request that is neither check nor listing.
    :ivar seen: such requests.
    :ivar connections: all that were ever made to it.
    """

    models: Sequence[str] = ("m",)
    healthy: int = 200
    tells: dict[str, bytes] = field(factory=dict)
    page: bytes | None = None
    play: Callable[[BackendConnection, Seen], None] = field(default=lambda connection, seen: None)
    seen: list[Seen] = field(factory=list)
    probes: list[Seen] = field(factory=list)
    connections: list[BackendConnection] = field(factory=list)
    noisy = False
    numPorts = 0
    protocol = None

    def buildProtocol(self, addr: Any) -> BackendConnection:
        connection = BackendConnection(self)
        self.connections.append(connection)
        return connection

    def asked(self, connection: BackendConnection, seen: Seen) -> None:
        """Answer checks and listings, and leave the rest to :attr:`play`."""
        agent = "".join(seen.fields("user-agent"))
        if agent.startswith("olla-"):
            self.probes.append(seen)
            data = [{"id": name, "object": "model"} for name in self.models]
            if self.page is not None and agent.startswith("olla-Status"):
                connection.transport.write(self.page)
                return
            told = self.tells.get(seen.line.decode().split(" ")[1])
            if told is not None:
                connection.transport.write(told)
                return
            listing = agent.startswith("olla-Discovery")
            connection.transport.write(
                answer({"object": "list", "data": data} if listing else {}, 200 if listing else self.healthy)
            )
            return
        self.seen.append(seen)
        self.play(connection, seen)


def says(data: bytes) -> Callable[[BackendConnection, Seen], None]:
    """Answer with ``data``."""
    return lambda connection, seen: connection.transport.write(data)


def says_and_closes(data: bytes) -> Callable[[BackendConnection, Seen], None]:
    """Answer with ``data``, then close."""

    def play(connection: BackendConnection, seen: Seen) -> None:
        connection.transport.write(data)
        connection.transport.loseConnection()

    return play


def resets(connection: BackendConnection, seen: Seen) -> None:
    """Reset the connection."""
    connection.transport.abortConnection()


class Client(Protocol):
    """
    A client that keeps what it gets.

    :ivar got: all bytes.
    :ivar lost: how the connection ended; ``None`` while it stands.
    """

    transport: MemoryTransport

    def __init__(self) -> None:
        self.got = b""
        self.lost: Failure | None = None

    def dataReceived(self, data: bytes) -> None:
        self.got += data

    def connectionLost(self, reason: Failure = Failure(Exception())) -> None:  # noqa: B008
        self.lost = reason

    @property
    def status(self) -> int:
        """Of the first response."""
        return int(self.got.split(b" ", 2)[1])

    @property
    def head(self) -> bytes:
        """Of the first response, in lower case names as sent."""
        return self.got.partition(HEADER_END)[0]

    def field(self, name: str) -> str | None:
        """Give the first value of a field of the first response."""
        values = self.fields(name)
        return values[0] if values else None

    def fields(self, name: str) -> list[str]:
        """Give all values of a field of the first response."""
        return Seen(self.head, b"").fields(name)

    @property
    def body(self) -> bytes:
        """Of the first response, decoded as far as it has come."""
        raw = self.got.partition(HEADER_END)[2]
        return dechunked(raw)[0] if self.field("Transfer-Encoding") == "chunked" else raw

    @property
    def whole(self) -> bool:
        """Whether the first response has come to its proper end."""
        raw = self.got.partition(HEADER_END)[2]
        if self.field("Transfer-Encoding") == "chunked":
            return dechunked(raw)[1]
        length = self.field("Content-Length")
        return length is not None and len(raw) >= int(length)

    @property
    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)


def dechunked(raw: bytes) -> tuple[bytes, bool]:
    """Decode a chunked body as far as it goes; say whether it is whole."""
    out = b""
    while raw:
        size, end, rest = raw.partition(b"\r\n")
        if not end:
            break
        length = int(size, 16)
        if not length:
            return out, rest.startswith(b"\r\n")
        out += rest[:length]
        raw = rest[length + 2 :]
    return out, False


class ProxyCase(SynchronousTestCase):
    """
    A proxy in memory.

    :ivar engine: of the configuration.
    :ivar network: the reactor.
    :ivar logged: lines of the log.
    """

    engine = "sherpa"
    detour = False

    def setUp(self) -> None:
        self.network = Network()
        self.logged: list[bytes] = []
        self.proxy: ProxyService | None = None

    def start(
        self,
        backends: Mapping[str, Backend | None] | None = None,
        endpoint: Mapping[str, Any] | None = None,
        **sections: Mapping[str, Any],
    ) -> None:
        """
        Start the proxy with a backend for each name; ``None`` for one that refuses connections.

        With ``load_balancer: priority`` the backends are preferred in their order.

        :param endpoint: further keys of each endpoint.
        :param sections: of the configuration; ``proxy`` and ``server`` are overlaid on those of the tests.
        """
        endpoints = []
        for number, (name, backend) in enumerate((backends or {}).items()):
            port = 9000 + number
            if backend is not None:
                self.network.listeners[port] = backend
            keys = {"type": "openai", "priority": 100 - number, **(endpoint or {})}
            endpoints.append({"name": name, "url": f"http://127.0.0.1:{port}", **keys})
        config = {
            "server": {"rate_limits": UNLIMITED, **sections.pop("server", {})},
            "proxy": {"engine": self.engine, **sections.pop("proxy", {})},
            "discovery": {"static": {"endpoints": endpoints}, **sections.pop("discovery", {})},
            "logging": {"level": "debug", **sections.pop("logging", {})},
            **sections,
        }
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = Path(folder.name, "olla.yaml")
        path.write_text(json.dumps(config))

        def read() -> Any:
            return load(
                str(path),
                environ={},
                cwd=Path(folder.name),
                selectors=selector_factories(),
                limiters=limiter_factories(),
            )

        self.path = path
        self.proxy = makeProxyService(read().config, self.network, read_again=read, outputs=[self.logged.append])
        self.proxy.privilegedStartService()
        self.proxy.startService()
        self.addCleanup(self.stop)
        self.network.pump(0.01)

    def stop(self) -> None:
        """Stop the proxy, and prove that it leaves nothing behind."""
        if self.proxy is None:
            return
        proxy, self.proxy = self.proxy, None
        stopped = proxy.stopService()
        self.network.wait(12.0, 0.05)
        self.successResultOf(stopped)
        self.assertEqual([str(call) for call in self.network.getDelayedCalls()], [])
        self.assertEqual([str(one.getPeer()) for one in self.network.transports if not one.disconnected], [])
        self.assertNotIn(PORT, self.network.listeners)

    def connect(self, peer: str = "192.0.2.7") -> Client:
        """Connect a client."""
        client = Client()
        self.network.connect(client, PORT, peer)
        return client

    def send(self, data: bytes, peer: str = "192.0.2.7") -> Client:
        """Connect a client, let it send ``data``, and deliver everything."""
        client = self.connect(peer)
        client.transport.write(data)
        self.network.pump()
        return client

    def post(
        self,
        path: str = "/olla/openai/v1/chat/completions",
        body: bytes | Mapping[str, Any] | None = None,
        peer: str = "192.0.2.7",
        **fields: str,
    ) -> Client:
        """Send a request with a JSON body; by default a chat with model ``m``."""
        return self.send(request("POST", path, {"model": "m"} if body is None else body, self.detour, **fields), peer)

    def get(self, path: str, peer: str = "192.0.2.7", **fields: str) -> Client:
        """Send a ``GET``."""
        return self.send(request("GET", path, b"", self.detour, **fields), peer)

    def status(self) -> Any:
        """Give the page ``/internal/status``."""
        return self.get("/internal/status").json

    def records(self) -> list[dict[str, Any]]:
        """Give the lines of the log written so far."""
        assert self.proxy is not None
        self.proxy.parts.telemetry.lines.flush()
        return [json.loads(line) for block in self.logged for line in block.splitlines()]


def request(
    method: str, path: str, body: bytes | Mapping[str, Any] = b"", detour: bool = False, **fields: str
) -> bytes:
    """
    Write a request.

    :param detour: send the body chunked, which engine ``olla`` hands over to Twisted's server.
    """
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {"Host": "proxy.test", **{name.replace("_", "-"): value for name, value in fields.items()}}
    if data:
        named.setdefault("Content-Type", "application/json")
        named["Transfer-Encoding" if detour else "Content-Length"] = "chunked" if detour else str(len(data))
    lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + (chunked(data) if detour and data else data)


def on_each_engine(case: type[ProxyCase]) -> None:
    """
    Make test cases out of ``case``: it runs on ``sherpa``, on ``olla``, and on ``olla`` by the handed-over way.

    Used as a decorator, so that ``case`` itself is not a test.
    """
    import sys

    module = sys.modules[case.__module__]
    for suffix, engine, detour in (
        ("OnSherpa", "sherpa", False),
        ("OnOlla", "olla", False),
        ("OnDetour", "olla", True),
    ):
        named = f"{case.__name__}{suffix}"
        made = type(named, (case,), {"engine": engine, "detour": detour, "__module__": case.__module__})
        made.__doc__ = case.__doc__
        setattr(module, named, made)
