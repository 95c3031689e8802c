"""Tests for olla.dialect.listing."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from olla.dialect.listing import READERS, ListingError, parse
from olla.domain.models import ListedModel

CREATED = {"created": 1700000000}
MODIFIED = "2023-11-14T22:13:20+00:00"


def listed(response_format: str, *entries: Any) -> tuple[ListedModel, ...]:
    """Parse entries in the list of that format."""
    key = READERS.get(response_format, READERS["openai"])[0]
    return parse(response_format, json.dumps({"object": "list", key: entries}).encode())


class FormatTests(SynchronousTestCase):
    """Each kind's listing (P16)."""

    def test_ollama(self) -> None:
        """Ollama's tags (P16)."""
        entry = {
            "name": "llama3.1:8b",
            "model": "llama3.1:8b",
            "modified_at": "2024-08-01T12:00:00.5+02:00",
            "size": 4661224676,
            "digest": "abc",
            "description": "d",
            "details": {
                "parent_model": "p",
                "format": "gguf",
                "family": "llama",
                "families": ["llama", "x"],
                "parameter_size": "8.0B",
                "quantization_level": "Q4_0",
            },
        }
        expected = ListedModel(
            "llama3.1:8b",
            size=4661224676,
            digest="abc",
            family="llama",
            families=("llama", "x"),
            format="gguf",
            parameter_size="8.0B",
            quantization="Q4_0",
            parent="p",
            modified="2024-08-01T12:00:00.5+02:00",
            description="d",
        )
        self.assertEqual(listed("ollama", entry), (expected,))

    def test_lmstudio(self) -> None:
        """LM Studio's own listing (P16)."""
        entry = {
            "id": "qwen2-vl-7b",
            "object": "model",
            "type": "vlm",
            "publisher": "mlx-community",
            "arch": "qwen2_vl",
            "compatibility_type": "mlx",
            "quantization": "4bit",
            "state": "not-loaded",
            "max_context_length": 32768,
        }
        expected = ListedModel(
            "qwen2-vl-7b",
            type="vlm",
            family="qwen2_vl",
            families=("qwen2_vl",),
            format="mlx",
            quantization="4bit",
            publisher="mlx-community",
            parent="mlx-community",
            context=32768,
            state="not-loaded",
        )
        for name in ("lmstudio", "lm-studio"):
            self.assertEqual(listed(name, entry), (expected,))

    def test_openai(self) -> None:
        """The common form, also for a format that nobody knows (P16)."""
        entry = {"id": "m", "object": "model", "owned_by": "acme", "max_model_len": 4096, **CREATED}
        expected = ListedModel("m", publisher="acme", context=4096, created=1700000000, modified=MODIFIED)
        self.assertEqual(listed("openai", entry), (expected,))
        self.assertEqual(listed("whatever", entry), (expected,))
        for key in ("context_length", "context_window"):
            self.assertEqual(listed("openai", {"id": "m", key: 99})[0].context, 99)

    def test_owned(self) -> None:
        """A server that owns what it serves is no publisher; some always serve one format (P16)."""
        for response_format, owner, form in (
            ("vllm", "vllm", ""),
            ("sglang", "sglang", ""),
            ("lmdeploy", "lmdeploy", ""),
            ("vllm-mlx", "vllm", "mlx"),
            ("vllm-mlx", "vllm-mlx", "mlx"),
            ("llamacpp", "llamacpp", "gguf"),
            ("docker-model-runner", "docker", "gguf"),
        ):
            own = {"id": "ns/m", "owned_by": owner, "parent": "base", **CREATED}
            expected = ListedModel("ns/m", format=form, parent="base", created=1700000000, modified=MODIFIED)
            self.assertEqual(listed(response_format, own), (expected,))
            self.assertEqual(listed(response_format, {**own, "owned_by": "acme"})[0].publisher, "acme")

    def test_vllm_adapters(self) -> None:
        """An adapter tells what it stands on (profiles.md §4)."""
        (model,) = listed("vllm", {"id": "lora", "root": "/adapters/x", "parent": "base", "max_model_len": 8192})
        self.assertEqual((model.parent, model.context, model.extra), ("base", 8192, (("root", "/adapters/x"),)))

    def test_sglang(self) -> None:
        """What SGLang says of vision is used (profiles.md §4)."""
        told = {"radix_cache_size": 7, "frontend_enabled": True}
        (model,) = listed("sglang", {"id": "m", "supports_vision": True, **told})
        self.assertEqual((model.capabilities, dict(model.extra)), (("vision",), told))
        self.assertEqual(listed("sglang", {"id": "m", "supports_vision": False})[0].capabilities, ())

    def test_llamacpp(self) -> None:
        """llama.cpp's ``meta`` is used and kept, its second list is not (P18, http-api.md §13.3)."""
        kept = {"vocab_type": 2, "n_vocab": 32000, "n_embd": 4096}
        meta = {**kept, "n_ctx_train": 32768, "n_params": 7241732096, "size": 4368438272}
        data = {"models": [{"name": "other"}], "data": [{"id": "m", "meta": meta}]}
        (model,) = parse("llamacpp", json.dumps(data).encode())
        self.assertEqual((model.name, model.format), ("m", "gguf"))
        self.assertEqual((model.context, model.parameters, model.size), (32768, 7241732096, 4368438272))
        self.assertEqual(dict(model.extra), kept)

    def test_lemonade(self) -> None:
        """Recipe and checkpoint tell format and publisher; what is not downloaded has no state (P16, P19)."""
        entry = {
            "id": "m",
            "checkpoint": "amd/x-onnx",
            "recipe": "oga-hybrid",
            "downloaded": True,
            "owned_by": "lemonade",
        }
        expected = ListedModel(
            *("m",),
            publisher="amd",
            format="onnx",
            state="available",
            extra=(("checkpoint", "amd/x-onnx"), ("recipe", "oga-hybrid")),
        )
        self.assertEqual(listed("lemonade", entry), (expected,))
        for recipe, form in (("llamacpp", "gguf"), ("flm", "gguf"), ("other", "")):
            (model,) = listed("lemonade", {**entry, "recipe": recipe, "downloaded": False})
            self.assertEqual((model.format, model.state), (form, ""))


