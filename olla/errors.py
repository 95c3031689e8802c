"""
What can go wrong, and what the client is told of it.

Two families: a :class:`Refusal` is an answer of our own to the client (http-api.md §8.3); an
:class:`UpstreamFailure` is one attempt gone wrong, which the journey may mend by trying another endpoint.
"""

from __future__ import annotations

from typing import ClassVar

from attrs import frozen


class OllaError(Exception):
    """Anything that this program raises on purpose."""


# What the client is told ---------------------------------------------------------------------------------------


@frozen
class Refusal(OllaError):
    """
    An answer of our own instead of a backend's.

    :ivar message: a sentence for the reader; nothing secret, no URL beyond scheme, host and port.
    """

    message: str
    status: ClassVar[int] = 500
    type: ClassVar[str] = "internal_error"
    code: ClassVar[str] = "INTERNAL_ERROR"
    param: ClassVar[str | None] = None

    @property
    def retry_after(self) -> int | None:
        """Whole seconds after which to ask again; ``None`` when that is not known."""
        return getattr(self, "wait", None)

    def __str__(self) -> str:
        return self.message


@frozen
class RouteNotFound(Refusal):
    """No route has that path."""

    status = 404
    type = "not_found"
    code = "ROUTE_NOT_FOUND"


@frozen
class UnknownProvider(Refusal):
    """The first path segment after ``/olla/`` names no provider."""

    status = 404
    type = "not_found"
    code = "UNKNOWN_PROVIDER"


@frozen
class ProviderDisabled(Refusal):
    """The provider is known, but the configuration takes it out."""

    status = 404
    type = "not_found"
    code = "PROVIDER_DISABLED"


@frozen
class NoProviderEndpoints(Refusal):
    """No endpoint of the provider's type is configured."""

    status = 404
    type = "not_found"
    code = "NO_PROVIDER_ENDPOINTS"


@frozen
class NoEndpoints(Refusal):
    """Endpoints are configured, and none can take a request now."""

    wait: int | None = None
    status = 503
    type = "service_unavailable"
    code = "NO_ENDPOINTS"


@frozen
class ModelNotFound(Refusal):
    """No endpoint has ever listed the model."""

    reason: str = "model_not_found"
    status = 404
    type = "not_found"
    code = "MODEL_NOT_FOUND"
    param = "model"


@frozen
class ModelUnavailable(Refusal):
    """The model is known, and no endpoint that has it can take a request now."""

    reason: str = "model_unavailable"
    wait: int | None = None
    status = 503
    type = "service_unavailable"
    code = "MODEL_UNAVAILABLE"
    param = "model"


@frozen
class CircuitOpen(Refusal):
    """Every candidate's breaker is open."""

    wait: int | None = None
    status = 503
    type = "service_unavailable"
    code = "CIRCUIT_OPEN"


@frozen
class QueueFull(Refusal):
    """Every candidate works at its limit, and the queue before them is full or too slow."""

    wait: int | None = None
    status = 503
    type = "service_unavailable"
    code = "QUEUE_FULL"


@frozen
class TooManyClients(Refusal):
    """As many clients are connected as may be."""

    message: str = "Too many clients are connected"
    wait: int | None = 1
    status = 503
    type = "service_unavailable"
    code = "TOO_MANY_CLIENTS"


@frozen
class Draining(Refusal):
    """The process is stopping and takes nothing new."""

    status = 503
    type = "service_unavailable"
    code = "DRAINING"


@frozen
class BadRequest(Refusal):
    """The request cannot be understood."""

    status = 400
    type = "bad_request"
    code = "MALFORMED_REQUEST"


@frozen
class InvalidEndpoint(BadRequest):
    """A request that is for one endpoint alone names none that there is."""

    code = "INVALID_ENDPOINT"


@frozen
class Stalled(BadRequest):
    """The request's body has stopped coming."""

    message: str = "The request's body did not come in time"
    status = 408
    code = "REQUEST_TIMEOUT"


@frozen
class Forbidden(Refusal):
    """The operator does not show this to that client."""

    status = 403
    type = "forbidden"
    code = "FORBIDDEN"


@frozen
class InvalidParameter(Refusal):
    """A query parameter has a value that it cannot have."""

    name: str | None = None
    status = 400
    type = "bad_request"
    code = "INVALID_PARAMETER"


