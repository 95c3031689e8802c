"""Values that cannot be used, and keys that contradict each other."""

from __future__ import annotations

import os

from olla.assembly import sockets
from olla.config import ConfigError, load
from olla.upstream.limits import Sockets
from tests.config.loading import LoadingTestCase


class ServerTests(LoadingTestCase):
    """``server``."""

    def test_port(self) -> None:
        """A port is 1 to 65535 (K14)."""
        for port in (0, -1, 65536):
            self.assertIn(f'server.port: "{port}"', self.refused(f"server: {{port: {port}}}"))
        for port in (1, 65535):
            self.assertEqual(self.config(f"server: {{port: {port}}}").server.port, port)

    def test_host(self) -> None:
        """An IPv6 address is taken with and without brackets (K64)."""
        for host in ("::1", "[::1]"):
            self.assertEqual(self.config(f'server: {{host: "{host}"}}').server.host, "::1")

    def test_no_host(self) -> None:
        """An empty host is every address (config.md §4), and said to be, since a variable may have emptied it."""
        for environ in ({"N": ""}, {"H": ""}):
            text = 'server: {host: "${H:-}"}'
            self.assertIn("server.host", self.warned(text, **environ))
            self.assertEqual(self.config(text, **environ).server.host, "")

    def test_header_size(self) -> None:
        """A small limit on headers is raised to 4096, none is the default (K16)."""
        for written, size in ((100, 4096), (0, 1048576), (-1, 1048576), (5000, 5000)):
            text = f"server: {{request_limits: {{max_header_size: {written}}}}}"
            self.assertEqual(self.config(text).server.request_limits.max_header_size, size)

    def test_burst(self) -> None:
        """A burst of 0 is 1 with a warning, a negative one is refused (K17)."""
        text = "server: {rate_limits: {burst_size: %d}}"
        self.assertIn("server.rate_limits.burst_size", self.warned(text % 0))
        self.assertEqual(self.config(text % 0).server.rate_limits.burst_size, 1)
        self.assertIn("burst_size", self.refused(text % -1))

    def test_global_burst(self) -> None:
        """The global bucket holds five seconds' worth, at least a client's burst, unless told otherwise."""
        self.assertEqual(self.config().server.rate_limits.global_burst, 84)
        text = "server: {rate_limits: {global_burst_size: %s, global_requests_per_minute: 12}}"
        self.assertEqual(self.config(text % 7).server.rate_limits.global_burst, 7)
        self.assertEqual(self.config(text % "").server.rate_limits.global_burst, 50)

    def test_cors(self) -> None:
        """CORS without origins, or credentials with any origin, are refused while it is on (K15, C75)."""
        for keys in ("allowed_origins: []", "allow_credentials: true", 'allowed_origins: ["*.*"]'):
            self.assertIn("server.cors.", self.refused(f"server: {{cors: {{{keys}}}}}"))
            self.config(f"server: {{cors: {{enabled: false, {keys}}}}}")
        self.assertIn("max_age", self.refused("server: {cors: {max_age: -1}}"))
        self.assertEqual(self.config("server: {cors: {max_age: 0}}").server.cors.max_age, 0)

    def test_cors_defaults(self) -> None:
        """CORS is on, for any origin and any request header (http-api.md §10.3)."""
        cors = self.config().server.cors
        self.assertTrue(cors.enabled)
        self.assertEqual((cors.allowed_origins, cors.allowed_headers), (("*",), ("*",)))

    def test_trusted_networks(self) -> None:
        """A network that is none stops the start; an empty list believes nobody (K66)."""
        text = "server: {rate_limits: {trusted_proxy_cidrs: %s}}"
        self.assertIn("nonsense", self.refused(text % "[nonsense]"))
        self.assertEqual(self.config(text % "[]").server.rate_limits.trusted_proxy_cidrs, ())

    def test_write_timeout(self) -> None:
        """A limit on the time to write is warned of: it cuts streams."""
        self.assertIn("server.write_timeout", self.warned("server: {write_timeout: 30s}"))

    def test_limiters(self) -> None:
        """A limiter that nobody provides is refused, and those that are there are named."""
        text = "server: {rate_limits: {limiters: [per-ip, mine]}}"
        self.assertIn('"mine" is not known; known: global, health, per-ip', self.refused(text))
        self.write("config.yaml", text)
        found = load(environ={}, cwd=self.folder, limiters=["per-ip", "mine"])
        self.assertEqual(found.config.server.rate_limits.limiters, ("per-ip", "mine"))


