"""OpenAI's responses, as far as a demonstration needs them: one message of text."""

from __future__ import annotations

from collections.abc import Iterator

from olla.demo.reply import Reply, event, events
from olla.demo.words import Said

Named = tuple[str, dict[str, object]]


def response(name: str, now: int, model: str, said: Said, status: str = "") -> dict[str, object]:
    """
    Give a response.

    :param now: seconds since 1970.
    :param status: the last word about it, unless given.
    """
    finished = "incomplete" if said.limited else "completed"
    status = status or finished
    ended = status == finished
    spoken = len(said.tokens)
    return {
        "id": name,
        "object": "response",
        "created_at": now,
        "status": status,
        "model": model,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
        "output": [_message(name, said.text, status)] if ended else [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": said.prompt,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": spoken,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": said.prompt + spoken,
        }
        if ended
        else None,
    }


def response_events(name: str, now: int, model: str, said: Said) -> Reply:
    """Stream a response as named and numbered events."""
    whole = response(name, now, model, said)
    message = _message(name, said.text, str(whole["status"]))
    begun = response(name, now, model, said, "in_progress")
    where = {"item_id": message["id"], "output_index": 0, "content_index": 0}
    unsaid = {**_message(name, "", "in_progress"), "content": []}
    opening: list[Named] = [
        ("response.created", {"response": begun}),
        ("response.in_progress", {"response": begun}),
        ("response.output_item.added", {"output_index": 0, "item": unsaid}),
        ("response.content_part.added", {**where, "part": _part("")}),
    ]
    deltas: list[Named] = [
        ("response.output_text.delta", {**where, "delta": token, "logprobs": []}) for token in said.tokens
    ]
    closing: list[Named] = [
        ("response.output_text.done", {**where, "text": said.text, "logprobs": []}),
        ("response.content_part.done", {**where, "part": _part(said.text)}),
        ("response.output_item.done", {"output_index": 0, "item": message}),
        (f"response.{whole['status']}", {"response": whole}),
    ]
    written = list(_numbered([*opening, *deltas, *closing]))
    first, last = len(opening), len(opening) + len(deltas)
    tokens = written[first:last]
    tokens[0] = b"".join(written[:first]) + tokens[0]
    return events(tokens, b"".join(written[last:]))


def _numbered(named: list[Named]) -> Iterator[bytes]:
    for number, (name, value) in enumerate(named):
        yield event({"type": name, "sequence_number": number, **value}, name)


def _message(name: str, text: str, status: str) -> dict[str, object]:
    return {
        "id": name.replace("resp", "msg"),
        "type": "message",
        "role": "assistant",
        "status": status,
        "content": [_part(text)],
    }


def _part(text: str) -> dict[str, object]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
