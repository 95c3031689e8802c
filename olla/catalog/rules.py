"""What names of models give away: the built-in rules, as data (behaviour.md §16)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from attrs import Factory, frozen

Labels = tuple[str, ...]

END = r"(?![a-z])"  # so that kimiko is not kimi
REST = r"[-_:./]*(.*)"
VERSION = r"[-_:]?v?(\d+(?:\.\d+)*)(?![\d.]*b\b)"  # 3.1, but not the 7 of 7b
PUBLISHED = "phi|llama|gemma|qwen|mistral|glm|granite|nemotron|exaone|kimi|minimax|hunyuan|olmo|internlm|smollm"

VISION: Labels = ("vision", "multimodal", "image-understanding")
EMBEDDINGS: Labels = ("embeddings", "similarity", "vector-search")
CODE: Labels = ("code-generation", "programming", "code-completion")
CHAT: Labels = ("text-generation", "chat", "completion")


@frozen
class FamilyPattern:
    """
    An expression on the lower-case name.

    :ivar family_group: number of the group with the family.
    :ivar variant_group: number of the group with the variant; 0 for none.
    """

    expression: re.Pattern[str]
    family_group: int = 1
    variant_group: int = 2


def _family_patterns() -> tuple[FamilyPattern, ...]:
    expressions = (
        rf"^(mistral|mixtral){END}{REST}",
        rf"^(?:meta-)?(llama|gemma|phi|qwen){VERSION}",
        rf"^[\w.-]+/(?:meta-)?({PUBLISHED}){END}(?:{VERSION})?",
        rf"^(codellama|starcoder|vicuna|falcon|yi){END}[-_:]?(\d+b?)",
        rf"^(gpt-oss){END}{REST}",
        rf"^(gpt)-?(2|j|neox){END}",
        rf"^(deepseek){END}{REST}",
        rf"^(devstral|magistral|codestral|ministral){END}{REST}",
        rf"^(glm){VERSION}",
        rf"^(kimi){END}{REST}",
        rf"^(granite){VERSION}",
        rf"^(nemotron){END}{REST}",
        rf"^(exaone){VERSION}",
        rf"^(hunyuan){END}{REST}",
        rf"^(minimax){END}{REST}",
        rf"^(seed-oss){END}{REST}",
        rf"^(olmo){VERSION}",
        rf"^(internlm){VERSION}",
        rf"^(smollm){VERSION}",
        rf"^(command-r){END}{REST}",
        rf"^(?:[\w.-]+/)?(forge){END}{REST}",
    )
    return tuple(FamilyPattern(re.compile(expression)) for expression in expressions)


def _architectures() -> dict[str, str]:
    kinds = {
        "llama": "llama llama4 mllama",
        "qwen": "qwen qwen2 qwen2moe qwen2vl qwen2_vl qwen25vl qwen3 qwen3moe qwen3_moe qwen3vl qwen3next qwen3.5",
        "gemma": "gemma gemma2 gemma3 gemma3n gemma4",
        "phi": "phi phi2 phi3 phi4 phimoe phi3small",
        "mistral": "mistral mistral3",
        "mixtral": "mixtral",
        "deepseek": "deepseek deepseek2 deepseek3 deepseek_v2 deepseek_v3",
        "falcon": "falcon falcon-h1",
        "starcoder": "starcoder starcoder2",
        "command-r": "command-r cohere cohere2",
        "gpt-oss": "gptoss gpt-oss gpt_oss",
        "gpt": "gpt2 gptj gptneox",
        "glm": "glm glm4 glm4moe chatglm",
        "granite": "granite granitemoe granitehybrid",
        "nemotron": "nemotron nemotron_h",
        "exaone": "exaone exaone4",
        "hunyuan": "hunyuan hunyuan-moe hunyuan-dense",
        "minimax": "minimax minimax-m2",
        "seed-oss": "seed_oss seed-oss",
        "olmo": "olmo olmo2 olmoe",
        "internlm": "internlm internlm2 internlm3",
        "smollm": "smollm smollm3",
        "bert": "bert jina-bert-v2 xlm-roberta",
    }
    return {architecture: family for family, known in kinds.items() for architecture in known.split()}


def _aliases() -> dict[str, str]:
    families = """
        llama gemma phi qwen mistral mixtral deepseek yi falcon starcoder vicuna codellama glm granite nemotron
        exaone hunyuan minimax olmo internlm smollm devstral magistral codestral ministral forge bloom opt bert
    """
    known = {family: family for family in families.split()}
    return known | {"chatglm": "glm", "tinyllama": "llama", "codegemma": "gemma"}


def _publishers() -> dict[str, str]:
    known = {
        "meta": "llama codellama opt",
        "google": "gemma",
        "microsoft": "phi",
        "mistral": "mistral mixtral devstral magistral codestral ministral",
        "alibaba": "qwen",
        "01-ai": "yi",
        "deepseek": "deepseek",
        "bigcode": "starcoder",
        "tii": "falcon",
        "lmsys": "vicuna",
        "bigscience": "bloom",
        "openai": "gpt2 gpt-oss",
        "eleutherai": "gptj gptneox",
        "zai-org": "glm",
        "moonshotai": "kimi",
        "ibm": "granite",
        "nvidia": "nemotron",
        "lg-ai": "exaone",
        "tencent": "hunyuan",
        "minimax": "minimax",
        "bytedance": "seed-oss",
        "allenai": "olmo",
        "internlm": "internlm",
        "huggingfacetb": "smollm",
        "cohere": "command-r",
        "tensorfoundry": "forge",
    }
    return {prefix: publisher for publisher, prefixes in known.items() for prefix in prefixes.split()}


def _quantizations() -> dict[str, str]:
    table = """
        Q4_K_M q4km  Q4_K_S q4ks  Q4_K_XL q4kxl  Q3_K_L q3kl  Q3_K_M q3km  Q3_K_S q3ks  Q5_K_M q5km  Q5_K_S q5ks
        Q6_K q6k  Q2_K q2k  Q4_0 q4  Q4_1 q4_1  Q5_0 q5  Q5_1 q5_1  Q8_0 q8  F16 f16  FP16 f16  F32 f32  FP32 f32
        BF16 bf16  GPTQ_4BIT gptq4  GPTQ-4BIT gptq4  AWQ_4BIT awq4  AWQ-4BIT awq4  INT8 int8  INT4 int4
        MXFP4 mxfp4  NVFP4 nvfp4
    """
    words = table.split()
    return dict(zip(words[::2], words[1::2], strict=True))


def _name_labels() -> tuple[tuple[re.Pattern[str], Labels], ...]:
    rows = (
        (r"code|starcoder", CODE),
        (r"instruct|chat|assistant", ("instruction-following", "chat")),
        (r"reasoning|think", ("reasoning", "logic")),
        (r"math", ("mathematics", "problem-solving")),
        (
            r"vision|vlm|llava|pixtral|minicpm-v|moondream|internvl|(?<![a-z])vl(?![a-z])|gemma-?3|llama-?4(?!\d)",
            VISION,
        ),
        (r"embed|(?<![a-z0-9])(?:bge-(?!rerank)|e5-|gte-)", EMBEDDINGS),
        (r"rerank", ("rerank",)),
        (
            r"llama-?3\.[1-3]|llama-?4(?!\d)|qwen-?(?:2\.5|3)|mistral|mixtral|ministral|devstral|magistral|command-r"
            r"|gpt-oss|granite|glm-4|kimi|deepseek-v3|nemotron|hermes|functionary|tool",
            ("tools",),
        ),
    )
    return tuple((re.compile(pattern), labels) for pattern, labels in rows)


@frozen
class Rules:
    """
    How names, architectures and figures of models are read.

    :ivar family_patterns: first match holds.
    :ivar architectures: architecture, in lower case, to family.
    :ivar family_aliases: beginning of a name's first word to family.
    :ivar publishers: beginning of a family or name to who publishes it; the longest holds.
    :ivar quantizations: spelling in upper case to short form.
    :ivar type_labels: ``llm``, ``vlm``, ``embeddings`` to capabilities.
    :ivar name_labels: expression on the lower-case name, and the capabilities that it gives.
    :ivar context_labels: from many tokens to few; the first row reached holds.
    :ivar preserved_families: families whose names are never cut into family and variant.
    :ivar generic_names: names that say nothing of a model.
    :ivar embedding_families: families of models that make embeddings.
    """

    family_patterns: tuple[FamilyPattern, ...] = Factory(_family_patterns)
    architectures: Mapping[str, str] = Factory(_architectures)
    family_aliases: Mapping[str, str] = Factory(_aliases)
    publishers: Mapping[str, str] = Factory(_publishers)
    quantizations: Mapping[str, str] = Factory(_quantizations)
    type_labels: Mapping[str, Labels] = Factory(
        lambda: {"llm": CHAT, "vlm": ("text-generation", *VISION), "embeddings": EMBEDDINGS}
    )
    name_labels: tuple[tuple[re.Pattern[str], Labels], ...] = Factory(_name_labels)
    context_labels: tuple[tuple[int, Labels], ...] = (
        (1_000_000, ("ultra-long-context", "long-context")),
        (100_000, ("long-context",)),
        (32_000, ("extended-context",)),
    )
    preserved_families: Labels = ("nomic-bert", "deepseek-coder-v2", "kimi")
    generic_names: frozenset[str] = frozenset({"model", "unknown", "test", "temp", "default"})
    embedding_families: frozenset[str] = frozenset({"bert", "nomic-bert", "nomic-bert-moe", "xlm-roberta"})
