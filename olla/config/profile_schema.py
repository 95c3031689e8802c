"""The keys of a profile file, and the profile that they make (profiles.md §1)."""

# ruff: noqa: RUF009  (the calls are field specifiers of attrs)
from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

import attrs
from attrs import frozen

from olla.config import units
from olla.config.keys import block, blocks, key, keys, lists_by_name, optional_block, texts_by_name, values_by_name
from olla.config.kinds import DURATION, INTEGER, NOT_NEGATIVE, NUMBER, TEXT, TRUTH, Kind, one_of
from olla.domain.formula import Formula
from olla.domain.json_path import JsonPath
from olla.domain.profile import (
    AnthropicSupport,
    ConcurrencyLimit,
    Detection,
    MetricsExtraction,
    ModelSize,
    Pairs,
    Profile,
    Resources,
    Translation,
)

T = TypeVar("T")
MS = 1000.0
TRUTH_IN_QUOTES = Kind[bool](lambda scalar: units.truth(scalar.text), units.variable_truth)
IGNORED = (  # what published profile files carry and nothing reads
    "version",
    "home",
    "features",
    "deployment",
    "olla_integration",
    "path_indices",
    "performance",
    "security",
    "api.metrics_path",
    "api.props_path",
    "api.slots_path",
    "api.stats_path",
    "api.anthropic_support.min_version",
    "characteristics.auth",
    "characteristics.single_model_server",
    "characteristics.streaming_support",
    "detection.response_headers",
    "detection.response_patterns",
    "detection.server_signatures",
    "metrics.extraction.format",
    "metrics.extraction.headers",
    "metrics.extraction.source",
    "models.name_format",
    "models.provider_prefixes",
    "request.model_field_paths",
    "request.parsing_rules",
    "resources.model_sizes.max_concurrent",
    "resources.model_sizes.notes",
    "resources.slot_configuration",
    "resources.timeout_scaling.per_token_timeout_ms",
)


@frozen
class RoutingBlock:
    """``routing``."""

    prefixes: tuple[str, ...] = keys(TEXT, ())


@frozen
class AnthropicBlock:
    """``api.anthropic_support``."""

    enabled: bool = key(TRUTH, False)
    messages_path: str = key(TEXT, "/v1/messages")
    token_count: bool = key(TRUTH, False)
    limitations: tuple[str, ...] = keys(TEXT, ())


@frozen
class TranslationBlock:
    """``api.translation``."""

    max_tokens_param: str = key(TEXT, "max_tokens", one_of("max_tokens", "max_completion_tokens"))
    stream_options: bool = key(TRUTH, True)
    top_k: bool = key(TRUTH, True)
    reasoning_effort: bool = key(TRUTH, True)
    effort_max: str = key(TEXT, "high", one_of("low", "medium", "high", "xhigh", "max"))
    thinking_toggle: str = key(TEXT, "none", one_of("none", "chat_template_kwargs"))
    reasoning_history: str = key(TEXT, "none", one_of("none", "reasoning_content", "reasoning", "thinking_blocks"))
    tool_name_max: int = key(INTEGER, 64, NOT_NEGATIVE)
    user_max_len: int = key(INTEGER, 64, NOT_NEGATIVE)
    tool_result_images: str = key(TEXT, "user_message", one_of("user_message", "tool_parts"))
    cache_control: bool = key(TRUTH, False)
    mid_system: bool = key(TRUTH, False)
    prefill: str = key(TEXT, "none", one_of("none", "continue_final_message"))
    server_tools: str = key(TEXT, "drop", one_of("drop", "web_search_options"))
    service_tier: bool = key(TRUTH, False)
    think_tags: str = key(TEXT, "off", one_of("off", "leading"))


@frozen
class ApiBlock:
    """
    ``api``.

    :ivar path_rewrites: beginning of a path and what takes its place.
    :ivar listings: further listing paths under the prefix, and the format of each.
    """

    openai_compatible: bool = key(TRUTH, False)
    paths: tuple[str, ...] = keys(TEXT, ())
    model_discovery_path: str = key(TEXT, "/v1/models")
    health_check_path: str = key(TEXT, "/")
    anthropic_support: AnthropicBlock | None = optional_block(AnthropicBlock)
    path_rewrites: Mapping[str, str] = texts_by_name()
    listings: Mapping[str, str] = texts_by_name()
    translation: TranslationBlock = block(TranslationBlock)


