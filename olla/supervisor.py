"""The first of several processes: it opens the sockets, owns what must be one, and keeps the workers running."""

from __future__ import annotations

import os
import pickle
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from tempfile import TemporaryFile
from typing import Any

import psutil
from attrs import define
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.protocol import Factory, ProcessProtocol
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from olla.config import Config, Loaded, Remark
from olla.crew.messages import Hurry, Show, Shown, Stop
from olla.crew.owner import Owner, when_ready
from olla.crew.places import Places, room_for
from olla.crew.post import Post
from olla.crew.processes import Crew, Worker
from olla.crew.setting import FIRST_PORT, LINK, Setting, packed
from olla.events import AttemptFailed, Event, Finished, HealthChanged, Limited, ModelsListed, SizeRefused
from olla.parts import Parts
from olla.service import ProxyService

CLOSED = 0.1
# The reactor comes before all else: many a module, once imported, has chosen one.
START = "import sys, importlib as i; i.import_module(sys.argv[1]).install(); from olla.worker import main; main()"


class OwnerParts(Parts):
    """
    The parts of the first process: with the real limiters, sessions, health and counters.

    :ivar crew_pids: gives the process ids of the workers.
    """

    crew_pids: Callable[[], Sequence[int]] = tuple

    def processes(self) -> Sequence[psutil.Process]:
        """Give this process and its workers."""
        found = super().processes()
        return [*found, *(process for process in map(_process, self.crew_pids()) if process is not None)]


