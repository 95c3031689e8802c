"""What a backend says a request has cost."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

Figure = float | int | str | bool


class Usage(msgspec.Struct, frozen=True):
    """
    Figures found at the end of an answer; ``None`` for what was not there.

    A msgspec structure, for one is made for each request.

    :ivar model: the model that answered, in the backend's words.
    :ivar input_tokens: tokens of the prompt.
    :ivar output_tokens: tokens generated.
    :ivar total_tokens: both.
    :ivar cached_tokens: tokens of the prompt that a cache spared.
    :ivar reasoning_tokens: generated tokens that were thought, not said.
    :ivar tokens_per_second: speed of generation.
    :ivar total_ms: time that the backend took, in milliseconds.
    :ivar ttft_ms: its time to the first token.
    :ivar prompt_ms: its time for the prompt.
    :ivar generation_ms: its time for the answer.
    :ivar model_load_ms: its time to load the model.
    :ivar finish_reason: why it stopped, in its own word.
    :ivar others: what else the backend's profile extracts, by the profile's names, where somebody wants to know.
    """

    model: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    tokens_per_second: float | None = None
    total_ms: float | None = None
    ttft_ms: float | None = None
    prompt_ms: float | None = None
    generation_ms: float | None = None
    model_load_ms: float | None = None
    finish_reason: str | None = None
    others: Mapping[str, Figure] = msgspec.field(default_factory=dict)
