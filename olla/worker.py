"""One of several processes that serve clients; what must be one for all of them it asks of the first."""

from __future__ import annotations

import os
import pickle
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory
from twisted.logger import globalLogBeginner

from olla import assembly
from olla.balance.affinity import Affinity
from olla.balance.fleet import Fleet, Member
from olla.crew.asking import AskedAffinity, AskedFleet, AskedObjects, AskingAdmission, concerns
from olla.crew.desk import Desk
from olla.crew.messages import (
    Count,
    Counted,
    FromOwner,
    Hurry,
    Lines,
    Listed,
    Loads,
    Measure,
    Measured,
    Ready,
    Refresh,
    Refreshed,
    Reload,
    Show,
    Shown,
    States,
    Stop,
)
from olla.crew.owner import PROCESS_PAGE
from olla.crew.places import Places
from olla.crew.reporter import Reporter
from olla.crew.setting import FIRST_PORT, LINK, Setting, received
from olla.crew.sockets import Inherited
from olla.dialect.identity import Identities
from olla.domain.requirements import Requirements
from olla.events import AttemptFailed, Event, Finished, Limited, SizeRefused
from olla.limits.gate import Gate
from olla.parts import Parts
from olla.proxy.admission import HEALTH, PROXY, Admission
from olla.proxy.objects import Objects
from olla.proxy.waiting import as_deferred
from olla.service import ProxyService
from olla.signals import Signals
from olla.tap import Process
from olla.web.app import Pages, Query
from olla.web.page import Page

OWN_PAGES = frozenset({"/internal/health", "/version", "/openapi.json"})


class WorkerParts(Parts):
    """
    The parts of a worker: the journey is the same, and what must be one is asked for.

    :ivar desk: asks.
    :ivar reporter: tells what has happened.
    """

    counts = watches = False

    def __init__(self, setting: Setting, reactor: Any, desk: Desk) -> None:
        """Make them; nothing is asked before ``desk`` is connected."""
        self.desk = desk
        self.workers, self.worker_id = setting.size, setting.number
        self._secret = setting.secret
        self._limited: Mapping[str, bool] = {}
        super().__init__(setting.config, reactor, [lambda data: desk.say(Lines(data))])
        assert isinstance(self.fleet, AskedFleet)
        self.reporter = Reporter(desk.say, self.fleet.load, self.bus.settle)
        self.bus.listen(Finished, self.reporter.finished)
        self.bus.listen(AttemptFailed, self.reporter.attempt_failed)
        self.bus.listen(Limited, self.reporter.limited)
        self.bus.listen(SizeRefused, self.reporter.size_refused)

    def follow(self, news: States) -> None:
        """Take over how endpoints are."""
        assert isinstance(self.fleet, AskedFleet)
        for state in news.states:
            member = self.fleet.follow(state)
            if member is not None:
                self.adapter.detected(member)
        self.plans.forget()

    def listed(self, news: Listed) -> None:
        """Take over what an endpoint lists."""
        member = self.fleet.get(news.endpoint)
        if member is not None:
            self.catalog.update(member.endpoint, news.models, news.now, news.wall, news.profile, news.firsts)
            self.plans.forget()

    def share(self, news: Loads) -> None:
        """Take over how much others work on."""
        assert isinstance(self.fleet, AskedFleet)
        self.fleet.share(news.others)

    # Making ----------------------------------------------------------------------------------------------------

    def _make_affinity(self) -> Affinity:
        return AskedAffinity(assembly.stickiness(self.config), self._secret, desk=self.desk)

    def _make_fleet(self) -> Fleet:
        fleet = AskedFleet(
            self._make_selector(),
            assembly.fleet_rules(self.config),
            self._changed,
            self.affinity.forget,
            lambda: 0.0,
            desk=self.desk,
            exact=self.config.proxy.sticky_sessions.enabled,
        )
        fleet.replace(assembly.endpoints_of(self.config))
        return fleet

    def _make_objects(self) -> Objects:
        return AskedObjects(self.fleet.get, self.clock, desk=self.desk)

    def _make_gate(self) -> Gate:
        gate = super()._make_gate()
        self._limited = {kind: concerns(gate.limiters, kind) for kind in (PROXY, HEALTH)}
        return gate

    def _make_admission(self) -> Admission:
        return AskingAdmission(
            Identities(),
            self._make_address(),
            self._admit,
            self.bus.tell,
            desk=self.desk,
            limited=lambda kind: self._limited[kind],
        )

    def _make_pages(self) -> Pages:
        """Have the pages that tell of all made by the owner."""
        own = super()._make_pages()
        fixed = {path: page if path in OWN_PAGES else self._asked(path) for path, page in own.fixed.items()}
        figures, of_all = own.fixed[PROCESS_PAGE], fixed[PROCESS_PAGE]

        def processes(query: Query) -> Any:
            return (of_all if query.get(b"all") == [b"true"] else figures)(query)

        fixed[PROCESS_PAGE] = processes
        return evolve(own, fixed=fixed)

    def _asked(self, path: str) -> Callable[[Query], Deferred[Page]]:
        def page(query: Query) -> Deferred[Page]:
            asked = as_deferred(self.desk.ask(Show(path, dict(query))))
            return asked.addCallback(_shown)

        return page

    def _reread(self, members: Sequence[Member], wanted: Requirements) -> Deferred[bool]:
        names = tuple(member.name for member in members)
        limit = self.config.model_registry.routing_strategy.options.discovery_timeout
        asked: Deferred[Refreshed] = as_deferred(self.desk.ask(Refresh(wanted.model, names), limit + 1.0))
        return asked.addCallbacks(lambda told: told.read, lambda unanswered: False)

    def _changed(self, event: Event) -> None:
        """An endpoint was found to be down here; the owner hears of it by another way, and logs it."""
        self.plans.forget(event)


