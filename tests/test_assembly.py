"""Tests of :mod:`olla.assembly`."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from olla import assembly
from olla.config import Config, load
from olla.demo.service import DemoEndpoint
from olla.domain.endpoint import Endpoint, endpoint_id
from olla.plugged import limiter_factories, selector_factories


class AssemblyCase(SynchronousTestCase):
    """Configurations, loaded as at the start."""

    def config(self, **sections: Any) -> Config:
        """Load these sections."""
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = Path(folder.name, "olla.yaml")
        path.write_text(json.dumps(sections))
        return load(
            str(path),
            environ={},
            cwd=Path(folder.name),
            selectors=selector_factories(),
            limiters=limiter_factories(),
        ).config

    def endpoints(self, *given: dict[str, Any]) -> list[Endpoint]:
        """Make the endpoints of a configuration."""
        return assembly.endpoints_of(self.config(discovery={"static": {"endpoints": list(given)}}))


class EndpointTests(AssemblyCase):
    """Endpoints."""

    def test_address(self) -> None:
        """Scheme, host, port and path come from the URL; the scheme's own port where none is given."""
        plain, based = self.endpoints(
            {"name": "a", "url": "https://h.example", "type": "openai"},
            {"name": "b", "url": "http://[::1]:8000/base/", "type": "openai"},
        )
        self.assertEqual((plain.scheme, plain.host, plain.port, plain.base_path), ("https", "h.example", 443, ""))
        self.assertEqual((based.host, based.port, based.base_path), ("::1", 8000, "/base"))

    def test_only_the_operator_limits(self) -> None:
        """A profile's guess at what a server takes at once limits nothing, what an endpoint says does (P6)."""
        guessed, given = self.endpoints(
            {"name": "a", "url": "http://h:1", "type": "lm-studio"},
            {"name": "b", "url": "http://h:2", "type": "lm-studio", "max_concurrent_requests": 3},
        )
        self.assertEqual((guessed.max_concurrent_requests, given.max_concurrent_requests), (0, 3))

    def test_credential(self) -> None:
        """Fields and credential are revealed to the endpoint, and shown nowhere (K33)."""
        (endpoint,) = self.endpoints(
            {
                "name": "a",
                "url": "http://h",
                "type": "openai",
                "headers": {"X-Team": "blue"},
                "auth": {"type": "bearer", "token": "k3y"},
            }
        )
        self.assertEqual(endpoint.credential, (b"Authorization", b"Bearer k3y"))
        self.assertEqual(endpoint.fields, ((b"X-Team", b"blue"),))
        self.assertNotIn("k3y", repr(endpoint))

    def test_limit(self) -> None:
        """Only the operator limits an endpoint: a profile's figure does not."""
        free, limited = self.endpoints(
            {"name": "a", "url": "http://h:1", "type": "ollama"},
            {"name": "b", "url": "http://h:2", "type": "ollama", "max_concurrent_requests": 3},
        )
        self.assertEqual((free.max_concurrent_requests, limited.max_concurrent_requests), (0, 3))

    def test_unknown_kind(self) -> None:
        """An endpoint of a kind yet to be found is checked where that kind is, unless told (profiles.md §5)."""
        left, told = self.endpoints(
            {"name": "a", "url": "http://h:1", "type": "auto"},
            {"name": "b", "url": "http://h:2", "type": "auto", "health_check_url": "/healthz"},
        )
        self.assertEqual((left.health_url, left.model_url), ("", "http://h:1/v1/models"))
        self.assertEqual(told.health_url, "http://h:2/healthz")

    def test_ids(self) -> None:
        """An id follows from the address; where two share one, the names number them (http-api.md §11.1)."""
        known = {
            endpoint.name: endpoint.id
            for endpoint in self.endpoints(
                {"name": "z", "url": "http://h:1", "type": "openai"},
                {"name": "a", "url": "http://h:1", "type": "vllm"},
                {"name": "m", "url": "http://h:2", "type": "openai"},
            )
        }
        shared = endpoint_id("http://h:1")
        self.assertEqual(known, {"a": f"{shared}-0", "z": f"{shared}-1", "m": endpoint_id("http://h:2")})

    def test_demo(self) -> None:
        """The demonstration's endpoints take the place of the configured ones, checked as their kinds say."""
        config = self.config(
            discovery={"static": {"endpoints": [{"name": "a", "url": "http://h:1", "type": "openai"}]}}
        )
        given = [
            DemoEndpoint("demo-ollama", "http://127.0.0.1:5000", "ollama"),
            DemoEndpoint("demo-openai", "http://127.0.0.1:5001", "openai-compatible"),
        ]
        made = assembly.endpoints_of(assembly.with_endpoints(config, given))
        self.assertEqual(
            [(one.name, one.port, one.profile) for one in made],
            [
                ("demo-ollama", 5000, "ollama"),
                ("demo-openai", 5001, "openai-compatible"),
            ],
        )
        self.assertEqual(made[0].model_url, "http://127.0.0.1:5000/api/tags")
        self.assertEqual([one.port for one in assembly.endpoints_of(config)], [1])