class SupervisorService(ProxyService):
    """
    The whole proxy, of which this process answers no client itself.

    :ivar owner: answers the workers.
    :ivar crew: keeps them running.
    :ivar places: where they count their clients, in ``memory``.
    """

    def __init__(
        self,
        config: Config,
        reactor: Any,
        remarks: Sequence[Remark],
        source: str,
        read_again: Callable[[], Loaded] | None,
        outputs: Sequence[Callable[[bytes], object]],
    ) -> None:
        self._pids: set[int] = set()
        size = config.server.workers
        self.memory = TemporaryFile()  # noqa: SIM115  closed at the end; the workers inherit it
        self.memory.truncate(room_for(size))
        self.places = Places.of(self.memory.fileno(), size)
        super().__init__(config, reactor, remarks, source, read_again, outputs)
        parts = self.parts
        self.owner = Owner(
            parts.fleet,
            parts.affinity,
            parts.objects,
            lambda client, kind, now: parts.gate.admit(client, kind, now),
            self._page,
            lambda members: self._read(members),
            parts.catalog,
            self._count,
            parts.telemetry.lines.write,
            lambda number: self.places.put(number, 0),
            parts.clock,
        )
        self.crew = Crew(config.server.workers, self._launch, reactor)
        self.crew.setServiceParent(self)
        parts.bus.listen(HealthChanged, self.owner.changed)
        parts.bus.listen(ModelsListed, self._listed)

    def startService(self) -> None:
        """Look at the endpoints, and start the workers."""
        super().startService()
        when_ready(self.parts.readiness.wait(), self.owner)

    def hurry(self) -> None:
        """Do not wait any longer for what runs."""
        super().hurry()
        self.owner.tell(Hurry())

    def _make_parts(self, outputs: Sequence[Callable[[bytes], object]]) -> Parts:
        parts = OwnerParts(self._config, self._reactor, outputs)
        parts.crew_pids = lambda: tuple(self._pids)
        return parts

    def _listen(self) -> None:
        """Open the sockets, and leave accepting to the workers."""
        super()._listen()
        for port in self.ports:
            port.stopReading()

    def _take(self, config: Config) -> None:
        super()._take(config)
        self.owner.reload(pickle.dumps(config))

    async def _stop(self) -> None:
        stopped = self.crew.stop(self._config.server.shutdown_timeout)
        # Our closing shuts the sockets down for everybody; who still accepts by then would see that as a fault.
        await deferLater(self._reactor, CLOSED)
        ports, self.ports = self.ports, []
        await gatherResults([maybeDeferred(port.stopListening) for port in ports])
        await stopped
        await super()._stop()
        self.memory.close()

    def _sweep(self) -> None:
        super()._sweep()
        self.owner.sweep(self.parts.clock())

    # What the owner asks of this process -----------------------------------------------------------------------

    def _page(self, question: Show) -> Shown:
        page: Any = self.parts.pages.fixed[question.path](question.query)
        return Shown(page.status, tuple(page.fields), page.body, page.tag, page.zippable)

    def _read(self, members: Sequence[Any]) -> Deferred[bool]:
        return self.parts.watch.list_anew(members)

    def _listed(self, event: ModelsListed) -> None:
        member = self.parts.fleet.get(event.endpoint.name)
        if member is not None:
            self.owner.listed(member)

    def _count(self, event: Event) -> None:
        """Count what has happened in a worker; it has been logged there."""
        telemetry = self.parts.telemetry
        if isinstance(event, Finished):
            telemetry.statistics.finished(event)
        elif isinstance(event, AttemptFailed):
            telemetry.statistics.attempt_failed(event)
        elif isinstance(event, Limited):
            telemetry.violations.limited(event)
        elif isinstance(event, SizeRefused):
            telemetry.violations.size_refused(event)

    # Processes -------------------------------------------------------------------------------------------------

    def _launch(self, ended: Callable[[str], None]) -> Worker:
        """Start a process; it imports what it needs, and then waits to be told who it is."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        pids: list[int] = []

        def over(reason: str) -> None:
            self._pids.difference_update(pids)
            ended(reason)

        inherited = {0: 0, 1: 1, 2: 2, LINK: theirs.fileno()}
        inherited.update((FIRST_PORT + at, port.fileno()) for at, port in enumerate(self.ports))
        inherited[FIRST_PORT + len(self.ports)] = self.memory.fileno()
        arguments = [sys.executable, "-c", START, type(self._reactor).__module__]
        environment = _environment(os.environ)
        process = self._reactor.spawnProcess(_Process(over), sys.executable, arguments, environment, childFDs=inherited)
        theirs.close()
        pids.append(process.pid)
        self._pids.update(pids)
        return _Launched(process, ours, self._begin)

    def _begin(self, number: int, link: socket.socket, pid: int) -> Post:
        """Have a process be a worker: tell it who it is, and all that is known."""
        post = self.owner.post(number)
        self._reactor.adoptStreamConnection(link.fileno(), socket.AF_UNIX, Factory.forProtocol(lambda: post.link))
        link.close()
        parts = self.parts
        ports = len(self.ports)
        setting = Setting(number, self.crew.size, parts.config, parts.secret, ports, FIRST_PORT + ports)
        post.link.sendString(packed(setting))
        self.owner.welcome(post)
        self._log.info("Worker started", number=number, pid=pid)
        return post


@define(eq=False)
class _Launched:
    """A worker's process; see :class:`~olla.crew.processes.Worker`."""

    process: Any
    link: socket.socket
    _begin: Callable[[int, socket.socket, int], Post]
    _post: Post | None = None

    def begin(self, number: int) -> None:
        self._post = self._begin(number, self.link, self.process.pid)

    def stop(self) -> None:
        if self._post is not None:
            self._post.say(Stop())
        else:
            self.link.close()  # it sees the end, and has nothing to finish

    def kill(self) -> None:
        self.process.signalProcess("KILL")


class _Process(ProcessProtocol):
    """Learns when a worker's process has ended, and why."""

    def __init__(self, ended: Callable[[str], None]) -> None:
        self._ended = ended

    def processEnded(self, reason: Failure) -> None:
        value: Any = reason.value
        self._ended(f"signal {value.signal}" if value.signal else f"status {value.exitCode}")


def _process(pid: int) -> psutil.Process | None:
    try:
        return psutil.Process(pid)
    except psutil.Error:
        return None


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Give a worker's environment: it imports from where we do, plugins of strangers included."""
    return {**environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
