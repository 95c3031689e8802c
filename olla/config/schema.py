"""The whole configuration as one tree of frozen values, and the keys of its smaller sections."""

# ruff: noqa: RUF009  (the calls are field specifiers of attrs)
from __future__ import annotations

from collections.abc import Mapping

from attrs import Factory, frozen

from olla.config.endpoints import EndpointBlock, EndpointConfig
from olla.config.keys import block, blocks, key, keys, lists_by_name, optional
from olla.config.kinds import (
    DURATION,
    INTEGER,
    NOT_NEGATIVE,
    NUMBER,
    SIZE,
    TEXT,
    TRUTH,
    Kind,
    at_least,
    between,
    one_of,
)
from olla.config.model_rules import ModelRules
from olla.config.proxy import ProxyConfig
from olla.config.server import ServerConfig
from olla.domain.profile import Profile

LARGEST_MESSAGE = 104857600
DEFAULT_MESSAGE = 10485760
LEVELS = ("debug", "info", "warn", "warning", "error")
ANY_CASE = Kind[str](lambda scalar: scalar.text.lower(), str.lower)


@frozen
class HealthCheck:
    """
    How endpoints are checked.

    :ivar initial_delay: has no effect: the first checks run at once.
    :ivar max_concurrent: checks at once.
    :ivar busy_latency: seconds from which an answer counts as slow; ``None`` is half of ``check_timeout``.
    :ivar warming_successes: good answers that a recovered endpoint needs.
    :ivar jitter: by which part of itself an interval varies.
    """

    initial_delay: float | None = optional(DURATION, NOT_NEGATIVE)
    max_concurrent: int = key(INTEGER, 10, at_least(1))
    busy_latency: float | None = optional(DURATION, NOT_NEGATIVE)
    warming_successes: int = key(INTEGER, 2, at_least(1))
    jitter: float = key(NUMBER, 0.1, between(0, 1))


@frozen
class ModelDiscovery:
    """How models are listed.  Times are seconds."""

    enabled: bool = key(TRUTH, True)
    interval: float = key(DURATION, 300.0, NOT_NEGATIVE)
    timeout: float = key(DURATION, 30.0, NOT_NEGATIVE)
    concurrent_workers: int = key(INTEGER, 5)
    retry_attempts: int = key(INTEGER, 3, NOT_NEGATIVE)
    retry_backoff: float = key(DURATION, 1.0, NOT_NEGATIVE)


@frozen
class StaticBlock:
    """The list of endpoints as written."""

    endpoints: tuple[EndpointBlock, ...] = blocks(
        EndpointBlock, (EndpointBlock(name="localhost", type="ollama", url="http://localhost:11434"),)
    )


@frozen
class StaticConfig:
    """
    The configured endpoints.

    :ivar endpoints: in the order written.
    """

    endpoints: tuple[EndpointConfig, ...] = ()


@frozen
class DiscoveryConfig:
    """
    Which endpoints there are and how we learn about them.

    :ivar refresh_interval: has no effect: configured endpoints have nothing to refresh.
    :ivar list_aliases: whether aliases are listed among the models.
    """

    type: str = key(TEXT, "static", one_of("static"))
    refresh_interval: float = key(DURATION, 30.0, NOT_NEGATIVE)
    list_aliases: bool = key(TRUTH, True)
    health_check: HealthCheck = block(HealthCheck)
    model_discovery: ModelDiscovery = block(ModelDiscovery)
    static: StaticConfig = block(StaticBlock, StaticConfig)


@frozen
class RoutingOptions:
    """What happens to a request for a model that no healthy endpoint has."""

    fallback_behavior: str = key(
        TEXT,
        "compatible_only",
        one_of("compatible_only", "all", "none", ""),
        convert=lambda word: word or "compatible_only",
    )
    discovery_timeout: float = key(DURATION, 2.0, NOT_NEGATIVE, convert=lambda s: s or 2.0)
    discovery_refresh_on_miss: bool = key(TRUTH, False)


@frozen
class RoutingStrategy:
    """How a model's name narrows the endpoints."""

    type: str = key(TEXT, "strict", one_of("strict", "optimistic", "discovery"), lenient=True)
    options: RoutingOptions = block(RoutingOptions)


@frozen
class Unification:
    """
    How long models stay known.  Times are seconds.

    :ivar enabled: another name of ``enable_unifier``, which holds when both are given.
    """

    enabled: bool = key(TRUTH, True)
    stale_threshold: float = key(DURATION, 86400.0, NOT_NEGATIVE)
    cleanup_interval: float = key(DURATION, 600.0, NOT_NEGATIVE)