class LenienceTests(SynchronousTestCase):
    """What is put right, dropped, or refused."""

    def test_types(self) -> None:
        """A number as text and a text as number are put right; an unusable name drops its entry (P39)."""
        data = b'{"data":[{"id":"a","created":1.7e9},{"id":"b","max_model_len":"4096"},{"id":5},{"id":"c"}]}'
        models = parse("openai", data)
        self.assertEqual([model.name for model in models], ["a", "b", "5", "c"])
        self.assertEqual((models[0].created, models[1].context), (1700000000, 4096))
        bad: tuple[Any, ...] = ({"id": None}, {"id": True}, {"id": []}, {"id": " "}, {}, 5, None, [])
        self.assertEqual([model.name for model in listed("openai", *bad, {"id": "x"})], ["x"])

    def test_unusable_fields(self) -> None:
        """A field of the wrong type is dropped, and the entry stays (profiles.md §4)."""
        junks: tuple[Any, ...] = ("x", [], {}, None, True, -1, 1e300, "inf", "nan")
        for junk in junks:
            entry = {"id": "m", "created": junk, "max_model_len": junk, "parent": [junk], "owned_by": {}}
            (model,) = listed("openai", entry)
            self.assertEqual((model.name, model.parent, model.publisher), ("m", "", ""))
            self.assertEqual(listed("ollama", {"name": "m", "details": junk, "size": junk})[0].family, "")
            self.assertEqual(listed("llamacpp", {"id": "m", "meta": junk})[0].context, 0)

    def test_impossible_numbers(self) -> None:
        """Numbers that no client could read are dropped, and the entry stays (profiles.md §4)."""
        for lie in (1e300, 10**30, 1 << 53):
            (model,) = listed("sglang", {"id": "m", "created": lie, "max_model_len": lie, "radix_cache_size": lie})
            self.assertEqual((model.name, model.created, model.context, model.extra), ("m", 0, 0, ()))

    def test_keys_in_any_case(self) -> None:
        """Keys compare without case (profiles.md §4)."""
        (model,) = parse("ollama", b'{"Models":[{"NAME":"m","Details":{"Family":"f"}}]}')
        self.assertEqual((model.name, model.family), ("m", "f"))

    def test_empty(self) -> None:
        """An empty body and an empty list are listings without models (P17)."""
        self.assertEqual(parse("openai", b""), ())
        self.assertEqual(parse("openai", b" \n"), ())
        self.assertEqual(parse("vllm", b'{"object":"list","data":[]}'), ())
        self.assertEqual(parse("ollama", b'{"models":null}'), ())

    def test_wrong_shape(self) -> None:
        """A document without its list is an error, not an empty listing (P17)."""
        for response_format, data in (
            ("ollama", b'{"object":"list","data":[]}'),
            ("openai", b'{"models":[]}'),
            ("openai", b'{"data":{}}'),
            ("openai", b"[]"),
            ("openai", b"5"),
            ("openai", b"<html>"),
            ("openai", b'{"data":[}'),
            ("openai", b"\xff\xfe"),
        ):
            self.assertRaises(ListingError, parse, response_format, data)

    def test_bombs(self) -> None:
        """Depth and digits are an error of the listing and of nothing else (R46, R57)."""
        for bomb in (b"[" * 200000 + b"]" * 200000, b'{"a":' * 200000, b"9" * 200000, b"1e999"):
            self.assertRaises(ListingError, parse, "openai", b'{"data":[{"id":"m","x":' + bomb + b"}]}")

    @given(
        st.sampled_from(sorted(READERS)),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(
                        ["data", "models", "id", "name", "details", "meta", "created", "size", "capabilities"]
                    ),
                    inner,
                )
            ),
        ),
    )
    def test_any_document(self, response_format: str, document: Any) -> None:
        """Whatever a backend sends is a listing or a ListingError (R46)."""
        try:
            models = parse(response_format, json.dumps(document).encode())
        except ListingError:
            return
        self.assertTrue(all(model.name for model in models))
