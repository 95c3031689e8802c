"""Starts one target at a time, offers it one load, and reads what ``llmload`` has found."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from attrs import define, field

from bench.scenarios import GROWTH, HELD, WARM_UP, Scenario
from bench.targets import COMPLETIONS, Ground, Target, environment

STARTS_WITHIN = 120.0
LOAD_WITHIN = 180.0
SERVES = {"model": "sim-model", "messages": [{"role": "user", "content": "Hello!"}], "sim_size": 300}

Measured = dict[str, float]


class Failed(Exception):
    """A target could not be measured; says why."""


@define
class Bench:
    """
    The place where everything runs: one core for the proxy, another for simulator and clients, when there are two.

    :ivar programs: folder of ``llmsim`` and ``llmload``.
    :ivar backend: port of the simulator.
    """

    programs: Path
    backend: int = field(init=False, factory=lambda: free_port())

    @contextmanager
    def simulator(self) -> Iterator[None]:
        """Run the backend that everybody forwards to."""
        command = [str(self.programs / "llmsim"), str(self.backend)]
        with _running(command, _cores("load"), Path(os.devnull)):
            _await_answer(self.direct)
            yield

    @property
    def direct(self) -> str:
        """Where clients reach the simulator without a proxy."""
        return f"http://127.0.0.1:{self.backend}{COMPLETIONS}"

    def measure(self, scenario: Scenario, target: Target) -> Measured:
        """
        Start ``target`` anew and measure it.

        :raise Failed: when it does not start or serve, or the load could not be offered.
        """
        with TemporaryDirectory(prefix="olla-bench-") as folder:
            ground = Ground(Path(folder), free_port(), self.backend)
            log = ground.folder / "output.log"
            try:
                with _running(target.command(ground), _cores("proxy"), log) as process:
                    url = f"http://127.0.0.1:{ground.port}{target.path}"
                    _await_answer(url, process)
                    return self._measure(scenario, url, process.pid)
            except Failed as failure:
                said = log.read_text(errors="replace")[-600:] if log.exists() else ""
                raise Failed(f"{failure}\n{said}".rstrip()) from None

    def _measure(self, scenario: Scenario, url: str, pid: int) -> Measured:
        if scenario.figure in (HELD, GROWTH):
            self.load(WARM_UP, url)  # what is made once for all is not to be counted for each stream
        found = self.load(scenario, url, descendants(pid))
        if scenario.figure is GROWTH:
            _serves(url)  # connections that were held back are in the pool now
        return found

    def load(self, scenario: Scenario, url: str, processes: Sequence[int] = ()) -> Measured:
        """Offer a load to ``url``; with the figures of ``processes``, when there are any."""
        command = [str(self.programs / "llmload"), "--url", url, *shlex.split(scenario.arguments)]
        if processes:
            command += ["--pid", ",".join(map(str, processes))]
        try:
            ran = subprocess.run(
                command,
                capture_output=True,
                text=True,
                timeout=LOAD_WITHIN,
                preexec_fn=_on(_cores("load")),
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise Failed(f"not over after {LOAD_WITHIN:.0f} s") from None
        if ran.returncode:
            raise Failed(ran.stderr.strip())
        return flattened(json.loads(ran.stdout))


def flattened(found: dict[str, object]) -> Measured:
    """Take the figures out of what ``llmload`` prints."""
    flat: Measured = {key: float(value) for key, value in found.items() if isinstance(value, (int, float))}
    for name in ("latency", "ttft", "token_delay"):
        quantiles = found.get(f"{name}_us")
        if isinstance(quantiles, dict):
            flat |= {f"{name}_{one}_ms": quantiles[one] / 1000 for one in ("p50", "p99")}
    if "rss_kb_before" in flat:
        flat["held_kib"] = (flat["rss_kb_after"] - flat["rss_kb_before"]) / max(1.0, flat.get("streams_live", 0.0))
        flat["growth_mib"] = (flat["rss_kb_peak"] - flat["rss_kb_before"]) / 1024
    return flat


def free_port() -> int:
    """Give a port that nothing listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def descendants(pid: int) -> list[int]:
    """Give ``pid`` and all processes below it."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        with suppress(OSError):
            if name.isdigit():
                parent = int(Path("/proc", name, "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


@contextmanager
def _running(command: Sequence[str], cores: set[int], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program, and end it and its children by their ids."""
    try:
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=log.parent,
                env=environment(),
                stdout=output,
                stderr=output,
                preexec_fn=_on(cores),
                start_new_session=True,
            )
    except OSError as error:
        raise Failed(str(error)) from None
    try:
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in descendants(process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(4.0)
            return


def _await_answer(url: str, process: subprocess.Popen[bytes] | None = None) -> None:
    """Wait until ``url`` answers a request as it should."""
    until = time.monotonic() + STARTS_WITHIN
    while time.monotonic() < until:
        if process is not None and process.poll() is not None:
            raise Failed(f"ended with status {process.returncode} before it served")
        try:
            return _serves(url)
        except Failed:
            time.sleep(0.1)
    raise Failed("does not serve")


def _serves(url: str) -> None:
    fields = {"Content-Type": "application/json", "Authorization": "Bearer sk-none"}
    asked = urllib.request.Request(url, json.dumps(SERVES).encode(), fields)
    try:
        with urllib.request.urlopen(asked, timeout=10) as answer:
            json.load(answer)
    except (OSError, ValueError) as error:
        raise Failed(f"does not answer: {error}") from None


def _cores(part: str) -> set[int]:
    """Give the cores of the proxy, or of the load: one each, where there are two."""
    cores = sorted(os.sched_getaffinity(0))
    return {cores[0 if part == "load" else min(1, len(cores) - 1)]}


def _on(cores: set[int]) -> Callable[[], None]:
    return lambda: os.sched_setaffinity(0, cores)
