"""Header fields that are fit to be sent, in the form in which Twisted's server and its Agent take them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from twisted.web.http_headers import Headers

from olla.domain.message import Block, Fields, lines


class Prepared(Headers):
    """
    Fields in their order and as they are spelled, and behind them what Twisted adds by itself.

    Stock headers rewrite each name and clean each value, for each message; most of ours are the same in thousands.
    What was prepared stays as it is: only what was added to it can be set or removed.
    """

    __slots__ = ("_parts",)

    def __init__(self, blocks: Sequence[Block], fields: Fields) -> None:
        """
        Take them.

        :raise ValueError: when one of ``fields`` could not be sent as one line.
        """
        super().__init__()
        lines(fields)
        self._parts = (*(block.fields for block in blocks), fields)

    def hasHeader(self, name: Any) -> bool:
        """See :class:`~twisted.web.http_headers.Headers`."""
        return self.getRawHeaders(name) is not None

    def getRawHeaders(self, name: Any, default: Any = None) -> Any:
        """See :class:`~twisted.web.http_headers.Headers`."""
        added = super().getRawHeaders(name)
        if added is not None:
            return added
        wanted = (name.encode("latin-1") if isinstance(name, str) else name).lower()
        size = len(wanted)
        values = [value for part in self._parts for key, value in part if len(key) == size and key.lower() == wanted]
        return values or default

    def getAllRawHeaders(self) -> Iterator[tuple[bytes, Sequence[bytes]]]:
        """See :class:`~twisted.web.http_headers.Headers`."""
        for part in self._parts:
            for name, value in part:
                yield name, (value,)
        yield from super().getAllRawHeaders()
