"""The process that owns what must be one, and has the workers know what they need of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, MutableMapping, Sequence

from attrs import Factory, define, field
from cachetools import TTLCache
from msgspec import structs
from twisted.internet.defer import Deferred

from olla.balance.affinity import Affinity
from olla.balance.fleet import Fleet, Member
from olla.catalog.catalog import Catalog
from olla.crew.messages import (
    Done,
    Listed,
    Loads,
    Message,
    Ready,
    Refreshed,
    Reload,
    Report,
    Result,
    Show,
    Shown,
    State,
    States,
)
from olla.crew.post import Post
from olla.domain.endpoint import Endpoint
from olla.domain.routing import Decision
from olla.events import AttemptFailed, Event, Finished, Limited, SizeRefused
from olla.interfaces import IVerdict
from olla.pending import Pending
from olla.proxy.objects import Objects

PROCESS_PAGE = "/internal/process"
PATIENCE = 1.0
AGAIN = 5.0
MANY = 1000


@define(eq=False)
class _Gathering:
    """A page that waits for what the workers have yet to report."""

    missing: set[int]
    until: float
    ready: Callable[[], None]


@define(eq=False)
class Owner:
    """
    Answers the workers, counts for all of them, and tells each what the others need to know.

    :ivar fleet: with the real health, breakers and queue; slots of endpoints with a limit are taken here alone.
    :ivar affinity: the sessions of all.
    :ivar objects: where the objects of all were made.
    :ivar admit: asks the limiters of all.
    :ivar page: makes a page of ours, from what was counted here.
    :ivar read: reads the listings of endpoints anew; fires with whether any could be read.
    :ivar catalog: what the endpoints list.
    :ivar counters: told of each thing that is counted.
    :ivar write: takes lines for the log.
    :ivar gone: told the number of a worker that is there no more.
    :ivar clock: seconds that never go back, and mean the same in each process.
    """

    fleet: Fleet
    affinity: Affinity
    objects: Objects
    admit: Callable[[str, str, float], IVerdict]
    page: Callable[[Show], Shown]
    read: Callable[[Sequence[Member]], Deferred[bool]]
    catalog: Catalog
    counters: Callable[[Event], None]
    write: Callable[[bytes], None]
    gone: Callable[[int], None]
    clock: Callable[[], float]
    posts: dict[int, Post] = field(init=False, factory=dict)
    _ready: bool = field(init=False, default=False)
    _hearing: bool = field(init=False, default=False)
    _states: dict[str, State] = field(init=False, factory=dict)
    _loads: dict[int, Loads] = field(init=False, factory=dict)
    _reading_for: dict[str, list[Callable[[Result], None]]] = field(init=False, factory=dict)
    _read_for: MutableMapping[str, bool] = field(
        init=False, default=Factory(lambda self: TTLCache(MANY, AGAIN, self.clock), takes_self=True)
    )
    _gatherings: list[_Gathering] = field(init=False, factory=list)
    _endpoints: dict[str, Endpoint] = field(init=False, factory=dict)  # those that are gone too: events name them

    def __attrs_post_init__(self) -> None:
        self._know()

    # Workers ---------------------------------------------------------------------------------------------------

    def post(self, number: int) -> Post:
        """Have a worker of that number: it is told all that is known when :meth:`welcome` is called."""
        post = self.posts[number] = Post(number, self)
        return post

    def welcome(self, post: Post) -> None:
        """Tell a worker that has just been connected all that is known."""
        self.changed()
        post.say(States(list(self._states.values())))
        for member in self.fleet.members:
            if member.listed_at:
                post.say(self._listing(member))
        if self._ready:
            post.say(Ready())

    def left(self, post: Post) -> None:
        """A worker is gone."""
        if self.posts.get(post.number) is post:
            del self.posts[post.number]
            self.gone(post.number)
        self._loads.pop(post.number, None)
        self._gathered(post.number)

    def tell(self, message: Message) -> None:
        """Tell every worker."""
        for post in tuple(self.posts.values()):
            post.say(message)

    # What changes ----------------------------------------------------------------------------------------------

    def ready(self) -> None:
        """Every endpoint has been looked at once."""
        self.changed()
        self._ready = True
        self.tell(Ready())

    def changed(self, event: Event | None = None) -> None:
        """Tell the workers how the endpoints are whose state is another than they know."""
        now, states = self.clock(), []
        for member in self.fleet.members:
            state = state_of(member, now)
            if self._states.get(member.name) != state:
                self._states[member.name] = state
                states.append(state)
        if states:
            self.tell(States(states))

    def listed(self, member: Member) -> None:
        """Tell the workers what an endpoint has listed."""
        self.changed()
        self.tell(self._listing(member))

    def reload(self, config: bytes) -> None:
        """Have the workers take another configuration, which has been taken here already."""
        new = {member.name for member in self.fleet.members if member.endpoint is not self._endpoints.get(member.name)}
        for post in self.posts.values():
            post.disown(new)
        self._know()
        self.tell(Reload(config))
        self._states.clear()  # an endpoint of the same name may be another one
        self.changed()

    def sweep(self, now: float) -> None:
        """Tell who works on how much, and wait no longer for who does not answer; to be called every 0.2 s or so."""
        self.changed()
        for number, post in self.posts.items():
            others = {
                member.name: member.in_flight - post.busy_at(member.name)
                for member in self.fleet.members
                if member.in_flight
            }
            loads = Loads({name: count for name, count in others.items() if count > 0})
            if self._loads.get(number, Loads({})) != loads:
                self._loads[number] = loads
                post.say(loads)
        for late in [one for one in self._gatherings if now >= one.until]:
            self._gatherings.remove(late)
            late.ready()

    def _listing(self, member: Member) -> Listed:
        name, known = member.name, self.catalog
        return Listed(name, member.profile, known.models(name), known.firsts(name), member.listed_at, known.seen(name))

    # What workers ask and say ----------------------------------------------------------------------------------

    def heard(self) -> None:
        """
        Answer what was asked, once all has been heard that was said before.

        A client that has its answer from one worker may have asked another at once, and the reactor reads from
        both in any order: whom a session belongs to would come after the question for it.
        """
        posts = tuple(self.posts.values())
        if self._hearing or not any(post.questions for post in posts):
            return
        self._hearing, known = True, -1
        while known != (known := sum(len(post.questions) for post in posts)):  # more may have been asked meanwhile
            for post in posts:
                post.link.hear()
        self._hearing = False
        for post in posts:
            post.answer()

    def show(self, question: Show, answer: Callable[[Result], None]) -> None:
        """Make a page, when every worker has reported what it has to report."""
        if question.path == PROCESS_PAGE:
            figures: dict[int, bytes] = {}

            def measure(post: Post, done: Callable[[], None]) -> None:
                def measured(data: bytes) -> None:
                    figures[post.number] = data
                    done()

                post.measure(measured)

            self._gather(measure, lambda: answer(_processes(figures)))
        else:
            self._gather(lambda post, done: post.count(done), lambda: answer(self.page(question)))

    def refresh(self, model: str, members: Sequence[Member], answer: Callable[[Result], None]) -> None:
        """Read listings anew, once in five seconds for each model that nobody has; who asks meanwhile waits."""
        read = self._read_for.get(model)
        if read is not None:
            answer(Refreshed(read))
            return
        waiting = self._reading_for.setdefault(model, [])
        waiting.append(answer)
        if len(waiting) > 1:
            return

        def over(result: object) -> None:
            read = self._read_for[model] = result is True
            for answer in self._reading_for.pop(model):
                answer(Refreshed(read))

        self.read(members).addBoth(over)

    def reported(self, report: Report) -> None:
        """Count what a worker has told."""
        for attempt in report.attempts:
            endpoint = self._endpoint(attempt.endpoint)
            if endpoint is not None:
                fields = (attempt.reason, attempt.error, attempt.attempt, attempt.remaining)
                self.counters(AttemptFailed(attempt.id, endpoint, *fields))
        for done in report.done:
            self.counters(self._finished(done))
        told: Iterable[Limited | SizeRefused] = (*report.limited, *report.refused)
        for event in told:
            self.counters(event)

    def log(self, number: int, data: bytes) -> None:
        """Write a worker's lines, each with its number."""
        self.write(numbered(data, number))

    def _finished(self, done: Done) -> Finished:
        decision = None
        if done.decision is not None:
            strategy, action, reason = done.decision
            decision = Decision(strategy, action, reason)  # type: ignore[arg-type]  # a worker's, so one of the three
        return structs.replace(done.event, endpoint=self._endpoint(done.endpoint), decision=decision)

    def _endpoint(self, name: str) -> Endpoint | None:
        return self._endpoints.get(name)

    def _know(self) -> None:
        self._endpoints.update((member.name, member.endpoint) for member in self.fleet.members)

    def _gather(self, ask: Callable[[Post, Callable[[], None]], None], ready: Callable[[], None]) -> None:
        """Ask every worker; ``ready`` is called when all have answered, or a second has passed."""
        posts = tuple(self.posts.values())
        gathering = _Gathering({post.number for post in posts}, self.clock() + PATIENCE, ready)
        self._gatherings.append(gathering)
        for post in posts:
            ask(post, lambda number=post.number: self._gathered(number, gathering))  # type: ignore[misc]
        if not posts:
            self._gathered(0)

    def _gathered(self, number: int, which: _Gathering | None = None) -> None:
        """One has answered one gathering, or is gone from all."""
        for gathering in [which] if which is not None else tuple(self._gatherings):
            gathering.missing.discard(number)
            if not gathering.missing and gathering in self._gatherings:
                self._gatherings.remove(gathering)
                gathering.ready()


