"""
TCP transports that send at once.

Twisted's keep what is written until the reactor says that the socket takes it, which costs a trip through the
reactor for each token.  These try the socket first, and do the same as Twisted's when it is full.  They touch
private names of Twisted's, so :func:`fault` tries them out before anything is built on them.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from twisted.internet import tcp
from twisted.internet.interfaces import IListeningPort
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.internet.posixbase import PosixReactorBase
from twisted.internet.protocol import Protocol
from twisted.logger import Logger
from zope.interface import directlyProvides, providedBy

if TYPE_CHECKING:
    from collections.abc import Iterable

    _Base = tcp.Connection
else:
    _Base = object


ACCEPTS = 20
"""Rounds of accepting; Twisted takes 20 more in each until nobody is left, so thousands in all."""


class AtOnce(_Base):
    """What a TCP transport does otherwise than Twisted's."""

    def write(self, data: bytes) -> None:
        """Send ``data`` now, as much of it as the socket takes, and the rest when it takes more."""
        if (
            self._tempDataLen
            or self.dataBuffer
            or self.disconnecting
            or not self.connected
            or self._writeDisconnected
            or self.TLS
            or (not self.streamingProducer and self.producer is not None)  # a pull producer waits for doWrite
        ):
            super().write(data)
            return
        try:
            sent = self.socket.send(data)
        except OSError:
            sent = 0  # full, or broken: doWrite finds out, and reports it where nobody is in the middle of something
        if sent < len(data):
            super().write(data[sent:])
            producer: Any = self.producer
            if producer is not None and not self.producerPaused:
                # Twisted's waits until 64 KiB are held, which for 4,000 slow readers of fast streams is a gigabyte.
                self.producerPaused = True
                producer.pauseProducing()

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        """Send all of ``iovec`` now."""
        self.write(b"".join(iovec))

    def doRead(self) -> Any:
        """Read what has come, and hand it to the protocol."""
        try:
            data = self.socket.recv(self.bufferSize)
        except BlockingIOError:
            return None
        except OSError:
            return CONNECTION_LOST
        if not data:
            return CONNECTION_DONE
        self.protocol.dataReceived(data)
        return None


class AtOnceServer(AtOnce, tcp.Server):
    """A connection that was accepted."""


class AtOnceClient(AtOnce, tcp.Client):
    """A connection that we make."""


class AtOncePort(tcp.Port):
    """Accepts connections that send at once."""

    transport = AtOnceServer
    _leaves_nobody = False

    def leave_nobody(self) -> Any:
        """Stop listening, as ``stopListening``, and accept whoever has connected by then: closing would reset them."""
        self._leaves_nobody = True
        return self.stopListening()

    def connectionLost(self, reason: Any) -> None:
        """Close the socket."""
        if self._leaves_nobody:
            self.disconnecting = False
            for _ in range(ACCEPTS):
                self.doRead()
        super().connectionLost(reason)


class AtOnceConnector(tcp.Connector):
    """Makes connections that send at once."""

    def _makeTransport(self) -> tcp.Client:
        return AtOnceClient(self.host, self.port, self.bindAddress, self, self.reactor)


class AtOnceReactor:
    """A reactor whose TCP connections send at once; in all else the one that it is made from."""

    def __init__(self, reactor: Any) -> None:
        """Stand in for ``reactor``."""
        self._reactor = reactor
        directlyProvides(self, providedBy(reactor))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> IListeningPort:
        """See :class:`twisted.internet.interfaces.IReactorTCP`."""
        listening = AtOncePort(port, factory, backlog, interface, self._reactor)
        listening.startListening()
        return listening

    def connectTCP(
        self, host: str, port: int, factory: Any, timeout: float = 30.0, bindAddress: Any = None
    ) -> tcp.Connector:
        """See :class:`twisted.internet.interfaces.IReactorTCP`."""
        connector = AtOnceConnector(host, port, factory, timeout, bindAddress, self._reactor)
        connector.connect()
        return connector

    def adoptStreamPort(self, fileDescriptor: int, addressFamily: int, factory: Any) -> Any:
        """See :class:`twisted.internet.interfaces.IReactorSocket`; a Unix socket stays Twisted's."""
        if addressFamily not in (socket.AF_INET, socket.AF_INET6):
            return self._reactor.adoptStreamPort(fileDescriptor, addressFamily, factory)
        port = AtOncePort._fromListeningDescriptor(self._reactor, fileDescriptor, addressFamily, factory)
        port.startListening()
        return port


