"""
What a reply says about its cost, in whatever dialect, as one value.

What the figures mean is told by their names, not by the endpoint's type: an Ollama server answers ``/v1`` paths in
the words of OpenAI, and llama.cpp adds its timings to either.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from olla.domain.usage import Figure, Usage

IMPOSSIBLE = 1 << 53
"""More than any reply can have cost of anything."""

Number = int | float | None
Fact = int | float | str | None
Facts = dict[str, Fact]


class Details(msgspec.Struct):
    """Tokens of a special kind."""

    cached_tokens: Number = None
    reasoning_tokens: Number = None


class Counts(msgspec.Struct):
    """``usage``, of OpenAI's two APIs and of Anthropic."""

    prompt_tokens: Number = None
    completion_tokens: Number = None
    total_tokens: Number = None
    input_tokens: Number = None
    output_tokens: Number = None
    cache_read_input_tokens: Number = None
    prompt_tokens_details: Details | None = None
    completion_tokens_details: Details | None = None
    input_tokens_details: Details | None = None
    output_tokens_details: Details | None = None


class Timings(msgspec.Struct):
    """``timings`` of llama.cpp, and of LM Studio."""

    prompt_n: Number = None
    prompt_ms: Number = None
    predicted_n: Number = None
    predicted_ms: Number = None
    predicted_per_second: Number = None
    cache_n: Number = None
    total_ms: Number = None


class Metrics(msgspec.Struct):
    """``metrics`` of vLLM, SGLang and others, in milliseconds."""

    time_to_first_token_ms: Number = None
    generation_time_ms: Number = None
    time_to_first_token: Number = None
    total_time: Number = None


class Stats(msgspec.Struct):
    """``stats`` of LM Studio's own API, in seconds."""

    tokens_per_second: Number = None
    time_to_first_token: Number = None
    generation_time: Number = None
    stop_reason: str | None = None


class Choice(msgspec.Struct):
    """One of ``choices``."""

    finish_reason: str | None = None


class Inner(msgspec.Struct):
    """``message`` and ``delta`` of Anthropic's events, ``response`` of OpenAI's."""

    model: str | None = None
    usage: Counts | None = None
    stop_reason: str | None = None


class Reply(msgspec.Struct):
    """What any dialect says of cost, in a whole body, a line or an event."""

    model: str | None = None
    usage: Counts | None = None
    choices: list[Choice] | None = None
    timings: Timings | None = None
    metrics: Metrics | None = None
    stats: Stats | None = None
    finish_reason: str | None = None
    stop_reason: str | None = None
    done_reason: str | None = None
    prompt_eval_count: Number = None
    eval_count: Number = None
    total_duration: Number = None
    load_duration: Number = None
    prompt_eval_duration: Number = None
    eval_duration: Number = None
    message: Inner | str | None = None
    delta: Inner | str | None = None
    response: Inner | str | None = None


def facts(reply: Reply) -> Facts:
    """Name what a document says; ``None`` is the same as not there."""
    found: Facts = {
        "model": reply.model,
        "finish_reason": reply.finish_reason or reply.done_reason or reply.stop_reason,
    }
    if reply.choices:
        found["finish_reason"] = reply.choices[0].finish_reason
    for inner in (reply.response, reply.message, reply.delta):
        if isinstance(inner, Inner):
            found["model"] = found["model"] or inner.model
            found["finish_reason"] = found["finish_reason"] or inner.stop_reason
            found.update(_counted(inner.usage) if inner.usage else {})
    if reply.usage:
        found.update(_counted(reply.usage))
    if reply.total_duration is not None or reply.eval_count is not None:
        found.update(_of_ollama(reply))
    if reply.metrics:
        found.update(_of_metrics(reply.metrics, found.get("output_tokens")))
    if reply.stats:
        found.update(_of_stats(reply.stats, found["finish_reason"]))
    if reply.timings:
        found.update(_of_timings(reply.timings, found))
    return found


