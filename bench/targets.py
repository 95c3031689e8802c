"""Who is measured: Olla's three shapes and its peers, each with how it is started and what it lacks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from string import Template

from attrs import frozen

HERE = Path(__file__).parent
ROOT = HERE.parent
COMPLETIONS = "/v1/chat/completions"


@frozen
class Ground:
    """
    What one start of a target is given.

    :ivar folder: where it may write.
    :ivar port: where it listens.
    :ivar backend: port of the simulator.
    """

    folder: Path
    port: int
    backend: int

    def fill(self, name: str, **more: str) -> Path:
        """Copy a file of ``peers/`` with its ``${port}``, ``${backend}``, ``${folder}`` and more filled in."""
        text = (HERE / "peers" / name).read_text(encoding="utf-8")
        known = {"port": str(self.port), "backend": str(self.backend), "folder": str(self.folder), **more}
        path = self.folder / name
        path.write_text(Template(text).safe_substitute(known), encoding="utf-8")
        return path


@frozen
class Target:
    """
    One proxy.

    :ivar command: starts it.
    :ivar path: where it takes chat completions.
    :ivar version: what exactly it is.
    :ivar missing: why it cannot be measured here; ``""`` when it can.
    :ivar light: it carries light loads only.
    """

    name: str
    command: Callable[[Ground], list[str]]
    path: str
    version: str = ""
    missing: str = ""
    light: bool = False


def all_of_them(peers: Path) -> list[Target]:
    """
    Give every target, in the order in which they are measured.

    :param peers: a virtual environment that may have aiohttp and LiteLLM.
    """
    python, litellm = peers / "bin" / "python", shutil.which("litellm") or str(peers / "bin" / "litellm")
    interpreter = next((each for each in (sys.executable, str(python)) if _imports(each, "aiohttp")), "")
    lean = "" if sys.platform == "linux" else "needs Linux"
    return [
        _installed("nginx", ["-v"], lambda ground: ["nginx", "-c", str(ground.fill("nginx.conf"))]),
        _installed("haproxy", ["-v"], lambda ground: ["haproxy", "-f", str(ground.fill("haproxy.cfg"))]),
        Target("olla", _olla("olla"), f"/olla/openai{COMPLETIONS}", _own()),
        Target("olla-lean", _olla("olla", "--reactor=olla"), f"/olla/openai{COMPLETIONS}", _own(), lean),
        Target("sherpa", _olla("sherpa"), f"/olla/openai{COMPLETIONS}", _own()),
        Target(
            "aiohttp",
            lambda ground: [
                interpreter,
                str(HERE / "peers" / "aiohttp_proxy.py"),
                str(ground.port),
                str(ground.backend),
            ],
            f"/olla{COMPLETIONS}",
            _said([interpreter, "-c", "import aiohttp; print('aiohttp', aiohttp.__version__)"]),
            "" if interpreter else f"no Python here imports aiohttp (make {peers.name}/.ready gets one that does)",
        ),
        Target(
            "litellm",
            _litellm(litellm),
            COMPLETIONS,
            _said([str(Path(litellm).with_name("python")), "-c", LITELLM]),
            "" if Path(litellm).exists() else f"not installed (make {peers.name}/.ready does)",
            light=True,
        ),
    ]


def environment() -> dict[str, str]:
    """Give the environment that targets run in: ours, without what would set Olla up otherwise."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OLLA_")}
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    return {**kept, "PYTHONPATH": path, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}


LITELLM = "from importlib.metadata import version; print('litellm', version('litellm'))"
TWISTD = "import sys; sys.argv[0] = 'twistd'; from twisted.scripts.twistd import run; run()"


def _olla(engine: str, *options: str) -> Callable[[Ground], list[str]]:
    def command(ground: Ground) -> list[str]:
        config = str(ground.fill("olla.yaml", engine=engine))
        return [sys.executable, "-c", TWISTD, *options, "--nodaemon", "--pidfile=", "olla", "-c", config]

    return command


def _litellm(program: str) -> Callable[[Ground], list[str]]:
    def command(ground: Ground) -> list[str]:
        listen = ["--host", "127.0.0.1", "--port", str(ground.port)]
        return [program, "--config", str(ground.fill("litellm.yaml")), *listen, "--num_workers", "1"]

    return command


def _own() -> str:
    return f"Olla on Twisted {version('Twisted')}, Python {sys.version.split()[0]}"


def _installed(name: str, asks: list[str], command: Callable[[Ground], list[str]]) -> Target:
    if shutil.which(name) is None:
        return Target(name, command, "", missing=f"not installed (apt-get install {name})")
    return Target(name, command, f"/olla{COMPLETIONS}", _said([name, *asks]))


def _imports(python: str, module: str) -> bool:
    return (
        Path(python).exists()
        and subprocess.run([python, "-c", f"import {module}"], capture_output=True).returncode == 0
    )


def _said(command: list[str]) -> str:
    """Give the first line that a program says; ``""`` when it cannot be asked."""
    try:
        asked = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False, timeout=60)
    except OSError:
        return ""
    return next(iter((asked.stdout + asked.stderr).splitlines()), "")
