"""Defaults, one file and the environment become one configuration."""

from __future__ import annotations

from typing import Any

import attrs

from olla.config import Config, ConfigError, load
from olla.config.keys import METADATA
from olla.config.kinds import DURATION
from tests.config.loading import LoadingTestCase

VARIABLES = {  # every name of config.md §4, §5, §9: its key, a text, and the value of that
    "OLLA_SERVER_HOST": ("server.host", "h", "h"),
    "OLLA_SERVER_PORT": ("server.port", "81", 81),
    "OLLA_SERVER_READ_TIMEOUT": ("server.read_timeout", "7s", 7.0),
    "OLLA_SERVER_READ_HEADER_TIMEOUT": ("server.read_header_timeout", "7s", 7.0),
    "OLLA_SERVER_WRITE_TIMEOUT": ("server.write_timeout", "7s", 7.0),
    "OLLA_SERVER_MAX_BODY_SIZE": ("server.request_limits.max_body_size", "1KB", 1024),
    "OLLA_SERVER_MAX_HEADER_SIZE": ("server.request_limits.max_header_size", "8KB", 8192),
    "OLLA_SERVER_GLOBAL_RATE_LIMIT": ("server.rate_limits.global_requests_per_minute", "7", 7),
    "OLLA_SERVER_PER_IP_RATE_LIMIT": ("server.rate_limits.per_ip_requests_per_minute", "7", 7),
    "OLLA_SERVER_RATE_BURST_SIZE": ("server.rate_limits.burst_size", "7", 7),
    "OLLA_SERVER_HEALTH_RATE_LIMIT": ("server.rate_limits.health_requests_per_minute", "7", 7),
    "OLLA_SERVER_RATE_CLEANUP_INTERVAL": ("server.rate_limits.cleanup_interval", "7m", 420.0),
    "OLLA_SERVER_TRUST_PROXY_HEADERS": ("server.rate_limits.trust_proxy_headers", "true", True),
    "OLLA_SERVER_TRUSTED_PROXY_CIDRS": (
        "server.rate_limits.trusted_proxy_cidrs",
        "10.0.0.0/8, 1.2.3.4/32",
        ("10.0.0.0/8", "1.2.3.4/32"),
    ),
    "OLLA_SERVER_CORS_ENABLED": ("server.cors.enabled", "false", False),
    "OLLA_SERVER_CORS_ALLOWED_ORIGINS": (
        "server.cors.allowed_origins",
        "http://a, http://b",
        ("http://a", "http://b"),
    ),
    "OLLA_SERVER_CORS_ALLOWED_METHODS": ("server.cors.allowed_methods", "GET", ("GET",)),
    "OLLA_SERVER_CORS_ALLOWED_HEADERS": ("server.cors.allowed_headers", "X-A", ("X-A",)),
    "OLLA_SERVER_CORS_EXPOSED_HEADERS": ("server.cors.exposed_headers", "X-A", ("X-A",)),
    "OLLA_SERVER_CORS_MAX_AGE": ("server.cors.max_age", "7", 7),
    "OLLA_PROXY_ENGINE": ("proxy.engine", "sherpa", "sherpa"),
    "OLLA_PROXY_PROFILE": ("proxy.profile", "streaming", "streaming"),
    "OLLA_PROXY_LOAD_BALANCER": ("proxy.load_balancer", "priority", "priority"),
    "OLLA_PROXY_CONNECTION_KEEP_ALIVE": ("proxy.connection_keep_alive", "7s", 7.0),
    "OLLA_PROXY_RESPONSE_TIMEOUT": ("proxy.response_timeout", "7s", 7.0),
    "OLLA_PROXY_READ_TIMEOUT": ("proxy.read_timeout", "7s", 7.0),
    "OLLA_PROXY_RESPONSE_HEADER_TIMEOUT": ("proxy.response_header_timeout", "7s", 7.0),
    "OLLA_PROXY_TLS_HANDSHAKE_TIMEOUT": ("proxy.tls_handshake_timeout", "7s", 7.0),
    "OLLA_PROXY_STICKY_SESSIONS_ENABLED": ("proxy.sticky_sessions.enabled", "1", True),
    "OLLA_MODEL_REGISTRY_TYPE": ("model_registry.type", "memory", "memory"),
    "OLLA_MODEL_UNIFIER_ENABLED": ("model_registry.enable_unifier", "f", False),
    "OLLA_TRANSLATORS_ANTHROPIC_ENABLED": ("translators.anthropic.enabled", "false", False),
    "OLLA_TRANSLATORS_ANTHROPIC_PASSTHROUGH_ENABLED": (
        "translators.anthropic.passthrough_enabled",
        "false",
        False,
    ),
    "OLLA_TRANSLATORS_ANTHROPIC_MAX_MESSAGE_SIZE": ("translators.anthropic.max_message_size", "7", 7),
    "OLLA_LOGGING_LEVEL": ("logging.level", "debug", "debug"),
    "OLLA_LOGGING_FORMAT": ("logging.format", "text", "text"),
    "OLLA_SHOW_NERD_STATS": ("engineering.show_nerdstats", "true", True),
}


