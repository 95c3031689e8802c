"""What a listing and a model's name say about it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from attrs import define, frozen

from olla.catalog.globs import any_of
from olla.catalog.rules import CHAT, CODE, EMBEDDINGS, VISION, Labels, Rules
from olla.domain.models import ListedModel
from olla.domain.profile import Profile

TYPES = {"llm": "llm", "vlm": "vlm", "embeddings": "embeddings", "embedding": "embeddings"}
MILLION, BILLION = 10**6, 10**9
LARGEST = 2**53  # what every reader of JSON can count to
LABELS_OF_GLOBS: Mapping[str, Labels] = {
    "chat": ("chat",),
    "vision": VISION,
    "embeddings": EMBEDDINGS,
    "code": CODE,
    "reasoning": ("reasoning", "logic"),
    "reranking": ("rerank",),
}
TALKING = frozenset({*CHAT, "instruction-following", "tools"})

_SIZE = re.compile(r"(\d{1,6}(?:\.\d{1,6})?)\s*([BM]?)", re.IGNORECASE | re.ASCII)
_QUANTIZATIONS = (
    (re.compile(r"q(\d+)_k_([mls])(?![a-z])"), r"q\1k\2"),
    (re.compile(r"q\d+_\d+"), r"\g<0>"),
    (re.compile(r"q\d+"), r"\g<0>"),
    (re.compile(r"fp?(\d+)"), r"f\1"),
    (re.compile(r"int\d+"), r"\g<0>"),
)


@frozen
class Facts:
    """
    What is known of a model; empty or ``0`` for what is not.

    :ivar type: ``llm``, ``vlm`` or ``embeddings`` where a listing says so.
    :ivar parameter_size: ``7b``, ``540m``.
    :ivar quantization: short form, ``q4km``.
    :ivar context: tokens.
    :ivar size: bytes on disk; of several sources, of all together.
    :ivar capabilities: hyphenated labels.
    """

    type: str = ""
    family: str = ""
    variant: str = ""
    parameter_size: str = ""
    parameter_count: int = 0
    quantization: str = ""
    publisher: str = ""
    format: str = ""
    digest: str = ""
    context: int = 0
    size: int = 0
    capabilities: Labels = ()

    @property
    def kind(self) -> str:
        """``llm``, ``vlm`` or ``embeddings``: as listed, else as the capabilities have it."""
        if self.type:
            return self.type
        if "vision" in self.capabilities:
            return "vlm"
        return "embeddings" if "embeddings" in self.capabilities else "llm"

    @property
    def confidence(self) -> float:
        """How much of the five facts that tell a model from another is known, from 0 to 1."""
        known = (self.digest, self.size, self.quantization, self.family, self.context)
        return sum(map(bool, known)) / len(known)


def merged(facts: Iterable[Facts]) -> Facts:
    """Put several sources' facts together: the first that is known, all capabilities, the sum of the sizes."""
    facts = tuple(facts)
    if len(facts) == 1:
        return facts[0]
    size = next((one for one in facts if one.parameter_size), Facts())
    family = next((one for one in facts if one.family), Facts())

    def first(name: str) -> str:
        return next((value for one in facts if (value := getattr(one, name))), "")

    return Facts(
        type=first("type"),
        family=family.family,
        variant=family.variant,
        parameter_size=size.parameter_size,
        parameter_count=size.parameter_count,
        quantization=first("quantization"),
        publisher=first("publisher"),
        format=first("format"),
        digest=first("digest"),
        context=next((one.context for one in facts if one.context), 0),
        size=sum(one.size for one in facts),
        capabilities=tuple(dict.fromkeys(label for one in facts for label in one.capabilities)),
    )


