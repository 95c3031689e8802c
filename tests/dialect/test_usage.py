"""Tests for olla.dialect.usage and olla.dialect.costs."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from olla.dialect.costs import provider_fields, usage_of
from olla.dialect.usage import LAST_PIECES, tap_for
from olla.domain.usage import Usage

SSE = b"text/event-stream; charset=utf-8"
NDJSON = b"application/x-ndjson"
JSON = b"application/json; charset=utf-8"

COUNTS = {"prompt_tokens": 30, "completion_tokens": 12, "total_tokens": 42}
OLLAMA = {
    "model": "llama3.1:8b",
    "done": True,
    "done_reason": "stop",
    "message": {"role": "assistant", "content": ""},
    "total_duration": 5_000_000_000,
    "load_duration": 500_000_000,
    "prompt_eval_count": 26,
    "prompt_eval_duration": 150_000_000,
    "eval_count": 100,
    "eval_duration": 2_000_000_000,
}


def read(content_type: bytes, pieces: list[bytes], length: int | None = None) -> Usage | None:
    """Give pieces to a tap, and what it finds."""
    tap = tap_for(content_type, None, length)
    assert tap is not None
    for piece in pieces:
        tap.keep(piece)
    return tap.finish()


def whole(document: Any) -> Usage:
    """Read a whole JSON body in which something is found."""
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    found = read(JSON, [data], len(data))
    assert found is not None
    return found


def event(document: Any) -> bytes:
    """Write an event without a name."""
    return b"data: " + json.dumps(document).encode() + b"\n\n"


def chunk(content: str = "", finish_reason: str | None = None) -> bytes:
    """Write an event of a chat."""
    choices = [{"index": 0, "delta": {"content": content}, "finish_reason": finish_reason}]
    return event({"id": "c", "model": "m", "choices": choices, "usage": None})


OPENAI = [
    *[chunk("token") for _ in range(40)],
    chunk(finish_reason="stop"),
    event({"id": "c", "model": "m", "choices": [], "usage": COUNTS}),
    b"data: [DONE]\n\n",
]


class StreamTests(SynchronousTestCase):
    """Figures at the end of streams."""

    def check_openai(self, found: Usage | None) -> None:
        """Compare with what the stream above says."""
        self.assertEqual(
            found, Usage(model="m", input_tokens=30, output_tokens=12, total_tokens=42, finish_reason="stop")
        )

    def test_openai(self) -> None:
        """An event with usage before ``[DONE]`` gives tokens (B115)."""
        self.check_openai(read(SSE, OPENAI))
        self.check_openai(read(SSE, [b"".join(OPENAI)]))
        self.check_openai(read(SSE, [piece.replace(b"\n", b"\r\n") for piece in OPENAI]))

    @given(st.lists(st.integers(1, 180), min_size=3, max_size=3))
    def test_cut_events(self, cuts: list[int]) -> None:
        """Each of the last three events may come in two pieces."""
        pieces = OPENAI[:-3]
        for piece, cut in zip(OPENAI[-3:], cuts, strict=True):
            pieces += [part for part in (piece[:cut], piece[cut:]) if part]
        self.check_openai(read(SSE, pieces))

    @given(st.lists(st.integers(0, 6000)))
    def test_any_cut(self, cuts: list[int]) -> None:
        """However a stream is cut, what is found is right or missing, never wrong."""
        stream = b"".join(OPENAI)
        places = sorted({0, *(cut for cut in cuts if cut < len(stream)), len(stream)})
        found = read(SSE, [stream[start:stop] for start, stop in pairwise(places)])
        if found is not None:
            self.assertIn(found.output_tokens, (12, None))
            self.assertIn(found.input_tokens, (30, None))

    def test_without_usage(self) -> None:
        """A stream that tells no tokens still tells its model and why it ended."""
        self.assertEqual(read(SSE, OPENAI[:-2] + OPENAI[-1:]), Usage(model="m", finish_reason="stop"))

    def test_nothing_runs_per_token(self) -> None:
        """The tap of a stream is no Python function, and keeps a few pieces only (B118)."""
        for content_type in (SSE, NDJSON):
            tap = tap_for(content_type, None, None)
            assert tap is not None
            self.assertEqual(type(tap.keep).__name__, "builtin_function_or_method")
            for piece in OPENAI:
                tap.keep(piece)
            self.assertEqual(list(tap._pieces), OPENAI[-LAST_PIECES:])

    def test_anthropic(self) -> None:
        """The last ``message_delta`` counts, with what the start said if that is still there."""
        start = {
            "type": "message_start",
            "message": {"model": "claude", "usage": {"input_tokens": 9, "output_tokens": 1}},
        }
        delta = {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn"},
            "usage": {"output_tokens": 15},
        }
        pieces = [
            b"event: message_start\n" + event(start),
            b"event: message_delta\n" + event(delta),
            b"event: message_stop\n" + event({"type": "message_stop"}),
        ]
        self.assertEqual(
            read(SSE, pieces),
            Usage(model="claude", input_tokens=9, output_tokens=15, total_tokens=24, finish_reason="end_turn"),
        )

    def test_anthropic_start(self) -> None:
        """On the Anthropic surface the first event is kept as well, for the cost of the prompt (B115)."""
        start = {
            "type": "message_start",
            "message": {"model": "claude", "usage": {"input_tokens": 9, "output_tokens": 1}},
        }
        delta = {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn"},
            "usage": {"output_tokens": 15},
        }
        first, last = b"event: message_start\n" + event(start), event(delta) + event({"type": "message_stop"})
        for cut in range(len(first)):
            tap = tap_for(SSE, None, None, "anthropic")
            assert tap is not None
            for piece in (first[:cut], first[cut:], *[event({"type": "content_block_delta"})] * 20, last):
                tap.keep(piece)
            self.assertEqual(
                tap.finish(),
                Usage(
                    model="claude",
                    input_tokens=9,
                    output_tokens=15,
                    total_tokens=24,
                    finish_reason="end_turn",
                ),
            )

    def test_responses(self) -> None:
        """``response.completed`` holds the usage, even when its beginning is lost (openai-surface.md §3)."""
        counts = {"input_tokens": 5, "input_tokens_details": {"cached_tokens": 3}, "output_tokens": 7}
        response = {"model": "m", "output": [{"text": 'say "usage": {}' * 9}], "usage": counts}
        last = b"event: response.completed\n" + event({"type": "response.completed", "response": response})
        for pieces in ([last], [last[start : start + 20] for start in range(0, len(last), 20)]):
            found = read(SSE, [b'data: {"delta":"text"}\n\n', *pieces])
            assert found is not None
            self.assertEqual((found.input_tokens, found.output_tokens, found.cached_tokens), (5, 7, 3))

    def test_ollama(self) -> None:
        """The last line of NDJSON tells tokens, durations and speed (B114, P11)."""
        line = {"model": "llama3.1:8b", "message": {"content": "x"}, "done": False}
        pieces = [json.dumps(document).encode() + b"\n" for document in (line, line, OLLAMA)]
        expected = Usage(
            model="llama3.1:8b",
            input_tokens=26,
            output_tokens=100,
            total_tokens=126,
            tokens_per_second=50.0,
            total_ms=5000.0,
            ttft_ms=150.0,
            prompt_ms=150.0,
            generation_ms=2000.0,
            model_load_ms=500.0,
            finish_reason="stop",
        )
        self.assertEqual(read(NDJSON, pieces), expected)
        self.assertEqual(read(NDJSON, [b"".join(pieces)[:-1]]), expected)

    def test_ollama_without_its_beginning(self) -> None:
        """Of a last line longer than what is kept, the figures at its end are found."""
        last = json.dumps(
            {"model": "m", "context": list(range(5000)), **{k: OLLAMA[k] for k in list(OLLAMA)[4:]}}
        ).encode()
        found = read(NDJSON, [last[start : start + 1460] for start in range(0, len(last), 1460)] + [b"\n"])
        assert found is not None
        self.assertEqual((found.output_tokens, found.tokens_per_second), (100, 50.0))


class BodyTests(SynchronousTestCase):
    """Figures in whole bodies."""

    def test_openai(self) -> None:
        """The OpenAI set with its details (profiles.md §3)."""
        counts = {
            **COUNTS,
            "prompt_tokens_details": {"cached_tokens": 8},
            "completion_tokens_details": {"reasoning_tokens": 4},
        }
        document = {"model": "m", "choices": [{"finish_reason": "length", "message": {}}], "usage": counts}
        self.assertEqual(
            whole(document),
            Usage("m", 30, 12, 42, cached_tokens=8, reasoning_tokens=4, finish_reason="length"),
        )

    def test_large(self) -> None:
        """A body of 200 KiB is read whole, with or without a known length (B116)."""
        data = json.dumps({"usage": COUNTS, "data": ["x" * 200_000]}).encode()
        pieces = [data[start : start + 9000] for start in range(0, len(data), 9000)]
        for length in (len(data), None):
            found = read(JSON, pieces, length)
            assert found is not None
            self.assertEqual(found.output_tokens, 12)

    def test_very_large(self) -> None:
        """Of a body above 1 MiB the end is read, and no more is kept than the last 64 KiB and a piece."""
        data = json.dumps({"data": ['"usage":{}' * 120_000], "model": "m", "usage": COUNTS}).encode()
        tap = tap_for(JSON, None, len(data))
        assert tap is not None
        for start in range(0, len(data), 9000):
            tap.keep(data[start : start + 9000])
        self.assertLess(sum(map(len, tap._pieces)), 65536 + 9000)
        self.assertEqual(tap.finish(), Usage("m", 30, 12, 42))

    def test_total(self) -> None:
        """The total is reckoned when it was not given (P14)."""
        self.assertEqual(whole({"usage": {"prompt_tokens": 2, "completion_tokens": 3}}).total_tokens, 5)

    def test_anthropic(self) -> None:
        """Anthropic's own answer."""
        counts = {"input_tokens": 1, "output_tokens": 2, "cache_read_input_tokens": 7}
        found = whole({"model": "c", "stop_reason": "end_turn", "content": [], "usage": counts})
        self.assertEqual(found, Usage("c", 1, 2, 3, cached_tokens=7, finish_reason="end_turn"))

    def test_ollama_in_openai_words(self) -> None:
        """A ``/v1`` reply of an Ollama server is read like any other of that form (profiles.md §8.1)."""
        found = whole({"model": "llama", "choices": [{"finish_reason": "stop"}], "usage": COUNTS})
        self.assertEqual((found.output_tokens, found.finish_reason), (12, "stop"))

    def test_no_duration(self) -> None:
        """A duration of nothing gives no speed and no error (P15)."""
        self.assertIsNone(whole({**OLLAMA, "eval_duration": 0}).tokens_per_second)
        self.assertIsNone(whole({"timings": {"predicted_n": 5, "predicted_ms": 0}, "model": "m"}).tokens_per_second)

    def test_timings(self) -> None:
        """llama.cpp tells its speed, or what it follows from (P12)."""
        timings = {"prompt_n": 4, "prompt_ms": 20.0, "predicted_n": 50, "predicted_ms": 1000.0, "cache_n": 2}
        found = whole({"timings": {**timings, "predicted_per_second": 33.3}})
        self.assertEqual(found.tokens_per_second, 33.3)
        found = whole({"timings": timings, "usage": COUNTS})
        self.assertEqual((found.tokens_per_second, found.total_ms, found.ttft_ms), (50.0, 1020.0, 20.0))
        self.assertEqual((found.input_tokens, found.output_tokens, found.cached_tokens), (30, 12, 2))
        found = whole({"content": "x", "timings": timings})
        self.assertEqual((found.input_tokens, found.output_tokens), (4, 50))

    def test_metrics(self) -> None:
        """vLLM and others tell the time to the first token (P13)."""
        found = whole({"usage": COUNTS, "metrics": {"time_to_first_token_ms": 42, "generation_time_ms": 600}})
        self.assertEqual((found.ttft_ms, found.generation_ms, found.tokens_per_second), (42, 600, 20.0))
        found = whole({"usage": COUNTS, "metrics": {"time_to_first_token": 7, "total_time": 1200}})
        self.assertEqual((found.ttft_ms, found.total_ms, found.tokens_per_second), (7, 1200, 10.0))

    def test_lm_studio(self) -> None:
        """LM Studio's own API tells seconds."""
        stats = {
            "tokens_per_second": 51.4,
            "time_to_first_token": 0.111,
            "generation_time": 0.954,
            "stop_reason": "eos",
        }
        found = whole({"usage": COUNTS, "stats": stats})
        self.assertEqual((found.tokens_per_second, found.finish_reason), (51.4, "eos"))
        self.assertAlmostEqual(found.ttft_ms or 0, 111)
        self.assertAlmostEqual(found.generation_ms or 0, 954)

    @given(st.binary(max_size=200))
    def test_malformed(self, data: bytes) -> None:
        """Malformed bodies say nothing and are no error (B117)."""
        for content_type in (JSON, SSE, NDJSON):
            for junk in (data, b'{"usage":' + data, b'data: {"usage":{"prompt_tokens":' + data):
                read(content_type, [junk], len(junk))

    def test_impossible_figures(self) -> None:
        """Figures of another type or beyond all measure say nothing and are no error (B117, R57)."""
        for figure in (b'"x"', b"[]", b"1" + b"0" * 400, b"1" + b"0" * 5000, b"1e999", b"[" * 100000):
            for key in (b"eval_duration", b"usage", b"timings"):
                data = b'{"eval_count":1,"%s":%s}' % (key, figure)
                read(JSON, [data], len(data))

    def test_lies(self) -> None:
        """Counts below nought, or beyond all measure, are left out, and what is right stays (B117, R57)."""
        for lie in (-1, 1 << 53, 10**30, 1e300, -1e300):
            self.assertIsNone(whole({"model": "m", "usage": {"prompt_tokens": lie}}).input_tokens)
            usage = whole({"usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": lie}})
            self.assertEqual((usage.input_tokens, usage.output_tokens, usage.total_tokens), (3, 4, 7))
        known = usage_of({"input_tokens": 3}, {"a": 10**30, "b": -5, "c": "x", "d": True})
        assert known is not None
        self.assertEqual(known.others, {"b": -5, "c": "x", "d": True})

    def test_not_read(self) -> None:
        """Compressed bodies and those of other types have no tap (B117)."""
        self.assertIsNone(tap_for(SSE, b"gzip", None))
        self.assertIsNone(tap_for(b"audio/mpeg", None, 10))
        self.assertIsNone(tap_for(None, None, 10))

    def test_provider_fields(self) -> None:
        """The five names that logs show, without those that are not known (C124)."""
        self.assertEqual(
            provider_fields(whole(OLLAMA)),
            {
                "provider_total_ms": 5000.0,
                "provider_prompt_tokens": 26,
                "provider_completion_tokens": 100,
                "provider_tokens_per_second": 50.0,
                "provider_model": "llama3.1:8b",
            },
        )
        self.assertEqual(provider_fields(Usage()), {})
