"""One worker, as the owner sees it: what it asks, what it holds, and what is left when it dies."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from attrs import Factory, define, field

from olla import errors
from olla.balance.affinity import Affinity, Key, Stay
from olla.balance.fleet import Fleet, Lease, Member
from olla.crew.link import Link, owners_end
from olla.crew.messages import (
    Abandoned,
    Admit,
    Answer,
    Answered,
    Ask,
    Busy,
    Count,
    Counted,
    Failed,
    Find,
    Found,
    FromWorker,
    Lines,
    Made,
    Measure,
    Measured,
    Message,
    Question,
    Recall,
    Recalled,
    Refresh,
    Refused,
    Released,
    Report,
    Result,
    Settled,
    Show,
    Succeeded,
    Take,
    Taken,
    Verdict,
    Withdraw,
)
from olla.interfaces import IVerdict
from olla.pending import Cancelled, Pending
from olla.proxy.objects import Objects

NOBODY = "No endpoint is left that could take the request"


class Owner(Protocol):
    """What a post needs of its owner; see :class:`olla.crew.owner.Owner`."""

    fleet: Fleet
    affinity: Affinity
    objects: Objects
    admit: Callable[[str, str, float], IVerdict]
    clock: Callable[[], float]

    def show(self, question: Show, answer: Callable[[Result], None]) -> None: ...

    def refresh(self, model: str, members: Sequence[Member], answer: Callable[[Result], None]) -> None: ...

    def reported(self, report: Report) -> None: ...

    def log(self, number: int, data: bytes) -> None: ...

    def changed(self) -> None: ...

    def heard(self) -> None: ...

    def left(self, post: Post) -> None: ...


@define(eq=False)
class Post:
    """
    One worker.

    :ivar number: 1, 2 … ; the one that takes its place has the same.
    :ivar load: requests at each endpoint that hold no lease of ours, as told last.
    :ivar leases: by the number of the question.
    :ivar questions: that have yet to be answered, or handed on.
    """

    number: int
    _owner: Owner
    link: Link[FromWorker] = field(
        init=False,
        default=Factory(lambda self: owners_end(self._heard, self._lost, self._owner.heard), takes_self=True),
    )
    load: Mapping[str, int] = field(init=False, factory=dict)
    leases: dict[int, Lease] = field(init=False, factory=dict)
    questions: list[Ask] = field(init=False, factory=list)
    _waiting: dict[int, Pending[Lease]] = field(init=False, factory=dict)
    _asked: dict[int, Callable[[bytes], None]] = field(init=False, factory=dict)
    _last: int = field(init=False, default=0)

    def say(self, message: Message) -> None:
        """Tell the worker."""
        self.link.say(message)

    def count(self, counted: Callable[[], None]) -> None:
        """Have it report; ``counted`` is called when it has, or is gone."""
        self.say(Count(self._ask(lambda _: counted())))

    def measure(self, measured: Callable[[bytes], None]) -> None:
        """Have it say what its process costs; ``measured`` gets ``b""`` when it is gone."""
        self.say(Measure(self._ask(measured)))

    def disown(self, endpoints: Collection[str]) -> None:
        """Forget what it was said to do at endpoints that are others by now."""
        self.load = {name: count for name, count in self.load.items() if name not in endpoints}

    def busy_at(self, endpoint: str) -> int:
        """Count this worker's requests at an endpoint."""
        leased = sum(lease.member.name == endpoint for lease in self.leases.values())
        return self.load.get(endpoint, 0) + leased

    def _ask(self, answered: Callable[[bytes], None]) -> int:
        self._last += 1
        self._asked[self._last] = answered
        return self._last

    def _heard(self, message: FromWorker) -> None:
        HEARD[type(message)](self, message)

    # What it asks ----------------------------------------------------------------------------------------------

    def asked(self, ask: Ask) -> None:
        """Keep a question until all has been heard that was said before it; see :meth:`answer`."""
        self.questions.append(ask)

    def answer(self) -> None:
        """Answer what it has asked, now or later."""
        questions, self.questions = self.questions, []
        for ask in questions:
            ANSWERS[type(ask.question)](self, ask.number, ask.question)

    def admit(self, number: int, question: Admit) -> None:
        """Ask the limiters."""
        verdict = self._owner.admit(question.client, question.kind, self._owner.clock())
        limiter = getattr(verdict, "limiter", "")
        self._answer(number, Verdict(verdict.allowed, verdict.retry_after, tuple(verdict.fields), limiter))

    def recall(self, number: int, question: Recall) -> None:
        """Look up a session."""
        affinity, key = self._owner.affinity, Key(question.source, question.digest)
        stay = affinity.recall(key, self._members(question.candidates), self._owner.clock())
        preferred = stay.preferred.name if stay.preferred is not None else ""
        self._answer(number, Recalled(preferred, stay.spilled, stay.pinned))

    def take(self, number: int, question: Take) -> None:
        """Lease an endpoint, or queue for it."""
        fleet, now = self._owner.fleet, self._owner.clock()
        candidates = self._members(question.candidates)
        try:
            if not candidates:
                raise errors.NoEndpoints(NOBODY)
            preferred = fleet.get(question.preferred)
            taken = fleet.lease(candidates, question.wanted, now, preferred, question.cold)
        except errors.Refusal as refusal:
            self._answer(number, _words(refusal))
            return
        if isinstance(taken, Lease):
            self._took(number, taken)
        else:
            self._wait(number, taken)

    def find(self, number: int, question: Find) -> None:
        """Look up who has an object."""
        self._answer(number, Found(self._owner.objects.place_of(question.object) or ""))

    def show(self, number: int, question: Show) -> None:
        """Have a page made."""
        self._owner.show(question, lambda result: self._answer(number, result))

    def refresh(self, number: int, question: Refresh) -> None:
        """Have listings read."""
        members = self._members(question.endpoints)
        self._owner.refresh(question.model, members, lambda result: self._answer(number, result))

    def withdrawn(self, message: Withdraw) -> None:
        """Forget a question, leave the queue, or give back what was taken in vain."""
        self.questions = [ask for ask in self.questions if ask.number != message.number]
        waiting = self._waiting.get(message.number)
        if waiting is not None:
            waiting.cancel()
        self.released(Released(message.number))

    def _wait(self, number: int, waiting: Pending[Lease]) -> None:
        self._waiting[number] = waiting

        def over() -> None:
            del self._waiting[number]
            try:
                self._took(number, waiting.result())
            except errors.Refusal as refusal:
                self._answer(number, _words(refusal))
            except Cancelled:
                pass

        waiting.when_done(over)

    def _took(self, number: int, lease: Lease) -> None:
        self.leases[number] = lease
        self._answer(number, Taken(lease.member.name))

    def _answer(self, number: int, result: Result) -> None:
        self.say(Answer(number, result))

    def _members(self, names: Sequence[str]) -> tuple[Member, ...]:
        found = map(self._owner.fleet.get, names)
        return tuple(member for member in found if member is not None)

    # What it says ----------------------------------------------------------------------------------------------

    def answered(self, message: Answered) -> None:
        """Take note of the head of a reply."""
        lease = self._lease(message.lease, message.endpoint)
        if lease is not None:
            self._owner.fleet.answered(lease, message.status, message.retry_after, self._owner.clock())
            self._owner.changed()

    def succeeded(self, message: Succeeded) -> None:
        """Take note that a reply was relayed whole."""
        lease = self._lease(message.lease, message.endpoint)
        if lease is not None:
            self._owner.fleet.succeeded(lease, self._owner.clock())
            self._owner.changed()

    def failed(self, message: Failed) -> None:
        """Take note that an attempt failed."""
        lease = self._lease(message.lease, message.endpoint)
        if lease is not None:
            lease.judged = lease.judged or message.judged
            failure = getattr(errors, message.kind)(**message.detail)
            self._owner.fleet.failed(lease, failure, self._owner.clock())
            self._owner.changed()

    def abandoned(self, message: Abandoned) -> None:
        """Take note that a client has left."""
        lease = self.leases.get(message.lease)
        if lease is not None:
            self._owner.fleet.abandoned(lease)
            self._owner.changed()

    def released(self, message: Released) -> None:
        """Have a slot back."""
        lease = self.leases.pop(message.lease, None)
        if lease is not None:
            lease.release()

    def settled(self, message: Settled) -> None:
        """Pin a session."""
        member = self._owner.fleet.get(message.endpoint)
        if member is not None:
            stay = Stay(Key(message.source, message.digest), None, message.spilled)
            self._owner.affinity.settle(stay, member, self._owner.clock())

    def made(self, message: Made) -> None:
        """Take note of who has an object."""
        self._owner.objects.place(message.object, message.endpoint)

    def reported(self, report: Report) -> None:
        """Count what has happened, and what runs."""
        self._carry(report.load)
        self._owner.reported(report)

    def occupied(self, message: Busy) -> None:
        """Count what runs at one endpoint."""
        self._carry({**self.load, message.endpoint: message.count})

    def lines(self, message: Lines) -> None:
        """Write its lines into the log."""
        self._owner.log(self.number, message.data)

    def counted(self, message: Counted) -> None:
        """It has reported all that there was."""
        self._told(message.number, b"")

    def measured(self, message: Measured) -> None:
        """It has said what its process costs."""
        self._told(message.number, message.figures)

    def _told(self, number: int, data: bytes) -> None:
        answered = self._asked.pop(number, None)
        if answered is not None:
            answered(data)

    def _lease(self, number: int, endpoint: str) -> Lease | None:
        """Find a lease of ours, or make one for a request that has none, only to be judged by."""
        if number:
            return self.leases.get(number)
        member = self._owner.fleet.get(endpoint)
        return None if member is None else Lease(member, self._owner.fleet, held=False)

    def _carry(self, load: Mapping[str, int]) -> None:
        """Count ``load`` at the endpoints in place of what was told last."""
        before, self.load = self.load, load
        for name in {*before, *load}:
            member = self._owner.fleet.get(name)
            if member is not None:
                member.in_flight += load.get(name, 0) - before.get(name, 0)

    def _lost(self) -> None:
        """It is gone: nothing of it remains."""
        self.questions.clear()
        self._carry({})
        for waiting in tuple(self._waiting.values()):
            waiting.cancel()
        for number, lease in tuple(self.leases.items()):
            self._owner.fleet.abandoned(lease)
            self.released(Released(number))
        for number in tuple(self._asked):
            self._told(number, b"")
        self._owner.left(self)


