"""What a kind of backend can do: its paths, how it lists models, what it measures, what it tolerates."""

from __future__ import annotations

import re

from attrs import Factory, frozen

from olla.domain.formula import Formula
from olla.domain.json_path import JsonPath

Pairs = tuple[tuple[str, str], ...]


@frozen
class AnthropicSupport:
    """
    How a backend answers the Anthropic Messages API by itself.

    :ivar messages_path: where it takes messages.
    :ivar token_count: whether it also counts tokens.
    :ivar limitations: what it cannot do: ``no_tool_use``, ``no_vision``, ``no_extended_thinking``;
        other words inform only.
    """

    messages_path: str = "/v1/messages"
    token_count: bool = False
    limitations: tuple[str, ...] = ()


@frozen
class Translation:
    """
    Which OpenAI parameters the translator from Anthropic may use with a backend.

    The defaults are what an unknown OpenAI-compatible server tolerates.

    :ivar max_tokens_param: ``max_tokens`` or ``max_completion_tokens``.
    :ivar effort_max: the highest effort sent: ``low``, ``medium``, ``high``, ``xhigh``, ``max``.
    :ivar thinking_toggle: ``none`` or ``chat_template_kwargs``.
    :ivar reasoning_history: ``none``, ``reasoning_content``, ``reasoning`` or ``thinking_blocks``.
    :ivar tool_name_max: characters; 0 is no limit.
    :ivar user_max_len: characters of the longest ``user`` value.
    :ivar tool_result_images: ``user_message`` or ``tool_parts``.
    :ivar prefill: ``none`` or ``continue_final_message``.
    :ivar server_tools: ``drop`` or ``web_search_options``.
    :ivar think_tags: ``off`` or ``leading``.
    """

    max_tokens_param: str = "max_tokens"
    stream_options: bool = True
    top_k: bool = True
    reasoning_effort: bool = True
    effort_max: str = "high"
    thinking_toggle: str = "none"
    reasoning_history: str = "none"
    tool_name_max: int = 64
    user_max_len: int = 64
    tool_result_images: str = "user_message"
    cache_control: bool = False
    mid_system: bool = False
    prefill: str = "none"
    server_tools: str = "drop"
    service_tier: bool = False
    think_tags: str = "off"


@frozen
class Detection:
    """
    What gives a backend of this kind away when its type is not configured.

    :ivar headers: names of response headers, or ``Name: text`` with a text that their value contains.
    :ivar user_agents: beginnings of what it calls itself.
    :ivar paths: paths that it answers.
    :ivar ports: where it usually listens.
    """

    headers: tuple[str, ...] = ()
    user_agents: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()


@frozen
class ModelSize:
    """
    What models of one size need.

    :ivar tokens: parts of a name that tell the size, such as ``70b``; empty for the default row.
    :ivar load_time: seconds until the model answers.
    """

    tokens: tuple[str, ...] = ()
    min_memory_gb: float = 0.0
    recommended_memory_gb: float = 0.0
    min_gpu_memory_gb: float = 0.0
    load_time: float = 0.0


@frozen
class ConcurrencyLimit:
    """At most ``max_concurrent`` requests for a model that needs ``min_memory_gb`` or more."""

    min_memory_gb: float
    max_concurrent: int


@frozen
class Resources:
    """
    What models need on this kind of backend, estimated from their names.

    :ivar model_sizes: first row with a matching token holds.
    :ivar default: the needs of a model whose size is unknown.
    :ivar quantization: tag and factor on the memory, longest tag first.
    :ivar concurrency_limits: from much memory to little; the first row that the need reaches holds.
    :ivar base_timeout: seconds for a request, before the time to load; ``0.0`` when not given.
    :ivar adds_load_time: whether the time to load is added to it.
    """

    model_sizes: tuple[ModelSize, ...] = ()
    default: ModelSize = ModelSize()
    quantization: tuple[tuple[str, float], ...] = ()
    requires_gpu: bool = False
    concurrency_limits: tuple[ConcurrencyLimit, ...] = ()
    base_timeout: float = 0.0
    adds_load_time: bool = False

    def load_time(self, model: str) -> float:
        """
        Estimate the seconds until a model answers that has to be loaded first.

        :param model: its name; a size counts where letters and digits end: ``7b`` is in ``llama-7b``, not in ``17b``.
        """
        parts = set(re.findall(r"[a-z0-9]+(?:\.[0-9]+[a-z]+)?", model.lower()))
        rows = (row for row in self.model_sizes if not parts.isdisjoint(row.tokens))
        return next(rows, self.default).load_time


@frozen
class MetricsExtraction:
    """
    Where a reply tells what it cost.

    :ivar paths: names, and where each stands.
    :ivar calculations: names, and formulas over the names in ``paths``.
    :ivar usual: whether it says nothing of usage that is not found by the usual names of figures as well.
    """

    enabled: bool = False
    paths: tuple[tuple[str, JsonPath], ...] = ()
    calculations: tuple[tuple[str, Formula], ...] = ()
    usual: bool = True


@frozen
class Profile:
    """
    One kind of backend.

    :ivar name: canonical: lower case, words joined with ``-``.
    :ivar prefixes: URL segments under ``/olla/`` that lead to this kind, as they are registered.
    :ivar paths: paths that it serves, exact; empty: it is used only where nothing else matches.
    :ivar model_discovery_path: where its models are listed.
    :ivar health_check_path: what is asked to learn whether it lives.
    :ivar anthropic: ``None`` when it speaks no Anthropic by itself.
    :ivar response_format: the parser of its listing: ``openai``, ``ollama``, ``lmstudio``, ``vllm`` …
    :ivar timeout: seconds it may take to begin its answer, with a model that is loaded.
    :ivar max_concurrent_requests: how many it takes at once, unless the endpoint says otherwise.
    :ivar default_priority: of an endpoint that gives none.
    :ivar capability_patterns: capability and the globs of model names that have it, any case.
    :ivar context_patterns: glob and tokens of context; the first that matches holds.
    :ivar path_rewrites: beginnings of a path and what takes their place, first match, only for a path
        not in ``paths``.
    :ivar listing_paths: paths under a prefix that the proxy answers itself, and the format of each.
    """

    name: str
    display_name: str = ""
    description: str = ""
    prefixes: tuple[str, ...] = ()
    openai_compatible: bool = False
    paths: tuple[str, ...] = ()
    model_discovery_path: str = "/v1/models"
    health_check_path: str = "/"
    anthropic: AnthropicSupport | None = None
    response_format: str = "openai"
    timeout: float = 120.0
    max_concurrent_requests: int = 10
    default_priority: int = 100
    capability_patterns: tuple[tuple[str, tuple[str, ...]], ...] = ()
    context_patterns: tuple[tuple[str, int], ...] = ()
    detection: Detection = Factory(Detection)
    resources: Resources = Factory(Resources)
    path_rewrites: Pairs = ()
    listing_paths: Pairs = ()
    metrics: MetricsExtraction = Factory(MetricsExtraction)
    translation: Translation = Factory(Translation)

    def patience(self, model: str) -> float:
        """Give the seconds until it begins its answer: the time-out, or more where it may have to load ``model``."""
        resources = self.resources
        if not resources.adds_load_time:
            return self.timeout
        return max(self.timeout, (resources.base_timeout or self.timeout) + resources.load_time(model))
