"""Starts the real program on loopback, and talks to it with the standard library."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 20.0
TWISTD = "import sys; sys.argv[0] = 'twistd'; from twisted.scripts.twistd import run; run()"
SCRIPT = "import sys; sys.argv[0] = 'olla'; from olla.tap import main; main()"
# As systemd starts it: with a socket, and told so.
ACTIVATED = (
    "import os; os.dup2({held}, 3); "
    "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1', LISTEN_FDNAMES='olla'); "
)
UNLIMITED = {
    "per_ip_requests_per_minute": 0,
    "global_requests_per_minute": 0,
    "health_requests_per_minute": 0,
}


def free_port() -> int:
    """Give a port that nothing listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(**more: str) -> dict[str, str]:
    """Give the environment of a program: this one's without anything of Olla's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OLLA_")}
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    return {**kept, "PYTHONPATH": path, **more}


class Program:
    """
    A running ``twistd -n olla``.

    :ivar folder: its working directory.
    :ivar port: that it is told to listen on.
    """

    def __init__(
        self,
        *arguments: str,
        config: Mapping[str, Any] | str | None = None,
        port: int = 0,
        reactor: Sequence[str] = (),
        script: bool = False,
        held: socket.socket | None = None,
        **environ: str,
    ) -> None:
        """
        Start it.

        :param reactor: more options of ``twistd``.
        :param script: start it as ``olla``, without ``twistd`` and its options.
        :param held: a listening socket that it is handed as systemd would.
        """
        self._temporary = tempfile.TemporaryDirectory()
        self.folder = Path(self._temporary.name)
        self.port = port or free_port()
        words = list(arguments)
        if config is not None:
            text = config if isinstance(config, str) else json.dumps(self._complete(config))
            (self.folder / "olla.yaml").write_text(text)
            words = ["-c", "olla.yaml", *words]
        activated = ACTIVATED.format(held=held.fileno()) if held is not None else ""
        options = () if script else ("--nodaemon", "--pidfile=", *reactor, "olla")
        self.process = subprocess.Popen(
            [sys.executable, "-c", activated + (SCRIPT if script else TWISTD), *options, *words],
            pass_fds=[held.fileno()] if held is not None else [],
            cwd=self.folder,
            env=environment(**environ),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def _complete(self, config: Mapping[str, Any]) -> dict[str, Any]:
        server = {"port": self.port, "rate_limits": UNLIMITED, **config.get("server", {})}
        return {**config, "server": server}

    def wait(self) -> Program:
        """Wait until it serves."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise AssertionError(f"ended: {self.process.communicate()}")
            try:
                if self.get("/internal/health")[0] == 200:
                    return self
            except OSError:
                time.sleep(0.02)
        raise AssertionError("does not serve")

    def ask(
        self, method: str, path: str, body: Any = None, seconds: float = PATIENCE, **fields: str
    ) -> http.client.HTTPResponse:
        """Send a request; the response's body has yet to be read."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds)
        data = None if body is None else json.dumps(body)
        named = {name.replace("_", "-"): value for name, value in fields.items()}
        connection.request(method, path, data, {"Content-Type": "application/json", **named})
        response = connection.getresponse()
        response.connection = connection  # type: ignore[attr-defined]  # kept from being collected
        return response

    def get(self, path: str) -> tuple[int, bytes]:
        """Get a page: status and body."""
        response = self.ask("GET", path)
        return response.status, response.read()

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def end(self, seconds: float = PATIENCE) -> tuple[int, str, str]:
        """Wait for its end: exit status, standard output, standard error."""
        out, err = self.process.communicate(timeout=seconds)
        return self.process.returncode, out.decode(), err.decode()

    def stop(self) -> None:
        """Make sure that it is gone."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
        self._temporary.cleanup()
