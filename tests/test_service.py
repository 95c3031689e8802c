"""Tests of :mod:`olla.service` that need a real port; what it does with one is in :mod:`tests.behaviour`."""

from __future__ import annotations

import json
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import maybeDeferred
from twisted.trial.unittest import TestCase

from olla.config import load
from olla.service import makeProxyService
from olla.wire.transport import AtOncePort
from tests.process.program import free_port


class Listening(TestCase):
    """What the port is made of."""

    timeout = 20

    async def test_at_once(self) -> None:
        """Connections send at once, whether host and port or an endpoint string was given (issue 4, 3)."""
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        for engine in ("olla", "sherpa"):
            for server in ({"listen": ["tcp:0:interface=127.0.0.1"]}, {"host": "127.0.0.1"}):
                path = folder / "olla.yaml"
                path.write_text(json.dumps({"server": server, "proxy": {"engine": engine}}))
                config = load(str(path), environ={"OLLA__SERVER__PORT": str(free_port())}, cwd=folder).config
                service = makeProxyService(config, reactor)
                service.privilegedStartService()
                (port,) = service.ports
                await maybeDeferred(port.stopListening)
                self.assertIsInstance(port, AtOncePort, server)
