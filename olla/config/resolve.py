"""Endpoints as written made complete: profile, URLs, times, credentials (config.md §6, §7)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from attrs import define, evolve, field

from olla.config.addresses import Address, absolute, address, has_credentials, has_scheme
from olla.config.credentials import Credentials
from olla.config.endpoints import EndpointBlock, EndpointConfig, Tls
from olla.config.profiles import canonical
from olla.config.proxy import ProxyConfig
from olla.config.reading import Reading, shown
from olla.domain.profile import Profile

PATH = "discovery.static.endpoints"
DEFAULT_PRIORITY = 100
DEFAULT_INTERVAL = 5.0
DEFAULT_TIMEOUT = 2.0
LONGEST_TIMEOUT = 30.0
SHORTEST_INTERVAL = 1.0

_DOUBLED = re.compile(r"/v1/v1(/|$)")


@define
class EndpointResolver:
    """
    Completes the endpoints of one configuration.

    :ivar profiles: those in use.
    :ivar removed: names of those that the filter takes out.
    :ivar folder: where relative paths start.
    """

    _reading: Reading
    _proxy: ProxyConfig
    _profiles: Sequence[Profile]
    _removed: Sequence[Profile]
    _folder: Path
    _names: dict[str, str] = field(init=False, factory=dict)

    def resolve(self, blocks: Sequence[EndpointBlock]) -> tuple[EndpointConfig, ...]:
        """Return the endpoints that could be completed; say what is wrong with the others."""
        endpoints = []
        for index, block in enumerate(blocks):
            one = _One(self._reading, f"{PATH}[{index}]", block)
            endpoint = self._complete(one)
            if endpoint is not None:
                endpoints.append(endpoint)
        self._note_shared(endpoints)
        return tuple(endpoints)

    def _complete(self, one: _One) -> EndpointConfig | None:
        base = one.address()
        name = self._name(one, base)
        if name:
            self._reading.labels[one.path] = f'endpoint "{name}"'
        profile_name = self._profile(one)
        profile = next((p for p in self._profiles if p.name == profile_name), None)
        known = profile or Profile("auto")
        interval, timeout = one.times()
        secrets = Credentials(self._folder, one.fault, one.warn)
        auth = secrets.auth(None if self._reading.is_faulty(f"{one.path}.auth") else one.block.auth)
        headers = tuple(secrets.headers(one.block.headers, auth))
        tls = self._tls(one)
        if base is None:
            return None
        block = one.block
        given = self._reading.given("proxy.response_header_timeout")
        forwards = self._proxy.forward_client_auth
        return EndpointConfig(
            name=name,
            url=base.text,
            type=block.type.strip().lower() or "auto",
            profile=profile_name or "auto",
            priority=known.default_priority if block.priority is None else block.priority,
            health_check_url=one.joined(base, "health_check_url", known.health_check_path),
            model_url=one.joined(base, "model_url", known.model_discovery_path),
            health_check_given=bool(block.health_check_url),
            model_url_given=bool(block.model_url),
            check_interval=interval,
            check_timeout=timeout,
            response_header_timeout=(
                self._proxy.response_header_timeout if given or profile is None else profile.timeout
            ),
            response_header_timeout_given=given,
            preserve_path=block.preserve_path,
            model_filter=block.model_filter,
            auth=auth,
            headers=headers,
            max_concurrent_requests=one.concurrency(),
            max_queue=block.max_queue,
            requests_per_minute=block.requests_per_minute or 0,
            forward_client_auth=forwards if block.forward_client_auth is None else block.forward_client_auth,
            anthropic=block.anthropic,
            tags=block.tags,
            tls=tls,
        )

    def _name(self, one: _One, base: Address | None) -> str:
        name = one.block.name.strip()
        if name in self._names:
            one.fault("name", f"is given twice; the other is {self._names[name]}")
        if not name and base is not None:
            name = self._free(base.label)
            one.warn("name", f"is missing; the endpoint is called {name}")
        if name:
            self._names.setdefault(name, one.path)
        return name

    def _free(self, label: str) -> str:
        name, number = label, 1
        while name in self._names:
            number += 1
            name = f"{label}-{number}"
        return name

    def _profile(self, one: _One) -> str:
        written = one.block.type
        name = canonical(written, self._profiles)
        if not name and canonical(written, self._removed):
            one.fault("type", f"{shown(written)} is removed by proxy.profile_filter")
        elif not name:
            names = ", ".join(["auto", *(p.name for p in self._profiles)])
            one.fault("type", f"{shown(written)} is not a known type; known: {names}")
        return name

    def _tls(self, one: _One) -> Tls:
        tls = one.block.tls
        if not tls.verify:
            one.warn("tls.verify", "is false: any certificate is taken, whoever answers")
        if not tls.ca_file:
            return tls
        path = self._folder / tls.ca_file
        if not path.is_file():
            one.fault("tls.ca_file", f"{shown(tls.ca_file)} is not a file")
        return evolve(tls, ca_file=str(path))

    def _note_shared(self, endpoints: Sequence[EndpointConfig]) -> None:
        by_url: dict[str, list[str]] = {}
        for endpoint in endpoints:
            by_url.setdefault(endpoint.url.rstrip("/"), []).append(endpoint.name)
        for url, names in by_url.items():
            if len(names) > 1:
                self._reading.note(PATH, f"{', '.join(names)} share the server {url}")


@define
class _One:
    """One endpoint on its way: what is written, and where."""

    reading: Reading
    path: str
    block: EndpointBlock

    def fault(self, key: str, message: str) -> None:
        path = f"{self.path}.{key}"
        if not self.reading.is_faulty(path):  # what cannot be read is not missing as well
            self.reading.fault(path, message)

    def warn(self, key: str, message: str) -> None:
        self.reading.warn(f"{self.path}.{key}", message)

    def address(self) -> Address | None:
        text = (self.block.url or "").strip()
        if not text:
            self.fault("url", "is missing")
            return None
        try:
            return address(text)
        except ValueError as error:
            self.fault("url", f"{_shown(text)} {error}")
            return None

    def joined(self, base: Address, key: str, default: str) -> str:
        text = (getattr(self.block, key) or "").strip()
        if not text:
            return base.joined(_without_doubled(base, default))
        try:
            url = absolute(text) if has_scheme(text) else base.joined(_relative(text))
        except ValueError as error:
            self.fault(key, f"{_shown(text)} {error}")
            return base.text
        if _DOUBLED.search(url):
            self.warn(key, "has /v1/v1 in it once it is joined to the url; write it with http:// and all")
        return url

    def times(self) -> tuple[float, float]:
        interval, timeout = self.block.check_interval or 0.0, self.block.check_timeout or 0.0
        if interval and not timeout:
            timeout = self._fitted_timeout(interval)
        elif timeout and not interval:
            interval = self._fitted_interval(timeout)
        interval, timeout = interval or DEFAULT_INTERVAL, timeout or DEFAULT_TIMEOUT
        shortest = self.reading.written(f"{self.path}.check_interval", f"{interval:g}s")
        longest = self.reading.written(f"{self.path}.check_timeout", f"{timeout:g}s")
        if interval < SHORTEST_INTERVAL:
            self.fault("check_interval", f"{shortest} is shorter than {SHORTEST_INTERVAL:g}s")
        if timeout > LONGEST_TIMEOUT:
            self.fault("check_timeout", f"{longest} is longer than {LONGEST_TIMEOUT:g}s")
        elif timeout >= interval >= SHORTEST_INTERVAL:
            self.fault("check_timeout", f"{longest} is not below check_interval, {shortest}")
        return interval, timeout

    def _fitted_timeout(self, interval: float) -> float:
        if interval > DEFAULT_TIMEOUT:
            return DEFAULT_TIMEOUT
        self.warn("check_interval", f"leaves no room for a check_timeout of 2s; it is {interval / 2:g}s")
        return interval / 2

    def _fitted_interval(self, timeout: float) -> float:
        if timeout < DEFAULT_INTERVAL:
            return DEFAULT_INTERVAL
        self.warn("check_timeout", f"is too long for a check_interval of 5s; it is {timeout * 2:g}s")
        return timeout * 2

    def concurrency(self) -> int | None:
        block = self.block
        if block.max_concurrent_requests is None:
            return block.max_concurrent
        if block.max_concurrent not in (None, block.max_concurrent_requests):
            self.fault("max_concurrent", "says something else than max_concurrent_requests")
        return block.max_concurrent_requests


def _without_doubled(base: Address, path: str) -> str:
    if base.path.rstrip("/").endswith("/v1") and path.startswith("/v1/"):
        return path[len("/v1") :]
    return path


def _relative(text: str) -> str:
    if has_credentials(text):
        return absolute(text)
    if any(c.isspace() or not c.isprintable() for c in text):
        raise ValueError("has a blank in it")
    return text


def _shown(text: str) -> str:
    return "the value" if "@" in text else shown(text)
