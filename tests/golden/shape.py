"""
Checks answers against the shapes beside this file.

An object's key ``name?`` may be absent; ``{"*": s}`` is a map with free keys, ``[s]`` an array of ``s``.  A leaf
names a type (``string int float bool null any unix-s``), a format of ``FORMATS``, ``const:x``, ``enum:a|b``, or
several with ``|`` between them.  Pages of ours may say more than the shape; ``ours`` in a file replaces its shape
at a path.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
FORMATS = {
    "rfc3339": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)",
    "rfc3339-s": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)",
    "bytes-human": r"\d+ B|\d+\.\d\d (KB|MB|GB|TB|PB)",
    "percent": r"0%|100%|\d{1,3}\.\d%",
    "percent-or-na": r"N/A|0%|100%|\d{1,3}\.\d%",
    "latency": r"\d+ms|\d+\.\ds",
    "ago": r"never|\d+[smhd] ago",
    "ago-or-empty": r"|never|\d+[smhd] ago",
    "until": r"unknown|now|in \d+[smhd]",
    "uptime": r"\d+s|\d+m|\d+h \d+m|\d+d \d+h",
    "duration-short": r"0s|\d+(\.\d+)?(ns|µs|ms|s)|(\d+h)?(\d+m)?\d+s",
    "ratio": r"\d+/\d+",
    "endpoint-id": r"[0-9a-z]{1,7}(-\d+)?",
    "url": r"https?://[^?#@]+",
    "os-arch": r"[a-z0-9]+/[a-z0-9]+",
    "modelperm-id": r"modelperm-olla-[^/]+",
    "request-id": r"[a-z]+-[a-z]+-[0-9a-f]{4,}",
    "anthropic-msg-id": r"msg_[0-9A-Za-z]{22,28}",
}
OF_THE_SERVER = frozenset({"x-olla-request-id"})  # added to every answer, whatever the page


def page(name: str, status: int, headers: Mapping[str, str], body: bytes) -> list[str]:
    """
    Compare an answer with the golden page ``name``.

    :return: what is wrong with it, one sentence each.
    """
    golden = json.loads((HERE / f"{name}.json").read_text("utf-8"))
    problems = [] if status == golden["status"] else [f"status {status}, not {golden['status']}"]
    problems += _headers(golden["headers"], headers)
    return [*problems, *check(golden["shape"], json.loads(body), golden.get("ours", {}))]


def check(shape: Any, value: Any, ours: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Say what in ``value`` is not as in ``shape``."""
    shape = ours.get(path, shape)
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            yield f"{path}: not an object"
        elif list(shape) == ["*"]:
            for one in value.values():
                yield from check(shape["*"], one, ours, f"{path}.*")
        else:
            yield from _keys(shape, value, ours, path)
    elif isinstance(shape, list):
        if not isinstance(value, list):
            yield f"{path}: not an array"
        else:
            for one in value:
                yield from check(shape[0], one, ours, f"{path}[]")
    elif not _leaf(shape, value):
        yield f"{path}: {value!r} is not {shape}"


def _keys(shape: Mapping[str, Any], value: Mapping[str, Any], ours: Mapping[str, Any], path: str) -> Iterator[str]:
    for key, inner in shape.items():
        name = key.rstrip("?")
        where = f"{path}.{name}" if path else name
        if name in value:
            yield from check(inner, value[name], ours, where)
        elif not key.endswith("?"):
            yield f"{where}: missing"


def _leaf(shape: str, value: Any) -> bool:
    if shape.startswith("enum:"):
        return value in shape[5:].split("|")
    if shape.startswith("const:"):
        return bool(value == shape[6:])
    return any(_is(kind, value) for kind in shape.split("|"))


def _is(kind: str, value: Any) -> bool:
    if kind in FORMATS:
        return isinstance(value, str) and re.fullmatch(FORMATS[kind], value) is not None
    types: dict[str, tuple[type, ...]] = {
        "int": (int,),
        "unix-s": (int,),
        "float": (int, float),
        "bool": (bool,),
        "string": (str,),
        "null": (type(None),),
    }
    return kind == "any" or type(value) in types.get(kind, ())


def _headers(wanted: Mapping[str, str], given: Mapping[str, str]) -> Iterator[str]:
    named = {name.lower(): value for name, value in given.items()}
    for key, value in wanted.items():
        name = key.rstrip("?").lower()
        if name in OF_THE_SERVER:
            continue
        if name not in named:
            if not key.endswith("?"):
                yield f"header {key}: missing"
        elif not (re.search(value[3:], named[name]) if value.startswith("re:") else named[name] == value):
            yield f"header {key}: {named[name]!r} is not {value}"