class WorkerService(ProxyService):
    """
    A proxy among others: it accepts from sockets that the first process has opened.

    :ivar desk: the way to that process.
    """

    def __init__(self, setting: Setting, reactor: Any) -> None:
        self._setting = setting
        self._places = Places.of(setting.places, setting.size)
        self.desk = Desk(reactor.seconds, self._heard, self._deserted)
        super().__init__(setting.config, reactor, (), "", None, ())

    def _others(self) -> int:
        return self._places.others(self._setting.number)

    def _counted(self, clients: int) -> None:
        self._places.put(self._setting.number, clients)

    def _make_parts(self, outputs: Sequence[Callable[[bytes], object]]) -> WorkerParts:
        self._own = WorkerParts(self._setting, self._reactor, self.desk)
        return self._own

    def _announce(self) -> None:
        self._log.info("Worker serves")

    def _listen(self) -> None:
        descriptors = range(FIRST_PORT, FIRST_PORT + self._setting.ports)
        sockets = Inherited(self.parts.network, self._reactor, descriptors)
        self._listen_on(sockets)

    async def _stop(self) -> None:
        await super()._stop()
        self._own.reporter.report()
        self.desk.link.close()

    def _sweep(self) -> None:
        super()._sweep()
        self.desk.sweep(self.parts.clock())
        self._own.reporter.report()

    # What the owner says ---------------------------------------------------------------------------------------

    def _heard(self, message: FromOwner) -> None:
        NEWS[type(message)](self, message)

    def _deserted(self) -> None:
        """Nobody is left who could be asked: finish what runs, and end."""
        if self._reactor.running:
            self._reactor.callLater(0, self._end)

    def _end(self) -> None:
        if self._stopping is None:
            self._reactor.stop()

    def _stop_soon(self, message: Stop) -> None:
        self._deserted()

    def _reload(self, message: Reload) -> None:
        self._take(pickle.loads(message.config))

    def _count(self, message: Count) -> None:
        self._own.reporter.report()
        self.desk.say(Counted(message.number))

    def _measure(self, message: Measure) -> None:
        self.desk.say(Measured(message.number, self._own.figures()))


NEWS: Mapping[Any, Callable[[WorkerService, Any], None]] = {
    States: lambda worker, message: worker._own.follow(message),
    Listed: lambda worker, message: worker._own.listed(message),
    Loads: lambda worker, message: worker._own.share(message),
    Ready: lambda worker, message: worker.parts.readiness.reached(),
    Count: WorkerService._count,
    Measure: WorkerService._measure,
    Reload: WorkerService._reload,
    Stop: WorkerService._stop_soon,
    Hurry: lambda worker, message: worker.hurry(),
}


def _shown(told: Shown) -> Page:
    return Page(told.status, list(told.fields), told.body, told.tag, told.zippable)


def main() -> None:
    """Be a worker, as :mod:`olla.supervisor` starts them; the reactor is installed by then."""
    from twisted.internet import reactor as installed

    reactor: Any = installed
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # while it is a spare, a key press ends it without a word
    try:
        setting = received()
    except EOFError:
        return
    worker = WorkerService(setting, reactor)
    reactor.adoptStreamConnection(LINK, socket.AF_UNIX, Factory.forProtocol(lambda: worker.desk.link))
    os.close(LINK)
    globalLogBeginner.beginLoggingTo([worker.parts.telemetry.observer])
    process = Process()
    worker.setServiceParent(process)
    Signals(reactor, _nothing, worker.hurry).setServiceParent(process)
    process.privilegedStartService()
    process.startService()
    reactor.addSystemEventTrigger("before", "shutdown", process.stopService)
    reactor.run()


def _nothing() -> None:
    """A worker reads no file again: it is told."""
