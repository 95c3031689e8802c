"""What the demonstration engines say."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from random import Random

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


def tokens(text: str) -> int:
    """Count what these engines call tokens: words."""
    return len(text.split())


def answer(question: str, seed: int, most: int | None = None) -> Iterator[str]:
    """
    Say something, one token after the other; each but the first begins with a blank.

    :param question: what was asked; the same question gets the same answer.
    :param seed: of the engine.
    :param most: tokens at most; ``None`` for as many as the answer has.
    """
    chance = Random(f"{seed} {question}")
    sentences = [chance.choice(OPENINGS), *chance.sample(MORE, 3)]
    for count, word in enumerate(" ".join(sentences).split()):
        if most is not None and count >= most:
            return
        yield f" {word}" if count else word


def vector(text: str, size: int = 16) -> list[float]:
    """Give an embedding of ``text``: equal for equal texts, and of length about one."""
    digest = hashlib.sha256(text.encode()).digest()
    return [round((byte - 127.5) / 295.0, 6) for byte in digest[:size]]


def question_of(messages: object) -> str:
    """Give the text of the last message, whatever form its content has."""
    if not isinstance(messages, Sequence) or isinstance(messages, str) or not messages:
        return ""
    content = messages[-1].get("content") if isinstance(messages[-1], dict) else ""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return ""
