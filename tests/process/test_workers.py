"""The real ``twistd -n olla --workers N``: several processes that are one proxy (issue 4 item 6)."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import stat
import time
from collections.abc import Callable
from threading import Thread
from typing import Any

import psutil

from tests.process.program import PATIENCE, Program, free_port
from tests.process.test_program import CHAT, ProgramCase

PATH = "/olla/openai/v1/chat/completions"
JSON = {"Content-Type": "application/json"}
HEALTH = b"GET /internal/health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
QUICK = {**CHAT, "stream": False, "max_tokens": 1}


class Kept:
    """A connection to one worker, kept open."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        process = json.loads(self.get("/internal/process")[1])
        self.worker: int = process["runtime"]["worker_id"]
        self.pid: int = process["process"]["pid"]

    def begin(self, method: str, path: str, body: Any = None, **fields: str) -> http.client.HTTPResponse:
        """Send a request; the response's body has yet to be read."""
        data = None if body is None else json.dumps(body)
        named = {name.replace("_", "-"): value for name, value in fields.items()}
        self._connection.request(method, path, data, {**JSON, **named})
        return self._connection.getresponse()

    def get(self, path: str) -> tuple[int, bytes]:
        """Get a page."""
        response = self.begin("GET", path)
        return response.status, response.read()

    def post(self, body: Any, **fields: str) -> http.client.HTTPResponse:
        """Send a chat, and read the answer."""
        response = self.begin("POST", PATH, body, **fields)
        response.read()
        return response

    def close(self) -> None:
        self._connection.close()


