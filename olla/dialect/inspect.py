"""
Reads from a request what it asks of the endpoint that will serve it.

The model's name is searched in the order of openai-surface.md §1: path, query, JSON body, form.  Nothing here
fails: what cannot be read is forwarded without a model, and the backend judges it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import unquote, unquote_plus

import msgspec

from olla.dialect import forms, objects
from olla.dialect.scan import SCAN_LIMIT, keys, members, text
from olla.domain.message import Body
from olla.domain.requirements import EMBEDDINGS, TOOLS, VISION, Requirements

PARSED = 1024 * 1024
"""Bytes of a JSON body up to which it names no model unless all of it is JSON (http-api.md §7.1)."""

ABSENT = msgspec.Raw(b"")
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

NEEDS = {
    (vision, tools, embeddings): frozenset(
        name for name, needed in ((VISION, vision), (TOOLS, tools), (EMBEDDINGS, embeddings)) if needed
    )
    for vision in (False, True)
    for tools in (False, True)
    for embeddings in (False, True)
}
PLAIN = NEEDS[False, False, False]

EMBEDDING_PATHS = ("/embeddings", "/embedding", "/embed")
NATIVE_PATHS = frozenset({"/api/show", "/api/pull", "/api/push", "/api/create", "/api/delete"})
"""Where Ollama takes ``name`` for ``model``, as its first versions called it."""

TOOL_KEYS = frozenset({"tools", "functions", "tool_choice", "function_call"})
MODEL_KEYS = keys("model")
NAME_KEYS = keys("name")
SESSION_KEYS = keys("session")
"""Where calls of ``/realtime`` may name their model; or in the query, beside a body."""

ASKED_KEYS = keys("model", "stream", *sorted(TOOL_KEYS))

IMAGE = re.compile(rb'"(?:type"\s*:\s*"(?:image_url|image|input_image)"|data:image/|images"\s*:\s*\[\s*")')
"""
An image in a message, in the words of OpenAI, Anthropic, Ollama.

