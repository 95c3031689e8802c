"""What a request asks of the endpoint that will serve it."""

from __future__ import annotations

import msgspec

VISION = "vision"
TOOLS = "tools"
EMBEDDINGS = "embeddings"
NOTHING: frozenset[str] = frozenset()


class Requirements(msgspec.Struct, frozen=True):
    """
    Read from path and body once, then only looked at; a msgspec structure, for one is made for each request.

    :ivar path: path at the backend, decoded, without the route's prefix and without the query.
    :ivar model: the model's name as the client spells it, trimmed; ``""`` when none is named.
    :ivar stream: whether the client asks for a stream.
    :ivar capabilities: out of ``vision``, ``tools``, ``embeddings``.
    :ivar spans: where the model's name stands in a form: ``(start, stop)`` of the bare text; in JSON it is looked
        for only when it has to be changed.
    :ivar quoted: whether the body is JSON.
    :ivar object: id of what it asks for, which one endpoint alone has; ``""`` without.
    :ivar makes: whether the answer may tell of such an object.
    :ivar session: the client's session, from ``X-Olla-Session-ID``; ``""`` without.
    """

    path: str
    model: str = ""
    stream: bool = False
    capabilities: frozenset[str] = NOTHING
    spans: tuple[tuple[int, int], ...] = ()
    quoted: bool = True
    session: str = ""
    object: str = ""
    makes: bool = False
