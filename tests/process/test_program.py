"""The real ``twistd -n olla``: it starts, refuses what is wrong, drains, and survives signals."""

from __future__ import annotations

import http.client
import json
import select
import signal
import socket
import subprocess
import sys
import time
from threading import Thread
from typing import Any

from twisted.trial.unittest import TestCase

from tests.process.program import PATIENCE, Program, environment, free_port

CHAT = {"model": "demo-llama", "stream": True, "messages": [{"role": "user", "content": "Hello!"}]}
ENGINES = ("sherpa", "olla")


class ProgramCase(TestCase):
    """Starts programs, and leaves none behind."""

    timeout = 120

    def run_program(self, *arguments: str, **more: Any) -> Program:
        """Start one."""
        program = Program(*arguments, **more)
        self.addCleanup(program.stop)
        return program

    def refused(self, *arguments: str, **more: Any) -> tuple[int, str, str]:
        """Start one that ends by itself."""
        return self.run_program(*arguments, **more).end()


class Demo(ProgramCase):
    """``--demo``."""

    def test_demo_streams_words(self) -> None:
        """Without any inference server, ``--demo`` says what to type, and that streams words (issue: --demo)."""
        for engine in ENGINES:
            program = self.run_program("--demo", config={"proxy": {"engine": engine}}).wait()
            response = program.ask("POST", "/olla/openai/v1/chat/completions", CHAT)
            first = response.readline()
            self.assertTrue(first.startswith(b"data: "), first)
            self.assertTrue(response.read().endswith(b"data: [DONE]\n\n"))
            self.assertIn(response.getheader("X-Olla-Endpoint"), ("demo-ollama", "demo-openai"))
            program.signal(signal.SIGTERM)
            status, out, _ = program.end()
            self.assertEqual(status, 0)
            self.assertIn(f"curl -N http://localhost:{program.port}/olla/openai/v1/chat/completions", out)