@frozen
class ModelRegistryConfig:
    """Which models are known and where a request for one goes."""

    type: str = key(
        TEXT, "memory", one_of("memory", ""), env="OLLA_MODEL_REGISTRY_TYPE", convert=lambda w: w or "memory"
    )
    enable_unifier: bool = key(TRUTH, True, env="OLLA_MODEL_UNIFIER_ENABLED")
    unification: Unification = block(Unification)
    routing_strategy: RoutingStrategy = block(RoutingStrategy)


@frozen
class Inspector:
    """
    Writes whole bodies to disk, to look at them.

    :ivar output_dir: folder; relative to the working directory.
    """

    enabled: bool = key(TRUTH, False)
    output_dir: str = key(TEXT, "logs/inspector/anthropic", convert=lambda path: path or "./inspector-logs")
    session_header: str = key(TEXT, "X-Session-ID")


@frozen
class AnthropicConfig:
    """
    The Anthropic Messages API.

    :ivar max_message_size: bytes.
    """

    enabled: bool = key(TRUTH, True, env="OLLA_TRANSLATORS_ANTHROPIC_ENABLED")
    passthrough_enabled: bool = key(TRUTH, True, env="OLLA_TRANSLATORS_ANTHROPIC_PASSTHROUGH_ENABLED")
    max_message_size: int = key(
        SIZE,
        DEFAULT_MESSAGE,
        between(0, LARGEST_MESSAGE),
        env="OLLA_TRANSLATORS_ANTHROPIC_MAX_MESSAGE_SIZE",
        convert=lambda size: size or DEFAULT_MESSAGE,
    )
    inspector: Inspector = block(Inspector)


@frozen
class TranslatorsConfig:
    """The APIs that are translated."""

    anthropic: AnthropicConfig = block(AnthropicConfig)


@frozen
class LoggingConfig:
    """
    What is written, and where.

    :ivar level: ``debug``, ``info``, ``warn`` or ``error``.
    :ivar format: ``json`` or ``text``.
    :ivar output: ``stdout``, or ``file`` for a rotating file beside it.
    """

    level: str = key(
        ANY_CASE,
        "info",
        one_of(*LEVELS),
        env="OLLA_LOGGING_LEVEL",
        lenient=True,
        convert=lambda level: "warn" if level == "warning" else level,
    )
    format: str = key(TEXT, "json", one_of("json", "text"), env="OLLA_LOGGING_FORMAT", lenient=True)
    output: str = key(TEXT, "stdout", one_of("stdout", "file"), lenient=True)


@frozen
class EngineeringConfig:
    """What developers look at: a report on memory at the end."""

    show_nerdstats: bool = key(TRUTH, False, env="OLLA_SHOW_NERD_STATS")


@frozen
class AccessPolicy:
    """
    Who may see the dashboard.

    :ivar allowed_cidrs: networks of the peer.
    :ivar allowed_hosts: names in ``Host``, lower case; addresses always pass.
    """

    allowed_cidrs: tuple[str, ...] = keys(TEXT, ("127.0.0.0/8", "::1/128"))
    allowed_hosts: tuple[str, ...] = keys(ANY_CASE, ("localhost",))


@frozen
class DashboardConfig:
    """The page for people; ``gate_internal_api`` holds ``/internal/*`` and ``/version`` to its policy."""

    enabled: bool = key(TRUTH, True)
    access_policy: AccessPolicy = block(AccessPolicy)
    gate_internal_api: bool = key(TRUTH, False)


@frozen
class ProfilesConfig:
    """
    The kinds of backend.

    :ivar dir: folder of profile files; ``""`` is ``config/profiles``, if it is there.
    :ivar known: every profile in use, the shipped ones, overridden and joined by the folder's.
    :ivar disabled: those that ``proxy.profile_filter`` takes out.
    """

    dir: str = key(TEXT, "")
    known: tuple[Profile, ...] = ()
    disabled: tuple[Profile, ...] = ()


@frozen
class AliasesConfig:
    """Whether an answer names the model as the client did."""

    rewrite_response: bool = key(TRUTH, False)


@frozen
class Config:
    """
    The whole configuration, every value checked and complete.

    :ivar model_aliases: alias and the models that it stands for, in order of preference.
    :ivar model_rules: what ``models.yaml`` says; nothing where there is none.
    """

    server: ServerConfig = block(ServerConfig)
    proxy: ProxyConfig = block(ProxyConfig)
    discovery: DiscoveryConfig = block(DiscoveryConfig)
    model_registry: ModelRegistryConfig = block(ModelRegistryConfig)
    model_aliases: Mapping[str, tuple[str, ...]] = lists_by_name()
    translators: TranslatorsConfig = block(TranslatorsConfig)
    logging: LoggingConfig = block(LoggingConfig)
    engineering: EngineeringConfig = block(EngineeringConfig)
    dashboard: DashboardConfig = block(DashboardConfig)
    profiles: ProfilesConfig = block(ProfilesConfig)
    aliases: AliasesConfig = block(AliasesConfig)
    model_rules: ModelRules = Factory(ModelRules)
