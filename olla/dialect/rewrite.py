"""Puts another model's name where the client wrote its own, and leaves every other byte alone."""

from __future__ import annotations

from itertools import pairwise
from urllib.parse import quote, unquote

import msgspec

from olla.dialect import forms
from olla.dialect.inspect import (
    MODEL_KEYS,
    NAME_KEYS,
    NATIVE_PATHS,
    PATH_MODEL,
    model_in_query,
    session_model_spans,
)
from olla.dialect.objects import REALTIME
from olla.dialect.scan import SCAN_LIMIT, members
from olla.domain.message import Body
from olla.domain.requirements import Requirements

Spans = tuple[tuple[int, int], ...]


def rename(body: Body, wanted: Requirements, new: str) -> Body:
    """
    Name another model in a body.

    Of a repeated key every occurrence in the first 8 MiB is changed, in whatever letter case, so that it does not
    matter which of them the backend takes.  A body without a model stays as it is.

    :param wanted: what was read from this very body.
    :return: a body that shares with the given one what did not change.
    """
    if not wanted.quoted:
        if body.peek(2) != b"--":
            written = quote(new, safe="").encode()
        elif REALTIME in wanted.path:  # a part of JSON
            written = msgspec.json.encode(new)[1:-1]
        else:
            written = new.encode()
        return _spliced(body, wanted.spans, written)
    data = body.peek(SCAN_LIMIT)
    spans = model_spans(data)
    if not spans and wanted.path in NATIVE_PATHS:
        spans = tuple((start, stop) for key, start, stop in members(data, NAME_KEYS) if key == "name" and start < stop)
    if REALTIME in wanted.path:
        spans = tuple(sorted({*spans, *session_model_spans(data)}))
    return _spliced(body, spans, msgspec.json.encode(new))


def model_spans(data: bytes) -> Spans:
    """
    Find every string that a top-level ``model`` key of a JSON document has, in any letter case.

    :param data: the document, or its beginning.
    :return: where each starts and stops, quotes included.
    """
    return tuple((start, stop) for _, start, stop in members(data, MODEL_KEYS) if start < stop)


def rename_target(rest: bytes, wanted: Requirements, new: str) -> bytes:
    """
    Name another model in a path or query that names ``wanted.model``; any other stays as it is.

    :param rest: path and query after the route's prefix, as the client wrote them.
    """
    path, mark, query = rest.partition(b"?")
    match = PATH_MODEL.search(path.decode("latin-1"))
    if match is not None:
        group = match.lastgroup or "whole"
        if unquote(match[group]).strip() == wanted.model:
            safe = "/:@" if group == "whole" else ":@"
            return path[: match.start(group)] + quote(new, safe).encode() + path[match.end(group) :] + mark + query
    if model_in_query(query) == wanted.model:
        for name, start, stop in forms.pairs(query):
            if name == "model":
                return path + mark + query[:start] + quote(new, safe="").encode() + query[stop:]
    return rest


def _spliced(body: Body, spans: Spans, new: bytes) -> Body:
    if not spans:
        return body
    first, last = spans[0][0], spans[-1][1]
    between = body.peek(last)
    pieces = [new]
    for (_, stop), (start, _) in pairwise(spans):
        pieces += (between[stop:start], new)
    return body.splice(first, last, b"".join(pieces))
