"""Reads the endpoints' listings: at the start, from time to time, and when one has come back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from attrs import define, field, frozen
from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore, gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from olla.balance.fleet import Member
from olla.dialect.listing import ListingError, parse
from olla.domain.models import ListedModel
from olla.events import Event, ListingFailed, ModelsListed
from olla.upstream.ask import Asker, Unanswered

PURPOSE = "Discovery"
LISTING_LIMIT = 10 << 20
LONGEST_PAUSE = 1800.0


@frozen
class DiscoveryRules:
    """
    How listings are read.

    :ivar interval: seconds between two passes.
    :ivar timeout: seconds for one listing.
    :ivar workers: listings read at once.
    :ivar attempts: tries for one listing in one pass, when the fault may pass.
    :ivar backoff: seconds before the second try, doubling.
    """

    interval: float = 300.0
    timeout: float = 30.0
    workers: int = 5
    attempts: int = 3
    backoff: float = 1.0


@define(eq=False)
class _Trouble:
    """How often an endpoint's listing has failed in a row, how long it is left alone, and until when."""

    failures: int = 0
    pause: float = 0.0
    not_before: float = 0.0


@define(eq=False)
class Discovery(Service):
    """
    Reads listings, each endpoint on its own: what one does never touches another's models.

    :ivar members: gives the endpoints to ask, those that can be asked now first.
    :ivar listing: gives the URL of an endpoint's listing, and the name of the parser for it.
    :ivar learned: takes an endpoint's models; they replace what it had.
    :ivar look: finds out what else is to be known of an endpoint, its kind first, before its listing is read.
    :ivar tell: told of each listing and each failure.
    """

    members: Callable[[], Sequence[Member]]
    listing: Callable[[Member], tuple[str, str]]
    learned: Callable[[Member, tuple[ListedModel, ...]], None]
    look: Callable[[Member], Awaitable[None]]
    _asker: Asker
    _rules: DiscoveryRules
    tell: Callable[[Event], None]
    _clock: IReactorTime
    _turn: DeferredSemaphore = field(init=False)
    _loop: LoopingCall = field(init=False)
    _stopped: Deferred[Any] | None = field(init=False, default=None)
    _reading: dict[Member, Deferred[None]] = field(init=False, factory=dict)
    _trouble: dict[Member, _Trouble] = field(init=False, factory=dict)
    _log = Logger()

    def __attrs_post_init__(self) -> None:
        self._turn = DeferredSemaphore(self._rules.workers)

    def startService(self) -> None:
        """Begin the passes; the first one is each endpoint's first good check."""
        super().startService()
        self._loop = LoopingCall(self._pass)
        self._loop.clock = self._clock
        self._stopped = self._loop.start(self._rules.interval, now=False)

    def stopService(self) -> Deferred[Any] | None:
        """Stop; listings being read are abandoned."""
        super().stopService()
        if self._stopped is None:
            return None
        self._loop.stop()
        for reading in tuple(self._reading.values()):
            reading.cancel()
        return self._stopped

    def read(self, member: Member) -> Deferred[None]:
        """
        Read one endpoint's listing now; a second call while it is read waits for the same.

        :return: fires when it is over, also when it failed.
        """
        done: Deferred[None] = Deferred()
        reading = self._reading.get(member)
        if reading is None:
            reading = self._turn.run(lambda: Deferred.fromCoroutine(self._read(member)))
            self._reading[member] = reading
            reading.addErrback(self._crashed)
            reading.addCallback(lambda _: self._over(member))
        reading.addCallback(done.callback)
        return done

    def _over(self, member: Member) -> None:
        self._reading.pop(member, None)

    def _crashed(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self._log.failure("A listing could not be read", failure)

    def forget(self, member: Member) -> None:
        """Drop what is kept for an endpoint that is configured no more."""
        self._trouble.pop(member, None)

    def refresh(self, members: Sequence[Member]) -> Deferred[bool]:
        """
        Read the listings of ``members`` now.

        :return: fires with whether any could be read, when all are over; cancelling it only ends the wait.
        """
        reading = gatherResults([self.read(member) for member in members], consumeErrors=True)
        return reading.addCallback(lambda _: any(member not in self._trouble for member in members))

    def _pass(self) -> None:
        """Begin a pass; nobody waits for it, so that a slow endpoint delays no later pass of another."""
        now = self._clock.seconds()
        for member in self.members():
            trouble = self._trouble.get(member)
            if trouble is None or now >= trouble.not_before:
                self.read(member)

    async def _read(self, member: Member) -> None:
        await self.look(member)
        pause = self._rules.backoff
        for attempt in range(1, self._rules.attempts + 1):
            try:
                models = await self._listed(member)
            except Unanswered as error:
                if attempt == self._rules.attempts or not getattr(error, "may_pass", True):
                    self._failed(member, error.detail)
                    return
                await self._wait(pause)
                pause *= 2
            except ListingError as error:
                self._failed(member, str(error))
                return
            else:
                self._trouble.pop(member, None)
                self.learned(member, models)
                self.tell(ModelsListed(member.endpoint, models))
                return

    async def _listed(self, member: Member) -> tuple[ListedModel, ...]:
        url, shape = self.listing(member)
        answer = await self._asker.ask(member.endpoint, url, PURPOSE, LISTING_LIMIT, self._rules.timeout)
        if answer.status != 200:
            error = _Refused if 400 <= answer.status < 500 else Unanswered
            raise error(f"the listing was answered with status {answer.status}")
        if not answer.whole:
            raise ListingError(f"the listing is larger than {LISTING_LIMIT} bytes")
        return parse(shape, answer.body)

    def _failed(self, member: Member, error: str) -> None:
        """Keep what it listed last, and ask less and less often."""
        trouble = self._trouble.setdefault(member, _Trouble())
        trouble.failures += 1
        longest = max(LONGEST_PAUSE, self._rules.interval)
        trouble.pause = min(trouble.pause * 2.0 or self._rules.interval, longest)
        trouble.not_before = self._clock.seconds() + trouble.pause - 0.5
        self.tell(ListingFailed(member.endpoint, error, trouble.failures, trouble.pause))

    def _wait(self, seconds: float) -> Deferred[None]:
        waiting: Deferred[None] = Deferred(lambda _: call.cancel())
        call = self._clock.callLater(seconds, waiting.callback, None)
        return waiting


@frozen
class _Refused(Unanswered):
    """The endpoint does not give us its listing; asking again at once will not help."""

    may_pass = False