def flat(config: Any, path: str = "") -> dict[str, object]:
    """Return every key below ``config`` by its dotted path."""
    found: dict[str, object] = {}
    for attribute in attrs.fields(type(config)):
        value, inner = getattr(config, attribute.name), f"{path}.{attribute.name}".lstrip(".")
        found |= flat(value, inner) if attrs.has(type(value)) else {inner: value}
    return found


class FileTests(LoadingTestCase):
    """Which file is read."""

    def port(self, **environ: str) -> int:
        """Return the port that is configured in the folder."""
        return load(environ=environ, cwd=self.folder).config.server.port

    def test_first_candidate(self) -> None:
        """Only the first candidate that is there is read, and no other is merged in (K5)."""
        self.write("config/config.yaml", "server: {port: 2, host: h}")
        self.write("config/config.local.yaml", "server: {port: 1}")
        found = load(environ={}, cwd=self.folder)
        self.assertEqual((found.source, found.config.server.port), ("config/config.local.yaml", 1))
        self.assertEqual(found.config.server.host, "localhost")

    def test_named_and_missing(self) -> None:
        """A named file that is not there stops the start and is told by its path (K6)."""
        for path, environ in (("missing.yaml", {}), ("", {"OLLA_CONFIG_FILE": "missing.yaml"}), (".", {})):
            error = self.assertRaises(ConfigError, load, path, environ=environ, cwd=self.folder)
            self.assertIn(f"specified config file not found: {path or 'missing.yaml'}", str(error))

    def test_option_beats_variable(self) -> None:
        """The option beats the variable, the variable the search; empty is not given (K6, K60)."""
        for name, port in (("a.yaml", 1), ("b.yaml", 2), ("config.yaml", 3)):
            self.write(name, f"server: {{port: {port}}}")
        self.assertEqual(self.port(), 3)
        self.assertEqual(self.port(OLLA_CONFIG_FILE="b.yaml"), 2)
        self.assertEqual(self.port(OLLA_CONFIG_FILE=""), 3)
        environ = {"OLLA_CONFIG_FILE": "b.yaml"}
        self.assertEqual(load("a.yaml", environ=environ, cwd=self.folder).config.server.port, 1)

    def test_broken_candidate(self) -> None:
        """A first candidate that is not YAML stops the start although a later one would do (K7)."""
        self.write("config/config.yaml", "server: {port: [")
        self.assertIn("config/config.yaml", self.refused("server: {port: 1}"))

    def test_folder_is_no_candidate(self) -> None:
        """A folder with the name of a candidate is passed over."""
        (self.folder / "config" / "config.yaml").mkdir(parents=True)
        self.assertEqual(self.config("server: {port: 7}").server.port, 7)