@frozen
class RequestBlock:
    """``request``."""

    response_format: str = key(TEXT, "openai")


@frozen
class CharacteristicsBlock:
    """``characteristics``."""

    timeout: float = key(DURATION, 120.0, NOT_NEGATIVE, convert=lambda seconds: seconds or 120.0)
    max_concurrent_requests: int = key(INTEGER, 10, NOT_NEGATIVE, convert=lambda count: count or 10)
    default_priority: int = key(INTEGER, 100, NOT_NEGATIVE, convert=lambda priority: priority or 100)


@frozen
class DetectionBlock:
    """``detection``."""

    headers: tuple[str, ...] = keys(TEXT, ())
    user_agent_patterns: tuple[str, ...] = keys(TEXT, ())
    path_indicators: tuple[str, ...] = keys(TEXT, ())
    default_ports: tuple[int, ...] = keys(INTEGER, ())


@frozen
class ContextBlock:
    """One row of ``models.context_patterns``."""

    pattern: str = key(TEXT, "")
    context: int = key(INTEGER, 0, NOT_NEGATIVE)


@frozen
class ModelsBlock:
    """``models``."""

    capability_patterns: Mapping[str, tuple[str, ...]] = lists_by_name()
    context_patterns: tuple[ContextBlock, ...] = blocks(ContextBlock)


@frozen
class NeedsBlock:
    """One row of ``resources.model_sizes``, or ``resources.defaults``."""

    patterns: tuple[str, ...] = keys(TEXT, ())
    min_memory_gb: float = key(NUMBER, 0.0, NOT_NEGATIVE)
    recommended_memory_gb: float = key(NUMBER, 0.0, NOT_NEGATIVE)
    min_gpu_memory_gb: float = key(NUMBER, 0.0, NOT_NEGATIVE)
    requires_gpu: bool = key(TRUTH, False)
    estimated_load_time_ms: float = key(NUMBER, 0.0, NOT_NEGATIVE)

    def value(self) -> ModelSize:
        """Return the row with its time in seconds."""
        memory = self.min_memory_gb, self.recommended_memory_gb, self.min_gpu_memory_gb
        return ModelSize(self.patterns, *memory, load_time=self.estimated_load_time_ms / MS)


@frozen
class ConcurrencyBlock:
    """One row of ``resources.concurrency_limits``."""

    min_memory_gb: float = key(NUMBER, 0.0, NOT_NEGATIVE)
    max_concurrent: int = key(INTEGER, 0, NOT_NEGATIVE)


@frozen
class QuantizationBlock:
    """``resources.quantization``."""

    multipliers: Mapping[str, float] = values_by_name(NUMBER, 1.0)


@frozen
class TimeoutBlock:
    """``resources.timeout_scaling``."""

    base_timeout_seconds: float = key(NUMBER, 0.0, NOT_NEGATIVE)
    load_time_buffer: bool = key(TRUTH, False)


@frozen
class ResourcesBlock:
    """``resources``."""

    model_sizes: tuple[NeedsBlock, ...] = blocks(NeedsBlock)
    quantization: QuantizationBlock = block(QuantizationBlock)
    defaults: NeedsBlock = block(NeedsBlock)
    concurrency_limits: tuple[ConcurrencyBlock, ...] = blocks(ConcurrencyBlock)
    timeout_scaling: TimeoutBlock = block(TimeoutBlock)

    def value(self) -> Resources:
        """Return the resources, the longest tags and the largest needs first."""
        tags = sorted(self.quantization.multipliers.items(), key=lambda pair: (-len(pair[0]), pair[0]))
        limits = sorted(self.concurrency_limits, key=lambda row: -row.min_memory_gb)
        return Resources(
            model_sizes=tuple(row.value() for row in self.model_sizes),
            default=self.defaults.value(),
            quantization=tuple(tags),
            requires_gpu=self.defaults.requires_gpu,
            concurrency_limits=tuple(ConcurrencyLimit(r.min_memory_gb, r.max_concurrent) for r in limits),
            base_timeout=self.timeout_scaling.base_timeout_seconds,
            adds_load_time=self.timeout_scaling.load_time_buffer,
        )


