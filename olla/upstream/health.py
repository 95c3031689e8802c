"""Looks at endpoints, each on its own timer, and reports what it saw."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final

from attrs import define, field
from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from olla.balance.fleet import Member
from olla.balance.status import CheckOutcome
from olla.dialect.retry_after import retry_after
from olla.upstream.ask import Asker, Unanswered

PURPOSE = "HealthChecker"
BODY_LIMIT = 65536
ATTEMPTS = 3
FIRST_PAUSE = 0.1
NOT_THERE = frozenset({404, 405, 501})
SLEEPING: Final[Mapping[str, str]] = {"lmdeploy": "/is_sleeping"}  # by kind: where it says whether its engine sleeps


@define(eq=False)
class HealthChecker(Service):
    """
    Asks one endpoint again and again; the pause between two checks is the fleet's to say.

    :ivar urls: gives where to ask an endpoint, in order: the next when the server has nothing at the one before.
    :ivar identify: finds out anew what kind of server it is; whether that is another than was thought.
    :ivar report: takes what was seen and returns the seconds until the next look.
    :ivar turn: at most so many checks run at once, over all endpoints; waiting for it costs no check its time.
    :ivar jitter: makes a pause a little longer or shorter, so that the checks of a fleet do not march in step.
    :ivar wall: seconds since 1970, to understand dates in ``Retry-After``.
    :ivar first: fires when the first check is over, whatever it saw.
    """

    member: Member
    _asker: Asker
    urls: Callable[[Member], Iterable[str]]
    identify: Callable[[Member], Awaitable[bool]]
    report: Callable[[Member, CheckOutcome], float]
    turn: DeferredSemaphore
    jitter: Callable[[float], float]
    wall: Callable[[], float]
    _clock: IReactorTime
    first: Deferred[None] = field(init=False, factory=Deferred)
    _loop: LoopingCall = field(init=False)
    _checking: Deferred[Any] | None = field(init=False, default=None)
    _stopped: Deferred[Any] | None = field(init=False, default=None)
    _asleep: bool = field(init=False, default=False)
    _log = Logger()

    def startService(self) -> None:
        """Look at once, then from time to time."""
        super().startService()
        self._loop = LoopingCall(self._check_once)
        self._loop.clock = self._clock
        self._stopped = self._loop.start(self.member.endpoint.check_interval)

    def stopService(self) -> Deferred[Any] | None:
        """Stop looking; a look under way is abandoned, and blames nobody."""
        super().stopService()
        if self._stopped is None:
            return None
        self._loop.stop()
        if self._checking is not None:
            self._checking.cancel()
        return self._stopped

    def _check_once(self) -> Deferred[None]:
        self._checking = self.turn.run(lambda: Deferred.fromCoroutine(self._check()))
        return self._checking.addErrback(self._crashed)

    def _crashed(self, failure: Failure) -> None:
        """A look that was abandoned is nothing; a fault of ours must not end the looking."""
        if not failure.check(CancelledError):
            self._log.failure("A check could not be done", failure)
            self._looked(self.member.endpoint.check_interval)

    async def _check(self) -> None:
        try:
            outcome = await self._look()
        except Unanswered as error:
            self._log.warn("Endpoint not checked", endpoint=self.member.endpoint.name, error=error.detail)
            self._looked(self.member.endpoint.check_interval)
        else:
            self._looked(self.report(self.member, outcome))

    def _looked(self, pause: float) -> None:
        if self.running:
            self._loop.interval = self.jitter(pause)
            self._loop.starttime = self._clock.seconds()
        if not self.first.called:
            self.first.callback(None)

    async def _look(self) -> CheckOutcome:
        """
        Ask, and once more if what does not answer well turns out to be another kind of server than was thought.

        :raise Unanswered: when nobody could be asked, for want of something of ours.
        """
        outcome = await self._look_where_told()
        if outcome.status in (0, 429) or 200 <= outcome.status < 300 or not await self.identify(self.member):
            return outcome
        return await self._look_where_told()

    async def _look_where_told(self) -> CheckOutcome:
        outcome = CheckOutcome()
        for url in self.urls(self.member):
            outcome = await self._look_at(url)
            if outcome.status not in NOT_THERE:
                break
        return outcome

    async def _look_at(self, url: str) -> CheckOutcome:
        """
        Ask, and ask again after a fault of the network: one lost packet is no outage.

        :raise Unanswered: when nobody could be asked, for want of something of ours.
        """
        endpoint = self.member.endpoint
        pause = FIRST_PAUSE
        for attempt in range(1, ATTEMPTS + 1):
            asked = self._clock.seconds()
            try:
                answer = await self._asker.ask(endpoint, url, PURPOSE, BODY_LIMIT, endpoint.check_timeout)
            except Unanswered as error:
                if error.ours:
                    raise
                spent = self._clock.seconds() - asked
                if attempt == ATTEMPTS or spent >= endpoint.check_timeout:
                    return CheckOutcome(0, spent, error.detail)
                await self._wait(pause)
                pause *= 2
            else:
                spent = self._clock.seconds() - asked
                again = retry_after(answer.retry_after, self.wall)
                asleep = 200 <= answer.status < 300 and await self._sleeps(endpoint.check_timeout - spent)
                return CheckOutcome(answer.status, spent, retry_after=again, asleep=asleep)
        raise AssertionError("the last attempt returns")

    async def _sleeps(self, seconds: float) -> bool:
        """Say whether the engine sleeps; one that does not say so is awake, silence changes nothing."""
        path, endpoint = SLEEPING.get(self.member.profile), self.member.endpoint
        if path is None:
            return False
        try:
            answer = await self._asker.ask(endpoint, endpoint.url + path, PURPOSE, BODY_LIMIT, seconds)
            said = json.loads(answer.body) if answer.status == 200 else None
        except Unanswered:
            return self._asleep
        except (ValueError, RecursionError):
            said = None
        self._asleep = isinstance(said, dict) and said.get("is_sleeping") is True
        return self._asleep

    def _wait(self, seconds: float) -> Deferred[None]:
        waiting: Deferred[None] = Deferred(lambda _: call.cancel())
        call = self._clock.callLater(seconds, waiting.callback, None)
        return waiting
