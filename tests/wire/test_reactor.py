"""The lean reactor does what the stock one does, with less work."""

from __future__ import annotations

import socket
import subprocess
import sys
from typing import Any

from twisted.internet.interfaces import IReactorCore
from twisted.trial.unittest import SynchronousTestCase

from olla.wire.reactor import LeanReactor, fault

ROUND_TRIP = """
import sys
from twisted.application.reactors import installReactor
installReactor(sys.argv[1])
from twisted.internet import reactor
from twisted.internet.defer import inlineCallbacks
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.threads import deferToThread
from twisted.internet.endpoints import TCP4ClientEndpoint

class Echo(Protocol):
    def dataReceived(self, data):
        if data == b"raise":
            raise ValueError("as asked")
        self.transport.write(data)

class Ask(Protocol):
    def connectionMade(self):
        self.transport.write(b"hello")
    def dataReceived(self, data):
        print(type(reactor).__name__, data.decode(), flush=True)
        self.transport.write(b"raise")
    def connectionLost(self, reason):
        deferToThread(lambda: "thread").addCallback(print).addCallback(lambda _: reactor.stop())

port = reactor.listenTCP(0, Factory.forProtocol(Echo), interface="127.0.0.1")
TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port).connect(Factory.forProtocol(Ask))
reactor.callLater(15, reactor.stop)
reactor.run()
"""


class Reader:
    """Reads what comes, and fails when it is to."""

    def __init__(self, own: socket.socket) -> None:
        self.own = own
        self.heard: list[bytes] = []
        self.lost: list[Any] = []
        self.on_read: Any = None

    def fileno(self) -> int:
        """Give the descriptor."""
        return self.own.fileno()

    def logPrefix(self) -> str:
        """Give a name for the log."""
        return "reader"

    def doRead(self) -> None:
        """Read."""
        self.heard.append(self.own.recv(100))
        if self.on_read is not None:
            self.on_read()

    def connectionLost(self, reason: Any) -> None:
        """Note it."""
        self.lost.append(reason.value)


class LeanTests(SynchronousTestCase):
    """Events, one by one."""

    def setUp(self) -> None:
        """Make a reactor that does not run."""
        self.reactor = LeanReactor()
        self.addCleanup(self.close)
        self.sockets: list[socket.socket] = []

    def close(self) -> None:
        """Close what is open."""
        for reader in self.reactor.removeAll():
            connection_lost = getattr(reader, "connectionLost", None)
            if connection_lost is not None and not isinstance(reader, Reader):
                connection_lost(None)
        for one in self.sockets:
            one.close()
        self.reactor._poller.close()

    def reader(self) -> tuple[Reader, socket.socket]:
        """Make a reader and the other end of its socket."""
        ours, theirs = socket.socketpair()
        self.sockets += [ours, theirs]
        reader = Reader(ours)
        self.reactor.addReader(reader)
        return reader, theirs

    def test_reads(self) -> None:
        """What is readable is read."""
        reader, theirs = self.reader()
        theirs.send(b"a")
        self.reactor.doIteration(0)
        self.assertEqual((reader.heard, reader.lost), ([b"a"], []))

    def test_error(self) -> None:
        """A reader that raises is disconnected and its error logged; the reactor goes on."""
        reader, theirs = self.reader()
        other, more = self.reader()

        def fail() -> None:
            raise ValueError("as asked")

        reader.on_read = fail
        theirs.send(b"a")
        more.send(b"b")
        self.reactor.doIteration(0)
        self.assertEqual([type(error) for error in reader.lost], [ValueError])
        self.assertEqual(other.heard, [b"b"])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_closed_by_another(self) -> None:
        """A reader that an earlier event of the same turn has taken away is not asked."""
        one, first = self.reader()
        two, second = self.reader()
        one.on_read = lambda: self.reactor.removeReader(two)
        two.on_read = lambda: self.reactor.removeReader(one)
        first.send(b"a")
        second.send(b"b")
        self.reactor.doIteration(0)
        self.assertEqual(len(one.heard) + len(two.heard), 1)

    def test_due(self) -> None:
        """What is due is done, be it asked for, moved or cancelled meanwhile; then it sleeps until more can be."""
        now, done = 100.0, []
        self.reactor.seconds = lambda: now  # type: ignore[method-assign]
        self.assertEqual(self.reactor.until_due(), 0.0)  # it does not run yet, so it does not sleep
        self.reactor.running = True
        self.assertIsNone(self.reactor.until_due())
        self.reactor.callLater(5.0, done.append, "five")
        moved = self.reactor.callLater(9.0, done.append, "moved")
        self.reactor.callLater(2.0, done.append, "cancelled").cancel()
        self.assertEqual(self.reactor.until_due(), 5.0)
        moved.reset(1.0)
        now = 101.0
        self.reactor.until_due()
        self.assertEqual(done, ["moved"])
        self.reactor.callFromThread(done.append, "thread")
        self.assertEqual((self.reactor.until_due(), done), (4.0, ["moved", "thread"]))
        self.reactor.callLater(1e9, done.append, "far away")
        now = 105.0
        self.assertLessEqual(self.reactor.until_due(), 1e7)
        self.assertEqual(done, ["moved", "thread", "five"])
        self.assertEqual(self.reactor.until_due(), 3600.0)

    def test_fault(self) -> None:
        """This Twisted passes; one whose private names differ does not."""
        self.assertEqual(fault(self.reactor), "")
        forgetful = LeanReactor()
        self.addCleanup(forgetful._poller.close)
        forgetful.callFromThread = lambda *_: None  # type: ignore[method-assign, assignment]
        self.assertEqual(fault(forgetful), "what is due is not done")
        broken = LeanReactor()
        self.addCleanup(broken._poller.close)
        broken._selectables = {}
        broken.addReader = lambda reader: None  # type: ignore[method-assign]
        self.assertNotEqual(fault(broken), "")

    def test_interface(self) -> None:
        """It is a reactor."""
        self.assertTrue(IReactorCore.providedBy(self.reactor))


class PluginTests(SynchronousTestCase):
    """``twistd --reactor olla``."""

    def test_by_name(self) -> None:
        """Twisted finds it by its name; connections, threads and errors work on it as on the stock reactor."""
        for name, kind in (("olla", "LeanReactor"), ("epoll", "EPollReactor")):
            ran = subprocess.run(
                [sys.executable, "-c", ROUND_TRIP, name], capture_output=True, timeout=30, check=False, text=True
            )
            self.assertEqual(ran.stdout.split(), [kind, "hello", "thread"], ran.stderr)
