"""Tests of :mod:`olla.upstream.agent` that need no journey; what it does in one is in ``tests/behaviour``."""

from __future__ import annotations

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from olla.domain.endpoint import Endpoint
from olla.domain.message import Outgoing
from olla.upstream.agent import AgentUpstream
from olla.upstream.limits import Patience, Sockets


class AgentTests(SynchronousTestCase):
    """Requests that cannot begin."""

    def test_bad_field(self) -> None:
        """What could not be sent as one line is an error, connects to nobody, and is not watched over (R28, C20)."""
        reactor = MemoryReactorClock()
        patience = Patience(connect=5.0, head=30.0, silence=60.0, total=300.0)
        upstream = AgentUpstream(reactor, reactor.seconds, patience, 1, 90.0, Sockets(), self.fail)
        outgoing = Outgoing(b"GET", b"/", [(b"Host", b"b"), (b"A", b"1\r\nB: 2")])
        with self.assertRaises(ValueError):
            upstream.send(Endpoint("e", "http", "127.0.0.1", 80), outgoing)
        self.assertEqual((upstream._attempts, reactor.tcpClients), (set(), []))
