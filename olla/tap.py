"""The command line: ``twistd -n olla``, and ``olla`` for short."""

from __future__ import annotations

import gc
import os
import select
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from attrs import evolve
from twisted.application.service import IService, MultiService, Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.logger import ILogObserver
from twisted.python import usage

from olla import __version__
from olla.config import Config, ConfigError, Loaded, Remark, load
from olla.config.validate import validate
from olla.listening import CannotOpen, fault, why
from olla.plugged import limiter_factories, selector_factories

if TYPE_CHECKING:
    from olla.service import ProxyService

BAD_USAGE = 2
BAD_CONFIGURATION = 1
FULL_COLLECTIONS_ARE_DEAR = (50_000, 20, 50)  # each looks at every object of every stream


class Options(usage.Options):  # type: ignore[misc]  # Twisted's Options is untyped
    """
    What may follow ``twistd -n olla``.

    :ivar loaded: the configuration, checked, once the options have been read.
    :ivar folder: where the command was typed; ``twistd --rundir`` goes elsewhere before it is read again.
    """

    synopsis = "[options]"
    longdesc = "One address in front of many LLM servers."
    optParameters = [
        [
            "config",
            "c",
            "",
            "The configuration file; without it config/config.local.yaml, config/config.yaml, "
            "config.yaml and default.yaml are tried.",
        ],
        ["workers", "w", None, "How many processes share the work, in place of server.workers.", int],
    ]
    optFlags = [
        ["demo", None, "Also start two small embedded engines, to try things without an inference server."],
        ["validate-config", None, "Check the configuration, print a report and exit."],
        ["profile", None, "Has no effect: twistd itself has --profile, which stands before olla."],
    ]
    loaded: Loaded

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path.cwd()

    def opt_version(self) -> NoReturn:
        """Print the version and exit."""
        print(f"olla {__version__}")
        sys.exit(0)

    def opt_h(self) -> NoReturn:
        """Same as --help."""
        print(self)
        sys.exit(0)

    def parseOptions(self, options: list[str] | None = None) -> None:
        """Read the command line; what it cannot mean ends the process with status 2 and the usage."""
        try:
            super().parseOptions(options)
        except usage.UsageError as error:
            print(f"{self}\n\nolla: {error}", file=sys.stderr)
            sys.exit(BAD_USAGE)

    def parseArgs(self, *arguments: str) -> None:
        """Refuse what is neither switch nor value."""
        if arguments:
            raise usage.UsageError(f"unexpected argument: {arguments[0]}")

    def postOptions(self) -> None:
        """Load the configuration before anything is bound or forked."""
        if os.environ.get("OLLA_SHOW_VERSION") == "true":
            self.opt_version()
        if self["workers"] is not None and self["workers"] < 1:
            raise usage.UsageError("--workers must be at least 1")
        if self["validate-config"]:
            text, status = validate(self["config"], **_surroundings(self.folder))
            print(text, end="")
            sys.exit(status)
        try:
            self.loaded = self.load()
        except ConfigError as error:
            _fail(str(error))

    def load(self) -> Loaded:
        """
        Read the configuration, the first time or again.

        :raise ConfigError: with every fault in it.
        """
        loaded = load(self["config"], **_surroundings(self.folder))
        if self["profile"] or os.environ.get("OLLA_ENABLE_PROFILER") == "true":
            unprofiled = Remark("--profile", "has no effect; twistd itself has --profile, which stands before olla")
            loaded = evolve(loaded, warnings=(*loaded.warnings, unprofiled))
        if self["workers"] is None:
            return loaded
        config = evolve(loaded.config, server=evolve(loaded.config.server, workers=self["workers"]))
        return evolve(loaded, config=config)


def _surroundings(folder: Path) -> dict[str, Any]:
    """Give what a configuration is read against."""
    return {
        "environ": os.environ,
        "cwd": folder,
        "selectors": selector_factories(),
        "limiters": limiter_factories(),
        "listen_fault": fault,
    }


