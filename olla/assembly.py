"""
Builds the parts out of the configuration; with ``service.py`` the only place that knows every one of them.

Parts receive numbers and collaborators, never the whole configuration: what each gets is written here.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_network
from typing import Any
from urllib.parse import urlsplit

from attrs import asdict, evolve, fields, has

from olla.balance.affinity import Stickiness
from olla.balance.rules import RESTED, Rules
from olla.config import Config
from olla.config.endpoints import EndpointConfig
from olla.config.schema import StaticConfig
from olla.demo.service import DemoEndpoint
from olla.dialect.measures import Measures
from olla.domain.endpoint import Endpoint, endpoint_id
from olla.domain.profile import Profile
from olla.limits.address import parse
from olla.proxy.cors import Cors
from olla.proxy.failover import RetryRules
from olla.upstream.discovery import DiscoveryRules
from olla.upstream.limits import Patience, Sockets
from olla.web.policy import Policy
from olla.wire.sizes import Sizes

FOR_EVER = 1e9

RELOADED = ("load_balancer", "profile_filter", "forward_client_auth", "response_header_timeout")
"""Keys of ``proxy`` that act through the selector, the profiles and the endpoints alone."""

READ_SIZE = 8192
"""Bytes read at once.  That much of an answer is held for each client that does not read: with 64 KiB, 4,000 slow
readers of fast streams would cost half a gigabyte, and a fast reader gains nothing."""


def with_endpoints(config: Config, endpoints: Sequence[DemoEndpoint]) -> Config:
    """Make a configuration like ``config`` with other endpoints, checked as their profiles say."""
    profiles = profiles_of(config)
    made = []
    for given in endpoints:
        profile = profiles[given.type]
        made.append(
            EndpointConfig(
                name=given.name,
                url=given.url,
                type=given.type,
                profile=profile.name,
                health_check_url=given.url + (profile.health_check_path or "/"),
                model_url=given.url + (profile.model_discovery_path or "/v1/models"),
            )
        )
    discovery = evolve(config.discovery, static=StaticConfig(tuple(made)))
    return evolve(config, discovery=discovery)


def reloaded(running: Config, read: Config) -> Config:
    """
    Give what a reload makes of the running configuration.

    All else needs a restart, also in a worker that takes the place of another: workers must not differ.
    """
    proxy = {name: getattr(read.proxy, name) for name in RELOADED}
    return evolve(
        running,
        server=evolve(running.server, rate_limits=read.server.rate_limits),
        proxy=evolve(running.proxy, **proxy),
        discovery=evolve(running.discovery, static=read.discovery.static),
        model_aliases=read.model_aliases,
        logging=evolve(running.logging, level=read.logging.level),
        profiles=read.profiles,
        model_rules=read.model_rules,
    )


def differing(running: Any, read: Any, path: str = "") -> Iterator[str]:
    """Name the keys in which a configuration, or a block of it, is not what was read; they need a restart."""
    for key in fields(type(running)):
        before, after, inner = getattr(running, key.name), getattr(read, key.name), f"{path}.{key.name}".lstrip(".")
        if before != after:
            yield from differing(before, after, inner) if has(type(before)) else (inner,)


def profiles_of(config: Config) -> dict[str, Profile]:
    """Give the profiles in use by canonical name."""
    return {profile.name: profile for profile in config.profiles.known}


def measures(config: Config) -> dict[str, Measures]:
    """Give what the profiles extract from replies, by canonical name; all of it where the log shows it."""
    detailed = config.logging.level == "debug"
    return {one.name: Measures(one.metrics, detailed) for one in config.profiles.known if one.metrics.enabled}


def disabled_prefixes(config: Config) -> frozenset[str]:
    """Give the prefixes of the profiles that the configuration takes out."""
    return frozenset(prefix for one in config.profiles.disabled for prefix in (one.name, *one.prefixes))


def endpoints_of(config: Config) -> list[Endpoint]:
    """Give the endpoints in configured order; those that share an address get ids that tell them apart."""
    burst = config.server.rate_limits.burst_size
    made = [_endpoint(given, burst) for given in config.discovery.static.endpoints]
    shared: dict[str, list[Endpoint]] = {}
    for endpoint in made:
        shared.setdefault(endpoint.id, []).append(endpoint)
    ids = {}
    for id, those in shared.items():
        for number, endpoint in enumerate(sorted(those, key=lambda one: one.name)):
            ids[endpoint.name] = id if len(those) == 1 else f"{id}-{number}"
    return [evolve(endpoint, id=ids[endpoint.name]) for endpoint in made]


def _endpoint(given: EndpointConfig, burst: int) -> Endpoint:
    """
    Give an endpoint.

    :param burst: how many requests at once a bucket holds that is large enough.
    """
    parts = urlsplit(given.url)
    auth = given.auth
    return Endpoint(
        name=given.name,
        scheme=parts.scheme,
        host=parts.hostname or "",
        port=parts.port or {"http": 80, "https": 443}[parts.scheme],
        base_path=parts.path.rstrip("/"),
        type=given.type or "auto",
        profile=given.profile,
        priority=given.priority,
        preserve_path=given.preserve_path,
        health_url="" if given.profile == "auto" and not given.health_check_given else given.health_check_url,
        model_url=given.model_url,
        check_interval=given.check_interval,
        check_timeout=given.check_timeout,
        head_timeout=given.response_header_timeout,
        head_timeout_given=given.response_header_timeout_given,
        # A profile's own figure is a guess about hardware that nobody has seen: only the operator sets a limit.
        max_concurrent_requests=given.max_concurrent_requests or 0,
        max_queue=given.max_queue,
        requests_per_minute=given.requests_per_minute,
        request_burst=min(given.requests_per_minute, burst),
        forward_client_auth=given.forward_client_auth,
        fields=tuple((one.name.encode(), one.value.reveal().encode()) for one in given.headers),
        credential=(auth.name.encode(), auth.value.reveal().encode()) if auth is not None else None,
        model_include=given.model_filter.include,
        model_exclude=given.model_filter.exclude,
        tls_verify=given.tls.verify,
        tls_ca_file=given.tls.ca_file,
        tags=given.tags,
        id=endpoint_id(given.url),
    )


def fleet_rules(config: Config) -> Rules:
    """Give the numbers of the fleet."""
    breaker, queue, check = config.proxy.circuit_breaker, config.proxy.queue, config.discovery.health_check
    return Rules(
        max_waiting=queue.max_waiting,
        queue_timeout=queue.timeout,
        failure_threshold=breaker.failure_threshold if breaker.enabled else 0,
        open_duration=breaker.open_duration,
        half_open_max=breaker.half_open_max,
        warming_successes=check.warming_successes,
        rested=RESTED.union(config.proxy.retry.on_status_codes),
        busy_latency=check.busy_latency,
    )


def stickiness(config: Config) -> Stickiness:
    """Give how sessions stick."""
    sticky = config.proxy.sticky_sessions
    return Stickiness(sticky.key_sources, sticky.idle_ttl_seconds, sticky.max_sessions, sticky.prefix_hash_bytes)


def patience(config: Config) -> Patience:
    """Give how long we wait for backends."""
    proxy = config.proxy
    return Patience(
        connect=proxy.connection_timeout,
        handshake=proxy.tls_handshake_timeout,
        head=proxy.response_header_timeout,
        silence=proxy.read_timeout,
        total=proxy.response_timeout,
    )


def sockets(config: Config) -> Sockets:
    """Give how connections to backends are set."""
    return Sockets(config.proxy.connection_keep_alive, config.proxy.stream_buffer_size or READ_SIZE)


def kept(config: Config) -> tuple[int, int, float]:
    """Give how many idle connections are kept, in all and for each endpoint, and for how many seconds."""
    pool = config.proxy.pool
    return pool.max_idle or sys.maxsize, pool.max_idle_per_host or sys.maxsize, pool.idle_timeout or FOR_EVER


def retry_rules(config: Config) -> RetryRules:
    """Give when another endpoint is tried."""
    retry = config.proxy.retry
    return RetryRules(
        enabled=retry.enabled,
        on_connection_failure=retry.on_connection_failure,
        max_attempts=retry.max_attempts,
        on_status=frozenset(retry.on_status_codes),
    )


def discovery_rules(config: Config) -> DiscoveryRules:
    """Give how listings are read."""
    models = config.discovery.model_discovery
    return DiscoveryRules(
        models.interval,
        models.timeout,
        models.concurrent_workers,
        max(1, models.retry_attempts),
        models.retry_backoff,
    )


def sizes(config: Config) -> Sizes:
    """Give what clients may send, and how long they may take."""
    server = config.server
    return Sizes(
        head=server.request_limits.max_header_size,
        body=max(0, server.request_limits.max_body_size),
        head_seconds=server.read_header_timeout,
        body_seconds=server.read_timeout,
        idle_seconds=server.idle_timeout or server.read_timeout,
        answer_seconds=server.write_timeout,
    )


def cors(config: Config) -> Cors:
    """Give who may read our answers from within a browser."""
    given = config.server.cors
    return Cors(
        given.enabled,
        given.allowed_origins,
        given.allowed_methods or ("GET", "HEAD", "POST"),
        given.allowed_headers or ("Accept", "Content-Type", "X-Requested-With"),
        given.exposed_headers,
        given.allow_credentials,
        given.max_age,
        given.internal_api,
    )


def policy(config: Config) -> Policy | None:
    """Give who may see the pages for operators; ``None`` for everybody."""
    given = config.dashboard.access_policy
    if not config.dashboard.gate_internal_api:
        return None
    networks = [ip_network(text.strip(), strict=False) for text in given.allowed_cidrs]
    return Policy(networks, frozenset(given.allowed_hosts))


def limiter_settings(config: Config) -> Mapping[str, Any]:
    """Give the block that limiters, a stranger's too, are made from."""
    return asdict(config.server.rate_limits)


def selector_settings(config: Config) -> Mapping[str, Any]:
    """Give the block that selectors, a stranger's too, are made from."""
    return asdict(config.proxy)


class Trusted:
    """Says whether a peer is a proxy whose word on its clients is taken."""

    def __init__(self, config: Config) -> None:
        limits = config.server.rate_limits
        self._networks = (
            [ip_network(text, strict=False) for text in limits.trusted_proxy_cidrs]
            if limits.trust_proxy_headers
            else []
        )

    def __call__(self, peer: str) -> bool:
        """Say so."""
        if not self._networks:
            return False
        address = parse(peer)
        return address is not None and any(address in network for network in self._networks)