class Workers(ProgramCase):
    """Two or three workers behind one port."""

    def workers(self, program: Program, *numbers: int) -> list[Kept]:
        """Connect to each of ``numbers``, however often that takes."""
        found: dict[int, Kept] = {}
        until = time.monotonic() + PATIENCE
        while set(found) != set(numbers) and time.monotonic() < until:
            kept = Kept(program.port)
            if kept.worker in numbers and kept.worker not in found:
                found[kept.worker] = kept
                self.addCleanup(kept.close)
            else:
                kept.close()
        self.assertEqual(sorted(found), sorted(numbers))
        return [found[number] for number in numbers]

    def until(self, true: Callable[[], bool], seconds: float = PATIENCE) -> None:
        """Wait until something is so."""
        deadline = time.monotonic() + seconds
        while not true():
            self.assertLess(time.monotonic(), deadline, "it does not become so")
            time.sleep(0.02)

    def test_limits_are_exact(self) -> None:
        """A client has its burst once, at whatever worker it asks; every worker tells the same figures."""
        limits = {"per_ip_requests_per_minute": 1, "burst_size": 6, "global_requests_per_minute": 0}
        config = {"server": {"rate_limits": {**limits, "health_requests_per_minute": 0}}}
        for engine in ("sherpa", "olla"):
            program = self.run_program("--demo", "--workers", "2", config={**config, "proxy": {"engine": engine}})
            one, two = self.workers(program.wait(), 1, 2)
            said = [(one, two)[number % 2].get("/olla/models")[0] for number in range(10)]
            self.assertEqual(said, [200] * 6 + [429] * 4)
            for kept in (one, two):
                status = json.loads(kept.get("/internal/status")[1])
                self.assertEqual(status["security"]["violations"]["rate_limits"], 4)
            program.signal(signal.SIGTERM)
            self.assertEqual(program.end()[0], 0)

    def test_sessions_stick(self) -> None:
        """A session stays at its endpoint across workers, and status pages count the requests of all."""
        proxy = {"load_balancer": "round-robin", "sticky_sessions": {"enabled": True}}
        program = self.run_program("--demo", config={"proxy": proxy, "server": {"workers": 3}}).wait()
        kept = self.workers(program, 1, 2, 3)
        for session in "abcd":
            asked = [one.post(QUICK, X_Olla_Session_ID=session) for one in (*kept, *kept)]
            served = {one.getheader("X-Olla-Endpoint") for one in asked if one.getheader("X-Olla-Sticky-Session")}
            self.assertEqual(len(served), 1, session)
        totals = {json.loads(one.get("/internal/status")[1])["system"]["total_requests"] for one in kept}
        self.assertEqual(totals, {24})
        processes = json.loads(kept[0].get("/internal/process?all=true")[1])["workers"]
        self.assertEqual([one["process"]["pid"] for one in processes], [one.pid for one in kept])

    def test_dead_worker_is_replaced(self) -> None:
        """A killed worker has a successor that serves within a second; streams at the others go on whole (R66)."""
        program = self.run_program("--demo", "--workers", "2", config={}).wait()
        one, two = self.workers(program, 1, 2)
        stream = two.begin("POST", PATH, CHAT)
        self.assertTrue(stream.readline().startswith(b"data: "))
        spare_ready = psutil.Process(program.process.pid)
        self.until(lambda: len(spare_ready.children()) == 3)
        time.sleep(2.0)  # the spare has imported everything by now
        os.kill(one.pid, signal.SIGKILL)
        killed = time.monotonic()
        self.until(lambda: self.pid_of(program, 1) not in (None, one.pid))
        self.assertLess(time.monotonic() - killed, 1.5)
        self.assertTrue(stream.read().endswith(b"data: [DONE]\n\n"))
        status = json.loads(program.get("/internal/status")[1])
        self.assertEqual(status["system"]["active_connections"], 0)
        program.signal(signal.SIGTERM)
        code, out, _ = program.end()
        self.assertEqual(code, 0)
        self.assertIn("Worker ended", out)

    def pid_of(self, program: Program, number: int) -> int | None:
        """Give the process of a worker, from the page that lists all."""
        listed = json.loads(program.get("/internal/process?all=true")[1])["workers"]
        return next((one["process"]["pid"] for one in listed if one["runtime"]["worker_id"] == number), None)

    def test_drains(self) -> None:
        """SIGTERM lets streams at every worker finish, refuses new connections, ends with 0, leaves no process."""
        self.drain()

    def test_drains_on_the_lean_reactor(self) -> None:
        """It is the same with ``--reactor olla``."""
        self.drain("--reactor", "olla")

    def drain(self, *reactor: str) -> None:
        """Stop a program while a stream runs at each of its workers."""
        program = self.run_program("--demo", "--workers", "2", config={}, reactor=reactor).wait()
        kept = self.workers(program, 1, 2)
        family = psutil.Process(program.process.pid).children()
        streams = [one.begin("POST", PATH, CHAT) for one in kept]
        self.assertTrue(all(stream.readline().startswith(b"data: ") for stream in streams))
        program.signal(signal.SIGTERM)
        rests: list[bytes] = []
        readers = [Thread(target=lambda stream: rests.append(stream.read()), args=(one,)) for one in streams]
        for reader in readers:
            reader.start()
        time.sleep(0.3)
        self.assertRaises(OSError, program.ask, "GET", "/internal/health")
        for reader in readers:
            reader.join(PATIENCE)
        self.assertEqual([rest.endswith(b"data: [DONE]\n\n") for rest in rests], [True, True])
        self.assertEqual(program.end()[0], 0)
        self.until(lambda: not any(child.is_running() for child in family))

    def test_orphans_end(self) -> None:
        """When the first process is killed, its workers end by themselves."""
        program = self.run_program("--demo", "--workers", "2", config={}).wait()
        family = psutil.Process(program.process.pid).children()
        self.assertGreaterEqual(len(family), 2)
        program.signal(signal.SIGKILL)
        self.until(lambda: not any(child.is_running() for child in family))

    def test_unix_socket(self) -> None:
        """Workers share a Unix socket; its file keeps its mode, outlives a worker, and goes with the first."""
        port = free_port()
        listen = [f"tcp:{port}:interface=127.0.0.1", "unix:olla.sock:mode=600"]
        config = {"server": {"workers": 2, "listen": listen}}
        program = self.run_program("--demo", config=config, port=port).wait()
        path = str(program.folder / "olla.sock")
        self.assertIn(b'"healthy"', self.ask_unix(path))
        self.assertIn(b'"healthy"', self.ask_unix(path, b"GET /internal/health HTTP/1.0\r\n\r\n"))
        one = self.workers(program, 1)[0]
        os.kill(one.pid, signal.SIGTERM)
        self.until(lambda: self.pid_of(program, 1) not in (None, one.pid))
        self.assertIn(b'"healthy"', self.ask_unix(path))
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        program.signal(signal.SIGTERM)
        self.assertEqual(program.end()[0], 0)
        self.assertFalse(os.path.exists(path))

    def ask_unix(self, path: str, request: bytes = HEALTH) -> bytes:
        """Send a request, by default for the health page, over a Unix socket."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(PATIENCE)
            client.connect(path)
            client.sendall(request)
            data = b""
            while more := client.recv(65536):
                data += more
        return data

    def test_what_cannot_be_shared(self) -> None:
        """An endpoint string whose socket cannot be shared ends the start with one line (issue 4 item 6)."""
        config = {"server": {"workers": 2, "listen": ["systemd:domain=INET:index=0"]}}
        status, out, err = self.refused("--demo", config=config)
        self.assertEqual(status, 1)
        self.assertIn('server.listen: "systemd:domain=INET:index=0" cannot be shared by several workers', err)
        self.assertNotIn("Traceback", out + err)

    def test_nonsense(self) -> None:
        """No workers at all are a mistake of the command line."""
        self.assertEqual(self.refused("--workers", "0", config={})[0], 2)
        self.assertEqual(self.refused("--workers", "many", config={})[0], 2)