class Start(ProgramCase):
    """From the command line to the first answer, or to the first fault."""

    def test_starts_at_once_with_dead_endpoints(self) -> None:
        """Four dead endpoints do not hold back the start, nor do pages fail (B3, C78)."""
        dead = [{"name": f"dead{n}", "url": f"http://127.0.0.1:{free_port()}", "type": "vllm"} for n in range(4)]
        program = self.run_program(config={"discovery": {"static": {"endpoints": dead}}}).wait()
        self.assertEqual(program.get("/internal/health"), (200, b'{"status":"healthy"}'))
        status = json.loads(program.get("/internal/status")[1])
        self.assertEqual(status["system"]["endpoints_up"], "0/4")

    def test_port_in_use(self) -> None:
        """A taken port ends the process with one line that names it, and status 1 (B4, K50, R63)."""
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            status, out, err = self.refused(config={}, port=port)
        self.assertEqual(status, 1)
        self.assertIn(f"failed to bind 127.0.0.1:{port}", err)
        self.assertNotIn("Traceback", out + err)

    def test_endpoint_string_in_use(self) -> None:
        """So does an endpoint string that cannot be listened at, with one process and with two (K50, R63)."""
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            text = f"tcp:{taken.getsockname()[1]}:interface=127.0.0.1"
            for workers in (1, 2):
                server = {"listen": ["unix:olla.sock", text], "workers": workers}
                status, out, err = self.refused(config={"server": server})
                self.assertEqual(status, 1)
                self.assertIn(f"olla: failed to bind {text}: Address already in use\n", err)
                self.assertNotIn("Traceback", out + err)

    def test_faulty_configuration(self) -> None:
        """All faults come at once, each with its path; status 1, no traceback, no secret (K50, K59, R63)."""
        config = {
            "server": {"port": "x", "read_timeout": 30},
            "proxy": {"load_balancer": "nonsense"},
            "discovery": {"static": {"endpoints": [{"name": "a", "url": "http://u:hunter2@h:1", "type": "ollama"}]}},
        }
        status, out, err = self.refused(config=json.dumps(config))
        self.assertEqual(status, 1)
        for path in ("server.port", "server.read_timeout", "proxy.load_balancer", "discovery.static.endpoints"):
            self.assertIn(path, err)
        self.assertNotIn("hunter2", out + err)
        self.assertNotIn("Traceback", out + err)

    def test_nothing_before_the_check(self) -> None:
        """With a fault anywhere no backend is asked and nothing is bound (K85)."""
        with socket.socket() as backend:
            backend.bind(("127.0.0.1", 0))
            backend.listen()
            backend.setblocking(False)
            url = f"http://127.0.0.1:{backend.getsockname()[1]}"
            endpoints = [{"name": "a", "url": url, "type": "ollama"}]
            for section in (
                {"proxy": {"engine": "nonsense"}},
                {"proxy": {"load_balancer": "nonsense"}},
                {"model_aliases": {"x": []}},
                {"model_registry": {"type": "nonsense"}},
            ):
                config = {"discovery": {"static": {"endpoints": endpoints}}, **section}
                status, out, err = self.refused(config=config)
                self.assertEqual(status, 1, section)
                self.assertIn("nonsense" if "nonsense" in str(section) else "model_aliases.x", err)
                self.assertRaises(BlockingIOError, backend.accept)
                self.assertNotIn("listening", out)

    def test_engine_is_named(self) -> None:
        """Each engine starts, and the log says which it is (K36)."""
        for engine in ENGINES:
            program = self.run_program(config={"proxy": {"engine": engine}}).wait()
            program.signal(signal.SIGTERM)
            status, out, _ = program.end()
            (line,) = [one for one in out.splitlines() if "Olla started" in one]
            self.assertEqual((status, json.loads(line)["engine"]), (0, engine))

    def test_profiler(self) -> None:
        """The original's switch for its profiler is taken and said to do nothing, so that its services still start."""
        program = self.run_program("--profile", config={}).wait()
        program.signal(signal.SIGTERM)
        status, out, _ = program.end()
        self.assertEqual(status, 0)
        self.assertIn("--profile: has no effect", out)

    def test_log_folder(self) -> None:
        """A folder for the log that cannot be made is said, and does not stop the start (K80)."""
        config = {"logging": {"output": "file"}}
        program = self.run_program(config=config, OLLA_LOG_DIR="olla.yaml/logs").wait()
        program.signal(signal.SIGTERM)
        status, out, err = program.end()
        self.assertEqual(status, 0)
        self.assertIn("no log file in olla.yaml/logs", err)
        self.assertIn("Olla started", out)

    def test_log_file_of_twistd(self) -> None:
        """``twistd --logfile`` has the log in place of standard output; one that cannot be written is named."""
        program = self.run_program(config={}, reactor=("--logfile=here.log",)).wait()
        program.signal(signal.SIGTERM)
        status, out, err = program.end()
        self.assertEqual((status, out, err), (0, "", ""))
        self.assertIn("Olla started", (program.folder / "here.log").read_text())
        status, _, err = self.refused(config={}, reactor=("--logfile=olla.yaml/log",))
        self.assertEqual(status, 1)
        self.assertIn("olla: no log file ", err)

    def test_malformed_yaml(self) -> None:
        """A file that is not YAML is one line with the file's name (K7, R63)."""
        status, _, err = self.refused(config="server: {port: [")
        self.assertEqual((status, len(err.strip().splitlines())), (1, 1))
        self.assertIn("olla.yaml", err)

    def test_missing_file(self) -> None:
        """A file that is named and not there is fatal, and named (K6)."""
        status, _, err = self.refused("-c", "missing.yaml")
        self.assertEqual(status, 1)
        self.assertIn("missing.yaml", err)

    def test_unknown_switch(self) -> None:
        """An unknown switch shows the usage, and status 2 (K60); who asks for the usage has done nothing wrong."""
        for switch in ("-h", "--help"):
            status, out, _ = self.refused(switch)
            self.assertEqual(status, 0)
            self.assertIn("--config", out)
        status, _, err = self.refused("--nonsense")
        self.assertEqual(status, 2)
        self.assertIn("--config", err)

    def test_version_and_validation(self) -> None:
        """``--version`` prints and ends; ``--validate-config`` reports, with its verdict as status (K48, K83)."""
        status, out, _ = self.refused("--version")
        self.assertEqual((status, out), (0, "olla 0.1.0\n"))
        status, out, _ = self.refused("--validate-config", config={})
        self.assertEqual(status, 0, out)
        self.assertIn("PASS", out)
        status, out, _ = self.refused("--validate-config", config={"proxy": {"engine": "warp"}})
        self.assertEqual(status, 1)
        self.assertIn("proxy.engine", out)

    def test_reactor(self) -> None:
        """``olla`` runs on the lean reactor where there is epoll, and ``twistd`` on its own (issue 4, 3)."""
        lean = "lean" if hasattr(select, "epoll") else "default"
        for script, expected in ((True, lean), (False, None)):
            program = self.run_program("--demo", config={}, script=script).wait()
            reactor = json.loads(program.get("/internal/process")[1])["reactor"]["name"]
            if expected is not None:
                self.assertEqual(reactor, expected)
            else:
                self.assertNotEqual(reactor, "lean")
            program.signal(signal.SIGTERM)
            self.assertEqual(program.end()[0], 0)

    def test_strangers_plugins(self) -> None:
        """A selector and a limiter from a package of somebody else's are found under their names (B142)."""
        program = self.run_program(
            "--demo",
            config={
                "proxy": {"load_balancer": "always-last"},
                "server": {"rate_limits": {"limiters": ["only-three"]}},
            },
            PYTHONPATH=f"{STRANGER}:{environment()['PYTHONPATH']}",
        ).wait()
        body = {**CHAT, "stream": False}
        asked = [program.ask("POST", "/olla/proxy/v1/chat/completions", body) for _ in range(4)]
        self.assertEqual([response.status for response in asked], [200, 200, 200, 429])
        self.assertEqual({r.getheader("X-Olla-Endpoint") for r in asked[:3]}, {"demo-openai"})


