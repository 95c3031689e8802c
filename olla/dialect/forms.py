"""Finds fields in the bodies of forms, without decoding or rebuilding them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote_plus

MAX_FIELDS = 1000
MAX_VALUE = 4096
MAX_PART_HEAD = 16384
BOUNDARY = re.compile(rb';[ \t]*boundary=(?:"([^"]{1,200})"|([^;" \t]{1,200}))', re.IGNORECASE)
DISPOSITION = re.compile(rb"(?:^|\n)content-disposition:[ \t]*form-data((?:[^\r\n]|\r?\n[ \t])*)", re.IGNORECASE)
NAME = re.compile(rb';[ \t]*name=(?:"([^"]*)"|([^;" \t\r\n]+))', re.IGNORECASE)
FILENAME = re.compile(rb";[ \t]*filename\*?=", re.IGNORECASE)


def fields(content_type: bytes, data: bytes) -> Iterator[tuple[str, int, int]]:
    """
    Find the fields of a form of either kind; files and values above 4 KiB are passed over.

    :param data: the beginning of the body, or all of it.
    :return: name, and start and stop of the bare value as it stands in ``data``.
    """
    kind = content_type.lower()
    if kind.startswith(b"multipart/form-data"):
        boundary = BOUNDARY.search(content_type)
        if boundary is not None:
            yield from _parts(data, b"--" + (boundary.group(1) or boundary.group(2)))
    elif kind.startswith(b"application/x-www-form-urlencoded"):
        yield from pairs(data)


def pairs(data: bytes) -> Iterator[tuple[str, int, int]]:
    """
    Find the fields of ``name=value&…``, at most the first 1000.

    :return: decoded name, and start and stop of the value as it stands in ``data``.
    """
    start = 0
    for _ in range(MAX_FIELDS):
        stop = data.find(b"&", start)
        stop = len(data) if stop < 0 else stop
        equals = data.find(b"=", start, stop)
        if equals >= 0 and stop - start <= MAX_VALUE:
            yield unquote_plus(data[start:equals].decode("latin-1")), equals + 1, stop
        start = stop + 1
        if start > len(data):
            return


def _parts(data: bytes, delimiter: bytes) -> Iterator[tuple[str, int, int]]:
    line = b"\r\n" + delimiter
    start = 0 if data.startswith(delimiter) else -1
    for _ in range(MAX_FIELDS):
        stop = data.find(line, start + len(delimiter))
        if start < 0 or stop < 0:
            return  # after the last part, or in one that is not here to its end
        head = start + len(delimiter)
        value = data.find(b"\r\n\r\n", head, min(stop, head + MAX_PART_HEAD)) + 4
        if value > head and stop - value <= MAX_VALUE:
            name = _name(data[head:value])
            if name:
                yield name, value, stop
        start = stop + 2


def _name(head: bytes) -> str:
    disposition = DISPOSITION.search(head)
    if disposition is None or FILENAME.search(disposition.group(1)):
        return ""
    name = NAME.search(disposition.group(1))
    return (name.group(1) or name.group(2) or b"").decode("latin-1") if name else ""
