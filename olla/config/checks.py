"""What one key alone cannot show: contradictions, and values that deserve a word (config.md §13)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Collection
from pathlib import Path

from attrs import frozen

from olla.config.credentials import is_header_name
from olla.config.reading import Reading, shown
from olla.config.schema import Config

SYSTEM_FOLDERS = ("/etc", "/var", "/usr", "/bin", "/sbin", "/boot", "/sys", "/proc", "/dev", "/root")
SHORT_RESPONSE = 120.0

ListenFault = Callable[[str, bool], str]
"""Takes an endpoint string, and whether several processes share it."""

_WINDOWS_FOLDER = re.compile(r"[a-z]:[\\/]*($|(windows|program files( \(x86\))?|programdata)([\\/]|$))", re.IGNORECASE)


@frozen
class Checks:
    """
    Looks at a whole configuration.

    :ivar selectors: names that ``proxy.load_balancer`` may have.
    :ivar limiters: names that ``server.rate_limits.limiters`` may have.
    :ivar listen_fault: says what is wrong with one of ``server.listen``.
    :ivar folder: where relative paths start.
    """

    _reading: Reading
    _selectors: Collection[str]
    _limiters: Collection[str]
    _listen_fault: ListenFault
    _folder: Path

    def run(self, config: Config) -> None:
        """Say what is wrong, what is doubtful, and what is worth knowing."""
        parts: tuple[Callable[[Config], None], ...] = (
            self._server,
            self._cors,
            self._proxy,
            self._sticky,
            self._discovery,
            self._registry,
            self._aliases,
            self._inspector,
            self._dashboard,
            self._notes,
        )
        for part in parts:
            part(config)

    def _server(self, config: Config) -> None:
        server, limits = config.server, config.server.rate_limits
        if not server.host and not server.listen:
            self._reading.warn("server.host", "is empty: every address is listened on, as with 0.0.0.0")
        if server.write_timeout:
            self._reading.warn("server.write_timeout", "ends streams that last longer; 0s is no limit")
        if self._reading.given("server.rate_limits.burst_size") and limits.burst_size == 1:
            self._reading.warn("server.rate_limits.burst_size", "lets through one request at a time")
        for text in server.listen:
            if said := self._listen_fault(text, server.workers > 1):
                self._reading.fault("server.listen", f"{shown(text)} {said}")
        for name in limits.limiters:
            if name not in self._limiters:
                self._fault_unknown("server.rate_limits.limiters", name, self._limiters)

    def _cors(self, config: Config) -> None:
        cors = config.server.cors
        if not cors.enabled:
            return
        if not cors.allowed_origins and not self._reading.is_faulty("server.cors.allowed_origins"):
            self._reading.fault("server.cors.allowed_origins", "is empty while server.cors.enabled is true")
        for origin in cors.allowed_origins:
            if origin.count("*") > 1:
                said = f"{shown(origin)} has more than one *"
                self._reading.fault("server.cors.allowed_origins", said)
        if cors.allow_credentials and "*" in cors.allowed_origins:
            said = "true contradicts the origin * in server.cors.allowed_origins"
            self._reading.fault("server.cors.allow_credentials", said)

    def _proxy(self, config: Config) -> None:
        if config.proxy.load_balancer not in self._selectors:
            self._fault_unknown("proxy.load_balancer", config.proxy.load_balancer, self._selectors)
        for name in ("max_retries", "retry_backoff"):
            if self._reading.given(f"proxy.{name}"):
                self._reading.warn(f"proxy.{name}", "is deprecated and has no effect; see proxy.retry")

    def _sticky(self, config: Config) -> None:
        sticky, path = config.proxy.sticky_sessions, "proxy.sticky_sessions"
        if not sticky.key_sources and not self._reading.is_faulty(f"{path}.key_sources"):
            self._reading.fault(f"{path}.key_sources", "is empty")
        if sticky.enabled and sticky.idle_ttl_seconds <= 0:
            self._reading.warn(f"{path}.idle_ttl_seconds", "sessions never expire")

    def _discovery(self, config: Config) -> None:
        models, path = config.discovery.model_discovery, "discovery.model_discovery"
        for name in ("interval", "timeout", "concurrent_workers") if models.enabled else ():
            if getattr(models, name) <= 0:
                said = self._reading.written(f"{path}.{name}")
                self._reading.fault(f"{path}.{name}", f"{said} must be more than 0")

    def _registry(self, config: Config) -> None:
        registry, path = config.model_registry, "model_registry.unification.enabled"
        if self._reading.given(path) and registry.unification.enabled != registry.enable_unifier:
            said = "contradicts model_registry.enable_unifier, which holds"
            self._reading.warn(path, said)

    def _aliases(self, config: Config) -> None:
        for name, models in config.model_aliases.items():
            path = f"model_aliases.{name}"
            if not name or name != name.strip():
                self._reading.fault(path, f"{shown(name)} is empty, or has a blank at an end")
            if not models and not self._reading.is_faulty(path):
                self._reading.fault(path, "names no model")
            if any(not model.strip() for model in models):
                self._reading.fault(path, "has an empty entry")
            for model in sorted({m for m in models if models.count(m) > 1}):
                self._reading.warn(path, f"has {shown(model)} more than once")

    def _inspector(self, config: Config) -> None:
        inspector, path = config.translators.anthropic.inspector, "translators.anthropic.inspector"
        if not inspector.enabled:
            return
        self._reading.warn(f"{path}.enabled", "writes whole prompts and answers to disk")
        if self._is_system_folder(inspector.output_dir):
            said = f"{shown(inspector.output_dir)} is a folder of the system"
            self._reading.fault(f"{path}.output_dir", said)
        if not is_header_name(inspector.session_header):
            said = f"{shown(inspector.session_header)} is not the name of a header"
            self._reading.fault(f"{path}.session_header", said)

    def _is_system_folder(self, text: str) -> bool:
        if _WINDOWS_FOLDER.match(text):
            return True
        path, here = (self._folder / text).resolve(), self._folder.resolve()
        if path.is_relative_to(here) and here != Path("/"):
            return False
        return path == Path("/") or any(path.is_relative_to(folder) for folder in SYSTEM_FOLDERS)

    def _dashboard(self, config: Config) -> None:
        networks, path = config.dashboard.access_policy.allowed_cidrs, "dashboard.access_policy.allowed_cidrs"
        if not (config.dashboard.enabled or config.dashboard.gate_internal_api):
            return
        if not networks:
            key = "enabled" if config.dashboard.enabled else "gate_internal_api"
            self._reading.fault(path, f"is empty while dashboard.{key} is true")
        for network in networks:
            try:
                ipaddress.ip_network(network.strip(), strict=False)
            except ValueError:
                self._reading.fault(path, f"{shown(network)} is not a network such as 10.0.0.0/8")

    def _notes(self, config: Config) -> None:
        note, given = self._reading.note, self._reading.given
        retry = [f"proxy.retry.{name}" for name in ("enabled", "max_attempts", "on_connection_failure")]
        if any(map(given, retry)):
            note("proxy.retry", "has its effect here; the Go original ignores it")
        if given("discovery.health_check.initial_delay"):
            note("discovery.health_check.initial_delay", "has no effect: the first checks run at once")
        if config.proxy.profile == "standard":
            note("proxy.profile", "standard: event streams come in lumps")
        if given("proxy.response_timeout") and 0 < config.proxy.response_timeout < SHORT_RESPONSE:
            said = f"ends every answer after {config.proxy.response_timeout:g} seconds"
            note("proxy.response_timeout", said)
        if given("model_registry.unification.enabled"):
            note("model_registry.unification.enabled", "has its effect here, as enable_unifier has")

    def _fault_unknown(self, path: str, name: str, known: Collection[str]) -> None:
        self._reading.fault(path, f"{shown(name)} is not known; known: {', '.join(sorted(known))}")


def unchecked(text: str, shared: bool) -> str:
    """Find no fault with an endpoint string."""
    return ""
