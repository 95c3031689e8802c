"""A newer program takes over from an older one, on a socket that outlives both (R67)."""

from __future__ import annotations

import http.client
import json
import signal
import socket
from threading import Event, Thread

from tests.process.program import PATIENCE, Program
from tests.process.test_program import CHAT, ENGINES, ProgramCase

PATH = "/olla/openai/v1/chat/completions"
JSON = {"Content-Type": "application/json"}
QUICK = json.dumps({**CHAT, "stream": False, "max_tokens": 1})


class Asking(Thread):
    """
    A client that asks without a pause.

    :ivar answered: how often it has had an answer.
    :ivar failed: what it had instead.
    """

    def __init__(self, port: int, keeps: bool, enough: Event) -> None:
        super().__init__()
        self.answered = 0
        self.failed: list[str] = []
        self._port, self._keeps, self._enough = port, keeps, enough

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
        while not self._enough.is_set():
            try:
                connection.request("POST", PATH, QUICK, JSON)
                response = connection.getresponse()
                body = response.read()
            except (OSError, http.client.HTTPException) as error:
                self.failed.append(repr(error))
                connection.close()
                continue
            if response.status == 200 and b'"chat.completion"' in body:
                self.answered += 1
            else:
                self.failed.append(f"{response.status} {body!r}")
            if not self._keeps:
                connection.close()
        connection.close()


class Restart(ProgramCase):
    """Two programs, one after the other, that are handed the same socket."""

    def begin(self, engine: str, held: socket.socket) -> Program:
        """Start one, and wait until it accepts."""
        server = {"listen": ["systemd:domain=INET:index=0"], "request_logging": False}
        config = {"server": server, "proxy": {"engine": engine}, "logging": {"level": "warn"}}
        program = self.run_program("--demo", config=config, held=held, port=held.getsockname()[1])
        assert program.process.stdout is not None
        while b"curl -N" not in program.process.stdout.readline():
            self.assertIsNone(program.process.poll())
        return program

    def test_nothing_is_lost(self) -> None:
        """Clients who ask all the time, on kept and on new connections, have an answer to each request (R67)."""
        for engine in ENGINES:
            with socket.create_server(("127.0.0.1", 0), backlog=128) as held:
                program = self.begin(engine, held).wait()
                enough = Event()
                clients = [Asking(held.getsockname()[1], number % 2 == 0, enough) for number in range(6)]
                for client in clients:
                    client.start()
                self.addCleanup(enough.set)
                for _ in range(2):
                    newer = self.begin(engine, held)
                    program.signal(signal.SIGTERM)
                    self.assertEqual(program.end()[0], 0)
                    program = newer
                enough.set()
                for client in clients:
                    client.join(PATIENCE)
                self.assertEqual([client.failed for client in clients], [[]] * 6, engine)
                self.assertGreater(min(client.answered for client in clients), 2)
                program.signal(signal.SIGTERM)
                self.assertEqual(program.end()[0], 0)

    def test_one_after_the_other(self) -> None:
        """With nobody there for a moment, clients wait in the socket, and are answered by who comes (R67)."""
        with socket.create_server(("127.0.0.1", 0), backlog=128) as held:
            program = self.begin("olla", held).wait()
            program.signal(signal.SIGTERM)
            self.assertEqual(program.end()[0], 0)
            enough = Event()
            client = Asking(held.getsockname()[1], True, enough)
            client.start()
            self.addCleanup(enough.set)
            newer = self.begin("olla", held)
            enough.set()
            client.join(PATIENCE)
            self.assertEqual((client.failed, client.answered > 0), ([], True))
            newer.signal(signal.SIGTERM)
            self.assertEqual(newer.end()[0], 0)
