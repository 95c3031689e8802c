"""Every part, connected: what ``service.py`` starts and stops."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from random import Random
from secrets import token_bytes
from typing import Any

import psutil
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from olla import __version__, assembly
from olla.balance.affinity import Affinity
from olla.balance.eligible import Narrowing, Plan
from olla.balance.fleet import Fleet, Member
from olla.balance.strategy import Refreshed, Strategy
from olla.catalog.aliases import Aliases
from olla.catalog.catalog import Catalog
from olla.catalog.facts import FactReader
from olla.catalog.shown import EndpointView
from olla.config import Config
from olla.dialect.identity import Identities
from olla.domain.memo import Memo
from olla.domain.message import Request
from olla.domain.profile import Profile
from olla.domain.requirements import Requirements
from olla.domain.routing import Located, Scope
from olla.events import HealthChanged, ModelsListed
from olla.interfaces import IExchange, ISelector
from olla.limits.address import ClientAddress
from olla.limits.gate import Gate
from olla.naming import naming_rules
from olla.pages import make_pages
from olla.pending import Task
from olla.plugged import limiter_factories, selector_factories
from olla.proxy.adapt import Adapter
from olla.proxy.admission import Admission
from olla.proxy.answers import Answers
from olla.proxy.failover import Failover
from olla.proxy.forward import Forwarder
from olla.proxy.narrowing import Narrower, Plans, Readiness
from olla.proxy.objects import Objects
from olla.proxy.refreshing import Refresher
from olla.proxy.routes import Routes
from olla.proxy.session import Sessions
from olla.telemetry.bus import Bus
from olla.telemetry.output import Telemetry
from olla.telemetry.translators import TranslatorFigures
from olla.upstream.agent import AgentUpstream
from olla.upstream.ask import Asker
from olla.upstream.dial import Dialler
from olla.upstream.direct import DirectUpstream
from olla.watch import Watch
from olla.web.app import App, Pages
from olla.web.unread import Unread
from olla.wire.transport import at_once


class Parts:
    """
    All parts of one proxy.

    :ivar clock: seconds, never going back.
    :ivar network: the reactor as what listens and connects: its connections send at once, where that is possible.
    :ivar asker: asks endpoints for pages of theirs.
    :ivar watch: finds out how the endpoints are, and what they have.
    :ivar watches: whether that is done here.
    :ivar secret: makes keys of sessions that nobody can guess.
    :ivar counts: whether what the status pages show is counted here.
    :ivar workers: processes that share the work, and ``worker_id`` which of them this is; 0 for the first.
    """

    counts = True
    watches = True
    workers = 1
    worker_id = 0
    _log = Logger()

    def __init__(self, config: Config, reactor: Any, outputs: Sequence[Callable[[bytes], object]]) -> None:
        self._reactor = reactor
        self.network = at_once(reactor, self._log)
        self.config = config
        self.clock: Callable[[], float] = reactor.seconds
        self.bus = Bus()
        self.profiles: Mapping[str, Profile] = assembly.profiles_of(config)
        logging = config.logging
        self.telemetry = Telemetry(
            logging.level,
            logging.format,
            config.server.request_logging,
            self.bus,
            reactor,
            outputs,
            self.counts,
        )
        if config.translators.anthropic.enabled:
            self.telemetry.statistics.translators["anthropic"] = TranslatorFigures()
        self._jitter = Random()
        self.affinity = self._make_affinity()
        self.fleet = self._make_fleet()
        self.objects = self._make_objects()
        self.catalog = Catalog(
            FactReader(naming_rules(config.model_rules), self.profiles),
            Aliases(config.model_aliases),
            config.model_registry.enable_unifier,
        )
        self.readiness = Readiness()
        self._supported: Memo[tuple[str, str], bool] = Memo()
        self.asker = Asker(reactor, __version__)
        self.adapter = Adapter(self.profiles, assembly.Trusted(config), __version__, assembly.measures(config))
        self.watch = Watch(
            config,
            reactor,
            self.asker,
            self.fleet,
            self.catalog,
            self.readiness,
            self.profiles,
            self._detected,
            self.bus.tell,
            here=self.watches,
        )
        self.upstream = self._make_upstream()
        self.gate = self._make_gate()
        self.admission = self._make_admission()
        self.answers = Answers(__version__, assembly.cors(config), self.adapter, self.clock)
        self.routes = Routes(self.profiles, assembly.disabled_prefixes(config), config.proxy.ollama.allow_management)
        self.narrowing = self._make_narrowing()
        self.plans = self._make_plans()
        refresher = Refresher(self._list_anew, self._replan, self.clock)
        self.forwarder = Forwarder(
            self.admission,
            self.routes,
            Narrower(self.readiness, self.plans.plan, refresher.refreshed).narrow,
            self.fleet,
            self.adapter,
            self._make_failover(),
            self.answers,
            self.bus.tell_later,
            self.clock,
            Sessions(self.affinity) if config.proxy.sticky_sessions.enabled else None,
            self.objects,
            config.proxy.profile,
            config.aliases.rewrite_response,
            config.proxy.stream_error_events,
            self._crashed,
        )
        self.pages = self._make_pages()
        self.unread = Unread(self.admission, self.answers, self.routes, self.pages.fixed, self.bus.tell, self.clock)
        policy = assembly.policy(config)
        self.app = App(self.admission, self.answers, self.routes, self.forwarder, self.pages, self._crashed, policy)

    # Making ----------------------------------------------------------------------------------------------------

    def _make_affinity(self) -> Affinity:
        self.secret = token_bytes(32)
        return Affinity(assembly.stickiness(self.config), self.secret)

    def _make_address(self) -> Callable[[str, Request], str]:
        limits = self.config.server.rate_limits
        return ClientAddress(limits.trust_proxy_headers, limits.trusted_proxy_cidrs).of

    def _make_admission(self) -> Admission:
        return Admission(Identities(), self._make_address(), self._admit, self.bus.tell)

    def _make_failover(self) -> Failover:
        rules = assembly.retry_rules(self.config)
        return Failover(self.fleet, self.adapter, self.upstream, rules, self.bus.tell, self.clock, time.time)

    def _make_objects(self) -> Objects:
        return Objects(self.fleet.get, self.clock)

    def _make_pages(self) -> Pages:
        return make_pages(self, self._reactor)

    def _make_fleet(self) -> Fleet:
        spread = self.config.discovery.health_check.jitter
        fleet = Fleet(
            self._make_selector(),
            assembly.fleet_rules(self.config),
            self.bus.tell,
            self.affinity.forget,
            lambda: self._jitter.uniform(-spread, spread),
        )
        fleet.replace(assembly.endpoints_of(self.config))
        return fleet

    def _make_selector(self) -> ISelector:
        return selector_factories()[self.config.proxy.load_balancer].make(assembly.selector_settings(self.config))

    def _make_gate(self) -> Gate:
        factories, settings = limiter_factories(), assembly.limiter_settings(self.config)
        named = self.config.server.rate_limits.limiters
        return Gate([(name, factories[name].make(settings)) for name in named], self._limiter_failed)

    def _make_plans(self) -> Plans:
        plans = Plans(self._plan, lambda: self.catalog.version)
        self.bus.listen(HealthChanged, plans.forget)
        self.bus.listen(ModelsListed, plans.forget)
        return plans

    def _make_upstream(self) -> AgentUpstream | DirectUpstream:
        """Make the way to the backends: this is all in which the engines differ there."""
        patience, sockets = assembly.patience(self.config), assembly.sockets(self.config)
        in_all, per_endpoint, seconds = assembly.kept(self.config)
        if self.config.proxy.engine == "sherpa":
            return AgentUpstream(
                self.network,
                self.clock,
                patience,
                per_endpoint,
                seconds,
                sockets,
                self._crashed_upstream,
            )
        return DirectUpstream(
            lambda endpoint: Dialler(self.network, endpoint, patience.connect, patience.handshake, sockets),
            self.clock,
            patience,
            in_all,
            per_endpoint,
            seconds,
            self.config.proxy.pool.max_per_host,
        )

    def _make_narrowing(self) -> Narrowing:
        routing = self.config.model_registry.routing_strategy
        strategy = Strategy(
            routing.type,
            routing.options.fallback_behavior,
            routing.options.discovery_refresh_on_miss,
            self.config.discovery.model_discovery.enabled,
        )
        return Narrowing(strategy, self._supports, self.catalog.capable)

    # Answering -------------------------------------------------------------------------------------------------

    def begin(self, exchange: IExchange) -> Task:
        """Start the journey of a request that came on our own channel."""
        self.admission.identify(exchange.request)
        task = Task(self.forwarder.forward(exchange), lambda error: self._crashed(exchange.request.id))
        task.start()
        return task

    def _admit(self, client: str, kind: str, now: float) -> Any:
        return self.gate.admit(client, kind, now)

    def _supports(self, profile: str, path: str) -> bool:
        """Say whether a kind of backend lists ``path``; asked for each request, so the answers are kept."""
        answer = self._supported.get((profile, path))
        if answer is None:
            known = self.profiles.get(profile)
            answer = known is not None and any(path.endswith(one) for one in known.paths if one != "/")
            self._supported.keep((profile, path), answer, len(path))
        return answer

    def _locate(self, wanted: Requirements) -> Located | None:
        return self.catalog.locate(wanted.model) if wanted.model else None

    def _plan(self, scope: Scope, wanted: Requirements) -> Plan:
        return self.narrowing.narrow(self.fleet.members, scope, wanted, self._locate(wanted), self.clock())

    def _replan(self, scope: Scope, wanted: Requirements, how: Refreshed) -> Plan:
        return self.narrowing.narrow(self.fleet.members, scope, wanted, self._locate(wanted), self.clock(), how)

    def _list_anew(self, members: Sequence[Member], wanted: Requirements) -> Deferred[bool]:
        limit = self.config.model_registry.routing_strategy.options.discovery_timeout
        return self._reread(members, wanted).addTimeout(limit, self._reactor, lambda late, seconds: False)

    def _reread(self, members: Sequence[Member], wanted: Requirements) -> Deferred[bool]:
        return self.watch.list_anew(members)

    # What pages show -------------------------------------------------------------------------------------------

    def _detected(self, member: Member) -> None:
        self.adapter.detected(member)
        self.plans.forget()

    def endpoint_views(self) -> Mapping[str, EndpointView]:
        views = {}
        for member in self.fleet.members:
            endpoint = member.endpoint
            kind = endpoint.type if endpoint.type != "auto" else member.profile
            views[member.name] = EndpointView(
                member.name, kind, member.profile, endpoint.priority, member.status.routable, endpoint.id
            )
        return views

    def figures(self) -> bytes:
        """Give what this process costs, as JSON."""
        page: Any = self.pages.fixed["/internal/process"]({})
        return bytes(page.body)

    def processes(self) -> Sequence[psutil.Process]:
        """Give the processes of which this proxy consists."""
        return [psutil.Process()]

    # Upkeep ----------------------------------------------------------------------------------------------------

    def forget_clients(self) -> None:
        """Forget how much of their limits clients have used that have not been seen for long."""
        self.gate.sweep(self.clock())

    def forget_counters(self) -> None:
        """Forget the figures of what has not been seen for long."""
        self.telemetry.sweep(self.clock())

    def forget_models(self) -> None:
        """Forget the models of endpoints that have been down for long."""
        alive = [member.name for member in self.fleet.members if member.status.routable]
        self.catalog.sweep(self.clock(), self.config.model_registry.unification.stale_threshold, alive)

    def reload(self, config: Config) -> None:
        """Take what can change while requests run; what did not change keeps its state."""
        before, self.config = self.config, config
        known_anew = (config.profiles, config.model_rules) != (before.profiles, before.model_rules)
        if known_anew:
            self._replace_profiles(config)
        self.adapter.measures = assembly.measures(config)
        if config.proxy.load_balancer != before.proxy.load_balancer:
            self.fleet.selector = self._make_selector()
        replaced = self.fleet.replace(assembly.endpoints_of(config))
        for member in replaced.removed:
            self.adapter.forget(member.endpoint)
            self.upstream.drop(member.endpoint)
            self.catalog.forget(member.endpoint)
        self.watch.replace(replaced)
        self.catalog.rename(Aliases(config.model_aliases))
        self.plans.forget()
        if config.server.rate_limits != before.server.rate_limits:
            self.gate = self._make_gate()
            self.admission.address, self.adapter.trusted = self._make_address(), assembly.Trusted(config)
        self.telemetry.show_from(config.logging.level)
        if known_anew:
            self.watch.list_anew()

    def _replace_profiles(self, config: Config) -> None:
        """Know other kinds of backends, and read what they have listed by other rules."""
        self.profiles = assembly.profiles_of(config)
        self._supported.clear()
        self.watch.know(self.profiles)
        self.adapter.replace(self.profiles, self.fleet.members)
        self.routes.replace(self.profiles, assembly.disabled_prefixes(config))
        self.catalog.reread(FactReader(naming_rules(config.model_rules), self.profiles))

    def close(self) -> Deferred[Any]:
        """Close what is open to backends; fires when it is."""
        return self.upstream.close()

    # Faults ----------------------------------------------------------------------------------------------------

    def _crashed(self, request_id: str) -> None:
        self._log.failure("A request failed for a fault of our own", request_id=request_id)

    def _crashed_upstream(self, failure: Failure) -> None:
        self._log.failure("A reply failed for a fault of our own", failure)

    def _limiter_failed(self, name: str, error: Exception) -> None:
        self._log.error("A limiter failed and had no say", limiter=name, error=repr(error))
