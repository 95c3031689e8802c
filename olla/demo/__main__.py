"""One demonstration engine as a program of its own: ``python -m olla.demo --dialect ollama --port 11434``."""

from __future__ import annotations

import argparse
from typing import Any

from twisted.internet import reactor as installed

from olla.demo.ollama import OllamaEngine
from olla.demo.openai import OpenAIEngine
from olla.demo.service import HOST, SHARED, EngineSite


def main() -> None:
    """Run until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m olla.demo", description=__doc__)
    parser.add_argument("--dialect", choices=("ollama", "openai"), default="ollama")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one, which is printed")
    parser.add_argument("--pace", type=float, default=0.06, help="seconds for a token")
    parser.add_argument("--models", default=",".join(SHARED), help="their names, with commas between")
    given = parser.parse_args()
    reactor: Any = installed
    make = OllamaEngine if given.dialect == "ollama" else OpenAIEngine
    engine = make(tuple(given.models.split(",")), reactor, given.pace)
    port = reactor.listenTCP(given.port, EngineSite(engine), interface=HOST)
    print(port.getHost().port, flush=True)
    reactor.run()


main()
