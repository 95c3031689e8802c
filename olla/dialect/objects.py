"""
Objects that live in the one backend that made them: responses, conversations, files, batches (openai-surface.md §5).

What is known of them is read here: the id in a path or body that asks for one, and in the answer that made one.
Secrets for calls of ``/realtime`` are among them (§2).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import sha256
from urllib.parse import unquote

from olla.dialect.scan import keys, members, text

KINDS = (
    *("responses", "conversations", "files", "uploads", "batches", "vector_stores", "containers", "evals", "videos"),
    *("fine_tuning/jobs", "skills", "realtime/calls"),
)
REALTIME = "/realtime"
SECRETS = tuple(f"{REALTIME}/{kind}" for kind in ("client_secrets", "sessions", "transcription_sessions"))
"""Ends of the paths to which a ``POST`` makes a secret that is good at that backend alone."""

MAKERS = (*(f"/{kind}" for kind in KINDS), *SECRETS)
"""Ends of the paths to which a ``POST`` makes one."""

IN_PATH = re.compile(rf"/(?:{'|'.join(KINDS)}|chat/completions)/([^/?#]+)")
NOT_IDS = frozenset({"input_tokens", "compact"})
"""What else stands behind ``/responses``."""


FILE = re.compile(rb'"file_id"\s*:\s*"([^"\\]{1,256})"')
"""A file that a message speaks of.  Inside of text its quotes would be escaped, so no prompt can make one."""

BEARER = re.compile(rb"bearer +([!-~]+)", re.IGNORECASE)

ID_KEYS = keys("id")
SECRET_KEYS = keys("client_secret")
VALUE_KEYS = keys("value")
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


def made_secret(data: bytes) -> str:
    """
    Name the secret that an answer tells of, as :func:`shown_secret` does; ``""`` as long as it has not come.

    :param data: the beginning of ``{"value": …}``, or of ``{"client_secret": {"value": …}}`` as older calls have it.
    """
    within = [data, *(data[at:] for _, at, _ in members(data, SECRET_KEYS))]
    found = (text(one[start:stop]) for one in reversed(within) for _, start, stop in members(one, VALUE_KEYS))
    return next((_named(secret.encode()) for secret in found if secret), "")


def shown_secret(authorization: bytes | None) -> str:
    """
    Name the secret in an ``Authorization`` field; ``""`` without.

    The name does not tell the secret: what is remembered here is shown in errors.
    """
    match = BEARER.fullmatch(authorization.strip()) if authorization else None
    return _named(match[1]) if match is not None else ""


def _named(secret: bytes) -> str:
    return f"secret {sha256(secret).hexdigest()[:32]}"


def _documents(data: bytes) -> Iterable[bytes]:
    if data.lstrip()[:1] == b"{":
        return (data,)
    return (line[5:] for line in data.split(b"\n") if line.startswith(b"data:"))


def _id(document: bytes) -> str:
    return next((text(document[start:stop]) for _, start, stop in members(document, ID_KEYS)), "")
