"""How the proxy starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.logger import globalLogPublisher

from olla.config import Remark, load
from olla.plugged import limiter_factories, selector_factories
from olla.service import makeProxyService
from tests.support import PORT, Backend, BackendConnection, ProxyCase, Seen, answer, on_each_engine, request, says


@on_each_engine
class Starting(ProxyCase):
    """From nothing to the first answer."""

    def test_defaults(self) -> None:
        """With nothing configured it listens on this machine's port 40114, and knows Ollama there (C1, B1)."""
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        plugins: dict[str, Any] = {"selectors": selector_factories(), "limiters": limiter_factories()}
        config = load(None, environ={"OLLA_PROXY_ENGINE": self.engine}, cwd=Path(folder.name), **plugins).config
        self.assertEqual((config.server.host, config.server.port), ("localhost", PORT))
        self.network.listeners[11434] = Backend(play=says(answer({"from": "ollama"})))
        self.proxy = makeProxyService(config, self.network)
        self.proxy.privilegedStartService()
        self.assertEqual((set(self.network.listeners), self.network.transports), ({11434, PORT}, []))
        self.proxy.startService()
        self.addCleanup(self.stop)
        self.network.pump(0.1)
        self.assertEqual(self.get("/internal/health").json, {"status": "healthy"})
        self.assertEqual(self.get("/olla/ollama/api/version").json, {"from": "ollama"})

    def test_remarks(self) -> None:
        """What is doubtful in the configuration is a warning, what is worth knowing is not (config-corpus.md §1)."""
        warning, note = Remark("a", "is doubtful"), Remark("b", "is honoured here", note=True)
        said: list[dict[str, Any]] = []
        globalLogPublisher.addObserver(said.append)
        self.addCleanup(globalLogPublisher.removeObserver, said.append)
        config = load("", environ={"OLLA_PROXY_ENGINE": self.engine}, cwd=Path(self.mktemp())).config
        self.proxy = makeProxyService(config, self.network, [warning, note])
        self.proxy.privilegedStartService()
        self.proxy.startService()
        self.addCleanup(self.stop)
        levels = [(one["remark"], one["log_level"].name) for one in said if "remark" in one]
        self.assertEqual(levels, [("a: is doubtful", "warn"), ("b: is honoured here", "info")])

    def test_sweeps_go_on(self) -> None:
        """A fault of ours in what is done a few times a second is logged, and it is done again (R57)."""
        for parts in (0, 1):  # in the first part of a look at all, or in a later one
            self.setUp()
            self.start({"a": Backend(play=says(answer({})))}, server={"read_header_timeout": "1s"})
            assert self.proxy is not None
            faults: list[Exception] = [ValueError("for once")]
            site, sweep = self.proxy.site, self.proxy.site.sweep

            def fails(
                now: float,
                faults: list[Exception] = faults,
                sweep: Callable[[float], Iterator[None]] = sweep,
                parts: int = parts,
            ) -> Iterator[None]:
                yield from [None] * parts
                if faults:
                    raise faults.pop()
                yield from sweep(now)

            site.sweep = fails  # type: ignore[method-assign]  # as a mistake would
            slow = self.send(b"GET / HT")
            self.network.wait(2.0)
            self.assertIsNotNone(slow.lost)
            self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
            self.stop()

    def test_order(self) -> None:
        """Stopping begins with the port, and ends with the looks at backends (B1)."""
        backend = Backend(play=says(answer({})))
        self.start({"a": backend})
        assert self.proxy is not None
        port = self.proxy.ports[0]
        self.assertIn(port.number, self.network.listeners)
        stopping = self.proxy.stopService()
        self.assertNotIn(port.number, self.network.listeners)
        checkers = self.proxy.parts.watch.checkers
        self.network.wait(12.0, 0.05)
        self.successResultOf(stopping)
        self.assertEqual({checker.running for checker in checkers}, {0})

    def test_slow_backend(self) -> None:
        """One backend that does not tell its models holds nobody back for longer than two seconds (B7)."""
        slow, quick = Backend(), Backend(models=["q"], play=says(answer({"from": "quick"})))

        def asked(connection: BackendConnection, seen: Seen) -> None:
            if "HealthChecker" in seen.fields("User-Agent")[0]:
                connection.transport.write(answer({}))

        slow.asked = asked  # type: ignore[method-assign]
        self.start({"slow": slow, "quick": quick})
        client = self.post(body={"model": "q"})
        self.assertEqual((client.status, client.json), (200, {"from": "quick"}))
        early = self.post(body={"model": "unknown"})
        self.assertEqual(early.got, b"")
        self.network.wait(2.25)
        self.assertEqual(early.status, 404)


@on_each_engine
class Probing(ProxyCase):
    """Endpoints that answer their checks with what is no outage."""

    def test_refused_checks(self) -> None:
        """401, 403 and 429 to checks open no breaker, however often; all is well as soon as they end (B31)."""
        backend = Backend(play=says(answer({})))
        self.start({"a": backend})
        for status, shown in ((401, "config_error"), (403, "config_error"), (429, "rate_limited")):
            backend.healthy = status
            self.network.wait(900.0, 5.0)
            (endpoint,) = self.status()["endpoints"]
            self.assertEqual((endpoint["status"], endpoint["circuit"]), (shown, "closed"))
            self.assertEqual(self.post().status, 503)
            backend.healthy = 200
            self.network.wait(120.0, 1.0)
            self.assertEqual(self.post().status, 200)

    def test_two_kinds_of_502(self) -> None:
        """Silence and a refused connection are both 502, and their codes tell them apart (B35)."""
        self.start({"a": Backend()}, proxy={"response_header_timeout": "1s"})
        client = self.post()
        self.network.wait(2.0)
        self.assertEqual((client.status, client.json["error"]["code"]), (502, "BACKEND_TIMEOUT"))
        del self.network.listeners[9000]
        for transport in self.network.transports:
            transport.abortConnection()
        self.network.pump()
        client = self.post()
        self.assertEqual((client.status, client.json["error"]["code"]), (502, "BACKEND_UNREACHABLE"))

    def test_no_second_answer(self) -> None:
        """After a reset amid a body nothing is added to it, though a GET could be asked again elsewhere (B34)."""
        part = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf an answer"

        def play(connection: Any, seen: Any) -> None:
            connection.transport.write(part)
            self.network.callLater(0.1, connection.transport.abortConnection)

        other = Backend(play=says(answer(b"another answer")))
        self.start({"a": Backend(play=play), "b": other}, proxy={"load_balancer": "priority"})
        for method in ("GET", "POST"):
            client = self.send(request(method, "/olla/proxy/x", b"" if method == "GET" else {"a": 1}, self.detour))
            self.network.pump(0.2)
            self.assertEqual((client.body, client.whole), (b"half an answer", False))
        self.assertEqual(other.seen, [])