def parameters(text: str) -> tuple[str, int]:
    """
    Read a number of parameters such as ``7B``, ``1.5 B``, ``540M``; without a unit it is billions.

    :return: ``("1.5b", 1_500_000_000)``; ``(text, 0)`` for what is no such number.
    """
    match = _SIZE.fullmatch(text)
    if match is None:
        return text, 0
    count = round(float(match[1]) * (MILLION if match[2] in ("m", "M") else BILLION))
    if match[2] in ("m", "M") and count < BILLION:
        return f"{_trimmed(match[1])}m", count
    return (f"{_trimmed(match[1])}b" if match[2] not in ("m", "M") else parameters_text(count)), count


def parameters_text(count: int) -> str:
    """Write a number of parameters: ``1.5b``, ``540m``; ``""`` for none."""
    if count >= BILLION:
        return f"{_trimmed(f'{count / BILLION:.1f}')}b"
    return f"{round(count / MILLION)}m" if count >= MILLION else ""


def _trimmed(number: str) -> str:
    whole, _, fraction = number.partition(".")
    return whole if not fraction.strip("0") else number


@define
class _Globs:
    """One profile's expressions, compiled."""

    labels: tuple[tuple[re.Pattern[str], Labels], ...]
    contexts: tuple[tuple[re.Pattern[str], int], ...]
    any_context: re.Pattern[str]

    @classmethod
    def of(cls, profile: Profile) -> _Globs:
        labels = tuple(
            (any_of(globs), LABELS_OF_GLOBS.get(name, (name.replace("_", "-"),)))
            for name, globs in profile.capability_patterns
            if globs
        )
        contexts = tuple((any_of([glob]), tokens) for glob, tokens in profile.context_patterns)
        return cls(labels, contexts, any_of(glob for glob, _ in profile.context_patterns))

    def context(self, lowered: str) -> int:
        """Tell how many tokens a model so named takes; ``0`` when no expression knows it."""
        if self.any_context.match(lowered) is None:
            return 0
        return next((tokens for glob, tokens in self.contexts if glob.match(lowered)), 0)


