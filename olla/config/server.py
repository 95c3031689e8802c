"""The keys below ``server``: where we listen, whom we let in, how much they may send."""

# ruff: noqa: RUF009  (the calls are field specifiers of attrs)
from __future__ import annotations

import ipaddress
import math

from attrs import frozen

from olla.config.keys import block, key, keys, optional
from olla.config.kinds import DURATION, INTEGER, NOT_NEGATIVE, SIZE, TEXT, TRUTH, at_least, between

DEFAULT_HEADER_SIZE = 1048576
SMALLEST_HEADER_SIZE = 4096
PRIVATE_NETWORKS = ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
LIMITERS = ("per-ip", "global", "health")


def is_network(text: str) -> None:
    """Refuse what is no network such as ``10.0.0.0/8``."""
    try:
        ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        raise ValueError("is not a network such as 10.0.0.0/8") from None


def _header_size(written: int) -> int:
    return max(written, SMALLEST_HEADER_SIZE) if written > 0 else DEFAULT_HEADER_SIZE


def _bare_host(written: str) -> str:
    host = written.strip()
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


@frozen
class RequestLimits:
    """
    How large a request may be, in bytes.

    :ivar max_body_size: 0 or less is no limit.
    :ivar max_header_size: request line and fields; never below 4096.
    """

    max_body_size: int = key(SIZE, 104857600, env="OLLA_SERVER_MAX_BODY_SIZE")
    max_header_size: int = key(SIZE, DEFAULT_HEADER_SIZE, env="OLLA_SERVER_MAX_HEADER_SIZE", convert=_header_size)


@frozen
class RateLimits:
    """
    How often a client may ask.  A rate of 0 or less is no limit.

    :ivar limiters: which limiters run, in order.
    :ivar burst_size: how many at once; never below 1.
    :ivar cleanup_interval: seconds between two sweeps of idle buckets; 0 never sweeps.
    :ivar trusted_proxy_cidrs: peers whose forwarding headers are believed, if they are at all.
    """

    limiters: tuple[str, ...] = keys(TEXT, LIMITERS)
    global_requests_per_minute: int = key(INTEGER, 1000, env="OLLA_SERVER_GLOBAL_RATE_LIMIT")
    per_ip_requests_per_minute: int = key(INTEGER, 100, env="OLLA_SERVER_PER_IP_RATE_LIMIT")
    health_requests_per_minute: int = key(INTEGER, 1000, env="OLLA_SERVER_HEALTH_RATE_LIMIT")
    burst_size: int = key(
        INTEGER, 50, NOT_NEGATIVE, env="OLLA_SERVER_RATE_BURST_SIZE", convert=lambda size: max(size, 1)
    )
    global_burst_size: int | None = optional(INTEGER, at_least(1))
    cleanup_interval: float = key(DURATION, 300.0, NOT_NEGATIVE, env="OLLA_SERVER_RATE_CLEANUP_INTERVAL")
    trust_proxy_headers: bool = key(TRUTH, False, env="OLLA_SERVER_TRUST_PROXY_HEADERS")
    trusted_proxy_cidrs: tuple[str, ...] = keys(
        TEXT, PRIVATE_NETWORKS, is_network, env="OLLA_SERVER_TRUSTED_PROXY_CIDRS"
    )

    @property
    def global_burst(self) -> int:
        """How many requests of all clients pass at once: as configured, else five seconds' worth."""
        if self.global_burst_size is not None:
            return self.global_burst_size
        return max(self.burst_size, math.ceil(self.global_requests_per_minute / 60 * 5))


@frozen
class Cors:
    """
    What browsers on other origins may do.

    :ivar exposed_headers: empty for all of ours.
    :ivar max_age: seconds a preflight is remembered; 0 sends no such header.
    :ivar internal_api: whether ``/internal/*`` and ``/version`` take part.
    """

    enabled: bool = key(TRUTH, True, env="OLLA_SERVER_CORS_ENABLED")
    allowed_origins: tuple[str, ...] = keys(TEXT, ("*",), env="OLLA_SERVER_CORS_ALLOWED_ORIGINS")
    allowed_methods: tuple[str, ...] = keys(TEXT, ("GET", "POST", "OPTIONS"), env="OLLA_SERVER_CORS_ALLOWED_METHODS")
    allowed_headers: tuple[str, ...] = keys(TEXT, ("*",), env="OLLA_SERVER_CORS_ALLOWED_HEADERS")
    exposed_headers: tuple[str, ...] = keys(TEXT, (), env="OLLA_SERVER_CORS_EXPOSED_HEADERS")
    allow_credentials: bool = key(TRUTH, False, env="OLLA_SERVER_CORS_ALLOW_CREDENTIALS")
    max_age: int = key(INTEGER, 300, NOT_NEGATIVE, env="OLLA_SERVER_CORS_MAX_AGE")
    internal_api: bool = key(TRUTH, True)


@frozen
class ServerConfig:
    """
    Where we listen and for how long we wait.  Times are seconds.

    :ivar host: name or address, without brackets; ``""`` and ``0.0.0.0`` are every address.
    :ivar listen: Twisted endpoint strings that take the place of host and port.
    :ivar workers: processes that share the port.
    :ivar max_connections: clients at once; 0 is no limit.
    :ivar write_timeout: 0 is no limit, as streams need it.
    :ivar idle_timeout: 0 is ``read_timeout``.
    :ivar request_logging: whether there is an access log.
    """

    host: str = key(TEXT, "localhost", env="OLLA_SERVER_HOST", convert=_bare_host)
    port: int = key(INTEGER, 40114, between(1, 65535), env="OLLA_SERVER_PORT")
    listen: tuple[str, ...] = keys(TEXT, ())
    workers: int = key(INTEGER, 1, at_least(1))
    max_connections: int = key(INTEGER, 0, NOT_NEGATIVE)
    read_timeout: float = key(DURATION, 30.0, NOT_NEGATIVE, env="OLLA_SERVER_READ_TIMEOUT")
    read_header_timeout: float = key(
        DURATION, 10.0, NOT_NEGATIVE, env="OLLA_SERVER_READ_HEADER_TIMEOUT", convert=lambda s: s or 10.0
    )
    write_timeout: float = key(DURATION, 0.0, NOT_NEGATIVE, env="OLLA_SERVER_WRITE_TIMEOUT")
    idle_timeout: float = key(DURATION, 0.0, NOT_NEGATIVE)
    shutdown_timeout: float = key(DURATION, 10.0, NOT_NEGATIVE)
    request_logging: bool = key(TRUTH, True)
    request_limits: RequestLimits = block(RequestLimits)
    rate_limits: RateLimits = block(RateLimits)
    cors: Cors = block(Cors)

    @property
    def idle_limit(self) -> float:
        """Seconds an unused connection is kept; 0 is for ever."""
        return self.idle_timeout or self.read_timeout
