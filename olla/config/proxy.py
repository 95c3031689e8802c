"""The keys below ``proxy``: how a request is carried to a backend, and how one is chosen."""

# ruff: noqa: RUF009  (the calls are field specifiers of attrs)
from __future__ import annotations

from attrs import frozen

from olla.config.keys import block, key, keys, optional
from olla.config.kinds import (
    DURATION,
    INTEGER,
    NOT_NEGATIVE,
    SIZE,
    TEXT,
    TRUTH,
    at_least,
    at_most,
    between,
    is_glob,
    one_of,
)

KEY_SOURCES = ("session_header", "prefix_hash", "auth_header", "ip", "conversation")
LARGEST_BUFFER = 64 * 1024 * 1024  # as much is set aside for each read
ENGINES = ("olla", "sherpa")


@frozen
class ProfileFilter:
    """Globs of profile names: which kinds of backend exist."""

    include: tuple[str, ...] = keys(TEXT, (), is_glob)
    exclude: tuple[str, ...] = keys(TEXT, (), is_glob)


@frozen
class Retry:
    """
    Whether a request that failed is tried at another endpoint.

    :ivar max_attempts: 0 is each candidate once.
    :ivar on_status_codes: answers of a backend that are no answer yet.
    """

    enabled: bool = key(TRUTH, True)
    on_connection_failure: bool = key(TRUTH, True)
    max_attempts: int = key(INTEGER, 0, NOT_NEGATIVE)
    on_status_codes: tuple[int, ...] = keys(INTEGER, (429, 503), between(400, 599))


@frozen
class Pool:
    """Idle connections to backends.  ``idle_timeout`` is seconds; 0 in a number is no limit."""

    max_idle: int = key(INTEGER, 4096, NOT_NEGATIVE)
    max_idle_per_host: int = key(INTEGER, 1024, NOT_NEGATIVE)
    max_per_host: int = key(INTEGER, 0, NOT_NEGATIVE)
    idle_timeout: float = key(DURATION, 90.0, NOT_NEGATIVE)


@frozen
class CircuitBreaker:
    """When a backend that fails is left alone, and for how many seconds."""

    enabled: bool = key(TRUTH, True)
    failure_threshold: int = key(INTEGER, 5, at_least(1))
    open_duration: float = key(DURATION, 30.0, NOT_NEGATIVE)
    half_open_max: int = key(INTEGER, 1, at_least(1))


@frozen
class Queue:
    """How many requests wait, and how many seconds, for an endpoint that takes no more at once."""

    max_waiting: int = key(INTEGER, 100, NOT_NEGATIVE)
    timeout: float = key(DURATION, 30.0, NOT_NEGATIVE)


@frozen
class StickySessions:
    """
    Whether a session stays with its endpoint.

    :ivar idle_ttl_seconds: 0 or less never expires.
    :ivar max_sessions: 0 is no limit.
    :ivar key_sources: where a session's key is looked for, in order.
    :ivar prefix_hash_bytes: leading bytes of the messages; 0 or less is all of them.
    """

    enabled: bool = key(TRUTH, False, env="OLLA_PROXY_STICKY_SESSIONS_ENABLED")
    idle_ttl_seconds: int = key(INTEGER, 600)
    max_sessions: int = key(INTEGER, 10000, NOT_NEGATIVE)
    key_sources: tuple[str, ...] = keys(TEXT, KEY_SOURCES[:3], one_of(*KEY_SOURCES))
    prefix_hash_bytes: int = key(INTEGER, 512)


@frozen
class OllamaConfig:
    """What only Ollama has: whether pull, push and delete reach a backend that the client names."""

    allow_management: bool = key(TRUTH, False)


@frozen
class ProxyConfig:
    """
    How requests are carried.  Times are seconds, and 0 means the default except where it says none.

    :ivar profile: whether pieces of an answer are written together: ``standard`` always, ``auto``, ``streaming`` never.
    :ivar load_balancer: name of a selector.
    :ivar stream_buffer_size: bytes read from a backend at once; 0 for 8192.
    :ivar response_timeout: from dispatch to the last byte; 0 is none.
    :ivar read_timeout: longest silence between two parts of a body.
    :ivar max_retries: deprecated, has no effect.
    :ivar retry_backoff: deprecated, has no effect.
    """

    engine: str = key(TEXT, "olla", one_of(*ENGINES), env="OLLA_PROXY_ENGINE")
    profile: str = key(TEXT, "auto", one_of("auto", "streaming", "standard"), env="OLLA_PROXY_PROFILE")
    load_balancer: str = key(TEXT, "least-connections", env="OLLA_PROXY_LOAD_BALANCER")
    stream_buffer_size: int = key(SIZE, 0, NOT_NEGATIVE, at_most(LARGEST_BUFFER))
    connection_timeout: float = key(DURATION, 60.0, NOT_NEGATIVE, convert=lambda s: s or 60.0)
    connection_keep_alive: float = key(
        DURATION, 30.0, NOT_NEGATIVE, env="OLLA_PROXY_CONNECTION_KEEP_ALIVE", convert=lambda s: s or 30.0
    )
    response_timeout: float = key(DURATION, 900.0, NOT_NEGATIVE, env="OLLA_PROXY_RESPONSE_TIMEOUT")
    read_timeout: float = key(DURATION, 600.0, NOT_NEGATIVE, env="OLLA_PROXY_READ_TIMEOUT", convert=lambda s: s or 60.0)
    response_header_timeout: float = key(
        DURATION, 30.0, NOT_NEGATIVE, env="OLLA_PROXY_RESPONSE_HEADER_TIMEOUT", convert=lambda s: s or 30.0
    )
    tls_handshake_timeout: float = key(
        DURATION, 10.0, NOT_NEGATIVE, env="OLLA_PROXY_TLS_HANDSHAKE_TIMEOUT", convert=lambda s: s or 10.0
    )
    stream_error_events: bool = key(TRUTH, True)
    forward_client_auth: bool = key(TRUTH, True)
    max_retries: int | None = optional(INTEGER)
    retry_backoff: float | None = optional(DURATION, NOT_NEGATIVE)
    profile_filter: ProfileFilter = block(ProfileFilter)
    retry: Retry = block(Retry)
    pool: Pool = block(Pool)
    circuit_breaker: CircuitBreaker = block(CircuitBreaker)
    queue: Queue = block(Queue)
    sticky_sessions: StickySessions = block(StickySessions)
    ollama: OllamaConfig = block(OllamaConfig)
