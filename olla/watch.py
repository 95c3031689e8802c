"""Watches over the endpoints: how each is, what it is, and which models it has."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, DeferredSemaphore, gatherResults, succeed
from twisted.logger import Logger

from olla import assembly
from olla.balance.fleet import Fleet, Member, Replaced
from olla.balance.status import CheckOutcome
from olla.catalog.catalog import Catalog
from olla.config import Config
from olla.domain.models import ListedModel
from olla.domain.profile import Profile
from olla.events import Event
from olla.proxy.narrowing import Readiness
from olla.upstream.ask import Asker
from olla.upstream.detect import Detector
from olla.upstream.discovery import Discovery
from olla.upstream.health import HealthChecker
from olla.upstream.slots import SlotReader

FIRST_LOOK = 2.0


class Watch(MultiService):
    """
    Checks endpoints and reads what they list, as long as it runs.

    :ivar checkers: one for each endpoint.
    :ivar discovery: reads listings; ``None`` when the configuration switches that off.
    """

    _log = Logger()
    _late: Any = None

    def __init__(
        self,
        config: Config,
        reactor: Any,
        asker: Asker,
        fleet: Fleet,
        catalog: Catalog,
        readiness: Readiness,
        profiles: Mapping[str, Profile],
        detected: Callable[[Member], None],
        tell: Callable[[Event], None],
        *,
        here: bool,
    ) -> None:
        """
        Be ready to look at the members of ``fleet``.

        :param readiness: told when all have been looked at once, or nobody should wait for that any longer.
        :param profiles: by canonical name.
        :param detected: told of each member whose kind has been found out.
        :param here: ``False`` where another process does all that, and tells ``readiness`` as well.
        """
        super().__init__()
        self._reactor = reactor
        self._asker = asker
        self._fleet = fleet
        self._catalog = catalog
        self._readiness = readiness
        self._profiles = profiles
        self._on_detected = detected
        self._here = here
        self._turn = DeferredSemaphore(config.discovery.health_check.max_concurrent)
        self._detector = Detector(asker, profiles, self._detected)
        self._slots = SlotReader(asker, fleet.sized)
        self.checkers: list[HealthChecker] = []
        self.discovery: Discovery | None = None
        if here:
            self._check(fleet.members)
        if here and config.discovery.model_discovery.enabled:
            self.discovery = self._make_discovery(config, tell)
            self.discovery.setServiceParent(self)

    def _make_discovery(self, config: Config, tell: Callable[[Event], None]) -> Discovery:
        return Discovery(
            lambda: [member for member in self._fleet.members if member.status.routable],
            self._listing,
            self._learned,
            self._look,
            self._asker,
            assembly.discovery_rules(config),
            tell,
            self._reactor,
        )

    def startService(self) -> None:
        """Look at each, and let early requests wait until that is done, but not for long."""
        super().startService()
        self._late = self._reactor.callLater(FIRST_LOOK, self._readiness.reached)
        if self._here:
            self._wait_for_first_looks()

    def stopService(self) -> Any:
        """Look no more, and let nobody wait for it."""
        if self._late is not None and self._late.active():
            self._late.cancel()
        self._readiness.reached()
        return super().stopService()

    def replace(self, replaced: Replaced) -> None:
        """Watch over other members from now on."""
        for checker in [one for one in self.checkers if one.member in replaced.removed]:
            self.checkers.remove(checker)
            checker.disownServiceParent()
        for member in replaced.removed:
            self._asker.forget(member.endpoint)
            self._detector.forget(member)
            if self.discovery is not None:
                self.discovery.forget(member)
        if self._here:
            self._check(replaced.added)

    def know(self, profiles: Mapping[str, Profile]) -> None:
        """Know other kinds of backends from now on; a member of a kind that is gone is of none."""
        self._profiles = self._detector.profiles = profiles
        for member in self._fleet.members:
            if member.profile not in profiles:
                self._detector.forget(member)
                self._fleet.detected(member, member.endpoint.profile)

    def list_anew(self, members: Sequence[Member] | None = None) -> Deferred[bool]:
        """
        Read listings.

        :param members: whose; of all that can be asked when ``None``.
        :return: whether one at least was read.
        """
        discovery = self.discovery
        if discovery is None:
            return succeed(False)
        return discovery.refresh(discovery.members() if members is None else members)

    def _check(self, members: Iterable[Member]) -> None:
        for member in members:
            checker = HealthChecker(
                member,
                self._asker,
                self._health_urls,
                self._detector.identify,
                self._checked,
                self._turn,
                lambda pause: pause,
                time.time,
                self._reactor,
            )
            checker.setServiceParent(self)
            self.checkers.append(checker)

    def _wait_for_first_looks(self) -> None:
        def reached(_: object) -> None:
            if self._late.active():
                self._late.cancel()
                self._readiness.reached()

        gatherResults([self._first_look(checker) for checker in self.checkers]).addBoth(reached)

    def _first_look(self, checker: HealthChecker) -> Deferred[None]:
        return Deferred.fromCoroutine(self._listed_once(checker))

    async def _listed_once(self, checker: HealthChecker) -> None:
        await checker.first
        if self.discovery is not None and checker.member.status.routable:
            await self.discovery.read(checker.member)

    # What is found out -----------------------------------------------------------------------------------------

    def _checked(self, member: Member, outcome: CheckOutcome) -> float:
        """Take note of a check; give the seconds until the next."""
        now: float = self._reactor.seconds()
        was_routable = member.status.routable
        self._fleet.checked(member, outcome, now)
        if member.status.routable and not was_routable and self.discovery is not None:
            self.discovery.read(member)
        return max(0.05, member.next_check - now)

    def _health_urls(self, member: Member) -> Iterable[str]:
        """
        Give where to ask how a member is.

        A server whose kind is ours to find out is asked as its kind is, once that is known, and where nearly every
        kind answers: not all do at ``/``.
        """
        endpoint = member.endpoint
        if endpoint.health_url:
            return (endpoint.health_url,)
        profile = self._profiles.get(member.profile)
        known = [endpoint.at(profile.health_check_path)] if profile is not None else []
        return dict.fromkeys([*known, endpoint.model_url])

    def _listing(self, member: Member) -> tuple[str, str]:
        """Give the URL of a listing, and the name of its shape."""
        endpoint = member.endpoint
        profile = self._profiles.get(member.profile)
        if profile is None:
            return endpoint.model_url, "openai"
        url = endpoint.model_url
        if endpoint.profile == "auto" and url == endpoint.at("/v1/models"):
            url = endpoint.at(profile.model_discovery_path)
        return url, profile.response_format

    async def _look(self, member: Member) -> None:
        await self._detector.detect(member)
        await self._slots.read(member)

    def _learned(self, member: Member, models: tuple[ListedModel, ...]) -> None:
        now = self._reactor.seconds()
        self._catalog.update(member.endpoint, models, now, time.time(), member.profile)
        self._fleet.listed(member, now)

    def _detected(self, member: Member, profile: str) -> None:
        self._fleet.detected(member, profile)
        self._on_detected(member)
        self._log.info("Endpoint type detected", endpoint=member.name, type=profile)