class Process(MultiService):
    """The service of the process: reports in one line what stops the start, and stops one part after the other."""

    observer: ILogObserver | None = None

    def setServiceParent(self, parent: Any) -> None:
        """Be attached to ``twistd``'s application, which takes its log observer from us."""
        if self.observer is not None and hasattr(parent, "setComponent"):
            parent.setComponent(ILogObserver, self.observer)
        super().setServiceParent(parent)

    def startService(self) -> None:
        """Start; what exists then stays, so that the collector need not look at it again and again."""
        super().startService()
        gc.collect()
        gc.freeze()
        gc.set_threshold(*FULL_COLLECTIONS_ARE_DEAR)

    def stopService(self) -> Deferred[Any]:
        """Stop what was started last first, and wait for each: the engines behind outlive the proxy's streams."""
        return Deferred.fromCoroutine(self._stop_in_order())

    async def _stop_in_order(self) -> None:
        Service.stopService(self)
        for service in reversed(list(self)):
            await maybeDeferred(service.stopService)

    def privilegedStartService(self) -> None:
        """Bind; a port in use ends the process with one line and status 1."""
        try:
            super().privilegedStartService()
        except CannotListenError as error:
            _fail(f"failed to bind {error.interface or '*'}:{error.port}: {why(error)}")
        except CannotOpen as error:
            _fail(f"failed to bind {error}")


def makeService(options: Options) -> IService:
    """Make what ``twistd`` runs."""
    from twisted.internet import reactor  # here, and nowhere else: importing it chooses it

    from olla.service import ProxyService
    from olla.signals import Signals
    from olla.telemetry.output import outputs_of_a_process

    process = Process()
    loaded = options.loaded
    with_demo: Callable[[Loaded], Loaded] = _as_it_is
    if options["demo"]:
        with_demo = _start_demo(process, loaded.config, reactor)
        loaded = with_demo(loaded)
    config = loaded.config
    remarks = (*loaded.warnings, *loaded.notes)
    log_file = log_file_of(options.parent or {})
    try:
        outputs = outputs_of_a_process(config.logging.output == "file", log_file)
    except OSError as error:
        _fail(f"no log file {log_file}: {error.strerror}")
    made = ProxyService if config.server.workers == 1 else _supervisor(config)
    proxy = made(config, reactor, remarks, loaded.source, lambda: with_demo(options.load()), outputs)
    process.observer = proxy.parts.telemetry.observer
    proxy.setServiceParent(process)
    Signals(reactor, proxy.reload, proxy.hurry).setServiceParent(process)
    return process


def log_file_of(twistd: Mapping[str, Any]) -> str:
    """
    Give where ``twistd`` was told to log, ``twistd.log`` when a daemon was told nothing.

    :param twistd: its own options.
    :return: ``""`` for standard output.
    """
    named = twistd.get("logfile") or ("" if twistd.get("nodaemon", True) else "twistd.log")
    return "" if named in ("", "-") else str(Path(named).absolute())


def _supervisor(config: Config) -> type[ProxyService]:
    """Give what runs several processes, which cannot listen on everything."""
    from olla.supervisor import SupervisorService

    for text in config.server.listen:  # their number may come from the command line, which no check of the file sees
        if said := fault(text, shared=True):
            _fail(f'server.listen: "{text}" {said}')
    return SupervisorService


def _start_demo(process: MultiService, config: Config, reactor: Any) -> Callable[[Loaded], Loaded]:
    """
    Start the embedded engines.

    :return: what puts them in the place of the configured endpoints.
    """
    from olla.assembly import with_endpoints
    from olla.demo.service import DemoService, banner

    demo = DemoService(reactor)
    demo.bind()
    demo.setServiceParent(process)
    host = config.server.host if config.server.host not in ("", "0.0.0.0", "::") else "localhost"
    # Not through sys.stdout, which twistd has turned into a log by then.
    reactor.callWhenRunning(print, banner(f"http://{host}:{config.server.port}"), file=sys.__stdout__, flush=True)
    return lambda loaded: evolve(loaded, config=with_endpoints(loaded.config, demo.endpoints))


def _as_it_is(loaded: Loaded) -> Loaded:
    return loaded


def _fail(text: str) -> NoReturn:
    print(f"olla: {text}", file=sys.__stderr__)  # sys.stderr is a log when twistd has begun
    sys.exit(BAD_CONFIGURATION)


def main() -> None:
    """Be ``twistd -n olla`` with the arguments of the command line, on the lean reactor where there is epoll."""
    from twisted.scripts.twistd import run

    reactor = ["--reactor=olla"] if hasattr(select, "epoll") else []
    sys.argv = [sys.argv[0], "--nodaemon", "--pidfile=", *reactor, "olla", *sys.argv[1:]]
    run()
