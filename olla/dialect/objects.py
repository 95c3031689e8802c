"""
Objects that live in the one backend that made them: responses, conversations, files, batches (openai-surface.md §5).

What is known of them is read here: the id in a path or body that asks for one, and in the answer that made one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote

from olla.dialect.scan import keys, members, text

KINDS = (
    *("responses", "conversations", "files", "uploads", "batches", "vector_stores", "containers", "evals", "videos"),
    *("fine_tuning/jobs", "skills", "realtime/calls"),
)
MAKERS = tuple(f"/{kind}" for kind in KINDS)
"""Ends of the paths to which a ``POST`` makes one."""

IN_PATH = re.compile(rf"/(?:{'|'.join(KINDS)}|chat/completions)/([^/?#]+)")
NOT_IDS = frozenset({"input_tokens", "compact"})
"""What else stands behind ``/responses``."""


FILE = re.compile(rb'"file_id"\s*:\s*"([^"\\]{1,256})"')
"""A file that a message speaks of.  Inside of text its quotes would be escaped, so no prompt can make one."""

ID_KEYS = keys("id")
RESPONSE_KEYS = keys("response")


def in_path(path: str) -> str:
    """Give the id of the object that a path asks for; ``""`` for none."""
    match = IN_PATH.search(path)
    return unquote(match[1]) if match is not None and match[1] not in NOT_IDS else ""


def file_in(data: bytes) -> str:
    """Give the id of the first file that a JSON body refers to, however deep; ``""`` for none."""
    match = FILE.search(data) if b'"file_id"' in data else None
    return match[1].decode("utf-8", "replace") if match is not None else ""


def made(data: bytes) -> str:
    """
    Give the id of the object that an answer tells of; ``""`` as long as it has not come.

    :param data: the beginning of a JSON document, or of a stream of events.
    """
    for document in _documents(data):
        found = _id(document) or next((_id(document[at:]) for _, at, _ in members(document, RESPONSE_KEYS)), "")
        if found:
            return found
    return ""


def _documents(data: bytes) -> Iterable[bytes]:
    if data.lstrip()[:1] == b"{":
        return (data,)
    return (line[5:] for line in data.split(b"\n") if line.startswith(b"data:"))


def _id(document: bytes) -> str:
    return next((text(document[start:stop]) for _, start, stop in members(document, ID_KEYS)), "")