class OverlayTests(LoadingTestCase):
    """What a file changes."""

    def test_everything_else_stays(self) -> None:
        """One key in the file leaves every other at its default, the list of endpoints too (K8)."""
        found = flat(self.config("server: {port: 9999}"))
        expected = {**flat(load(environ={}, cwd=self.folder / "empty").config), "server.port": 9999}
        self.assertEqual(found, expected)

    def test_built_in_endpoint(self) -> None:
        """Without a list there is one Ollama on this machine, probed where Ollama answers (K8)."""
        (endpoint,) = self.config().discovery.static.endpoints
        self.assertEqual((endpoint.name, endpoint.profile, endpoint.priority), ("localhost", "ollama", 100))
        self.assertEqual(endpoint.url, "http://localhost:11434")
        self.assertEqual(endpoint.health_check_url, "http://localhost:11434/")
        self.assertEqual(endpoint.model_url, "http://localhost:11434/api/tags")
        self.assertEqual((endpoint.check_interval, endpoint.check_timeout), (5.0, 2.0))

    def test_no_endpoints(self) -> None:
        """An empty list is no endpoint and no fault (K9)."""
        for written in ("[]", "", "[~]"):
            config = self.config(f"discovery: {{static: {{endpoints: {written}}}}}")
            self.assertEqual(config.discovery.static.endpoints, ())

    def test_null(self) -> None:
        """Null keeps a scalar and a block, empties a list or map, and vanishes as an element (K57)."""
        text = "proxy:\nmodel_aliases:\n"
        text += "server: {port: , cors: {enabled: false, allowed_origins: }, listen: [~, a]}\n"
        config = self.config(text)
        self.assertEqual(config.proxy.engine, "olla")
        self.assertEqual((config.server.port, config.server.cors.allowed_origins), (40114, ()))
        self.assertEqual((config.server.listen, config.model_aliases), (("a",), {}))

    def test_empty_file(self) -> None:
        """An empty file sets nothing; neither does a second document (K58)."""
        default = flat(self.config())
        self.assertEqual(flat(self.config("# nothing\n")), default)
        self.assertEqual(flat(self.config("{}\n---\nserver: {port: [\n")), default)

    def test_quoted_number(self) -> None:
        """A number in quotes is told so, and what is none in or without quotes is told that (K59)."""
        self.assertIn('"80" stands in quotes', self.refused('server: {port: "80"}'))
        self.assertIn('"eighty" is not a whole number', self.refused('server: {port: "eighty"}'))

    def test_all_faults_at_once(self) -> None:
        """Three values of the wrong type are told together, each with its path and line (K59, K50)."""
        said = self.refused("server:\n  port: x\n  read_timeout: 30\n  cors: [a]\n")
        self.assertEqual(
            said.splitlines(),
            [
                'config.yaml:2: server.port: "x" is not a whole number',
                'config.yaml:3: server.read_timeout: "30" has no unit; add a unit, as in 30s or 5m',
                "config.yaml:4: server.cors: must be a block of keys, not a list",
            ],
        )

    def test_one_fault_is_one_line(self) -> None:
        """What cannot be read is not called empty or incomplete as well (K50)."""
        for text in (
            "proxy: {sticky_sessions: {key_sources: [SESSION_HEADER]}}",
            "model_aliases: {a: b}",
            "model_aliases: {a: [[b]]}",
            "server: {cors: {allowed_origins: [[a]]}}",
            "server: {cors: {allowed_origins: a}}",
            "dashboard: {access_policy: {allowed_cidrs: a}}",
            'discovery: {static: {endpoints: [{name: a, url: "http://h", auth: [bearer]}]}}',
        ):
            self.assertEqual(len(self.refused(text).splitlines()), 1, text)

    def test_types(self) -> None:
        """Quoted numbers, fractions and words that are no truth are refused by name (K54, K55)."""
        for text in ('"40114"', "40114.7", "yes"):
            self.assertIn("server.port", self.refused(f"server: {{port: {text}}}"))
        for text in ("40_114", "0x9CB2", "4.0114e4"):
            self.assertEqual(self.config(f"server: {{port: {text}}}").server.port, 40114)
        for text in ('"true"', "1", "enabled"):
            self.assertIn("server.cors.enabled", self.refused(f"server: {{cors: {{enabled: {text}}}}}"))
        for text in ("yes", "on", '"yes"'):
            self.assertTrue(self.config(f"dashboard: {{enabled: {text}}}").dashboard.enabled)

    def test_sizes(self) -> None:
        """A size may be written as people write it (K2)."""
        text = "server: {request_limits: {max_body_size: 1.5GiB}}"
        self.assertEqual(self.config(text).server.request_limits.max_body_size, 1610612736)

    def test_negative_durations(self) -> None:
        """A negative duration is refused wherever one is read (K65)."""
        paths = durations(Config)
        self.assertGreater(len(paths), 15)
        for path in paths:
            text = "".join("  " * i + f"{name}:\n" for i, name in enumerate(path.split(".")))
            self.assertIn(f"{path}: ", self.refused(text.rstrip("\n") + " -1s\n"))


