"""
What the owner and its workers say to each other.

A worker asks (:class:`Ask`, answered by :class:`Answer` with the same number) what must be decided in one place,
and tells the rest.  The owner tells every worker what has changed, and asks two things of it.
"""

from __future__ import annotations

from typing import Any

import msgspec
from zope.interface import implementer

from olla.domain.models import ListedModel
from olla.domain.requirements import Requirements
from olla.events import AttemptFailed, Finished, Limited, SizeRefused
from olla.interfaces import IVerdict

Detail = dict[str, str | bool | float]


class Message(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Anything said."""


# What a worker asks --------------------------------------------------------------------------------------------


class Admit(Message, frozen=True):
    """May ``client`` have one request of that kind?"""

    client: str
    kind: str


class Recall(Message, frozen=True):
    """Which of ``candidates`` does a session belong to?"""

    source: str
    digest: bytes
    candidates: tuple[str, ...]


class Take(Message, frozen=True):
    """A slot at one of ``candidates``, please; ``preferred`` if it is free, rather none of ``cold``."""

    candidates: tuple[str, ...]
    wanted: Requirements
    preferred: str
    cold: tuple[str, ...]


class Show(Message, frozen=True):
    """The page at ``path``."""

    path: str
    query: dict[bytes, list[bytes]]


class Refresh(Message, frozen=True):
    """Read the listings of ``endpoints`` anew, for nobody has ``model``; what has changed is told before the answer."""

    model: str
    endpoints: tuple[str, ...]


class Find(Message, frozen=True):
    """Which endpoint has ``object``, which it has made for a client?"""

    object: str


Question = Admit | Recall | Take | Show | Refresh | Find


# What it is answered -------------------------------------------------------------------------------------------


@implementer(IVerdict)
class Verdict(Message, frozen=True):
    """What the limiters say."""

    allowed: bool
    retry_after: int
    fields: tuple[tuple[bytes, bytes], ...]
    limiter: str


class Recalled(Message, frozen=True):
    """
    What is known of a session.

    :ivar preferred: name of the endpoint to prefer; ``""`` for none.
    :ivar pinned: where it is pinned: ``""`` to what is lost, ``None`` for a session that nobody knows.
    """

    preferred: str
    spilled: bool
    pinned: str | None


class Taken(Message, frozen=True):
    """A slot, held until it is said to be :class:`Released` under the number of the question."""

    endpoint: str


class Refused(Message, frozen=True):
    """
    A refusal instead.

    :ivar kind: name of the class in :mod:`olla.errors`.
    """

    kind: str
    message: str
    wait: int | None


class Shown(Message, frozen=True):
    """A page; see :class:`olla.web.page.Page`."""

    status: int
    fields: tuple[tuple[bytes, bytes], ...]
    body: bytes
    tag: bytes
    zippable: bool


class Refreshed(Message, frozen=True):
    """The listings have been read, as far as they could be; ``read`` is whether any could."""

    read: bool


class Found(Message, frozen=True):
    """The endpoint that has it; ``""`` when nobody knows."""

    endpoint: str


Result = Verdict | Recalled | Taken | Refused | Shown | Refreshed | Found


# What a worker says --------------------------------------------------------------------------------------------


class Ask(Message, frozen=True):
    """A question; numbers are never used twice."""

    number: int
    question: Question


class Withdraw(Message, frozen=True):
    """Nobody wants the answer any more; a slot that was taken meanwhile is given back."""

    number: int


class Answered(Message, frozen=True):
    """A reply's head has come, with a status that says something of the endpoint; ``lease`` is 0 for none of yours."""

    lease: int
    endpoint: str
    status: int
    retry_after: float | None


class Succeeded(Message, frozen=True):
    """A reply was relayed whole."""

    lease: int
    endpoint: str


class Failed(Message, frozen=True):
    """
    An attempt failed.

    :ivar judged: whether the breaker has been told before.
    :ivar kind: name of the class in :mod:`olla.errors`, and ``detail`` its fields.
    """

    lease: int
    endpoint: str
    judged: bool
    kind: str
    detail: Detail


class Abandoned(Message, frozen=True):
    """The client of a request with one of your slots has left."""

    lease: int


class Released(Message, frozen=True):
    """The slot is free again."""

    lease: int


class Settled(Message, frozen=True):
    """``endpoint`` has answered a request of that session."""

    source: str
    digest: bytes
    spilled: bool
    endpoint: str


class Made(Message, frozen=True):
    """``endpoint`` has made ``object``."""

    object: str
    endpoint: str


class Done(Message, frozen=True):
    """
    A request that is over.

    :ivar event: without endpoint and decision.
    :ivar endpoint: its name; ``""`` for none.
    :ivar decision: strategy, action and reason; ``None`` for none.
    """

    event: Finished
    endpoint: str
    decision: tuple[str, str, str] | None


class Attempt(Message, frozen=True):
    """An attempt in vain; ``fields`` are those of the event but for the endpoint."""

    endpoint: str
    id: str
    reason: str
    error: str
    attempt: int
    remaining: int

    @classmethod
    def of(cls, event: AttemptFailed) -> Attempt:
        """Put ``event`` into words."""
        return cls(event.endpoint.name, event.id, event.reason, event.error, event.attempt, event.remaining)


class Report(Message, frozen=True):
    """
    What has happened since the last one.

    :ivar load: requests at each endpoint now that hold none of the owner's slots.
    """

    load: dict[str, int]
    attempts: list[Attempt]
    done: list[Done]
    limited: list[Limited]
    refused: list[SizeRefused]


class Busy(Message, frozen=True):
    """How many requests that hold none of the owner's slots an endpoint works on now."""

    endpoint: str
    count: int


class Lines(Message, frozen=True):
    """Whole lines for the log."""

    data: bytes


class Counted(Message, frozen=True):
    """The answer to :class:`Count`: every :class:`Report` has been sent."""

    number: int


class Measured(Message, frozen=True):
    """The answer to :class:`Measure`: what the process costs, as JSON."""

    number: int
    figures: bytes


FromWorker = (
    Ask
    | Withdraw
    | Answered
    | Succeeded
    | Failed
    | Abandoned
    | Released
    | Settled
    | Made
    | Report
    | Busy
    | Lines
    | Counted
    | Measured
)


# What the owner says -------------------------------------------------------------------------------------------


class Answer(Message, frozen=True):
    """The answer to the question of that number."""

    number: int
    result: Result


class State(Message, frozen=True):
    """
    All that workers need to know of an endpoint; see :class:`olla.balance.member.Member`.

    :ivar tokens: of its bucket, at ``used``; 0.0 where it has none.
    """

    endpoint: str
    profile: str
    size: int
    status: str
    failures: int
    last_error: str
    last_check: float
    next_check: float
    latency: float
    recovered_at: float
    listed_at: float
    cool_until: float
    closed: bool
    breaker_failures: int
    opens_at: float
    tokens: float
    used: float


class States(Message, frozen=True):
    """Endpoints whose state has changed."""

    states: list[State]


class Loads(Message, frozen=True):
    """How many requests of others each endpoint works on."""

    others: dict[str, int]


class Listed(Message, frozen=True):
    """
    An endpoint's listing was read.

    :ivar firsts: when each model was listed first, in seconds since 1970.
    :ivar now: when it was read, in seconds on the reactor's clock; ``wall`` since 1970.
    """

    endpoint: str
    profile: str
    models: tuple[ListedModel, ...]
    firsts: tuple[float, ...]
    now: float
    wall: float


class Ready(Message, frozen=True):
    """Every endpoint has been looked at once: nobody needs to wait for that any longer."""


class Count(Message, frozen=True):
    """Report at once, then say so."""

    number: int


class Measure(Message, frozen=True):
    """Say what your process costs."""

    number: int


class Reload(Message, frozen=True):
    """Take another configuration: pickled, for it comes from the process that started you."""

    config: bytes


class Stop(Message, frozen=True):
    """Finish what runs, and end."""


class Hurry(Message, frozen=True):
    """Do not wait for what runs."""


FromOwner = Answer | States | Loads | Listed | Ready | Count | Measure | Reload | Stop | Hurry


def detail_of(failure: Any) -> Detail:
    """Give the fields of an :class:`~olla.errors.UpstreamFailure`."""
    return {one.name: getattr(failure, one.name) for one in failure.__attrs_attrs__}
