"""Tests of olla.dialect.measures."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from olla.config.profiles import load_profiles
from olla.dialect.measures import Measures
from olla.dialect.usage import Tap, tap_for
from olla.domain.formula import Formula
from olla.domain.json_path import JsonPath
from olla.domain.profile import MetricsExtraction
from olla.domain.usage import Usage

JSON, SSE, NDJSON = b"application/json", b"text/event-stream", b"application/x-ndjson"
OLLAMA = {
    "model": "m",
    "done": True,
    "done_reason": "stop",
    "prompt_eval_count": 26,
    "eval_count": 100,
    "total_duration": 5_000_000_000,
    "load_duration": 500_000_000,
    "prompt_eval_duration": 150_000_000,
    "eval_duration": 2_000_000_000,
}
OPENAI = {
    "model": "m",
    "choices": [{"finish_reason": "stop"}],
    "usage": {
        "prompt_tokens": 30,
        "completion_tokens": 50,
        "total_tokens": 80,
        "prompt_tokens_details": {"cached_tokens": 8},
        "completion_tokens_details": {"reasoning_tokens": 3},
    },
}
TIMINGS = {"prompt_n": 22, "prompt_ms": 42.0, "predicted_n": 50, "predicted_ms": 1000.0, "cache_n": 8}
METRICS = {"time_to_first_token_ms": 42.0, "generation_time_ms": 1000.0, "radix_cache_hit_rate": 0.5}
OWN = {
    "paths": {"input_tokens": "$.cost.in", "output_tokens": "$.cost.out", "spent": "$.cost.ms", "host": "$.host"},
    "calculations": {"tokens_per_second": "spent > 0 ? output_tokens * 1000 / spent : null", "dear": "spent > 10"},
}
DEAR = {"host": "h1", "cost": {"in": 3, "out": 20.0, "ms": 400}}


def extraction(paths: dict[str, str], calculations: dict[str, str]) -> MetricsExtraction:
    """Make what a profile of one's own extracts."""
    return MetricsExtraction(
        True,
        tuple((name, JsonPath.parse(text)) for name, text in paths.items()),
        tuple((name, Formula.parse(text)) for name, text in calculations.items()),
        usual=False,
    )


def filled(kind: bytes, *pieces: bytes) -> Tap:
    """Give a tap these pieces."""
    tap = tap_for(kind, None, sum(map(len, pieces)) if kind == JSON else None)
    assert tap is not None
    for piece in pieces:
        tap.keep(piece)
    return tap


def dumped(document: Any) -> bytes:
    """Write JSON."""
    return json.dumps(document).encode()


class OwnTests(SynchronousTestCase):
    """A profile that extracts what nobody else does."""

    def setUp(self) -> None:
        self.measures = Measures(extraction(**OWN), detailed=True)

    def usage(self, kind: bytes, *pieces: bytes) -> Usage:
        """Read a body."""
        usage = filled(kind, *pieces).finish(self.measures)
        assert usage is not None
        return usage

    def test_whole(self) -> None:
        """Paths and formulas of the profile give its figures, and totals follow (P14, profiles.md §3)."""
        usage = self.usage(JSON, dumped(DEAR))
        spared = {"spent": 400, "host": "h1", "dear": True}
        self.assertEqual(
            usage, Usage(input_tokens=3, output_tokens=20, total_tokens=23, tokens_per_second=50.0, others=spared)
        )

    def test_streams(self) -> None:
        """In streams the last line, or the last event that has a figure, counts (profiles.md §3)."""
        late = b"data: " + dumped({"host": "h2"}) + b"\n\n"
        usage = self.usage(SSE, b"data: " + dumped(DEAR) + b"\n\n", late, b"data: [DONE]\n\n")
        self.assertEqual((usage.input_tokens, usage.others["host"]), (3, "h2"))
        usage = self.usage(NDJSON, dumped({"cost": {"in": 1}}) + b"\n", dumped(DEAR) + b"\n")
        self.assertEqual(usage.input_tokens, 3)

    def test_beside_the_usual(self) -> None:
        """What the profile does not find is found by its usual name, and what it finds has precedence."""
        usage = self.usage(JSON, dumped({**OPENAI, **DEAR}))
        self.assertEqual((usage.input_tokens, usage.model, usage.finish_reason), (3, "m", "stop"))

    def test_failures(self) -> None:
        """A figure that cannot be calculated, or is of another kind, is left out alone (P15)."""
        usage = self.usage(JSON, dumped({"host": ["x"], "cost": {"in": "many", "out": 20, "ms": 0}}))
        self.assertEqual(usage, Usage(output_tokens=20, others={"spent": 0, "dear": False}))
        huge = self.usage(JSON, b'{"cost": {"in": 5, "out": 1' + b"0" * 400 + b', "ms": 1}}')
        self.assertEqual((huge.input_tokens, huge.output_tokens), (5, None))

    def test_unreadable(self) -> None:
        """A body that is no JSON gives nothing."""
        self.assertIsNone(filled(JSON, b"{").finish(self.measures))


class ShippedTests(SynchronousTestCase):
    """The shipped profiles."""

    def test_usual(self) -> None:
        """What the shipped profiles extract is found by the usual names as well, to the last figure (P11, P12, P13)."""
        replies = [OLLAMA, OPENAI, {**OPENAI, "timings": TIMINGS}, {**OPENAI, "metrics": METRICS}]
        replies.append({**OPENAI, "timings": {**TIMINGS, "predicted_per_second": 33.3, "total_ms": 1042.0}})
        for profile in load_profiles(None).profiles:
            measures = Measures(profile.metrics, detailed=True)
            self.assertTrue(measures.usual)
            for reply in replies:
                measured = measures.facts([dumped(reply)])
                usage = filled(JSON, dumped(reply)).finish(measures)
                found = {name: getattr(usage, name) for name in measured}
                self.assertEqual(found, measured, (profile.name, reply))
        ollama = next(p for p in load_profiles(None).profiles if p.name == "ollama")
        facts = Measures(ollama.metrics, detailed=False).facts([dumped(OLLAMA)])
        self.assertEqual((facts["tokens_per_second"], facts["ttft_ms"], facts["model_load_ms"]), (50.0, 150.0, 500.0))

    def test_others(self) -> None:
        """What is no figure of usage is read only where somebody wants it (http-api.md §17.3)."""
        sglang = next(p for p in load_profiles(None).profiles if p.name == "sglang")
        tap = filled(JSON, dumped({**OPENAI, "metrics": METRICS}))
        usage, plain = tap.finish(Measures(sglang.metrics, detailed=True)), tap.finish(Measures(sglang.metrics, False))
        assert usage is not None and plain is not None
        self.assertEqual(usage.others, {"radix_cache_hit_rate": 0.5, "is_complete": True, "generation_time_ms": 1000.0})
        self.assertEqual(plain.others, {})
