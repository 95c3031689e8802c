"""
What happened, as records that are told and never steer.

They are msgspec structures: one is made for each request, and these cost a fifth of an attrs value.
"""

from __future__ import annotations

import msgspec

from olla.domain.endpoint import Endpoint
from olla.domain.models import ListedModel
from olla.domain.routing import Decision
from olla.domain.usage import Usage


class Event(msgspec.Struct, frozen=True, array_like=True):
    """Something that happened."""


class Finished(Event, frozen=True):
    """
    One request is over, whatever its outcome.  The only event of an ordinary request.

    :ivar outcome: ``success`` (relayed whole, status < 500), ``error`` (a 5xx relayed whole), ``failed`` (no
        answer, or one cut short), ``rejected`` (an answer of ours before any attempt), ``local`` (a page of
        ours), ``cancelled`` (the client left).
    :ivar surface: ``proxy``, ``models``, ``internal`` or ``anthropic``.
    :ivar path: as received, without the query.
    :ivar query: as received, ``""`` without; listeners must redact it before they show it.
    :ivar status: sent to the client; 499 when it left before the end.
    :ivar endpoint: that answered, or was tried last; ``None`` when none was.
    :ivar model: name sent to the backend; ``""`` when none was named.
    :ivar code: of the refusal, ``""`` otherwise.
    :ivar started: seconds on the reactor's clock when the head had been read.
    :ivar duration: seconds from then to the end.
    :ivar head_after: seconds until the head went out; ``0.0`` when none did.
    :ivar first_byte_after: seconds until the first byte of the body; ``0.0`` when there was none.
    :ivar queued: seconds spent waiting for a free slot.
    :ivar bytes_in: of the request's body.
    :ivar bytes_out: of the response's body.
    :ivar attempts: endpoints tried.
    :ivar usage: what the backend said it cost.
    """

    id: str
    outcome: str
    surface: str
    method: str
    path: str
    query: str
    status: int
    peer: str
    client: str
    started: float
    duration: float
    endpoint: Endpoint | None = None
    model: str = ""
    stream: bool = False
    decision: Decision | None = None
    code: str = ""
    error: str = ""
    head_after: float = 0.0
    first_byte_after: float = 0.0
    queued: float = 0.0
    bytes_in: int = 0
    bytes_out: int = 0
    attempts: int = 0
    usage: Usage | None = None
    user_agent: str = ""
    referer: str = ""
    content_type: str = ""
    accept: str = ""
    session: str = ""
    sticky: str = ""


class AttemptFailed(Event, frozen=True):
    """
    One endpoint was tried in vain; the request may yet succeed on another.

    :ivar reason: ``connect``, ``timeout``, ``protocol``, ``stream`` or ``status``.
    :ivar remaining: endpoints that are left to try.
    """

    id: str
    endpoint: Endpoint
    reason: str
    error: str
    attempt: int
    remaining: int


class SizeRefused(Event, frozen=True):
    """A request was too large: its head (431) or its body (413)."""

    client: str
    status: int


class Limited(Event, frozen=True):
    """A limiter refused a request."""

    client: str
    limiter: str
    retry_after: int


class HealthChanged(Event, frozen=True):
    """
    An endpoint's state is another than before.

    :ivar before: state name of behaviour.md §3, ``unknown`` at first.
    :ivar after: likewise.
    :ivar error: why, ``""`` when all is well.
    :ivar next_check: seconds until it is asked again.
    """

    endpoint: Endpoint
    before: str
    after: str
    error: str = ""
    failures: int = 0
    next_check: float = 0.0


class StillUnwell(Event, frozen=True):
    """
    A check found an endpoint in the bad state in which it was before.

    :ivar status: state name of behaviour.md §3.
    :ivar failures: bad checks in a row, this one included.
    """

    endpoint: Endpoint
    status: str
    error: str
    failures: int


class ModelsListed(Event, frozen=True):
    """An endpoint's listing was read."""

    endpoint: Endpoint
    models: tuple[ListedModel, ...]


class ListingFailed(Event, frozen=True):
    """An endpoint's listing could not be read; what it listed last is kept."""

    endpoint: Endpoint
    error: str
    failures: int
    next_try: float