Inside of text the quotes would be escaped, so this cannot be a prompt that speaks of images.
"""

PATH_MODEL = re.compile(
    r"/models/(?P<whole>.+)"  # the last part, slashes and all
    r"|/openai/deployments/(?P<deployment>[^/]+)/."
    r"|/engines/(?P<engine>(?!v\d+/)[^/]+)/(?!v\d+/)."  # not Docker Model Runner's /engines/v1, /engines/vllm/v1
)
SLASH = re.compile(rb"%2f", re.IGNORECASE)
NOT_MODELS = frozenset({"status"})
"""``/v1/models/status`` of oMLX."""


class Conversation(msgspec.Struct):
    """``conversation``, when it is not the bare id."""

    id: str | None = None


class Asked(msgspec.Struct):
    """The few members of a JSON body that routing needs."""

    model: str | None = None
    stream: bool | None = None
    tools: msgspec.Raw = ABSENT
    functions: msgspec.Raw = ABSENT
    tool_choice: msgspec.Raw = ABSENT
    function_call: msgspec.Raw = ABSENT
    store: bool | None = None
    previous_response_id: str | None = None
    conversation: str | Conversation | None = None
    file_id: str | None = None
    input_file_id: str | None = None

    @property
    def object(self) -> str:
        """The id of what it goes on from, or works on."""
        talk = self.conversation.id if isinstance(self.conversation, Conversation) else self.conversation
        return self.previous_response_id or talk or self.file_id or self.input_file_id or ""


class Nested(msgspec.Struct):
    """Where the model's name stands in some old clients' bodies."""

    messages: msgspec.Raw = ABSENT


decode = msgspec.json.Decoder(Asked).decode


def requirements(
    path: str, query: bytes, content_type: bytes | None, body: Body, session: bytes | None = None, escaped: bytes = b""
) -> Requirements:
    """
    Read what a request asks for.

    :param path: at the backend, decoded, without the route's prefix and without the query.
    :param query: as the client wrote it, without its question mark.
    :param session: value of ``X-Olla-Session-ID``.
    :param escaped: path and query as the client wrote them, which tell a slash within a model's name from others.
    """
    sticky = session.strip().decode("latin-1") if session else ""
    where = named = ""
    if "s/" in path:
        where, named = model_in_path(path, body.size, escaped), objects.in_path(path)
    if not where and query and (not body.size or objects.REALTIME in path):
        where = model_in_query(query)
    makes = path.endswith(objects.MAKERS)
    if not body.size:
        return Requirements(path, where, session=sticky, object=named, makes=makes)
    data = body.peek(SCAN_LIMIT)
    if is_json(content_type, data):
        model, stream, tools, asked = _in_json(path, data, body.size)
        vision = b"image" in data and IMAGE.search(data) is not None
        embeddings = path.endswith(EMBEDDING_PATHS)
        needs = NEEDS[vision, tools, embeddings] if vision or tools or embeddings else PLAIN
        if asked is not None:
            named, makes = named or asked.object or objects.file_in(data), makes or asked.store is True
        return Requirements(path, where or model, stream, needs, (), True, sticky, named, makes)
    return _in_form(path, where, forms.fields(content_type or b"", data), data, sticky, makes)


def is_json(content_type: bytes | None, data: bytes) -> bool:
    """
    Say whether a body is to be read as JSON.

    Whatever begins like an object counts when nothing else was said, and when it was declared a form: ``curl -d``
    declares one unless told otherwise, and Ollama's own examples do not tell it.
    """
    if content_type == b"application/json":
        return True
    kind = content_type.lower() if content_type else b""
    if b"application/json" in kind or b"+json" in kind:
        return True
    return (not kind or kind.startswith(b"application/x-www-form-urlencoded")) and data[:256].lstrip().startswith(b"{")


def model_in_path(path: str, size: int, escaped: bytes = b"") -> str:
    """
    Give the model that a path names, trimmed; ``""`` for none.

    :param size: of the body: with one, ``/models/…`` is an action such as LM Studio's ``/api/v1/models/load``.
    :param escaped: the same path before it was decoded, perhaps with a query.
    """
    slashes = SLASH.search(escaped) is not None
    match = PATH_MODEL.search(escaped.partition(b"?")[0].decode("latin-1") if slashes else path)
    if match is None or (match["whole"] and (size or match["whole"] in NOT_MODELS)):
        return ""
    name: str = match["whole"] or match["deployment"] or match["engine"]
    return (unquote(name) if slashes else name).strip()


def model_in_query(query: bytes) -> str:
    """Give the model that a query names, trimmed; ``""`` for none."""
    for name, start, stop in forms.pairs(query):
        if name == "model":
            return unquote_plus(query[start:stop].decode("latin-1")).strip()
    return ""


def _in_json(path: str, data: bytes, size: int) -> tuple[str, bool, bool, Asked | None]:
    if size <= SCAN_LIMIT:
        try:
            asked = decode(data)
        except UNREADABLE as error:  # a field of another type, or not JSON as the standard has it
            if size <= PARSED and type(error) is msgspec.DecodeError and not _is_json_to_some(data):
                return "", False, False, None
        else:
            none = asked.tools is asked.tool_choice is asked.functions is asked.function_call is ABSENT
            model = asked.model.strip() if asked.model else ""
            return model or _scan(path, data)[0], asked.stream is True, not none and _wants_tools(asked), asked
    return *_scan(path, data), None


def _is_json_to_some(data: bytes) -> bool:
    """Say whether a backend that is no purist reads a document: with ``NaN``, half a surrogate pair, a raw line end."""
    try:
        json.loads(data, strict=False, parse_int=float)
    except RecursionError:
        return True
    except ValueError:
        return False
    return True


def _wants_tools(asked: Asked) -> bool:
    values = (asked.tools, asked.tool_choice, asked.functions, asked.function_call)
    return any(bytes(value) not in (b"", b"null") for value in values)


def _scan(path: str, data: bytes) -> tuple[str, bool, bool]:
    found = {key: (start, stop) for key, start, stop in members(data, ASKED_KEYS)}
    model = _string(data, found, ["model"]) or _string(
        data, found, [key for key in reversed(found) if key.lower() == "model"]
    )
    if not model:
        model = _in_messages(data)
    if not model and path in NATIVE_PATHS:
        named = {key: (start, stop) for key, start, stop in members(data, NAME_KEYS)}
        model = _string(data, named, ["name"])
    if not model and objects.REALTIME in path:
        model = next((text(data[start:stop]).strip() for start, stop in session_model_spans(data)), "")
    stream = "stream" in found and data.startswith(b"true", found["stream"][0])
    tools = any(key in TOOL_KEYS and not data.startswith(b"null", at[0]) for key, at in found.items())
    return model, stream, tools


def _string(data: bytes, found: dict[str, tuple[int, int]], names: Iterable[str]) -> str:
    for name in names:
        start, stop = found.get(name, (0, 0))
        if text(data[start:stop]).strip():
            return text(data[start:stop]).strip()
    return ""


def session_model_spans(data: bytes) -> Iterator[tuple[int, int]]:
    """
    Find every string that is the ``model`` of a ``session`` in a JSON document (openai-surface.md §2).

    :return: where each starts and stops, quotes included.
    """
    for _, inside, _ in members(data, SESSION_KEYS):
        for _, start, stop in members(data[inside:], MODEL_KEYS):
            if start < stop:
                yield inside + start, inside + stop


def _in_messages(data: bytes) -> str:
    try:
        messages = msgspec.json.decode(msgspec.json.decode(data, type=Nested).messages, type=list[msgspec.Raw])
        return (msgspec.json.decode(messages[0], type=Asked).model or "").strip() if messages else ""
    except UNREADABLE:
        return ""


def _in_form(
    path: str, where: str, found: Iterable[tuple[str, int, int]], data: bytes, session: str, makes: bool
) -> Requirements:
    model, stream, spans = where, False, []
    multipart = data.startswith(b"--")
    for name, start, stop in found:
        value = data[start:stop].decode("utf-8", "replace")
        value = value if multipart else unquote_plus(value)
        if name == "model":
            model = where or value.strip()
            spans.append((start, stop))
        elif name == "session" and multipart and objects.REALTIME in path:
            for _, at, end in members(data[start:stop], MODEL_KEYS):
                if at < end:
                    model = model or text(data[start + at : start + end]).strip()
                    spans.append((start + at + 1, start + end - 1))
        elif name == "stream":
            stream = value.strip().lower() == "true"
    return Requirements(path, model, stream, PLAIN, tuple(spans), False, session, makes=makes)