class ProxyTests(LoadingTestCase):
    """``proxy``."""

    def test_engine_and_balancer(self) -> None:
        """An unknown or empty engine or balancer is refused by name (K19)."""
        for key in ("engine", "load_balancer"):
            for word in ("Olla", '""'):
                self.assertIn(f"proxy.{key}: ", self.refused(f"proxy: {{{key}: {word}}}"))

    def test_own_balancer(self) -> None:
        """Any selector that the caller found can be the balancer, and the fault names those there are."""
        path = self.write("config.yaml", "proxy: {load_balancer: mine}")
        found = load(str(path), environ={}, cwd=self.folder, selectors=["mine"])
        self.assertEqual(found.config.proxy.load_balancer, "mine")
        error = self.assertRaises(ConfigError, load, str(path), environ={}, cwd=self.folder, selectors=["a", "b"])
        self.assertIn("known: a, b", str(error))

    def test_profile(self) -> None:
        """Flushing has three ways and no other (config.md §5)."""
        self.assertIn("proxy.profile", self.refused("proxy: {profile: fast}"))

    def test_buffer(self) -> None:
        """The size of a read is used as given; where none is, both engines read what sherpa is stated to (K20)."""
        for text, size in (("", 8192), ("engine: sherpa", 8192), ("stream_buffer_size: 2048", 2048)):
            self.assertEqual(sockets(self.config(f"proxy: {{{text}}}")), Sockets(30.0, size))

    def test_refused_numbers(self) -> None:
        """Negative sizes, no key source and unknown ones are refused by name (K68)."""
        written = {
            "stream_buffer_size: -1": "stream_buffer_size",
            "stream_buffer_size: 1GiB": "stream_buffer_size",
            "sticky_sessions: {max_sessions: -1}": "max_sessions",
            "sticky_sessions: {key_sources: []}": "key_sources",
            "sticky_sessions: {key_sources: [SESSION_HEADER]}": "key_sources",
        }
        for text, key in written.items():
            self.assertIn(key, self.refused(f"proxy: {{{text}}}"))
        self.assertEqual(
            self.config("proxy: {sticky_sessions: {max_sessions: 0}}").proxy.sticky_sessions.max_sessions, 0
        )

    def test_zero_is_the_default(self) -> None:
        """Zero is the default of a time-out that must be; a whole response may have none (config.md §5)."""
        names = ("connection_timeout", "connection_keep_alive", "read_timeout", "response_header_timeout")
        proxy = self.config(f"proxy: {{{', '.join(f'{n}: 0s' for n in names)}, response_timeout: 0}}").proxy
        self.assertEqual([getattr(proxy, name) for name in names], [60.0, 30.0, 60.0, 30.0])
        self.assertEqual(proxy.response_timeout, 0.0)

    def test_deprecated(self) -> None:
        """The two old retry keys are warned of, and must still be well typed (config.md §5)."""
        self.assertIn("proxy.max_retries", self.warned("proxy: {max_retries: 3}"))
        self.assertIn("proxy.retry_backoff", self.refused("proxy: {retry_backoff: 500}"))

    def test_notes(self) -> None:
        """What changes for those who come from elsewhere is said once (config-corpus.md §1, §2)."""
        text = "proxy: {retry: {enabled: true, max_attempts: 0}, profile: standard, response_timeout: 30s}"
        said = [note.path for note in self.loaded(text).notes]
        self.assertEqual(said, ["proxy.retry", "proxy.profile", "proxy.response_timeout"])