def at_once(reactor: Any, log: Logger) -> Any:
    """
    Give a reactor whose TCP connections send at once; ``reactor`` itself, and a line in the log, if it cannot be.

    :param reactor: an installed one of Twisted's.
    """
    reason = fault() if isinstance(reactor, PosixReactorBase) else "the reactor is of another kind"
    if reason:
        log.warn("Sending through the reactor's buffers: {reason}", reason=reason)
        return reactor
    return AtOnceReactor(reactor)


class _Recorder:
    """Plays the reactor while the transports are tried out: notes who wants to read and to write."""

    def __init__(self) -> None:
        self.wants = ""

    def addReader(self, _: object) -> None:
        self.wants = self.wants.replace("r", "") + "r"

    def addWriter(self, _: object) -> None:
        self.wants = self.wants.replace("w", "") + "w"

    def removeReader(self, _: object) -> None:
        self.wants = self.wants.replace("r", "")

    def removeWriter(self, _: object) -> None:
        self.wants = self.wants.replace("w", "")


class _Trial(Protocol):
    """The protocol, and the producer, on a transport that is tried out."""

    def __init__(self) -> None:
        self.heard = b""
        self.paused = False
        self.lost = False

    def dataReceived(self, data: bytes) -> None:
        self.heard += data

    def connectionLost(self, reason: object = None) -> None:
        self.lost = True

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False

    def stopProducing(self) -> None:
        self.paused = False


def fault() -> str:
    """
    Try the transports out on a pair of sockets.

    :return: why they cannot be used with this Twisted; ``""`` when they can.
    """
    if tcp.Port.transport is not tcp.Server or not hasattr(tcp.Connector, "_makeTransport"):
        return "Twisted makes its transports otherwise than expected"
    ours, theirs = socket.socketpair()
    try:
        return _try_out(ours, theirs)
    except Exception as error:
        return f"{type(error).__name__} when they were tried out: {error}"
    finally:
        ours.close()
        theirs.close()


def _try_out(ours: socket.socket, theirs: socket.socket) -> str:
    reactor, protocol = _Recorder(), _Trial()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    theirs.setblocking(False)
    transport: Any = AtOnceServer(ours, protocol, ("", 0), None, 0, reactor)  # type: ignore[arg-type]  # enough of each
    protocol.makeConnection(transport)
    transport.registerProducer(protocol, True)
    transport.write(b"at once")
    if theirs.recv(100) != b"at once" or "w" in reactor.wants:
        return "what is written is not sent"
    sent = 0
    while not protocol.paused and sent < 256:
        transport.write(b"%08d" % sent * 4096)
        sent += 1
    if not protocol.paused or "w" not in reactor.wants:
        return "a full socket pauses nobody"
    expected, received = b"".join(b"%08d" % number * 4096 for number in range(sent)), bytearray()
    for _ in range(sent * 64):
        transport.doWrite()
        received += theirs.recv(1 << 20)
        if len(received) >= len(expected):
            break
    transport.doWrite()
    if received != expected or protocol.paused or "w" in reactor.wants:
        return "what a full socket held back is not sent later"
    theirs.send(b"heard")
    transport.doRead()
    transport.unregisterProducer()
    transport.write(b"last")
    transport.loseConnection()
    if protocol.heard != b"heard" or transport.doWrite() is not CONNECTION_DONE or theirs.recv(100) != b"last":
        return "a connection is not closed after its last bytes"
    return ""
