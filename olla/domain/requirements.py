"""What a request asks of the endpoint that will serve it."""

from __future__ import annotations

from attrs import field, frozen

VISION = "vision"
TOOLS = "tools"
EMBEDDINGS = "embeddings"


@frozen
class Requirements:
    """
    Read from path and body once, then only looked at.

    :ivar path: path at the backend, decoded, without the route's prefix and without the query.
    :ivar model: the model's name as the client spells it, trimmed; ``""`` when none is named.
    :ivar stream: whether the client asks for a stream.
    :ivar capabilities: out of ``vision``, ``tools``, ``embeddings``.
    :ivar spans: where the model's name stands in the body: ``(start, stop)`` of the whole JSON string with its
        quotes, or of the bare text in a form; more than one when the key is repeated.
    :ivar quoted: whether the spans are JSON strings.
    :ivar session: the client's session, from ``X-Olla-Session-ID``; ``""`` without.
    """

    path: str
    model: str = ""
    stream: bool = False
    capabilities: frozenset[str] = frozenset()
    spans: tuple[tuple[int, int], ...] = field(default=(), repr=False)
    quoted: bool = True
    session: str = ""