class WordingTests(LoadingTestCase):
    """What is said of a fault."""

    def test_value(self) -> None:
        """The value is named as it was written, words that may be empty are listed without a gap (K50)."""
        self.assertIn('server.read_timeout: "-1s" is negative', self.refused("server: {read_timeout: -1s}"))
        said = self.refused("", OLLA__SERVER__READ_TIMEOUT="-2m")
        self.assertIn('server.read_timeout: "-2m" is negative', said)
        said = self.refused("discovery: {model_discovery: {interval: 0s}}")
        self.assertIn('discovery.model_discovery.interval: "0s" must be more than 0', said)
        self.assertIn("none of memory\n", self.refused("model_registry: {type: redis}") + "\n")

    def test_list_of_a_variable(self) -> None:
        """A bad element of a variable's list is the variable's fault, and not the file's (K50)."""
        said = self.refused("server: {port: 8080}", OLLA_SERVER_TRUSTED_PROXY_CIDRS="10.0.0.0/8, bad")
        self.assertIn("OLLA_SERVER_TRUSTED_PROXY_CIDRS: server.rate_limits.trusted_proxy_cidrs[1]: ", said)


class UnknownTests(LoadingTestCase):
    """Keys and variables that nothing reads."""

    def test_one_warning(self) -> None:
        """An unknown key gives one warning with path, line and nearest neighbour (K4)."""
        (warning,) = self.loaded("server:\n  Port: 1\n").warnings
        self.assertEqual((warning.path, warning.line), ("server.Port", 2))
        self.assertIn("is port meant?", warning.message)

    def test_misplaced(self) -> None:
        """A key that is known elsewhere is told where it belongs (C129)."""
        self.assertIn("belongs under model_registry", self.warned("enable_unifier: true"))
        self.assertIn("discovery.static", self.warned("endpoints: [{url: 'http://h'}]"))

    def test_misplaced_access(self) -> None:
        """Access lists directly under the dashboard stop the start: they would protect nothing."""
        self.assertIn("dashboard.allowed_cidrs", self.refused("dashboard: {allowed_cidrs: [10.0.0.0/8]}"))

    def test_variable(self) -> None:
        """An unknown variable is warned of, those of client scripts and of placeholders are not (K44)."""
        self.assertIn("OLLA_SERVER_PROT", self.warned("", OLLA_SERVER_PROT="1"))
        self.assertIn("OLLA_SERVER_PORT meant?", self.warned("", OLLA_SERVER_PROT="1"))
        self.assertIn("OLLA_SERVER_REQUEST_LOGGING", self.warned("", OLLA_SERVER_REQUEST_LOGGING="1"))
        quiet = dict.fromkeys(("OLLA_URL", "OLLA_BASE_URL", "OLLA_HOST", "OLLA_PORT", "OLLA_LOG_DIR", "PATH"), "x")
        self.assertEqual(self.warned('server: {host: "${OLLA_MINE}"}', OLLA_MINE="h", **quiet), "")


