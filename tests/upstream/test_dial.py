"""Tests of :mod:`olla.upstream.dial`."""

from __future__ import annotations

import os
import socket
from errno import EMFILE
from pathlib import Path
from typing import Any

from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.error import (
    ConnectBindError,
    ConnectingCancelledError,
    ConnectionLost,
    ConnectionRefusedError,
    DNSLookupError,
    NoRouteError,
    TimeoutError,
)
from twisted.internet.protocol import Factory
from twisted.internet.tcp import Connection
from twisted.internet.testing import MemoryReactor
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import SynchronousTestCase

from olla.domain.endpoint import Endpoint
from olla.errors import BadReply, ConnectFailed, ConnectTimeout, NothingLeft, TLSFailed
from olla.upstream.dial import Dialler, failure_of, set_up, tls_options
from olla.upstream.limits import Sockets
from tests.network import Network
from tests.support import Client, says_and_closes
from tests.upstream.asking import Server, certified


class FailureTests(SynchronousTestCase):
    """Naming what went wrong."""

    def test_kinds(self) -> None:
        """Each failed connection has its class and its words (http-api.md §8.3)."""
        for reason, kind, text in (
            (ConnectionRefusedError(), ConnectFailed, "connection refused by h:1"),
            (NoRouteError(), ConnectFailed, "no route to host: h:1"),
            (DNSLookupError(), ConnectFailed, "the name of h:1 cannot be resolved"),
            (ConnectionLost(), ConnectFailed, "connection failed: h:1"),
            (ConnectBindError(EMFILE, "?"), NothingLeft, "nothing left to connect to h:1 with"),
            (OSError(), ConnectFailed, "connection failed: h:1"),
            (TimeoutError(), ConnectTimeout, "no connection to h:1 in time"),
            (SSL.Error([("a", "b", "certificate verify failed")]), TLSFailed, "certificate verify failed"),
            (SSL.Error(), TLSFailed, "handshake failed"),
        ):
            with self.subTest(reason=type(reason).__name__):
                failure = failure_of(reason, "h:1")
                self.assertIs(type(failure), kind)
                self.assertIn(text, failure.detail)

    def test_name_without_descriptors(self) -> None:
        """A resolver that could open nothing says nothing about the name (R52)."""

        def refuse(path: str, flags: int) -> int:
            raise OSError(EMFILE, "Too many open files")

        self.patch(os, "open", refuse)
        self.assertIs(type(failure_of(DNSLookupError(), "h:1")), NothingLeft)

    def test_known(self) -> None:
        """What has a name already keeps it."""
        failure = BadReply("x")
        self.assertIs(failure_of(failure, "h:1"), failure)


class OptionsTests(SynchronousTestCase):
    """What is asked of certificates."""

    def test_faults(self) -> None:
        """An authority's file that is missing or holds no certificate is a fault that the caller learns of."""
        path = Path(self.mktemp())
        endpoint = Endpoint("a", "https", "h", 443, tls_ca_file=str(path))
        self.assertRaises(OSError, tls_options, endpoint)
        path.write_text("no certificate")
        self.assertRaises(ValueError, tls_options, endpoint)

    def test_unverified(self) -> None:
        """Without verification a name is still asked for, an address is not."""
        for host, name in (("h.example", b"h.example"), ("192.0.2.1", None), ("::1", None)):
            options = tls_options(Endpoint("a", "https", host, 443, tls_verify=False))
            self.assertEqual(options.clientConnectionForTLS(None).get_servername(), name)


