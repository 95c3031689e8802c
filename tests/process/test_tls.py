"""The real program at TLS."""

from __future__ import annotations

import http.client
import json
import ssl
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from tests.process.program import PATIENCE, free_port
from tests.process.test_program import ENGINES, ProgramCase
from tests.wire.ends import certificate


class Backend(ThreadingHTTPServer):
    """
    A server that lists one model, and notes what it is told of clients.

    :ivar schemes: the value of ``X-Forwarded-Proto`` in each request for an answer.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Asked)
        self.schemes: list[str | None] = []
        Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self) -> None:
        """Serve no more."""
        self.shutdown()
        self.server_close()


class _Asked(BaseHTTPRequestHandler):
    server: Backend

    def do_GET(self) -> None:  # http.server calls it so
        self._say({"object": "list", "data": [{"id": "m"}]})

    def do_POST(self) -> None:  # http.server calls it so
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.schemes.append(self.headers["X-Forwarded-Proto"])
        self._say({"answer": 42})

    def _say(self, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


class Listening(ProgramCase):
    """``server.listen`` with and without TLS."""

    def test_schemes(self) -> None:
        """Clients are served at TLS as well, and backends told so (config.md §4, behaviour.md §12)."""
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        key, pem = certificate(str(folder), "localhost")
        for engine in ENGINES:
            backend = Backend()
            self.addCleanup(backend.stop)
            port, secure = free_port(), free_port()
            endpoint = {"name": "e", "url": f"http://127.0.0.1:{backend.server_port}", "type": "openai"}
            listen = [
                f"tcp:{port}:interface=127.0.0.1",
                f"ssl:{secure}:interface=127.0.0.1:privateKey={key}:certKey={pem}",
            ]
            config = {
                "proxy": {"engine": engine},
                "server": {"listen": listen},
                "discovery": {"static": {"endpoints": [endpoint]}},
            }
            self.run_program(config=config, port=port).wait()
            trusting = ssl.create_default_context(cafile=pem)
            trusting.set_alpn_protocols(["h2", "http/1.1"])
            for connection in (
                http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE),
                http.client.HTTPSConnection("localhost", secure, timeout=PATIENCE, context=trusting),
            ):
                for _ in range(2):
                    connection.request("POST", "/olla/openai/v1/chat/completions", json.dumps({"model": "m"}))
                    self.assertEqual(json.load(connection.getresponse()), {"answer": 42})
                connection.close()
            self.assertEqual(backend.schemes, ["http", "http", "https", "https"])