class VariableTests(LoadingTestCase):
    """What variables change."""

    def test_each_name(self) -> None:
        """Each name changes exactly its key, and beats the file (K10, K43)."""
        default = flat(self.config())
        for name, (path, text, value) in VARIABLES.items():
            found = flat(self.config("", **{name: text}))
            self.assertEqual(found[path], value, name)
            changed = {key for key in found if found[key] != default[key]}
            self.assertLessEqual(changed, {path, "discovery.static.endpoints"}, name)  # some keys show in endpoints

    def test_credentials_of_cors(self) -> None:
        """The one name that needs another key beside it works too (K43)."""
        text = "server: {cors: {allowed_origins: ['http://a']}}"
        self.assertTrue(self.config(text, OLLA_SERVER_CORS_ALLOW_CREDENTIALS="true").server.cors.allow_credentials)

    def test_beats_the_file(self) -> None:
        """A variable beats the file; one that cannot be read is passed over with a warning (K10, K3)."""
        text = "server: {port: 1}\ndashboard: {enabled: true}"
        self.assertEqual(self.config(text, OLLA_SERVER_PORT="8080").server.port, 8080)
        self.assertEqual(self.config(text, OLLA_SERVER_PORT="abc").server.port, 1)
        self.assertIn("OLLA_SERVER_PORT: server.port", self.warned(text, OLLA_SERVER_PORT="abc"))
        self.assertIn("ignored", self.warned(text, OLLA_SERVER_CORS_ENABLED="yes"))
        self.assertTrue(self.config(text, OLLA_SERVER_CORS_ENABLED="yes").server.cors.enabled)

    def test_is_validated(self) -> None:
        """A variable with a value out of range stops the start although the file is good (K51)."""
        self.assertIn("OLLA_SERVER_PORT: server.port", self.refused("", OLLA_SERVER_PORT="0"))
        self.assertIn("proxy.engine", self.refused("", OLLA_PROXY_ENGINE="foo"))
        self.assertIn("nonsense", self.refused("", OLLA_SERVER_TRUSTED_PROXY_CIDRS="nonsense"))

    def test_derived_names(self) -> None:
        """Every scalar and list can be set by the name that its path makes."""
        environ = {
            "OLLA__SERVER__REQUEST_LOGGING": "false",
            "OLLA__PROXY__POOL__MAX_IDLE": "7",
            "OLLA__DASHBOARD__ACCESS_POLICY__ALLOWED_HOSTS": "a, B",
        }
        found = self.loaded("", **environ)
        self.assertEqual(found.warnings, ())
        self.assertFalse(found.config.server.request_logging)
        self.assertEqual(found.config.proxy.pool.max_idle, 7)
        self.assertEqual(found.config.dashboard.access_policy.allowed_hosts, ("a", "b"))

    def test_without_a_file(self) -> None:
        """Trust in proxies can be turned on by a variable alone, with the default networks (K62)."""
        limits = load(environ={"OLLA_SERVER_TRUST_PROXY_HEADERS": "true"}, cwd=self.folder).config.server.rate_limits
        self.assertTrue(limits.trust_proxy_headers)
        self.assertIn("10.0.0.0/8", limits.trusted_proxy_cidrs)


def durations(schema: type[attrs.AttrsInstance], path: str = "") -> list[str]:
    """Return the dotted paths of the durations of a schema, those of endpoints left out."""
    found = []
    for attribute in attrs.fields(schema):
        key = attribute.metadata.get(METADATA)
        inner = f"{path}.{attribute.name}".lstrip(".")
        if getattr(key, "kind", None) is DURATION:
            found.append(inner)
        elif hasattr(key, "schema") and attribute.name != "endpoints":
            found += durations(key.schema, inner)
    return found
