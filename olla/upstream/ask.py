"""Small questions to backends, with treq: is it well, and which models has it?"""

from __future__ import annotations

from typing import Any
from urllib.parse import urljoin, urlsplit

from attrs import Factory, define, evolve, field, frozen
from hyperlink import URL
from OpenSSL import SSL
from service_identity import CertificateError, VerificationError
from treq.client import HTTPClient
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import (
    ConnectError,
    ConnectingCancelledError,
    ConnectionDone,
    ConnectionLost,
    DNSLookupError,
    TimeoutError,
)
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.web._newclient import ParseError, RequestTransmissionFailed
from twisted.web.client import URI, Agent, HTTPConnectionPool, ResponseDone, ResponseFailed, ResponseNeverReceived
from twisted.web.http import PotentialDataLoss
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from olla.domain.endpoint import Endpoint
from olla.errors import NothingLeft, OllaError
from olla.upstream.dial import Dialler, failure_of
from olla.upstream.limits import Sockets

REDIRECTS = 3
TURNS = 10
LITELLM = "litellm"
UNANSWERED = (
    ConnectError,
    ConnectionLost,
    DNSLookupError,
    TimeoutError,
    CancelledError,
    ConnectingCancelledError,
    ResponseFailed,
    ResponseNeverReceived,
    RequestTransmissionFailed,
    ParseError,
    SSL.Error,
    CertificateError,
    VerificationError,
    OSError,
    ValueError,
)


@frozen
class Unanswered(OllaError):
    """
    A question got no answer.

    :ivar detail: why, in a few words; nothing secret.
    :ivar ours: it could not even be asked, for want of something of ours: this says nothing about the endpoint.
    """

    detail: str
    ours: bool = False

    def __str__(self) -> str:
        return self.detail


@frozen
class Answer:
    """
    What came back.

    :ivar status: of the last answer in a chain of redirects on the same host.
    :ivar body: at most as many bytes as were asked for.
    :ivar whole: whether that is all of it.
    :ivar retry_after: the field's text; ``""`` without.
    :ivar server: what it calls itself; ``""`` when it does not say, ``litellm`` for that one.
    """

    status: int
    body: bytes
    whole: bool
    retry_after: str = ""
    server: str = ""


class _Address(URL):
    """A URL whose host may be an IPv6 address: treq has hyperlink encode it like a name, which fails at the colons."""

    def to_uri(self) -> URL:
        if ":" not in self.host:
            return super().to_uri()
        return URL.to_uri(self.replace(host="address")).replace(host=self.host)


@implementer(IAgentEndpointFactory)
@define(eq=False)
class _Diallers:
    """Connects as one endpoint's TLS settings say, to whatever address its check and listing URLs name."""

    _reactor: Any
    _endpoint: Endpoint

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        there = evolve(
            self._endpoint,
            scheme=uri.scheme.decode("ascii"),
            host=uri.host.decode("ascii").strip("[]"),
            port=uri.port,
        )
        return Dialler(self._reactor, there, 0.0, 0.0, Sockets())  # whoever asks has a limit for all of it


@define(eq=False)
class Asker:
    """
    Asks endpoints; keeps one connection to each.

    :ivar reactor: makes the connections.
    :ivar version: ours, for ``User-Agent``.
    """

    reactor: Any
    version: str
    _clients: dict[Endpoint, HTTPClient] = field(init=False, factory=dict)

    async def ask(self, endpoint: Endpoint, url: str, purpose: str, limit: int, seconds: float) -> Answer:
        """
        ``GET`` one URL with the endpoint's own header fields and credential.

        :param purpose: ``HealthChecker``, ``Discovery`` or ``Status``: how we call ourselves.
        :param limit: bytes of the body to read; what follows is thrown away.
        :param seconds: for all of it.
        :raise Unanswered: when no complete answer came in time.
        :raise CancelledError: when whoever asked has given up.
        """
        asking = Deferred.fromCoroutine(self._follow(endpoint, url, purpose, limit))
        try:
            return await _within(asking, seconds, self.reactor)
        except UNANSWERED as error:
            if _given_up(error):
                raise CancelledError from error
            raise _why(error, endpoint) from error

    def forget(self, endpoint: Endpoint) -> None:
        """Drop what is kept for an endpoint that is configured no more."""
        self._clients.pop(endpoint, None)

    async def _follow(self, endpoint: Endpoint, url: str, purpose: str, limit: int) -> Answer:
        """Follow redirects, but never to another host: the credential goes along."""
        for left in reversed(range(REDIRECTS + 1)):
            response = await self._get(endpoint, url, purpose)
            body, whole = await _read(response, limit)
            location = _first(response, b"location")
            there = urljoin(url, location)
            if not (left and 300 <= response.code < 400 and location and _same_host(url, there)):
                break
            url = there
        return Answer(response.code, body, whole, _first(response, b"retry-after"), _server(response))

    def _get(self, endpoint: Endpoint, url: str, purpose: str) -> Deferred[Any]:
        accept = "application/json, text/plain, */*" if purpose == "HealthChecker" else "application/json"
        headers: dict[bytes | str, bytes | str] = {
            "User-Agent": f"olla-{purpose}/{self.version}",
            "Accept": accept,
        }
        if purpose == "HealthChecker":
            headers["Cache-Control"] = "no-cache"
        own = [*endpoint.fields, *([endpoint.credential] if endpoint.credential else [])]
        for name, value in own:  # the credential comes last, and wins
            for known in [key for key in headers if str(key).lower() == name.decode("latin-1").lower()]:
                del headers[known]
            headers[name.decode("latin-1")] = value.decode("latin-1")
        client = self._client(endpoint)
        there = _Address.from_text(url)
        asking: Deferred[Any] = client.get(there, headers=headers, allow_redirects=False, unbuffered=True)
        return asking

    def _client(self, endpoint: Endpoint) -> HTTPClient:
        client = self._clients.get(endpoint)
        if client is None:
            pool = HTTPConnectionPool(self.reactor, persistent=False)
            diallers = _Diallers(self.reactor, endpoint)
            client = HTTPClient(Agent.usingEndpointFactory(self.reactor, diallers, pool))
            self._clients[endpoint] = client
        return client


