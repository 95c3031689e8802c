"""One demonstration engine as a program of its own: ``python -m olla.demo --dialect ollama --port 11434``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from olla.demo.engine import PACE
from olla.demo.ollama import OllamaEngine
from olla.demo.openai import OpenAIEngine
from olla.demo.service import HOST, OLLAMA_MODELS, OPENAI_MODELS
from olla.demo.site import EngineSite

DIALECTS = {"ollama": (OllamaEngine, OLLAMA_MODELS), "openai": (OpenAIEngine, OPENAI_MODELS)}


def listen(arguments: Sequence[str] | None, reactor: Any) -> int:
    """
    Listen as the command line says.

    :param arguments: ``None`` for those of the process.
    :return: the port.
    """
    parser = argparse.ArgumentParser(prog="python -m olla.demo", description=__doc__)
    parser.add_argument("--dialect", choices=tuple(DIALECTS), default="ollama")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one, which is printed")
    parser.add_argument("--pace", type=float, default=PACE, help="seconds for a token")
    parser.add_argument("--models", help="their names, with commas between")
    given = parser.parse_args(arguments)
    make, usual = DIALECTS[given.dialect]
    models = tuple(given.models.split(",")) if given.models else usual
    site = EngineSite(make(models, reactor, given.pace))
    port: int = reactor.listenTCP(given.port, site, interface=HOST).getHost().port
    return port


def main() -> None:
    """Print the port, and run until told to stop."""
    from twisted.internet import reactor

    installed: Any = reactor
    print(listen(None, installed), flush=True)
    installed.run()


if __name__ == "__main__":
    main()