class NumberTests(AssemblyCase):
    """What the parts receive."""

    def test_breaker(self) -> None:
        """A breaker that is switched off never opens, whatever its threshold says."""
        block = {"enabled": False, "failure_threshold": 3}
        off = assembly.fleet_rules(self.config(proxy={"circuit_breaker": block}))
        on = assembly.fleet_rules(self.config(proxy={"circuit_breaker": {**block, "enabled": True}}))
        self.assertEqual((off.failure_threshold, on.failure_threshold), (0, 3))

    def test_patience(self) -> None:
        """Each of the five limits of time is taken from its own key."""
        patience = assembly.patience(
            self.config(
                proxy={
                    "connection_timeout": "1s",
                    "tls_handshake_timeout": "2s",
                    "response_header_timeout": "3s",
                    "read_timeout": "4s",
                    "response_timeout": "5s",
                }
            )
        )
        found = (patience.connect, patience.handshake, patience.head, patience.silence, patience.total)
        self.assertEqual(found, (1.0, 2.0, 3.0, 4.0, 5.0))

    def test_retry(self) -> None:
        """The keys of proxy.retry are honoured (http-api.md §6.3)."""
        rules = assembly.retry_rules(
            self.config(proxy={"retry": {"max_attempts": 2, "on_status_codes": [500], "on_connection_failure": False}})
        )
        self.assertEqual((rules.max_attempts, rules.on_status, rules.on_connection_failure), (2, {500}, False))
        self.assertEqual(assembly.retry_rules(self.config()).on_status, {429, 503})

    def test_discovery(self) -> None:
        """The keys of discovery.model_discovery are honoured; it is tried at least once (B97)."""
        block = {
            "interval": "60s",
            "timeout": "7s",
            "concurrent_workers": 2,
            "retry_attempts": 4,
            "retry_backoff": "3s",
        }
        rules = assembly.discovery_rules(self.config(discovery={"model_discovery": block}))
        found = (rules.interval, rules.timeout, rules.workers, rules.attempts, rules.backoff)
        self.assertEqual(found, (60.0, 7.0, 2, 4, 3.0))
        none = self.config(discovery={"model_discovery": {"retry_attempts": 0}})
        self.assertEqual(assembly.discovery_rules(none).attempts, 1)

    def test_cors(self) -> None:
        """By default CORS says what the seed says (C71)."""
        cors = assembly.cors(self.config())
        self.assertEqual((cors.enabled, cors.origins, cors.credentials), (True, ("*",), False))
        self.assertEqual(list(cors.methods), ["GET", "POST", "OPTIONS"])

    def test_settings(self) -> None:
        """Strangers' plugins get plain values."""
        config = self.config(proxy={"load_balancer": "round-robin"})
        self.assertEqual(assembly.selector_settings(config)["load_balancer"], "round-robin")
        self.assertIn("per_ip_requests_per_minute", assembly.limiter_settings(config))


class TrustedTests(AssemblyCase):
    """Whose word is taken."""

    def trusted(self, trust: bool) -> assembly.Trusted:
        """Trust one network, or nobody."""
        limits = {"trust_proxy_headers": trust, "trusted_proxy_cidrs": ["10.0.0.0/8", "::1/128"]}
        return assembly.Trusted(self.config(server={"rate_limits": limits}))

    def test_trusted(self) -> None:
        """Only peers in the named networks are believed, and only when that is switched on (http-api.md §9.5)."""
        for peer, believed in (("10.1.2.3", True), ("::1", True), ("11.0.0.1", False), ("", False), ("x", False)):
            self.assertEqual(self.trusted(True)(peer), believed, peer)
            self.assertFalse(self.trusted(False)(peer))