@define(eq=False)
class _Reading(Protocol):
    """
    Reads at most ``limit`` bytes of a body.

    :ivar done: fires with the bytes, and whether that was all; cancelling it hangs up.
    """

    limit: int
    done: Deferred[tuple[bytes, bool]] = field(
        init=False, default=Factory(lambda self: Deferred(self._hang_up), takes_self=True)
    )
    _body: bytearray = field(init=False, factory=bytearray)
    _over: bool = field(init=False, default=False)

    def dataReceived(self, data: bytes) -> None:
        """A piece has come."""
        if self._over:
            return
        self._body += data
        if len(self._body) > self.limit:
            self._hang_up()
            self.done.callback((bytes(self._body[: self.limit]), False))

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008  Twisted's signature
        """The body is over, whole or not."""
        if self._over:
            return
        self._over = True
        if reason.check(ResponseDone, PotentialDataLoss):
            self.done.callback((bytes(self._body), True))
        else:
            self.done.errback(reason)

    def _hang_up(self, _: object = None) -> None:
        self._over = True
        transport: Any = self.transport
        transport.loseConnection()


def _read(response: Any, limit: int) -> Deferred[tuple[bytes, bool]]:
    """Read at most ``limit`` bytes of a body, and say whether that was all."""
    reading = _Reading(limit)
    response.deliverBody(reading)
    return reading.done


def _first(response: Any, name: bytes) -> str:
    values: list[bytes] = response.headers.getRawHeaders(name, [b""])
    return values[0].decode("latin-1")


def _server(response: Any) -> str:
    """Give what a server calls itself; LiteLLM does so in a field of its own, behind uvicorn's name."""
    return LITELLM if _first(response, b"x-litellm-version") else _first(response, b"server")


def _same_host(url: str, other: str) -> bool:
    here, there = urlsplit(url), urlsplit(other)
    return (here.scheme, here.hostname, here.port) == (there.scheme, there.hostname, there.port)


def _within(asking: Deferred[Answer], seconds: float, clock: IReactorTime) -> Deferred[Answer]:
    """
    Give up after ``seconds``, but not before the reactor has come round ten times.

    A busy process may find the time over before it has read what has long been there: that is no fault of an endpoint.
    """
    seconds = max(0.0, seconds)
    end, late = clock.seconds() + seconds, False
    call = clock.callLater(seconds / TURNS, lambda: turn(TURNS - 1))

    def turn(left: int) -> None:
        nonlocal call, late
        if left:
            call = clock.callLater(max(0.0, end - clock.seconds()) / left, turn, left - 1)
        else:
            late = True
            asking.cancel()

    def over(result: Answer | Failure) -> Answer | Failure:
        if call.active():
            call.cancel()
        if late and isinstance(result, Failure):
            raise Unanswered("no answer in time")
        return result

    return asking.addBoth(over)


def _given_up(error: BaseException) -> bool:
    """Say whether somebody cancelled: Twisted wraps that differently at each point of a request."""
    cancelled = (CancelledError, ConnectingCancelledError)
    return isinstance(error, cancelled) or any(one.check(*cancelled) for one in getattr(error, "reasons", ()))


def _why(error: BaseException, endpoint: Endpoint) -> Unanswered:
    """Say in a few words why nobody answered."""
    if isinstance(error, TimeoutError):
        return Unanswered("no answer in time")
    if isinstance(error, (ResponseFailed, RequestTransmissionFailed)):
        inner = error.reasons[0].value
        if isinstance(inner, ParseError) or "Parse" in type(inner).__name__:
            return Unanswered("what answers does not speak HTTP")
        return Unanswered("the connection was closed without an answer")
    if isinstance(error, ParseError):
        return Unanswered("what answers does not speak HTTP")
    failure = failure_of(error, endpoint.authority)
    return Unanswered(failure.detail, isinstance(failure, NothingLeft))
