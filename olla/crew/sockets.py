"""Listening sockets that several processes accept from."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from typing import Any

from twisted.internet import tcp, unix
from twisted.protocols.tls import TLSMemoryBIOFactory

SHARED = frozenset({"tcp", "tcp6", "ssl", "unix"})
AROUND = "haproxy:"


def unshared(texts: Iterable[str]) -> list[str]:
    """Give those of some endpoint strings whose sockets cannot be shared by several processes."""
    return [text for text in texts if text.removeprefix(AROUND).partition(":")[0] not in SHARED]


class SharedUnixPort(unix.Port):
    """Accepts from a Unix socket that the first process keeps: its file stays when a worker ends."""

    _shouldShutdown = False

    def connectionLost(self, reason: Any) -> None:
        """Close this process's end alone."""
        tcp.Port.connectionLost(self, reason)


class Inherited:
    """
    A reactor that listens on sockets which have been opened by another process, in the same order.

    What an endpoint string means, TLS or a protocol around ours, is up to Twisted as ever; only where it would
    open a socket it is given one.
    """

    def __init__(self, network: Any, reactor: Any, descriptors: Iterable[int]) -> None:
        """
        Hold the sockets.

        :param network: adopts TCP sockets; may be a reactor whose connections send at once.
        :param descriptors: of listening sockets.
        """
        self._network = network
        self._reactor = reactor
        self._descriptors = list(descriptors)

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Any:
        """See :class:`twisted.internet.interfaces.IReactorTCP`."""
        return self._adopt(self._network, factory)

    def listenSSL(self, port: int, factory: Any, contextFactory: Any, backlog: int = 50, interface: str = "") -> Any:
        """See :class:`twisted.internet.interfaces.IReactorSSL`."""
        return self._adopt(self._reactor, TLSMemoryBIOFactory(contextFactory, False, factory))

    def listenUNIX(
        self, address: str, factory: Any, backlog: int = 50, mode: int = 0o666, wantPID: bool = False
    ) -> Any:
        """See :class:`twisted.internet.interfaces.IReactorUNIX`."""
        descriptor = self._next()
        port: Any = SharedUnixPort._fromListeningDescriptor(self._reactor, descriptor, factory)
        os.close(descriptor)
        port.mode = mode  # which it sets once more
        port.startListening()
        return port

    def _adopt(self, reactor: Any, factory: Any) -> Any:
        descriptor = self._next()
        with socket.socket(fileno=os.dup(descriptor)) as known:
            family = known.family
        port = reactor.adoptStreamPort(descriptor, family, factory)
        # Twisted shuts a socket down before it closes it, and with it every other process's: no one would accept.
        port._shouldShutdown = False
        os.close(descriptor)
        return port

    def _next(self) -> int:
        """Give the next socket; a blocking one would hang the process that loses the race for a connection."""
        descriptor = self._descriptors.pop(0)
        os.set_blocking(descriptor, False)
        return descriptor
