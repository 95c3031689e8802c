"""Connections to backends through Twisted's endpoints: by name or address, plain or TLS."""

from __future__ import annotations

import os
import socket
from errno import EMFILE, ENFILE, ENOBUFS, ENOMEM
from typing import Any

from OpenSSL import SSL
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import (
    ConnectError,
    ConnectionAborted,
    ConnectionDone,
    ConnectionLost,
    DNSLookupError,
    TimeoutError,
)
from twisted.internet.interfaces import (
    IHandshakeListener,
    IOpenSSLClientConnectionCreator,
    IProtocolFactory,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Protocol
from twisted.internet.ssl import Certificate, CertificateOptions, optionsForClientTLS, trustRootFromCertificates
from twisted.internet.tcp import Connection
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from olla.domain.endpoint import Endpoint
from olla.errors import ConnectFailed, ConnectTimeout, NothingLeft, TLSFailed, UpstreamFailure
from olla.upstream.limits import Sockets

LONG = 3600.0
LONGEST_PERIOD = 32767  # of keep-alive, in seconds, that Linux takes
SCARCE = (EMFILE, ENFILE, ENOBUFS, ENOMEM)
CERTIFICATE = b"-----BEGIN CERTIFICATE-----"


def tls_options(endpoint: Endpoint) -> Any:
    """
    Make what is asked of the certificate of ``endpoint``.

    :return: a client connection creator for Twisted's TLS.
    :raise ValueError: when its CA file holds no certificate.
    :raise OSError: when its CA file cannot be read.
    """
    if not endpoint.tls_verify:
        return _Unverified(endpoint.host)
    if not endpoint.tls_ca_file:
        return optionsForClientTLS(endpoint.host)
    with open(endpoint.tls_ca_file, "rb") as file:
        found = file.read().split(CERTIFICATE)[1:]
    if not found:
        raise ValueError(f"no certificate in {endpoint.tls_ca_file}")
    roots = [Certificate.loadPEM(CERTIFICATE + text) for text in found]
    return optionsForClientTLS(endpoint.host, trustRoot=trustRootFromCertificates(roots))


def _tcp(reactor: Any, host: str, port: int, limit: float) -> IStreamClientEndpoint:
    """Make what connects: an address needs nothing resolved, which spares each new connection half its cost."""
    if isIPAddress(host):
        return TCP4ClientEndpoint(reactor, host, port, limit)
    if isIPv6Address(host):
        return TCP6ClientEndpoint(reactor, host, port, limit)
    return HostnameEndpoint(reactor, host, port, timeout=limit)


@implementer(IOpenSSLClientConnectionCreator)
class _Unverified:
    """Makes TLS connections that accept any certificate, because the operator says so for this endpoint."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._context = CertificateOptions(verify=False).getContext()

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        """Make the connection under Twisted's TLS; it asks for the host by name, unless that is an address."""
        connection = SSL.Connection(self._context, None)
        if not self._host.replace(".", "").isdigit() and ":" not in self._host:
            connection.set_tlsext_host_name(self._host.encode("idna"))
        return connection


def failure_of(reason: BaseException, where: str) -> UpstreamFailure:
    """
    Say which condition a failed connection is.

    :param where: ``host:port``, for the text.
    """
    if isinstance(reason, UpstreamFailure):
        return reason
    if isinstance(reason, (TimeoutError, CancelledError)):
        return ConnectTimeout(f"no connection to {where} in time")
    if _nothing_left(reason):
        return NothingLeft(f"nothing left to connect to {where} with: too many files are open")
    if isinstance(reason, DNSLookupError):
        return ConnectFailed(f"the name of {where} cannot be resolved")
    if isinstance(reason, SSL.Error) or type(reason).__module__.startswith("service_identity"):
        return TLSFailed(f"TLS certificate error at {where}: {tls_text(reason)}")
    if isinstance(reason, (ConnectError, ConnectionLost, ConnectionDone, ConnectionAborted)):
        text = {"ConnectionRefusedError": "connection refused", "NoRouteError": "no route to host"}.get(
            type(reason).__name__, "connection failed"
        )
        return ConnectFailed(f"{text} by {where}" if text.endswith("refused") else f"{text}: {where}")
    return ConnectFailed(f"connection failed: {where}")


def _nothing_left(reason: BaseException) -> bool:
    """Say whether a connection failed for want of descriptors or memory of ours."""
    if isinstance(reason, ConnectError):
        return reason.osError in SCARCE
    if not isinstance(reason, DNSLookupError):
        return False
    try:  # a resolver that can open nothing only says that there is no such name
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return error.errno in SCARCE
    return False


def tls_text(reason: BaseException) -> str:
    """Say in a few words what OpenSSL or the name check objects to."""
    if isinstance(reason, SSL.Error) and reason.args and reason.args[0]:
        return ", ".join(entry[-1] for entry in reason.args[0] if entry) or "handshake failed"
    name = type(reason).__name__
    return "the certificate is for another name" if name == "VerificationError" else "handshake failed"


def set_up(connection: Connection, wanted: Sockets) -> None:
    """Set the socket of a connection that stands."""
    if wanted.read_size:
        connection.bufferSize = wanted.read_size
    if not wanted.keep_alive:
        return
    connection.setTcpKeepAlive(True)
    period = min(max(1, round(wanted.keep_alive)), LONGEST_PERIOD)
    for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL"):
        option = getattr(socket, name, None)  # not every system has them; there the system's own period holds
        if option is not None:
            connection.socket.setsockopt(socket.IPPROTO_TCP, option, period)


def _too_late(result: Any, seconds: float) -> Any:
    if isinstance(result, Failure):  # cancelling looks different at each point of connecting
        raise TimeoutError
    return result


@implementer(IHandshakeListener)
class _Handshaking(ProtocolWrapper):
    """Tells when the handshake is done, and passes everything else through."""

    def __init__(self, factory: Any, wrapped: Protocol) -> None:
        super().__init__(factory, wrapped)
        self.done: Deferred[None] = Deferred()

    def handshakeCompleted(self) -> None:
        """Twisted's TLS calls this once the certificate has been accepted."""
        if not self.done.called:
            self.done.callback(None)

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008  Twisted's signature
        """The connection is gone, perhaps before the handshake."""
        if not self.done.called:
            self.done.errback(reason)
        super().connectionLost(reason)


class _HandshakeFactory(WrappingFactory):
    protocol = _Handshaking
    noisy = False


@implementer(IStreamClientEndpoint)
class Dialler:
    """
    Connects to one endpoint; a TLS connection counts as made when its certificate has been accepted.

    A handshake is part of connecting here, so that nothing of a request is written to a server that cannot
    prove its name, and so that a failed one may be answered by another endpoint.
    """

    def __init__(
        self,
        reactor: Any,
        endpoint: Endpoint,
        connect: float,
        handshake: float,
        sockets: Sockets,
    ) -> None:
        """
        Prepare.

        :param connect: seconds for name, TCP connection and all.
        :param handshake: further seconds for TLS.
        :param sockets: how each connection's socket is set.
        :raise OSError, ValueError: from :func:`tls_options`.
        """
        self._reactor = reactor
        self._where = endpoint.authority
        self._limit = connect or None
        self._handshake = handshake
        self._sockets = sockets
        self._tls = tls_options(endpoint) if endpoint.scheme == "https" else None
        self._tcp = _tcp(reactor, endpoint.host, endpoint.port, connect or LONG)

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:
        """
        Connect.

        :return: fires with the protocol made by ``protocolFactory``; fails as Twisted's endpoints do, or with
            what OpenSSL objects to.  Cancelling gives up.
        """
        factory: Any = protocolFactory
        if self._tls is not None:
            factory = TLSMemoryBIOFactory(self._tls, True, _HandshakeFactory(factory))
        connecting = self._tcp.connect(factory)
        if self._limit is not None:
            connecting.addTimeout(self._limit, self._reactor, _too_late)
        connecting.addCallback(self._set)
        return connecting if self._tls is None else connecting.addCallback(self._shaken)

    def _set(self, protocol: Any) -> Any:
        if isinstance(protocol.transport, Connection):
            set_up(protocol.transport, self._sockets)
        return protocol

    def _shaken(self, tls: Any) -> Deferred[Any]:
        wrapper = tls.wrappedProtocol
        done: Deferred[None] = wrapper.done
        if self._handshake:
            done.addTimeout(self._handshake, self._reactor, self._never_shaken)

        def hang_up(reason: Failure) -> Failure:
            tls.transport.abortConnection()
            return reason

        return done.addErrback(hang_up).addCallback(lambda _: wrapper.wrappedProtocol)

    def _never_shaken(self, result: Any, seconds: float) -> Any:
        if isinstance(result, Failure):
            raise TLSFailed(f"TLS handshake with {self._where} not done within {seconds:g}s")
        return result