class DialTests(SynchronousTestCase):
    """Connecting."""

    def setUp(self) -> None:
        self.network = Network()

    def dial(self, scheme: str = "http", port: int = 9000, **settings: object) -> Deferred[Any]:
        """Connect, within one second and two more for TLS."""
        endpoint = Endpoint("a", scheme, "127.0.0.1", port, **{"tls_verify": False, **settings})  # type: ignore[arg-type]
        connecting = Dialler(self.network, endpoint, 1.0, 2.0, Sockets()).connect(Factory.forProtocol(Client))
        self.network.pump()
        return connecting

    def assertQuiet(self) -> None:
        """Nothing is left behind."""
        self.network.pump()
        self.assertEqual(self.network.getDelayedCalls(), [])
        self.assertEqual([one for one in self.network.transports if not one.disconnected], [])

    def test_connected(self) -> None:
        """It gives the protocol that was asked for."""
        self.network.listeners[9000] = Server()
        client = self.successResultOf(self.dial())
        self.assertIsInstance(client, Client)

    def test_unanswered(self) -> None:
        """No connection within its limit is a connection that came too late (http-api.md §6.3)."""
        self.network.unanswered.add(9000)
        connecting = self.dial()
        self.network.pump(0.9)
        self.assertNoResult(connecting)
        self.network.pump(0.2)
        failure = self.failureResultOf(connecting, TimeoutError)
        self.assertIsInstance(failure_of(failure.value, "h:1"), ConnectTimeout)
        self.assertQuiet()

    def test_cancelled(self) -> None:
        """Whoever gives up leaves nothing behind."""
        self.network.unanswered.add(9000)
        connecting = self.dial()
        connecting.cancel()
        self.failureResultOf(connecting, ConnectingCancelledError)
        self.assertQuiet()

    def test_silent_handshake(self) -> None:
        """A server that never shakes hands is hung up on in time: a fault of TLS (http-api.md §6.3, §8.3)."""
        self.network.listeners[9000] = Server()
        connecting = self.dial("https")
        self.network.pump(1.9)
        self.assertNoResult(connecting)
        self.network.pump(0.2)
        failure = self.failureResultOf(connecting, TLSFailed)
        said = "TLS handshake with 127.0.0.1:9000 not done within 2s"
        self.assertIs(failure_of(failure.value, "h:1"), failure.value)
        self.assertEqual(failure.value.detail, said)
        self.assertQuiet()

    def test_no_tls(self) -> None:
        """What answers a handshake in plain text is no TLS server, and gets no request."""
        server = self.network.listeners[9000] = Server(reply=says_and_closes(b""))
        connecting = self.dial("https")
        (connection,) = server.connections
        connection.transport.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        self.network.pump()
        failure = self.failureResultOf(connecting)
        self.assertIsInstance(failure_of(failure.value, "h:1"), ConnectFailed)
        self.assertEqual(server.seen, [])
        self.assertQuiet()

    def test_verified(self) -> None:
        """A certificate of unknown origin is refused, unless its authority is named or nobody asks for it."""
        options, pem = certified()
        path = Path(self.mktemp())
        path.write_bytes(pem)
        self.network.listeners[9000] = TLSMemoryBIOFactory(options, False, Factory.forProtocol(Client))
        for settings in ({"tls_verify": False}, {"tls_verify": True, "tls_ca_file": str(path)}):
            self.assertIsInstance(self.successResultOf(self.dial("https", **settings)), Client)
        failure = self.failureResultOf(self.dial("https", tls_verify=True))
        told = failure_of(failure.value, "h:1")
        self.assertIsInstance(told, TLSFailed)
        self.assertIn("certificate verify failed", told.detail)


class SocketTests(SynchronousTestCase):
    """How the sockets of connections are set."""

    def setUp(self) -> None:
        self.socket = socket.socket()
        self.addCleanup(self.socket.close)
        self.connection = Connection(self.socket, None, MemoryReactor())

    def test_set(self) -> None:
        """TCP asks after a silent end as often as configured, and a read is as large (config.md §5, K20)."""
        set_up(self.connection, Sockets(keep_alive=7.4, read_size=2048))
        self.assertEqual(self.connection.bufferSize, 2048)
        self.assertTrue(self.connection.getTcpKeepAlive())
        for name in {"TCP_KEEPIDLE", "TCP_KEEPINTVL"} & set(dir(socket)):
            self.assertEqual(self.socket.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)), 7)

    def test_long_period(self) -> None:
        """A period longer than the kernel takes is the longest that it takes, and no failed connection."""
        set_up(self.connection, Sockets(keep_alive=86400.0))
        if hasattr(socket, "TCP_KEEPIDLE"):
            self.assertEqual(self.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE), 32767)

    def test_left_alone(self) -> None:
        """Nothing is set where nothing is wanted."""
        set_up(self.connection, Sockets())
        self.assertEqual(self.connection.bufferSize, Connection.bufferSize)
        self.assertFalse(self.connection.getTcpKeepAlive())
