"""What the demonstration engines say: always the same to the same question."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from random import Random

from attrs import frozen

OPENINGS = (
    "A llama carries what it is given and not a gram more.",
    "High in the mountains the herd waits for the one that is slowest.",
    "An olla is a pot with a wide mouth: everything goes into it.",
    "The alpaca hums when it is curious, and it is curious most of the time.",
)
MORE = (
    "Each token of this answer came through the proxy the moment it was made.",
    "No model was asked, so no model can be wrong.",
    "Take one of the engines away and the other will answer.",
    "The road is long, but the load is shared.",
    "When the wind turns, the herd turns with it.",
    "One address is enough for all of them.",
)
ECHOED = 8
SIMPLE: Mapping[str, object] = {"integer": 1, "number": 1.5, "boolean": True, "array": [], "object": {}}


@frozen
class Said:
    """
    An answer.

    :ivar tokens: one after the other; each but the first begins with a blank.
    :ivar prompt: tokens of what was asked.
    :ivar limited: whether there would have been more to say.
    """

    tokens: tuple[str, ...]
    prompt: int
    limited: bool = False

    @property
    def text(self) -> str:
        """The whole answer."""
        return "".join(self.tokens)

    @property
    def finish(self) -> str:
        """Why it ended, in the word that Ollama and OpenAI share."""
        return "length" if self.limited else "stop"


def count(text: str) -> int:
    """Count what these engines call tokens: words."""
    return len(text.split())


def answer(question: str, prompt: int, seed: int, most: int | None = None) -> Said:
    """
    Say something about llamas, and a part of the question.

    :param prompt: tokens of all that was asked.
    :param seed: engines with different seeds answer differently.
    :param most: tokens at most; ``None`` for as many as the answer has.
    """
    chance = Random(f"{seed} {question}")
    sentences = [chance.choice(OPENINGS), *_echo(question), *chance.sample(MORE, 3)]
    first, *others = " ".join(sentences).split()
    tokens = (first, *(f" {word}" for word in others))
    return Said(tokens[:most], prompt, most is not None and most < len(tokens))


def vector(text: str, size: int = 16) -> list[float]:
    """Give an embedding of ``text``: equal for equal texts, and of length about one."""
    digest = hashlib.sha256(text.encode()).digest()
    return [round((byte - 127.5) / 295.0, 6) for byte in digest[:size]]


def arguments(schema: Mapping[str, object]) -> dict[str, object]:
    """Fill what a tool requires, by its JSON schema: the first value allowed, or any of the right type."""
    properties, required = schema.get("properties"), schema.get("required")
    if not isinstance(properties, Mapping) or not isinstance(required, Sequence):
        return {}
    return {name: _example(properties.get(name)) for name in required if isinstance(name, str)}


def _example(schema: object) -> object:
    if not isinstance(schema, Mapping):
        return "llama"
    allowed, kind = schema.get("enum"), schema.get("type")
    if isinstance(allowed, list) and allowed:
        return allowed[0]
    return SIMPLE.get(kind, "llama") if isinstance(kind, str) else "llama"


def _echo(question: str) -> list[str]:
    words = question.split()
    if not words:
        return []
    more = "…" if len(words) > ECHOED else ""
    return [f"You said “{' '.join(words[:ECHOED])}{more}” and the herd has heard it."]
