"""Servers that are asked small questions, in memory."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import TypeVar

from attrs import define, field
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import crypto
from twisted.internet.defer import Deferred
from twisted.internet.ssl import CertificateOptions
from twisted.trial.unittest import SynchronousTestCase

from olla.balance.breaker import Breaker
from olla.balance.member import Member
from olla.domain.endpoint import Endpoint
from olla.upstream.ask import Answer, Asker
from tests.network import Network
from tests.support import Backend, BackendConnection, Seen

T = TypeVar("T")
Reply = Callable[[BackendConnection, Seen], None]


@define(eq=False)
class Server(Backend):
    """
    A server that answers whatever it is asked as it is told.

    :ivar reply: what it does with a request.
    """

    reply: Reply = field(default=lambda connection, seen: None)

    def asked(self, connection: BackendConnection, seen: Seen) -> None:
        """Note the request, and do as told."""
        self.seen.append(seen)
        self.reply(connection, seen)


class AskCase(SynchronousTestCase):
    """Servers in memory, and somebody who asks them."""

    def setUp(self) -> None:
        self.network = Network()
        self.asker = Asker(self.network, "1.2.3")

    def server(self, port: int, reply: Reply) -> Server:
        """Let a server listen."""
        server = self.network.listeners[port] = Server(reply=reply)
        return server

    def ask(
        self,
        endpoint: Endpoint,
        path: str = "/",
        purpose: str = "HealthChecker",
        limit: int = 65536,
        seconds: float = 2.0,
    ) -> Deferred[Answer]:
        """Ask, for two seconds at most, and deliver everything."""
        asking = Deferred.fromCoroutine(self.asker.ask(endpoint, endpoint.url + path, purpose, limit, seconds))
        self.network.pump()
        return asking

    def answered(self, endpoint: Endpoint, path: str = "/", limit: int = 65536) -> Answer:
        """Ask, and give what came back at once."""
        return self.successResultOf(self.ask(endpoint, path, limit=limit))

    def assertQuiet(self) -> None:
        """Nothing is left behind: no timer, no connection."""
        self.network.pump()
        self.assertEqual([str(call) for call in self.network.getDelayedCalls()], [])
        self.assertEqual([one for one in self.network.transports if not one.disconnected], [])


def certified() -> tuple[CertificateOptions, bytes]:
    """Make a server's certificate for 127.0.0.1, signed by itself; gives it in PEM as well."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.now()
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), False)
        .sign(key, hashes.SHA256())
    )
    own = crypto.X509.from_cryptography(certificate)
    pem = crypto.dump_certificate(crypto.FILETYPE_PEM, own)
    return CertificateOptions(privateKey=crypto.PKey.from_cryptography_key(key), certificate=own), pem


def endpoint(port: int = 9000, name: str = "a", **others: object) -> Endpoint:
    """Make an endpoint at ``port``."""
    url = f"http://127.0.0.1:{port}"
    known: dict[str, object] = {"health_url": f"{url}/health", "model_url": f"{url}/v1/models", **others}
    return Endpoint(name, "http", "127.0.0.1", port, **known)  # type: ignore[arg-type]


def member(port: int = 9000, name: str = "a", **others: object) -> Member:
    """Make a member of a fleet at ``port``."""
    return Member(endpoint(port, name, **others), Breaker(5, 30.0, 3))