@frozen
class InvalidFormat(Refusal):
    """A listing is asked for in a format that does not exist."""

    name: str | None = "format"
    status = 400
    type = "bad_request"
    code = "INVALID_FORMAT"


@frozen
class MethodNotAllowed(Refusal):
    """
    The path exists, the method on it does not.

    :ivar allow: the methods that do, as in an ``Allow`` field.
    """

    allow: str = "GET, HEAD"
    status = 405
    type = "method_not_allowed"
    code = "METHOD_NOT_ALLOWED"


@frozen
class RequestTooLarge(Refusal):
    """The body is larger than ``max_body_size``."""

    message: str = "Request body too large"
    status = 413
    type = "request_too_large"
    code = "REQUEST_TOO_LARGE"


@frozen
class HeadersTooLarge(Refusal):
    """The head is larger than ``max_header_size``."""

    message: str = "Request headers too large"
    status = 431
    type = "headers_too_large"
    code = "HEADERS_TOO_LARGE"


@frozen
class RateLimited(Refusal):
    """
    A limiter lets nothing through now.

    :ivar wait: whole seconds until one request will be let through.
    :ivar fields: the limiter's header fields.
    """

    message: str = "Too Many Requests"
    wait: int | None = 1
    fields: tuple[tuple[bytes, bytes], ...] = ()
    status = 429
    type = "rate_limit_exceeded"
    code = "RATE_LIMIT_EXCEEDED"


@frozen
class ObjectNotFound(Refusal):
    """What is asked for went with the endpoint that had it."""

    status = 404
    type = "not_found"
    code = "OBJECT_NOT_FOUND"


@frozen
class NotSupported(Refusal):
    """What cannot be spread over several backends."""

    status = 501
    type = "not_implemented"
    code = "NOT_SUPPORTED"


@frozen
class InternalError(Refusal):
    """A fault of this program; what it was is in the log alone."""

    message: str = "Internal server error"


@frozen
class BackendFailed(Refusal):
    """
    The attempts came to nothing.

    :ivar attempts: ``(endpoint name, short text)`` of each.
    """

    attempts: tuple[tuple[str, str], ...] = ()
    status = 502
    type = "bad_gateway"
    code = "BACKEND_UNREACHABLE"


@frozen
class BackendTimeout(BackendFailed):
    """The backend did not answer in time."""

    code = "BACKEND_TIMEOUT"


@frozen
class BackendProtocolError(BackendFailed):
    """The backend hung up before its answer, or what it sent was not an answer."""

    code = "BACKEND_PROTOCOL_ERROR"


@frozen
class BackendTLSError(BackendFailed):
    """The backend's certificate or handshake is no good."""

    code = "BACKEND_TLS_ERROR"


# One attempt gone wrong ----------------------------------------------------------------------------------------


@frozen
class UpstreamFailure(OllaError):
    """
    One attempt at one endpoint failed.

    :ivar detail: a short text for logs and for the client; nothing secret.
    """

    detail: str

    def __str__(self) -> str:
        return self.detail


@frozen
class ConnectFailed(UpstreamFailure):
    """No connection: refused, unreachable, unresolved.  The backend cannot have taken the request."""


@frozen
class NothingLeft(ConnectFailed):
    """No connection, because we have no descriptor or memory left for one.  This says nothing about the backend."""


@frozen
class ConnectTimeout(ConnectFailed):
    """No connection within ``connection_timeout``.  The backend cannot have taken the request."""


@frozen
class TLSFailed(ConnectFailed):
    """A connection, but no handshake or a wrong certificate.  The backend cannot have taken the request."""


@frozen
class ClosedEarly(UpstreamFailure):
    """
    The connection ended before the head of the reply was complete.

    :ivar reset: with a reset, not with a clean close.
    :ivar reused: the connection had served another request before.
    :ivar answered: some bytes of a reply had come.
    """

    reset: bool = False
    reused: bool = False
    answered: bool = False


@frozen
class HeadTimeout(UpstreamFailure):
    """
    No head of a reply within ``response_header_timeout``, or not all done within ``response_timeout``.

    :ivar which: name of the limit.
    :ivar limit: seconds.
    """

    which: str = "response_header"
    limit: float = 0.0


@frozen
class BadReply(UpstreamFailure):
    """What came is not a well-formed reply."""


@frozen
class BrokenBody(UpstreamFailure):
    """The reply ended before its end: cut, reset, malformed, or silent for too long."""
