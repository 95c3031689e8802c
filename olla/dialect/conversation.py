"""What in a body tells one conversation from another (http-api.md §7.5, behaviour.md §11)."""

from __future__ import annotations

import msgspec

from olla.domain.message import Body

LARGEST = 8 << 20
ABSENT = msgspec.Raw(b"")
EMPTY = (b"", b"null", b"[]", b'""')
OPENING = ("system", "developer")


class _Conversation(msgspec.Struct):
    messages: msgspec.Raw = ABSENT
    prompt: msgspec.Raw = ABSENT
    system: msgspec.Raw = ABSENT


_decode = msgspec.json.Decoder(_Conversation).decode
_messages = msgspec.json.Decoder(list[dict[str, msgspec.Raw]]).decode


def beginning(body: Body) -> bytes | None:
    """
    Give the raw JSON of the messages, ``system`` before them, or of the prompt when there are none.

    :return: ``None`` when the body has neither, or is not JSON.
    """
    read = _read(body)
    if read is None:
        return None
    messages, prompt = bytes(read.messages), bytes(read.prompt)
    said = messages if messages.strip() not in EMPTY else prompt
    return bytes(read.system) + said if said.strip() not in EMPTY else None


def opening(body: Body) -> bytes | None:
    """
    Give what stays the same in all turns of a conversation: its system messages and its first user message.

    :return: ``None`` when the body has no such messages.
    """
    read = _read(body)
    if read is None:
        return None
    try:
        messages = _messages(read.messages)
    except (msgspec.DecodeError, RecursionError):
        return None
    kept = [bytes(read.system)]
    for message in messages:
        role = bytes(message.get("role", ABSENT)).strip(b'"').decode("utf-8", "replace")
        content = bytes(message.get("content", ABSENT))
        if role in OPENING:
            kept.append(content)
        elif role == "user":
            return b"\n".join([*kept, content])
    return None


def _read(body: Body) -> _Conversation | None:
    if not body.size or body.size > LARGEST:
        return None
    try:
        return _decode(body.peek(LARGEST))
    except (msgspec.DecodeError, RecursionError):
        return None