class FactReader:
    """
    Reads what is to be known of listed models.

    :param profiles: by canonical name; their globs tell what a listing does not.
    """

    def __init__(self, rules: Rules, profiles: Mapping[str, Profile]) -> None:
        self._rules = rules
        self._globs = {name: _Globs.of(profile) for name, profile in profiles.items()}
        self._architectures = frozenset(
            name for name, profile in profiles.items() if profile.response_format == "lmstudio"
        )
        self._publishers = {_compact(prefix): publisher for prefix, publisher in rules.publishers.items()}
        longest_first = sorted(self._publishers, key=lambda prefix: -len(prefix))
        self._published = re.compile("|".join(map(re.escape, longest_first)) or "(?!)")
        self._displayed: dict[str, str] = {}
        for text, short in rules.quantizations.items():
            self._displayed.setdefault(short, text)

    def read(self, model: ListedModel, profile: str) -> Facts:
        """
        Read one model.

        :param profile: canonical name of the profile of the backend that lists it.
        """
        family, variant = self._family(model, profile)
        size, count = parameters(model.parameter_size)
        counted = _bounded(model.parameters)
        globs = self._globs.get(profile)
        lowered = model.name.lower()
        context = _bounded(model.context) or (globs.context(lowered) if globs is not None else 0)
        type_ = TYPES.get(model.type, "")
        return Facts(
            type=type_,
            family=family,
            variant=variant,
            parameter_size=size or parameters_text(counted),
            parameter_count=count or counted,
            quantization=self.quantization(model.quantization),
            publisher=model.publisher or self.publisher(model.name, family),
            format=model.format,
            digest=model.digest,
            context=context,
            size=_bounded(model.size),
            capabilities=self._capabilities(model, lowered, type_, family, context, globs),
        )

    def _family(self, model: ListedModel, profile: str) -> tuple[str, str]:
        if not model.family:
            return self.family(model.name, "")
        if profile not in self._architectures:
            return model.family, ""
        family, variant = self.family(model.name, model.family)
        return (family, variant) if family else (model.family, "")

    def family(self, name: str, architecture: str) -> tuple[str, str]:
        """
        Tell family and variant, ``("llama", "3.2")``; both empty when nothing gives them away.

        :param architecture: as a backend names it, ``""`` when it does not.
        """
        name, architecture = name.lower(), architecture.lower()
        rules = self._rules
        base = name.rpartition("/")[2]
        for kept in rules.preserved_families:
            if architecture == kept or base == kept or (base.startswith(kept) and base[len(kept)] in "-_:/."):
                return kept, ""
        family = rules.architectures.get(architecture) or rules.family_aliases.get(architecture, "")
        if family:
            tail = architecture.removeprefix(family)
            told = name in rules.generic_names or family in name
            return family, tail if told and tail[:1].isdigit() else ""
        for pattern in rules.family_patterns:
            match = pattern.expression.search(name)
            if match is not None:
                variant = match[pattern.variant_group] if pattern.variant_group else ""
                return match[pattern.family_group] or "", variant or ""
        first = re.split(r"[-_:/]", name, maxsplit=1)[0]
        return next((f for key, f in rules.family_aliases.items() if _begins(first, key)), ""), ""

    def quantization(self, text: str) -> str:
        """Bring a quantisation into short form: ``Q4_K_M`` to ``q4km``, ``FP16`` to ``f16``."""
        known = self._rules.quantizations.get(text.upper())
        if known is not None:
            return known
        lowered = text.lower()
        for pattern, short in _QUANTIZATIONS:
            match = pattern.search(lowered)
            if match is not None:
                return match.expand(short)
        return lowered

    def displayed(self, quantization: str, original: str) -> str:
        """Bring a short form back into the usual one: ``q4km`` to ``Q4_K_M``; else give ``original``."""
        if quantization in ("", "unk"):
            return "unknown"
        return self._displayed.get(quantization) or original or quantization

    def publisher(self, name: str, family: str) -> str:
        """Tell who publishes a model whose listing does not: from ``who/model``, or from the family."""
        who, slash, _ = name.partition("/")
        if slash and who:
            return who
        match = self._published.match(_compact(family)) or self._published.match(_compact(name))
        return "" if match is None else self._publishers[match[0]]

    def _capabilities(
        self, model: ListedModel, lowered: str, type_: str, family: str, context: int, globs: _Globs | None
    ) -> Labels:
        rules = self._rules
        labels = ["text-generation", *rules.type_labels.get(type_, ())]
        for pattern, more in rules.name_labels:
            if pattern.search(lowered) and not (type_ and "embeddings" in more):
                labels += more
        if globs is not None and not type_:
            for pattern, more in globs.labels:
                if pattern.match(lowered):
                    labels += more
        if not type_ and family in rules.embedding_families:
            labels += EMBEDDINGS
        labels += next((more for tokens, more in rules.context_labels if context >= tokens), ())
        if type_ in ("", "embeddings") and "embeddings" in labels:
            labels = [label for label in labels if label not in TALKING]
        labels += _said(model.capabilities)
        return tuple(dict.fromkeys(labels))


def _said(capabilities: Iterable[str]) -> list[str]:
    """Bring a backend's own capabilities into our spelling."""
    said = [text.strip().lower().replace("_", "-") for text in capabilities]
    said += ["tools" for label in said if label in ("tool-use", "function-calling")]
    said += ["embeddings" for label in said if label == "embedding"]
    return [label for label in said if label]


def _bounded(value: int) -> int:
    """Bring an impossible figure of a backend's into what can be calculated with."""
    return min(max(value, 0), LARGEST)


def _begins(word: str, family: str) -> bool:
    """Say whether ``word`` begins with ``family``; one of up to three letters (yi, phi) must stand alone."""
    return word.startswith(family) and (len(family) > 3 or not word[len(family) :][:1].isalpha())


def _compact(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")