def state_of(member: Member, now: float) -> State:
    """Give what workers need to know of ``member``."""
    breaker, bucket = member.breaker, member.bucket
    return State(
        member.name,
        member.profile,
        member.size,
        member.status.value,
        member.failures,
        member.last_error,
        member.last_check,
        member.next_check,
        member.latency,
        member.recovered_at,
        member.listed_at,
        member.cool_until if member.cooling(now) else 0.0,
        breaker.closed,
        breaker.failures,
        0.0 if breaker.allows(now) else round(now + breaker.wait(now), 3),
        bucket.tokens if bucket is not None else 0.0,
        bucket.used if bucket is not None else 0.0,
    )


def numbered(data: bytes, number: int) -> bytes:
    """
    Add a worker's number to each line of the log.

    :param data: whole lines, JSON or text, each with its line feed.
    """
    mark, text = b',"worker":%d}\n' % number, b" worker=%d\n" % number
    return b"".join(
        line[:-1] + mark if line.endswith(b"}") and line.startswith(b"{") else line + text
        for line in data.split(b"\n")[:-1]
    )


def when_ready(waiting: Pending[None], owner: Owner) -> None:
    """Have ``owner`` tell when every endpoint has been looked at."""
    if waiting.done:
        owner.ready()
    else:
        waiting.when_done(owner.ready)


def _processes(figures: dict[int, bytes]) -> Shown:
    workers = [json.loads(figures[number]) for number in sorted(figures) if figures[number]]
    body = json.dumps({"workers": workers}, separators=(",", ":")).encode()
    fields = ((b"Content-Type", b"application/json"), (b"Cache-Control", b"no-store"))
    return Shown(200, fields, body, b"", False)
