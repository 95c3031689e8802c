"""The real program under many connections, resets, and a lack of descriptors."""

from __future__ import annotations

import contextlib
import http.client
import json
import resource
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable

import psutil
from twisted.trial.unittest import TestCase

from tests.process.program import PATIENCE, Program, environment

CHAT = "/olla/openai/v1/chat/completions"
ASKED = {"model": "demo-llama", "stream": False, "messages": [{"role": "user", "content": "Hello!"}]}
MIB = 1024 * 1024


class SherpaTests(TestCase):
    """On engine ``sherpa``."""

    timeout = 120
    engine = "sherpa"
    reactor: tuple[str, ...] = ()

    def setUp(self) -> None:
        """Start a backend."""
        command = [sys.executable, "-m", "olla.demo", "--dialect", "openai", "--pace", "0.01"]
        self.backend = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE)
        self.addCleanup(self.backend.communicate)
        self.addCleanup(self.backend.kill)
        assert self.backend.stdout is not None
        self.url = f"http://127.0.0.1:{int(self.backend.stdout.readline())}"

    def start(self) -> tuple[Program, psutil.Process]:
        """Start a program before the backend, which it has asked once."""
        backend = {"name": "e", "url": self.url, "type": "openai", "check_interval": "1s", "check_timeout": "900ms"}
        config = {
            "proxy": {"engine": self.engine},
            "discovery": {"static": {"endpoints": [backend]}},
            "logging": {"level": "error"},  # nobody reads what it says, and a full pipe would hold it up
        }
        program = Program(config=config, reactor=self.reactor).wait()
        self.addCleanup(program.stop)
        self.assertEqual(self.chat(program), 200)
        return program, psutil.Process(program.process.pid)

    def chat(self, program: Program) -> int:
        """Ask for a completion on a connection of its own; gives the status, 0 without an answer."""
        try:
            response = program.ask("POST", CHAT, ASKED)
            response.read()
        except (OSError, http.client.HTTPException):
            return 0
        return response.status

    def connect(self, program: Program) -> socket.socket:
        """Connect."""
        one = socket.create_connection(("127.0.0.1", program.port), timeout=PATIENCE)
        self.addCleanup(one.close)
        return one

    def page(self, one: socket.socket, path: str) -> bytes:
        """Get a page over a connection that there is already."""
        one.sendall(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path.encode())
        response = http.client.HTTPResponse(one)
        response.begin()
        self.assertEqual(response.status, 200)
        return response.read()

    def until(self, true: Callable[[], bool], seconds: float, what: str) -> None:
        """Wait until ``true``, for ``seconds`` at most."""
        last = time.monotonic() + seconds
        while not true():
            self.assertLess(time.monotonic(), last, what)
            time.sleep(0.05)

    def test_no_descriptors(self) -> None:
        """Without descriptors it lives, does not spin, blames no backend, and serves again at once (R52)."""
        program, process = self.start()
        most = process.num_fds() + 20
        process.rlimit(resource.RLIMIT_NOFILE, (most, most))
        clients = [self.connect(program) for _ in range(60)]

        def full() -> bool:
            """Take what a check of the backend's health has just given back, too."""
            clients.append(self.connect(program))
            return process.num_fds() >= most

        self.until(full, 5.0, "descriptors are left")
        before = sum(process.cpu_times()[:2])
        time.sleep(3.0)  # several checks of the backend's health fall due
        self.assertLess(sum(process.cpu_times()[:2]) - before, 1.0)
        self.assertIn(b'"status":"healthy"', self.page(clients[0], "/internal/status/endpoints"))
        for one in clients:
            one.close()
        self.until(lambda: self.chat(program) == 200, 1.0, "does not serve again")

    def test_resets(self) -> None:
        """After 500 resets of clients, in the midst of a request or of its answer, nothing is left open (R51)."""
        body = json.dumps({**ASKED, "stream": True}).encode()
        whole = b"POST %b HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b" % (CHAT.encode(), len(body), body)
        program, process = self.start()
        self.reset(program, whole, 50)
        open_before, held_before = process.num_fds(), process.memory_info().rss
        self.reset(program, whole, 500)
        self.until(lambda: process.num_fds() <= open_before + 2, 10.0, "descriptors are left open")
        self.assertLess(process.memory_info().rss - held_before, 8 * MIB)
        self.assertEqual(self.chat(program), 200)

    def reset(self, program: Program, request: bytes, times: int) -> None:
        """Send a part of a request or all of it, read a part of the answer or none, and reset."""
        for number in range(times):
            one = socket.create_connection(("127.0.0.1", program.port), timeout=PATIENCE)
            one.sendall(request[: (40, -5, None)[number % 3]])
            if number % 6 == 5:
                with contextlib.suppress(OSError):
                    one.recv(100)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            one.close()

    def test_idle_connections(self) -> None:
        """A thousand idle connections cost at most 60 KiB each, and are served whenever they ask (R48)."""
        program, process = self.start()
        before = process.memory_info().rss
        clients = [self.connect(program) for _ in range(1000)]
        for _ in range(2):
            for one in clients:
                self.assertIn(b"version", self.page(one, "/version"))
            self.assertLess(process.memory_info().rss - before, 1000 * 60 * 1024)


class OllaTests(SherpaTests):
    """On engine ``olla``."""

    engine = "olla"


class LeanTests(OllaTests):
    """On engine ``olla`` and our own reactor."""

    reactor = ("--reactor=olla",)
