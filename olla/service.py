"""The proxy as a service: it listens, watches, reloads, and stops in good order."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.internet.endpoints import serverFromString
from twisted.internet.task import Cooperator, LoopingCall, SchedulerStopped, deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import IResource

from olla import assembly
from olla.config import Config, ConfigError, Loaded, Remark
from olla.listening import CannotOpen
from olla.parts import Parts
from olla.web.process import summary
from olla.web.site import FrontSite
from olla.wire.door import Door
from olla.wire.front import ChannelFactory
from olla.wire.transport import AtOncePort

SWEEP = 0.2
LAST_CALL = 0.5
FORGETTING = 300.0


def makeProxyService(
    config: Config,
    reactor: Any,
    remarks: Sequence[Remark] = (),
    source: str = "",
    read_again: Callable[[], Loaded] | None = None,
    outputs: Sequence[Callable[[bytes], object]] = (),
) -> ProxyService:
    """
    Make the proxy as a service for any Twisted application.

    :param config: checked and complete, as :func:`olla.config.load` gives it.
    :param reactor: on which everything happens.
    :param remarks: said once in the log at the start.
    :param source: the file that the configuration came from, for the log.
    :param read_again: loads the configuration anew on :meth:`ProxyService.reload`; ``None`` for never.
    :param outputs: each takes lines of the access log; none are written without.
    """
    return ProxyService(config, reactor, remarks, source, read_again, outputs)


def proxyResource(service: ProxyService) -> IResource:
    """
    Give the proxy as a resource to hang under a site of your own; it does not listen by itself then.

    :param service: made by :func:`makeProxyService`, and started and stopped with your application, since it looks
        at the endpoints' health.
    """
    service.listens = False
    return service.resource


class ProxyService(MultiService):
    """
    The whole proxy.

    :ivar listens: whether it opens the configured port.
    :ivar resource: what answers clients.
    :ivar site: has the connections of clients on Twisted's server.
    :ivar fronts: what keeps connections of clients; the first one is asked to make them.
    :ivar ports: what it listens on.
    """

    _log = Logger()

    def __init__(
        self,
        config: Config,
        reactor: Any,
        remarks: Sequence[Remark],
        source: str,
        read_again: Callable[[], Loaded] | None,
        outputs: Sequence[Callable[[bytes], object]],
    ) -> None:
        super().__init__()
        self.listens = True
        self.ports: list[Any] = []
        self._config = config
        self._reactor = reactor
        self._remarks = remarks
        self._source = source
        self._read_again = read_again
        self._hurry: Deferred[None] = Deferred()
        self._stopping: Deferred[Any] | None = None
        self._sweeping = False
        self._cooperator = Cooperator(lambda: lambda: True, lambda turn: reactor.callLater(0, turn))
        self.parts = parts = self._make_parts(outputs)
        self.resource = parts.app.resource()
        sizes = assembly.sizes(config)
        self.site = FrontSite(self.resource, sizes, parts.clock, parts.unread.admit, parts.unread.refuse, reactor)
        fronts: list[FrontSite | ChannelFactory] = [self.site]
        if config.proxy.engine == "olla":
            takes = parts.routes.is_proxied
            own = ChannelFactory(
                self.site, sizes, parts.clock, takes, parts.begin, parts.unread.admit, parts.unread.refuse
            )
            fronts.insert(0, own)
        self.fronts: list[Door | FrontSite | ChannelFactory] = [*fronts]
        if config.server.max_connections:
            self.fronts.insert(0, self._make_door(config.server.max_connections, fronts))
        self._sweeps = [
            self._every(SWEEP, self._sweep),
            self._every(FORGETTING, parts.forget_counters),
            self._every(max(SWEEP, config.model_registry.unification.cleanup_interval), parts.forget_models),
        ]
        if config.server.rate_limits.cleanup_interval:
            self._sweeps.append(self._every(config.server.rate_limits.cleanup_interval, parts.forget_clients))
        for service in (*parts.telemetry.services, parts.watch):
            service.setServiceParent(self)

    def privilegedStartService(self) -> None:
        """
        Listen.

        :raise CannotListenError: when the port is taken.
        :raise CannotOpen: when an endpoint string cannot be listened at.
        """
        super().privilegedStartService()
        if self.listens:
            self._listen()

    def startService(self) -> None:
        """Look at the endpoints, and serve."""
        self._say(self._remarks)
        super().startService()
        for loop, seconds in self._sweeps:
            loop.start(seconds, now=False)
        self._announce()

    def stopService(self) -> Deferred[Any]:
        """Finish what runs within ``shutdown_timeout``, cut the rest, then stop everything else; once."""
        waiting: Deferred[Any] = Deferred()
        if self._stopping is None:
            self._stopping = Deferred.fromCoroutine(self._stop())

        def over(result: Any) -> None:
            waiting.callback(result)  # fires with it, or fails as it did

        self._stopping.addBoth(over)
        return waiting

    def hurry(self) -> None:
        """Do not wait any longer for what runs."""
        if not self._hurry.called:
            self._hurry.callback(None)

    def reload(self) -> None:
        """Take endpoints, aliases and limits from the configuration as it is now; a faulty one changes nothing."""
        if self._read_again is None:
            self._log.info("Nothing to reload")
            return
        try:
            loaded = self._read_again()
            if self._source and not loaded.source:  # no file is right at a start, but now would drop every endpoint
                raise ConfigError([Remark("", "is not there any more", self._source)])
        except ConfigError as error:
            self._log.error("Configuration not reloaded", error=str(error))
            return
        remarks = (*loaded.warnings, *loaded.notes)
        self._say([remark for remark in remarks if remark not in self._remarks])
        self._source, self._remarks = loaded.source, remarks
        config = assembly.reloaded(self.parts.config, loaded.config)
        self._take(config)
        if keys := ", ".join(assembly.differing(config, loaded.config)):
            self._log.warn("Changed keys need a restart", keys=keys)
        self._log.info("Configuration reloaded", config=loaded.source)

    def _say(self, remarks: Sequence[Remark]) -> None:
        for remark in remarks:
            tell = self._log.info if remark.note else self._log.warn
            tell("Configuration", remark=str(remark))

    def _take(self, config: Config) -> None:
        self.parts.reload(config)

    def _make_parts(self, outputs: Sequence[Callable[[bytes], object]]) -> Parts:
        return Parts(self._config, self._reactor, outputs)

    def _make_door(self, limit: int, fronts: Sequence[FrontSite | ChannelFactory]) -> Door:
        def inside() -> int:
            return sum(front.connected for front in fronts)

        parts = self.parts
        return Door(fronts[0], limit, inside, self._others, self._counted, parts.clock, parts.unread.turn_away)

    def _others(self) -> int:
        """Count the clients of other processes."""
        return 0

    def _counted(self, clients: int) -> None:
        """Nobody else needs to know how many clients are connected."""

    def _announce(self) -> None:
        self._log.info("Loaded configuration", config=self._source or "built-in defaults")
        for port in self.ports:
            self._log.info("HTTP server listening", address=_address(port.getHost()))
        self._log.info("Olla started, waiting for requests...", engine=self._config.proxy.engine)

    def _listen(self) -> None:
        self._listen_on(self.parts.network)

    def _listen_on(self, network: Any) -> None:
        """
        Open what is configured.

        :param network: opens the port, or what endpoint strings say.
        """
        server = self._config.server
        if server.listen:
            for text in server.listen:
                self._open(network, text)
            return
        for interface in _interfaces(server.host):
            front = self.fronts[0]
            self.ports.append(network.listenTCP(server.port, front, backlog=4096, interface=interface))

    def _open(self, network: Any, text: str) -> None:
        errors: list[BaseException] = []
        opening = serverFromString(network, text).listen(self.fronts[0])
        opening.addCallbacks(self.ports.append, lambda failure: errors.append(failure.value))
        if errors:
            raise CannotOpen(text, errors[0])

    async def _stop(self) -> None:
        self._log.info("Stopping: no new connections", busy=self._busy())
        self.parts.admission.draining = True
        await gatherResults([_done(_closed(port)) for port in self.ports])
        until = self.parts.clock() + self._config.server.shutdown_timeout
        for front in self.fronts:
            front.drain()
        await self._while(self._connected, min(until, self.parts.clock() + LAST_CALL))
        self.parts.admission.closed = True
        for front in self.fronts:
            front.retire()
        await self._while(self._busy, until)
        if self._busy():
            self._log.warn("Cutting what has not finished in time", busy=self._busy())
            for cut in (*self.fronts, *self.parts.app.forwarded):
                cut.abort()
            await deferLater(self._reactor, 0.05)
        for loop, _ in self._sweeps:
            if loop.running:
                loop.stop()
        self._cooperator.stop()
        if self._config.engineering.show_nerdstats:
            self._log.info("What the process has cost", **summary(self.parts.figures()))
        await gatherResults([_done(super().stopService()), self.parts.close()])

    async def _while(self, count: Callable[[], int], until: float) -> None:
        """Wait as long as there is something to count, and nobody is in a hurry, but no longer than ``until``."""
        while count() and self.parts.clock() < until and not self._hurry.called:
            await deferLater(self._reactor, 0.02)

    def _connected(self) -> int:
        """Count the clients that are connected."""
        return sum(front.connected for front in self.fronts)

    def _busy(self) -> int:
        """Count the connections on which something runs, or what runs on those of a site that we do not know."""
        return max(sum(front.busy for front in self.fronts), len(self.parts.app.forwarded))

    def _every(self, seconds: float, function: Callable[[], None]) -> tuple[LoopingCall, float]:
        def once() -> None:
            try:
                function()
            except Exception:  # or no deadline would be enforced ever again
                self._log.failure("A sweep failed for a fault of our own")

        loop = LoopingCall(once)
        loop.clock = self._reactor
        return loop, seconds

    def _sweep(self) -> None:
        now = self.parts.clock()
        self.parts.fleet.sweep(now)
        if self._sweeping:
            return  # the last one goes on, between other things
        steps = chain(self.parts.upstream.sweep(now), *(front.sweep(now) for front in self.fronts))
        for _ in steps:  # there is more than should be done at once
            self._sweeping = True
            self._cooperator.cooperate(steps).whenDone().addErrback(self._sweep_failed).addBoth(self._swept)
            break

    def _sweep_failed(self, failure: Failure) -> None:
        if failure.check(SchedulerStopped) is None:
            self._log.failure("A sweep failed for a fault of our own", failure=failure)

    def _swept(self, _: object) -> None:
        self._sweeping = False


def _closed(port: Any) -> Any:
    return port.leave_nobody() if isinstance(port, AtOncePort) else port.stopListening()


def _done(waiting: Any) -> Deferred[Any]:
    return waiting if isinstance(waiting, Deferred) else succeed(waiting)


def _address(host: Any) -> str:
    """Write where a port listens: address and port, or the name of a Unix socket."""
    name = getattr(host, "name", None)
    if name is not None:
        return os.fsdecode(name)
    return f"[{host.host}]:{host.port}" if ":" in host.host else f"{host.host}:{host.port}"


def _interfaces(host: str) -> Sequence[str]:
    """Give the interfaces to bind: every address means IPv4 and IPv6 alike."""
    if host == "localhost":
        return ("127.0.0.1",)
    return ("::",) if host in ("", "0.0.0.0", "::") else (host,)
