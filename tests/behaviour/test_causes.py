"""What went wrong at a backend: told apart by what it is, and told without secrets."""

from __future__ import annotations

from typing import Any

from olla.domain.endpoint import Endpoint
from olla.errors import (
    BadReply,
    ClosedEarly,
    ConnectFailed,
    ConnectTimeout,
    HeadTimeout,
    TLSFailed,
    UpstreamFailure,
)
from olla.events import AttemptFailed
from tests.support import (
    SSE,
    Backend,
    BackendConnection,
    Client,
    ProxyCase,
    Seen,
    answer,
    chunk,
    on_each_engine,
    resets,
    says,
    says_and_closes,
)

SECRET = b"hunter2"
LIMITS = {"response_header_timeout": "2s", "read_timeout": "2s", "connection_timeout": "1s"}
KEYS = {
    "auth": {"type": "bearer", "token": "hunter2-token"},
    "headers": {"X-Tenant": "hunter2-tenant"},
    "health_check_url": "/health?key=hunter2",
    "model_url": "/v1/models?key=hunter2",
}
MISLEADING = "certificate refused timeout reset garbage DNS connection handshake"


def silent(connection: BackendConnection, seen: Seen) -> None:
    """Say nothing."""


def closes(connection: BackendConnection, seen: Seen) -> None:
    """Hang up in due form."""
    connection.transport.loseConnection()


class Raised:
    """
    Asks backends through another, and notes what that raises.

    :ivar failures: so far.
    """

    def __init__(self, upstream: Any) -> None:
        self.failures: list[UpstreamFailure] = []
        self._upstream = upstream

    async def send(self, endpoint: Endpoint, request: Any) -> Any:
        """Ask."""
        try:
            return await self._upstream.send(endpoint, request)
        except UpstreamFailure as failure:
            self.failures.append(failure)
            raise


class Raising:
    """
    Fails.

    :ivar asked: names of the endpoints for which it did.
    """

    def __init__(self, failure: UpstreamFailure) -> None:
        self.asked: list[str] = []
        self._failure = failure

    async def send(self, endpoint: Endpoint, request: Any) -> Any:
        """Fail."""
        self.asked.append(endpoint.name)
        raise self._failure


@on_each_engine
class Causes(ProxyCase):
    """One endpoint that goes wrong in every way."""

    def ask(self, play: Any, **keys: Any) -> Client:
        """Start anew with a backend that does ``play``, and send it one request."""
        self.stop()
        self.setUp()
        self.backend = Backend(play=play or silent)
        self.start({"a": self.backend}, {**KEYS, **keys}, proxy=LIMITS)
        if play is None:
            del self.network.listeners[9000]
        client = self.post()
        self.network.wait(5.0)
        return client

    def test_secrets(self) -> None:
        """No error shows a credential, a header value or a query of the endpoint, whatever went wrong (B136, C57)."""
        for play in (
            None,
            silent,
            closes,
            resets,
            says(b"garbage " + SECRET + b"\r\n\r\n"),
            says(b"HTTP/1.1 200 OK\r\nX-Tenant: hunter2\x00\r\n\r\n"),
            says_and_closes(b"HTTP/1.1 200 OK\r\nContent-Len"),
            says_and_closes(SSE + chunk(b"data: {}\n\n")),
            says(SSE + chunk(b"data: {}\n\n")),
            says(answer({}, 503, WWW_Authenticate="Basic", X_Tenant="hunter2-tenant")),
        ):
            client = self.ask(play)
            self.assertTrue(client.got, play)
            self.assertNotIn(SECRET, client.got)
            self.assertNotIn(SECRET, self.get("/internal/status/endpoints").got)
            if self.backend.seen:
                self.assertEqual(self.backend.seen[0].fields("X-Tenant"), ["hunter2-tenant"])
        self.assertIn(b"key=hunter2", self.backend.probes[0].line)

    def test_types(self) -> None:
        """Each cause is an exception of its own; the news of it has endpoint, attempt and cause (B137)."""
        for play, kind, code, reason in (
            (None, ConnectFailed, "BACKEND_UNREACHABLE", "connect"),
            (silent, HeadTimeout, "BACKEND_TIMEOUT", "timeout"),
            (closes, ClosedEarly, "BACKEND_PROTOCOL_ERROR", "protocol"),
            (resets, ClosedEarly, "BACKEND_PROTOCOL_ERROR", "protocol"),
            (says(b"garbage\r\n\r\n"), BadReply, "BACKEND_PROTOCOL_ERROR", "protocol"),
        ):
            self.stop()
            self.setUp()
            self.start({"a": Backend(play=play or silent)}, proxy=LIMITS)
            assert self.proxy is not None
            raised, told = Raised(self.proxy.parts.forwarder.failover.upstream), []
            self.proxy.parts.forwarder.failover.upstream = raised  # type: ignore[assignment]  # a part of it
            self.proxy.parts.telemetry.bus.listen(AttemptFailed, told.append)
            if play is None:
                del self.network.listeners[9000]
            client = self.post()
            self.network.wait(5.0)
            self.assertEqual([type(failure) for failure in raised.failures], [kind])
            self.assertEqual((client.status, client.json["error"]["code"]), (502, code))
            self.assertEqual([(one.endpoint.name, one.attempt, one.reason) for one in told], [("a", 1, reason)])
            if kind is HeadTimeout:
                self.assertIn("request timeout after 2.", client.json["error"]["message"])

    def test_texts_are_not_read(self) -> None:
        """What is made of a failure depends on what it is, whatever its text says (B137)."""
        codes = {
            ConnectFailed: "BACKEND_UNREACHABLE",
            ConnectTimeout: "BACKEND_UNREACHABLE",
            TLSFailed: "BACKEND_TLS_ERROR",
            HeadTimeout: "BACKEND_TIMEOUT",
            ClosedEarly: "BACKEND_PROTOCOL_ERROR",
            BadReply: "BACKEND_PROTOCOL_ERROR",
        }
        for kind, code in codes.items():
            self.stop()
            self.setUp()
            self.start({"a": Backend(), "b": Backend()}, proxy={"load_balancer": "priority"})
            assert self.proxy is not None
            raising = Raising(kind(MISLEADING))
            self.proxy.parts.forwarder.failover.upstream = raising  # type: ignore[assignment]  # a part of it
            client = self.post()
            self.assertEqual((client.status, client.json["error"]["code"]), (502, code))
            both = issubclass(kind, ConnectFailed)
            self.assertEqual(raising.asked, ["a", "b"] if both else ["a"])
            shown = {one["name"]: one["status"] for one in self.get("/internal/status/endpoints").json["endpoints"]}
            self.assertEqual(shown["a"], "offline" if both or kind is ClosedEarly else "healthy", kind)
