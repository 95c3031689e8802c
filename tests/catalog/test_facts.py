"""Tests of what is read off a listing and a name."""

from __future__ import annotations

import re

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from olla.catalog.facts import FactReader, Facts, merged, parameters
from olla.catalog.rules import Rules
from olla.domain.models import ListedModel
from tests.catalog.making import reader


class FamilyTests(SynchronousTestCase):
    """Family and variant."""

    def setUp(self) -> None:
        self.reader = reader()

    def test_required_results(self) -> None:
        """The names and architectures of behaviour.md §16 give the families that it requires (B103)."""
        for name, architecture, family, variant in [
            ("llama3.2:1b", "", "llama", "3.2"),
            ("qwen2.5-coder", "", "qwen", "2.5"),
            ("mixtral-8x7b", "", "mixtral", "8x7b"),
            ("microsoft/phi-4-mini-reasoning", "", "phi", "4"),
            ("model", "qwen3.5", "qwen", "3.5"),
            ("model", "deepseek2", "deepseek", "2"),
            ("kimi-k2", "deepseek2", "kimi", ""),
            ("deepseek-coder", "", "deepseek", "coder"),
            ("deepseek-coder-v2-lite", "", "deepseek-coder-v2", ""),
            ("gpt-oss:20b", "", "gpt-oss", "20b"),
            ("zai-org/glm-4.6", "", "glm", "4.6"),
            ("devstral-small-2505", "", "devstral", "small-2505"),
            ("unknown-model", "", "", ""),
        ]:
            self.assertEqual(self.reader.family(name, architecture), (family, variant), name)

    def test_names_end(self) -> None:
        """A longer word that begins like a family is not that family (§16)."""
        for name in ("kimiko-7b", "glmish", "yield-7b", "oxford-7b"):
            self.assertEqual(self.reader.family(name, "")[0], "", name)

    def test_a_size_is_no_version(self) -> None:
        """The 7 of 7b is no version, and spelling in capitals changes nothing."""
        self.assertEqual(self.reader.family("Llama-13B-chat", ""), ("llama", ""))
        self.assertEqual(self.reader.family("meta-llama/Llama-3.1-8B-Instruct", ""), ("llama", "3.1"))

    def test_given_family(self) -> None:
        """A family that the listing gives is kept; LM Studio's is an architecture and goes by the rules (B103)."""
        listed = ListedModel("model", family="qwen3.5")
        self.assertEqual(self.reader.read(listed, "ollama").family, "qwen3.5")
        facts = self.reader.read(listed, "lm-studio")
        self.assertEqual((facts.family, facts.variant), ("qwen", "3.5"))
        self.assertEqual(self.reader.read(ListedModel("x", family="odd"), "lm-studio").family, "odd")

    def test_other_rules(self) -> None:
        """Rules that are given take the place of the built-in ones, section by section (K46)."""
        pattern = evolve(Rules().family_patterns[0], expression=re.compile("(house)-(.*)"))
        own = FactReader(Rules(family_patterns=(pattern,)), {})
        self.assertEqual(own.family("the-house-llama", ""), ("house", "llama"))
        self.assertEqual(own.quantization("Q4_K_M"), "q4km")


class FigureTests(SynchronousTestCase):
    """Sizes and quantisations."""

    def test_parameters(self) -> None:
        """Sizes are brought into one form and counted; what is none is kept and counts nothing (B107)."""
        for text, size, count in [
            ("70 B", "70b", 70_000_000_000),
            ("NaN", "NaN", 0),
            ("", "", 0),
            ("7B", "7b", 7_000_000_000),
            ("8.0B", "8b", 8_000_000_000),
            ("1.5 b", "1.5b", 1_500_000_000),
            ("540M", "540m", 540_000_000),
            ("1300M", "1.3b", 1_300_000_000),
            ("1000M", "1b", 1_000_000_000),
            ("13", "13b", 13_000_000_000),
            ("7B extra", "7B extra", 0),
            ("9" * 400, "9" * 400, 0),
        ]:
            self.assertEqual(parameters(text), (size, count), text)

    def test_disk_size_is_no_count(self) -> None:
        """Bytes on disk are never taken for a number of parameters (B107)."""
        self.assertEqual(reader().read(ListedModel("m", size=4_000_000_000), "ollama").parameter_count, 0)

    def test_counted_parameters(self) -> None:
        """A count without a text is used as it is, and written (P18)."""
        facts = reader().read(ListedModel("m", parameters=8_030_261_312), "llamacpp")
        self.assertEqual((facts.parameter_count, facts.parameter_size), (8_030_261_312, "8b"))

    def test_impossible_figures(self) -> None:
        """Figures beyond all bounds are brought within, so that nothing fails later."""
        facts = reader().read(ListedModel("m", size=10**400, parameters=10**400, context=-5), "vllm")
        self.assertEqual((facts.size, facts.parameter_count, facts.context), (2**53, 2**53, 0))

    def test_quantization_table(self) -> None:
        """Each spelling of the table has its short form, and the short form its usual spelling (B103)."""
        read = reader()
        for text, short in Rules().quantizations.items():
            self.assertEqual(read.quantization(text.lower()), short)
        for text, short in [
            ("Q7_K_M", "q7km"),
            ("Q9_3", "q9_3"),
            ("q8", "q8"),
            ("FP8", "f8"),
            ("int3", "int3"),
            ("EXL2", "exl2"),
            ("", ""),
        ]:
            self.assertEqual(read.quantization(text), short)
        for short, text in [
            ("q4km", "Q4_K_M"),
            ("q8", "Q8_0"),
            ("q4", "Q4_0"),
            ("q6k", "Q6_K"),
            ("f16", "F16"),
        ]:
            self.assertEqual(read.displayed(short, "original"), text)
        self.assertEqual(read.displayed("unk", "x"), "unknown")
        self.assertEqual(read.displayed("exl2", "EXL2"), "EXL2")

    def test_publisher(self) -> None:
        """The listing tells the publisher, else what stands before the slash, else the longest family prefix."""
        read = reader()
        self.assertEqual(read.read(ListedModel("a/b", publisher="said"), "vllm").publisher, "said")
        self.assertEqual(read.publisher("acme/llama3", "llama"), "acme")
        self.assertEqual(read.publisher("gpt-oss:20b", "gpt-oss"), "openai")
        self.assertEqual(read.publisher("codellama:7b", "codellama"), "meta")
        self.assertEqual(read.publisher("what", ""), "")