class Stopping(ProgramCase):
    """Signals."""

    def stream(self, program: Program) -> http.client.HTTPResponse:
        """Begin a stream, and read its first line."""
        response = program.ask("POST", "/olla/openai/v1/chat/completions", CHAT)
        self.assertTrue(response.readline().startswith(b"data: "))
        return response

    def test_drains(self) -> None:
        """SIGTERM lets a running stream finish, takes no new connection, and ends with status 0 (B131, R64)."""
        for engine in ENGINES:
            program = self.run_program("--demo", config={"proxy": {"engine": engine}}).wait()
            response = self.stream(program)
            program.signal(signal.SIGTERM)
            rest: list[bytes] = []
            reader = Thread(target=lambda kept, stream: kept.append(stream.read()), args=(rest, response))
            reader.start()
            time.sleep(0.3)
            self.assertRaises(OSError, program.ask, "GET", "/internal/health")
            reader.join(PATIENCE)
            self.assertTrue(rest[0].endswith(b"data: [DONE]\n\n"))
            self.assertEqual(program.end()[0], 0)

    def test_cuts_what_is_too_slow(self) -> None:
        """A stream that is not done within ``shutdown_timeout`` is cut, as the client can see (B132, R64)."""
        for engine in ENGINES:
            config = {"proxy": {"engine": engine}, "server": {"shutdown_timeout": "300ms"}}
            program = self.run_program("--demo", config=config).wait()
            response = self.stream(program)
            program.signal(signal.SIGTERM)
            self.assertRaises((http.client.IncompleteRead, ConnectionError), response.read)
            self.assertEqual(program.end()[0], 0)

    def test_hang_up_reloads(self) -> None:
        """SIGHUP ends nothing, and a changed alias applies after it, wherever it runs by then (K61, R65)."""
        engine = subprocess.Popen(
            [sys.executable, "-m", "olla.demo", "--dialect", "openai", "--pace", "0.01"],
            env=environment(),
            stdout=subprocess.PIPE,
        )
        self.addCleanup(engine.communicate)
        self.addCleanup(engine.kill)
        assert engine.stdout is not None
        port = int(engine.stdout.readline())
        config: dict[str, Any] = {
            "discovery": {"static": {"endpoints": [{"name": "e", "url": f"http://127.0.0.1:{port}", "type": "openai"}]}}
        }
        program = self.run_program(config=config, reactor=["--rundir=/"]).wait()
        body = {**CHAT, "stream": False, "model": "fast"}
        self.assertEqual(program.ask("POST", "/olla/openai/v1/chat/completions", body).status, 404)
        config["model_aliases"] = {"fast": ["demo-llama"]}
        (program.folder / "olla.yaml").write_text(json.dumps(program._complete(config)))
        program.signal(signal.SIGHUP)
        until = time.monotonic() + PATIENCE
        status = 404
        while status == 404 and time.monotonic() < until:
            status = program.ask("POST", "/olla/openai/v1/chat/completions", body).status
        self.assertEqual(status, 200)

    def test_hang_up_in_a_demonstration(self) -> None:
        """The file is read again with ``--demo`` too, and the embedded engines stay (K61)."""
        program = self.run_program("--demo", config={}).wait()
        body = {**CHAT, "stream": False, "max_tokens": 1, "model": "fast"}
        self.assertEqual(program.ask("POST", "/olla/openai/v1/chat/completions", body).status, 404)
        changed = program._complete({"model_aliases": {"fast": ["demo-llama"]}})
        (program.folder / "olla.yaml").write_text(json.dumps(changed))
        program.signal(signal.SIGHUP)
        until = time.monotonic() + PATIENCE
        status = 404
        while status == 404 and time.monotonic() < until:
            status = program.ask("POST", "/olla/openai/v1/chat/completions", body).status
        self.assertEqual(status, 200)


STRANGER = __file__.rpartition("/")[0] + "/stranger"