@frozen
class ExtractionBlock:
    """``metrics.extraction``."""

    enabled: bool = key(TRUTH_IN_QUOTES, False)
    paths: Mapping[str, str] = texts_by_name()
    calculations: Mapping[str, str] = texts_by_name()

    def broken(self) -> Sequence[tuple[str, str]]:
        """Give the path of each key here that cannot be used, and why."""
        said: list[tuple[str, str]] = []
        known = dict(_parsed(JsonPath.parse, "paths", self.paths, said))
        for name, formula in _parsed(Formula.parse, "calculations", self.calculations, said):
            unknown = sorted(formula.names - set(known))
            if unknown:
                said.append((f"calculations.{name}", f"uses {unknown[0]}, which no path extracts"))
        return said

    def value(self) -> MetricsExtraction:
        """Return what can be extracted; what cannot be is left out."""
        paths = tuple(_parsed(JsonPath.parse, "paths", self.paths, []))
        known = {name for name, _ in paths}
        formulas = _parsed(Formula.parse, "calculations", self.calculations, [])
        return MetricsExtraction(self.enabled, paths, tuple(pair for pair in formulas if pair[1].names <= known))


@frozen
class MetricsBlock:
    """``metrics``."""

    extraction: ExtractionBlock = block(ExtractionBlock)


@frozen
class ProfileBlock:
    """A whole profile file."""

    name: str = key(TEXT, "")
    display_name: str = key(TEXT, "")
    description: str = key(TEXT, "")
    routing: RoutingBlock = block(RoutingBlock)
    api: ApiBlock = block(ApiBlock)
    request: RequestBlock = block(RequestBlock)
    characteristics: CharacteristicsBlock = block(CharacteristicsBlock)
    detection: DetectionBlock = block(DetectionBlock)
    models: ModelsBlock = block(ModelsBlock)
    resources: ResourcesBlock = block(ResourcesBlock)
    metrics: MetricsBlock = block(MetricsBlock)

    def value(self) -> Profile:
        """Return the profile."""
        api, models, hints = self.api, self.models, self.detection
        return Profile(
            name=normalised(self.name),
            display_name=self.display_name or self.name,
            description=self.description,
            prefixes=self.routing.prefixes,
            openai_compatible=api.openai_compatible,
            paths=api.paths,
            model_discovery_path=api.model_discovery_path or "/v1/models",
            health_check_path=api.health_check_path or "/",
            anthropic=_anthropic(api.anthropic_support),
            response_format=self.request.response_format or "openai",
            timeout=self.characteristics.timeout,
            max_concurrent_requests=self.characteristics.max_concurrent_requests,
            default_priority=self.characteristics.default_priority,
            capability_patterns=tuple(models.capability_patterns.items()),
            context_patterns=tuple((row.pattern, row.context) for row in models.context_patterns),
            detection=Detection(hints.headers, hints.user_agent_patterns, hints.path_indicators, hints.default_ports),
            resources=self.resources.value(),
            path_rewrites=tuple(api.path_rewrites.items()),
            listing_paths=self._listings(),
            metrics=self.metrics.extraction.value(),
            translation=Translation(**attrs.asdict(api.translation)),
        )

    def _listings(self) -> Pairs:
        listings = {"/v1/models": "openai"} if self.api.openai_compatible else {}
        listings.setdefault(self.api.model_discovery_path, self.request.response_format)
        return tuple({**listings, **self.api.listings}.items())


def _anthropic(written: AnthropicBlock | None) -> AnthropicSupport | None:
    if written is None or not written.enabled:
        return None
    return AnthropicSupport(written.messages_path or "/v1/messages", written.token_count, written.limitations)


def _parsed(
    parse: Callable[[str], T], key: str, written: Mapping[str, str], broken: list[tuple[str, str]]
) -> Iterator[tuple[str, T]]:
    for name, text in written.items():
        try:
            yield name, parse(text)
        except ValueError as error:
            broken.append((f"{key}.{name}", str(error)))


def normalised(name: str) -> str:
    """Return a type, a name or a prefix in the one spelling that all of them are compared in."""
    return name.strip().lower().replace("_", "-")
