"""
Objects that live in the one backend that made them: responses, conversations, files, batches (openai-surface.md §5).

What is known of them is read here: the id in a path or body that asks for one, and in the answer that made one.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

import msgspec

KINDS = (
    *("responses", "conversations", "files", "uploads", "batches", "vector_stores", "containers", "evals", "videos"),
    "fine_tuning/jobs",
)
MAKERS = tuple(f"/{kind}" for kind in KINDS)
"""Ends of the paths to which a ``POST`` makes one."""

IN_PATH = re.compile(rf"/(?:{'|'.join(KINDS)}|chat/completions)/([^/]+)")
NOT_IDS = frozenset({"input_tokens", "compact"})
"""What else stands behind ``/responses``."""


class _Made(msgspec.Struct):
    id: str | None = None
    response: _Made | None = None


_decode = msgspec.json.Decoder(_Made).decode


def in_path(path: str) -> str:
    """Give the id of the object that a path asks for; ``""`` for none."""
    match = IN_PATH.search(path)
    return unquote(match[1]) if match is not None and match[1] not in NOT_IDS else ""


def made(data: bytes) -> str:
    """
    Give the id of the object that an answer tells of; ``""`` for none.

    :param data: a JSON body, or the end of a stream of events.
    """
    found = _id_of(data)
    if not found:
        for line in reversed(data.split(b"\n")):
            if line.startswith(b"data:"):
                found = _id_of(line[5:])
                if found:
                    return found
    return found


def _id_of(document: bytes) -> str:
    try:
        read = _decode(document)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    return (read.response.id if read.response is not None else read.id) or ""