def usage_of(found: Facts, others: Mapping[str, Figure] | None = None) -> Usage | None:
    """
    Sum up what was found, and reckon what follows from it; ``None`` for nothing.

    :param found: by names of :class:`Usage`.
    :param others: further figures.
    """
    known = {
        name: fact
        for name, fact in found.items()
        if fact is not None and (type(fact) is str or -1 < fact < IMPOSSIBLE)  # type: ignore[operator]  # else a figure
    }
    if not known:
        return None
    given, made, spent = known.get("input_tokens"), known.get("output_tokens"), known.get("generation_ms")
    if isinstance(given, int) and isinstance(made, int):
        known.setdefault("total_tokens", given + made)
    if isinstance(made, int) and isinstance(spent, (int, float)) and spent > 0:
        known.setdefault("tokens_per_second", made * 1000 / spent)
    if not others:
        return Usage(**known)  # type: ignore[arg-type]  # the names are those of its attributes, and so are the kinds
    further = {name: figure for name, figure in others.items() if _is_possible(figure)}
    return Usage(**known, others=further)  # type: ignore[arg-type]  # the names are those of its attributes, and so are the kinds


def provider_fields(usage: Usage) -> dict[str, str | float]:
    """Give the figures that are known under the names that logs show them by (http-api.md §17.3)."""
    named = {
        "provider_total_ms": usage.total_ms,
        "provider_prompt_tokens": usage.input_tokens,
        "provider_completion_tokens": usage.output_tokens,
        "provider_tokens_per_second": usage.tokens_per_second,
        "provider_model": usage.model,
    }
    return {name: figure for name, figure in named.items() if figure is not None}


def _is_possible(figure: Figure) -> bool:
    """Say whether something may be true: a backend's nonsense would stay in every sum for ever."""
    return isinstance(figure, str) or -IMPOSSIBLE < figure < IMPOSSIBLE


def _whole(figure: Number) -> int | None:
    return None if figure is None else int(figure)


def _divided(figure: Number, by: float) -> float | None:
    return None if figure is None else figure / by


def _counted(counts: Counts) -> Facts:
    given = counts.input_tokens if counts.prompt_tokens is None else counts.prompt_tokens
    made = counts.output_tokens if counts.completion_tokens is None else counts.completion_tokens
    of_given = counts.prompt_tokens_details or counts.input_tokens_details
    of_made = counts.completion_tokens_details or counts.output_tokens_details
    cached = of_given.cached_tokens if of_given else None
    return {
        "input_tokens": _whole(given),
        "output_tokens": _whole(made),
        "total_tokens": _whole(counts.total_tokens),
        "cached_tokens": _whole(counts.cache_read_input_tokens if cached is None else cached),
        "reasoning_tokens": _whole(of_made.reasoning_tokens) if of_made else None,
    }


def _of_ollama(reply: Reply) -> Facts:
    return {
        "input_tokens": _whole(reply.prompt_eval_count),
        "output_tokens": _whole(reply.eval_count),
        "total_ms": _divided(reply.total_duration, 1e6),
        "ttft_ms": _divided(reply.prompt_eval_duration, 1e6),
        "prompt_ms": _divided(reply.prompt_eval_duration, 1e6),
        "generation_ms": _divided(reply.eval_duration, 1e6),
        "model_load_ms": _divided(reply.load_duration, 1e6),
    }


def _of_metrics(metrics: Metrics, made: Fact) -> Facts:
    first, spent, total = metrics.time_to_first_token_ms, metrics.generation_time_ms, metrics.total_time
    return {
        "ttft_ms": metrics.time_to_first_token if first is None else first,
        "generation_ms": spent,
        "total_ms": total,
        "tokens_per_second": made * 1000 / total if isinstance(made, int) and total and spent is None else None,
    }


def _of_stats(stats: Stats, finish_reason: Fact) -> Facts:
    return {
        "tokens_per_second": stats.tokens_per_second,
        "ttft_ms": _divided(stats.time_to_first_token, 1e-3),
        "generation_ms": _divided(stats.generation_time, 1e-3),
        "finish_reason": finish_reason or stats.stop_reason,
    }


def _of_timings(timings: Timings, found: Facts) -> Facts:
    given, made = found.get("input_tokens"), found.get("output_tokens")
    prompt, spent = timings.prompt_ms, timings.predicted_ms
    total = timings.total_ms if prompt is None or spent is None else prompt + spent
    cached = found.get("cached_tokens")
    speed = timings.predicted_per_second
    if not speed and spent and timings.predicted_n is not None:
        speed = timings.predicted_n * 1000 / spent
    return {
        "input_tokens": _whole(timings.prompt_n) if given is None else given,
        "output_tokens": _whole(timings.predicted_n) if made is None else made,
        "cached_tokens": _whole(timings.cache_n) if cached is None else cached,
        "total_ms": total if timings.total_ms is None else timings.total_ms,
        "ttft_ms": prompt,
        "prompt_ms": prompt,
        "generation_ms": spent,
        "tokens_per_second": speed or None,
    }