class DiscoveryTests(LoadingTestCase):
    """``discovery`` and ``model_registry``."""

    def test_type(self) -> None:
        """Endpoints are static, or refused."""
        self.assertIn("discovery.type", self.refused("discovery: {type: dns}"))

    def test_listing(self) -> None:
        """Zero times and workers are refused while models are listed, and fine otherwise (K29)."""
        for key in ("interval: 0s", "timeout: 0", "concurrent_workers: 0", "concurrent_workers: -1"):
            self.assertIn(key.split(":")[0], self.refused(f"discovery: {{model_discovery: {{{key}}}}}"))
            self.config(f"discovery: {{model_discovery: {{enabled: false, {key}}}}}")

    def test_routing(self) -> None:
        """An unknown strategy is strict with a warning; an unknown fallback is refused (config.md §9)."""
        text = "model_registry: {routing_strategy: {type: wild}}"
        self.assertEqual(self.config(text).model_registry.routing_strategy.type, "strict")
        self.assertIn("routing_strategy.type", self.warned(text))
        text = "model_registry: {routing_strategy: {options: {fallback_behavior: %s}}}"
        self.assertIn("fallback_behavior", self.refused(text % "some"))
        options = self.config(text % '""').model_registry.routing_strategy.options
        self.assertEqual(options.fallback_behavior, "compatible_only")

    def test_registry_type(self) -> None:
        """The registry is in memory, or refused (config.md §9)."""
        self.assertEqual(self.config('model_registry: {type: ""}').model_registry.type, "memory")
        self.assertIn("model_registry.type", self.refused("model_registry: {type: redis}"))

    def test_unifier(self) -> None:
        """The other name of enable_unifier works, and loses to it with a warning (config-corpus.md §1)."""
        text = "model_registry: {unification: {enabled: false}}"
        self.assertFalse(self.config(text).model_registry.enable_unifier)
        both = "model_registry: {enable_unifier: true, unification: {enabled: false}}"
        self.assertTrue(self.config(both).model_registry.enable_unifier)
        self.assertIn("enable_unifier", self.warned(both))

    def test_aliases(self) -> None:
        """An alias has a trimmed name and at least one model; a repeated one is warned of (K37)."""
        for text in ('"": [a]', '" a": [b]', "a: []", "a: ", 'a: ["b", ""]', "a: b"):
            self.assertIn("model_aliases", self.refused(f"model_aliases:\n  {text}\n"), text)
        self.assertIn("more than once", self.warned("model_aliases: {a: [b, b]}"))
        self.assertEqual(self.config("model_aliases: {A: [b, c]}").model_aliases, {"A": ("b", "c")})


class TranslatorTests(LoadingTestCase):
    """``translators``."""

    def anthropic(self, keys: str) -> str:
        """Return a file with these keys of the Anthropic translator."""
        return f"translators: {{anthropic: {{{keys}}}}}"

    def test_message_size(self) -> None:
        """Sizes below 0 and above 100 MiB are refused, also while it is off; 0 is the default (K38, K76)."""
        for size in (-1, 104857601):
            for off in ("", "enabled: false, "):
                self.assertIn("max_message_size", self.refused(self.anthropic(f"{off}max_message_size: {size}")))
        config = self.config(self.anthropic("max_message_size: 0"))
        self.assertEqual(config.translators.anthropic.max_message_size, 10485760)

    def test_inspector(self) -> None:
        """While it is on it writes into no folder of the system, and its header has a name (K39, K76)."""
        for keys in (
            "output_dir: /etc/x",
            "output_dir: /",
            "output_dir: 'C:\\Windows\\x'",
            "session_header: bad name",
        ):
            self.config(self.anthropic(f"inspector: {{{keys}}}"))
            for off in ("", "enabled: false, "):
                self.refused(self.anthropic(f"{off}inspector: {{enabled: true, {keys}}}"))

    def test_inspector_resolves(self) -> None:
        """Neither dots nor links lead there (K77)."""
        up = "../" * 20
        text = self.anthropic(f"inspector: {{enabled: true, output_dir: {up}etc}}")
        self.assertIn("output_dir", self.refused(text))
        os.symlink("/etc", self.folder / "link")
        self.assertIn("output_dir", self.refused(self.anthropic("inspector: {enabled: true, output_dir: link/x}")))

    def test_inspector_warns(self) -> None:
        """It is loud, and an empty folder has a name (config.md §9)."""
        text = self.anthropic('inspector: {enabled: true, output_dir: ""}')
        self.assertIn("inspector.enabled", self.warned(text))
        self.assertEqual(self.config(text).translators.anthropic.inspector.output_dir, "./inspector-logs")


class OutputTests(LoadingTestCase):
    """``logging`` and ``dashboard``."""

    def test_logging(self) -> None:
        """A level, format or output that is none gives a warning and the default (K40)."""
        text = "logging: {level: loud, format: XML, output: Stdout}"
        logging = self.config(text).logging
        self.assertEqual((logging.level, logging.format, logging.output), ("info", "json", "stdout"))
        for key in ("level", "format", "output"):
            self.assertIn(f"logging.{key}: ", self.warned(text))
        self.assertEqual(self.config("logging: {level: WARNING}").logging.level, "warn")

    def test_dashboard(self) -> None:
        """Networks of the dashboard are there and valid while it is on (K41)."""
        for networks in ("[]", "[nonsense]"):
            text = f"access_policy: {{allowed_cidrs: {networks}}}"
            self.assertIn("dashboard.access_policy.allowed_cidrs", self.refused(f"dashboard: {{{text}}}"))
            self.config(f"dashboard: {{enabled: false, {text}}}")