class CapabilityTests(SynchronousTestCase):
    """Capabilities and types."""

    def setUp(self) -> None:
        self.reader = reader()

    def labels(self, name: str, profile: str = "openai-compatible", **facts: object) -> set[str]:
        return set(self.reader.read(ListedModel(name, **facts), profile).capabilities)  # type: ignore[arg-type]

    def test_by_name(self) -> None:
        """Names give capabilities away (§16)."""
        for name, label in [
            ("anything", "text-generation"),
            ("starcoder2", "code-generation"),
            ("x-instruct", "chat"),
            ("deep-reasoning", "logic"),
            ("mathstral", "mathematics"),
            ("bakllava", "vision"),
            ("qwen2-vl-7b", "vision"),
            ("qwen2.5vl:7b", "vision"),
            ("pixtral-12b", "vision"),
            ("gemma3:4b", "vision"),
            ("llama-4-scout", "vision"),
            ("bge-m3", "embeddings"),
            ("gte-large", "embeddings"),
            ("qwen3-reranker", "rerank"),
            ("llama3.1:8b", "tools"),
        ]:
            self.assertIn(label, self.labels(name), name)
        self.assertNotIn("vision", self.labels("llama-405b"))
        self.assertNotIn("vision", self.labels("devlin"))

    def test_embeddings_do_not_talk(self) -> None:
        """A model for embeddings generates no text, whatever its profile's globs say of chat (§16)."""
        for profile, name in [("lm-studio", "text-embedding-nomic"), ("ollama", "mxbai-embed-large")]:
            self.assertTrue(self.labels(name, profile).isdisjoint({"text-generation", "chat"}))

    def test_listed_type_wins(self) -> None:
        """A type that is listed holds against the name; one that is none is ignored (C141)."""
        self.assertEqual(self.reader.read(ListedModel("embedder", type="llm"), "vllm").kind, "llm")
        self.assertEqual(self.reader.read(ListedModel("plain", type="embeddings"), "vllm").kind, "embeddings")
        self.assertEqual(self.reader.read(ListedModel("llava", type="model"), "vllm").kind, "vlm")
        self.assertEqual(self.reader.read(ListedModel("llama3.1:8b", type="vllm"), "vllm").kind, "llm")

    def test_embedding_family(self) -> None:
        """An Ollama model of family nomic-bert makes embeddings, whatever it is called (C141)."""
        self.assertEqual(self.reader.read(ListedModel("mine", family="nomic-bert"), "ollama").kind, "embeddings")

    def test_by_context(self) -> None:
        """Long contexts are capabilities too (§16)."""
        self.assertIn("extended-context", self.labels("m", context=32_000))
        self.assertIn("long-context", self.labels("m", context=131_072))
        self.assertNotIn("extended-context", self.labels("m", context=131_072))
        self.assertLessEqual({"ultra-long-context", "long-context"}, self.labels("m", context=1_000_000))

    def test_said_by_the_backend(self) -> None:
        """What a backend says itself is added, in our spelling (§16)."""
        self.assertLessEqual({"tools", "tool-use", "vision"}, self.labels("m", capabilities=("tool_use", "Vision")))

    def test_context_of_the_profile(self) -> None:
        """A context that is not listed comes from the profile's globs, one that is listed does not (P31)."""
        read = self.reader.read
        self.assertEqual(read(ListedModel("Llama-3.1-8B-Instruct"), "vllm").context, 131_072)
        self.assertEqual(read(ListedModel("Llama-3.1-8B-Instruct", context=4096), "vllm").context, 4096)


class MergeTests(SynchronousTestCase):
    """Facts of several sources."""

    def test_merged(self) -> None:
        """The first known value is kept, capabilities are united and sizes added (B106)."""
        one = Facts(context=0, quantization="q4km", size=5, capabilities=("chat",), family="llama", variant="3")
        two = Facts(
            context=8192,
            format="gguf",
            quantization="q8",
            size=7,
            capabilities=("chat", "vision"),
            family="x",
        )
        both = merged([one, two])
        self.assertEqual((both.context, both.format, both.quantization, both.size), (8192, "gguf", "q4km", 12))
        self.assertEqual(both.capabilities, ("chat", "vision"))
        self.assertEqual((both.family, both.variant), ("llama", "3"))
