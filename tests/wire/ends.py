"""The two ends of a loopback test: clients, and backends with and without TLS."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.web.resource import Resource

from tests.wire.payloads import CHUNKED

PIECE = b"%x\r\n%b\r\n" % (60_000, bytes(60_000))
FLOOD = 1000


class Engine(Protocol):
    """
    A backend that does as it is told.

    :ivar begun: what it does when the first bytes have come.
    :ivar act: what it does at each empty line, which may be a request's end.
    :ivar heard: what has come.
    :ivar sent: pieces written of a flood.
    :ivar gone: fires when the connection is gone.
    """

    transport: Any

    def __init__(self, begun: Callable[[Engine], object], act: Callable[[Engine], object]) -> None:
        self.begun = begun
        self.act = act
        self.heard = bytearray()
        self.sent = 0
        self.gone: Deferred[None] = Deferred()
        self._stopped = True

    def dataReceived(self, data: bytes) -> None:
        """Act when an empty line has come."""
        if not self.heard:
            self.begun(self)
        self.heard += data
        if self.heard.endswith(b"\r\n\r\n"):
            self.act(self)

    def connectionLost(self, reason: Any = None) -> None:
        """It is gone."""
        self.stopProducing()
        self.gone.callback(None)

    def flood(self) -> None:
        """Write up to 60 MB, as fast as they are taken."""
        self.transport.write(CHUNKED)
        self.transport.registerProducer(self, True)
        self.resumeProducing()

    def resumeProducing(self) -> None:
        """Write on."""
        self._stopped = self.gone.called
        while not self._stopped and self.sent < FLOOD:
            self.sent += 1
            self.transport.write(PIECE)

    def pauseProducing(self) -> None:
        """Hold on."""
        self._stopped = True

    def stopProducing(self) -> None:
        """Stop for good."""
        self._stopped = True
        self.sent = FLOOD


class Engines(Factory):
    """Makes backends' ends of connections, and keeps them."""

    noisy = False

    def __init__(self, act: Callable[[Engine], object]) -> None:
        self.begun: Callable[[Engine], object] = lambda engine: None
        self.act = act
        self.all: list[Engine] = []

    def buildProtocol(self, addr: Any) -> Engine:
        """Make one."""
        self.all.append(Engine(self.begun, self.act))
        return self.all[-1]


class Client(Protocol):
    """
    Says something, and notes what it hears.

    :ivar gone: fires when the connection is gone.
    """

    transport: Any

    def __init__(self, said: bytes) -> None:
        self.said = said
        self.heard = bytearray()
        self.gone: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        """Say it."""
        self.transport.write(self.said)

    def dataReceived(self, data: bytes) -> None:
        """Note it."""
        self.heard += data

    def connectionLost(self, reason: Any = None) -> None:
        """It is gone."""
        self.gone.callback(None)


class Page(Resource):
    """A page of the other server."""

    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        """Show it."""
        return b"a page"


def certificate(folder: str, name: str) -> tuple[str, str]:
    """Make a certificate for ``name`` that signs itself; gives the files of key and certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = os.path.join(folder, "key.pem"), os.path.join(folder, "certificate.pem")
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    with open(files[0], "wb") as file:
        file.write(key.private_bytes(pem, form, serialization.NoEncryption()))
    with open(files[1], "wb") as file:
        file.write(made.public_bytes(pem))
    return files