HEARD: Mapping[type[Message], Callable[[Post, object], None]] = {
    Ask: Post.asked,  # type: ignore[dict-item]  # each is given what it stands for
    Withdraw: Post.withdrawn,  # type: ignore[dict-item]
    Answered: Post.answered,  # type: ignore[dict-item]
    Succeeded: Post.succeeded,  # type: ignore[dict-item]
    Failed: Post.failed,  # type: ignore[dict-item]
    Abandoned: Post.abandoned,  # type: ignore[dict-item]
    Released: Post.released,  # type: ignore[dict-item]
    Settled: Post.settled,  # type: ignore[dict-item]
    Made: Post.made,  # type: ignore[dict-item]
    Busy: Post.occupied,  # type: ignore[dict-item]
    Report: Post.reported,  # type: ignore[dict-item]
    Lines: Post.lines,  # type: ignore[dict-item]
    Counted: Post.counted,  # type: ignore[dict-item]
    Measured: Post.measured,  # type: ignore[dict-item]
}
ANSWERS: Mapping[type[Question], Callable[[Post, int, object], None]] = {
    Admit: Post.admit,  # type: ignore[dict-item]
    Recall: Post.recall,  # type: ignore[dict-item]
    Take: Post.take,  # type: ignore[dict-item]
    Show: Post.show,  # type: ignore[dict-item]
    Refresh: Post.refresh,  # type: ignore[dict-item]
    Find: Post.find,  # type: ignore[dict-item]
}


def _words(refusal: errors.Refusal) -> Refused:
    return Refused(type(refusal).__name__, refusal.message, refusal.retry_after)
