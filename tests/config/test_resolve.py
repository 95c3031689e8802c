"""Endpoints made complete."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from olla.config.addresses import address, has_credentials
from tests.config.loading import ENDPOINTS, LoadingTestCase

URL = 'url: "http://h:8000"'


class DefaultTests(LoadingTestCase):
    """What holds when nothing is written."""

    def test_defaults(self) -> None:
        """Interval, time-out and priority become 5 s, 2 s and 100; a priority of 0 stays (K24)."""
        endpoint = self.endpoint(f"{URL}, name: a")
        self.assertEqual((endpoint.check_interval, endpoint.check_timeout, endpoint.priority), (5.0, 2.0, 100))
        self.assertEqual(self.endpoint(f"{URL}, name: a, type: vllm").priority, 100)
        self.assertEqual(self.endpoint(f"{URL}, name: a, priority: 0").priority, 0)
        self.assertIn("priority", self.refused_endpoint(f"{URL}, name: a, priority: -1"))

    def test_type_decides(self) -> None:
        """Probe, listing and patience follow the profile; without a type they are / and /v1/models (P8)."""
        expected = {
            "lemonade": ("/api/v1/health", "/api/v1/models", 120.0),
            "docker-model-runner": ("/engines/v1/models", "/engines/v1/models", 300.0),
            "ollama": ("/", "/api/tags", 300.0),
            "auto": ("/", "/v1/models", 30.0),
        }
        for type_, (health, listing, patience) in expected.items():
            endpoint = self.endpoint(f"{URL}, name: a, type: {type_}")
            found = endpoint.health_check_url, endpoint.model_url, endpoint.response_header_timeout
            self.assertEqual(found, (f"http://h:8000{health}", f"http://h:8000{listing}", patience))

    def test_patience_given(self) -> None:
        """A patience that is configured holds for every endpoint."""
        text = f"proxy: {{response_header_timeout: 7s}}\n{ENDPOINTS % f'{{{URL}, type: ollama}}'}"
        self.assertEqual(self.config(text).discovery.static.endpoints[0].response_header_timeout, 7.0)

    def test_optional_keys(self) -> None:
        """The new keys are read under both spellings, and say nothing when they are left out."""
        endpoint = self.endpoint(f"{URL}, name: a")
        self.assertIsNone(endpoint.max_concurrent_requests)
        self.assertEqual((endpoint.requests_per_minute, endpoint.tags, endpoint.forward_client_auth), (0, {}, True))
        for key in ("max_concurrent", "max_concurrent_requests"):
            self.assertEqual(self.endpoint(f"{URL}, name: a, {key}: 3").max_concurrent_requests, 3)
        both = f"{URL}, name: a, max_concurrent: 3, max_concurrent_requests: 4"
        self.assertIn("max_concurrent", self.refused_endpoint(both))
        self.assertEqual(self.endpoint(f"{URL}, name: a, tags: {{location: 0123}}").tags, {"location": "0123"})

    def test_client_credentials(self) -> None:
        """Whether a client's credentials go on is said for all, and for one."""
        both = f"{{{URL}, name: a}}, {{{URL}, name: b, forward_client_auth: true}}"
        text = f"proxy: {{forward_client_auth: false}}\n{ENDPOINTS % both}"
        found = [e.forward_client_auth for e in self.config(text).discovery.static.endpoints]
        self.assertEqual(found, [False, True])

    def test_certificate(self) -> None:
        """Authorities come from a file that is there; not to check is warned of."""
        self.assertIn("tls.ca_file", self.refused_endpoint(f"{URL}, name: a, tls: {{ca_file: missing.pem}}"))
        path = self.write("ca.pem", "x")
        tls = self.endpoint(f"{URL}, name: a, tls: {{ca_file: ca.pem, verify: false}}").tls
        self.assertEqual((tls.ca_file, tls.verify), (str(path), False))
        self.assertIn("tls.verify", self.warned_endpoint(f"{URL}, name: a, tls: {{verify: false}}"))


class TimesTests(LoadingTestCase):
    """Interval and time-out of checks."""

    def test_refused(self) -> None:
        """The time-out is below the interval and at most 30 s, the interval at least 1 s (K25, K50)."""
        for keys, said in {
            "check_interval: 10s, check_timeout: 10s": 'check_timeout: endpoint "a": "10s" is not below',
            "check_interval: 60s, check_timeout: 31s": 'check_timeout: endpoint "a": "31s" is longer than 30s',
            "check_interval: 500ms": 'check_interval: endpoint "a": "500ms" is shorter than 1s',
        }.items():
            self.assertIn(said, self.refused_endpoint(f"{URL}, name: a, {keys}"))

    def test_negative(self) -> None:
        """Neither may be negative (K65)."""
        for key in ("check_interval", "check_timeout"):
            said = self.refused_endpoint(f"{URL}, name: a, {key}: -5s")
            self.assertIn(f'{key}: endpoint "a": "-5s" is negative', said)

    def test_fitted(self) -> None:
        """The one that is left out is fitted to the other, with a warning (K73)."""
        for keys, interval, timeout in (
            ("check_interval: 2s", 2.0, 1.0),
            ("check_timeout: 5s", 10.0, 5.0),
            ("check_interval: 2s, check_timeout: 0s", 2.0, 1.0),
        ):
            endpoint = self.endpoint(f"{URL}, name: a, {keys}")
            self.assertEqual((endpoint.check_interval, endpoint.check_timeout), (interval, timeout))
            self.assertIn("check_", self.warned_endpoint(f"{URL}, name: a, {keys}"))

    def test_nothing_to_fit(self) -> None:
        """No warning where the default of the other will do."""
        for keys in ("check_interval: 30s", "check_timeout: 4s", "check_interval: 0s, check_timeout: 0"):
            self.assertEqual(self.warned_endpoint(f"{URL}, name: a, {keys}"), "")


class NameTests(LoadingTestCase):
    """Names."""

    def test_duplicate(self) -> None:
        """A name given twice is refused (K28)."""
        self.assertIn("given twice", self.refused(ENDPOINTS % f"{{{URL}, name: a}}, {{{URL}, name: a}}"))

    def test_missing(self) -> None:
        """No name gives host:port with a warning, also twice (K28)."""
        text = ENDPOINTS % f'{{{URL}}}, {{{URL}}}, {{url: "https://h/v1"}}, {{url: "http://[::1]"}}'
        found = [endpoint.name for endpoint in self.config(text).discovery.static.endpoints]
        self.assertEqual(found, ["h:8000", "h:8000-2", "h:443", "[::1]:80"])
        self.assertIn("is called h:8000", self.warned(text))

    def test_shared_server(self) -> None:
        """Two names may share a server, each with its own keys, and that is said (K28)."""
        text = ENDPOINTS % f"{{{URL}, name: a, priority: 1}}, {{{URL}, name: b, priority: 2}}"
        found = self.loaded(text)
        self.assertEqual([e.priority for e in found.config.discovery.static.endpoints], [1, 2])
        self.assertIn("a, b share the server http://h:8000", str(found.notes[0]))


class TypeTests(LoadingTestCase):
    """Types."""

    def test_spellings(self) -> None:
        """Any spelling and prefix is the profile; what was written stays, in lower case (K27, K71, P3)."""
        expected = {
            "lmstudio": "lm-studio",
            "lm_studio": "lm-studio",
            "LM-Studio": "lm-studio",
            "dmr": "docker-model-runner",
            "openai": "openai-compatible",
            "llama.cpp": "llamacpp",
            "auto": "auto",
            '""': "auto",
        }
        for written, profile in expected.items():
            endpoint = self.endpoint(f"{URL}, name: a, type: {written}")
            self.assertEqual(endpoint.profile, profile)
            self.assertEqual(endpoint.type, written.lower() if written != '""' else "auto")

    def test_prefix_is_the_profile(self) -> None:
        """A prefix as type gives the probe and the listing of the profile (K71)."""
        a, b = (self.endpoint(f"{URL}, name: a, type: {word}") for word in ("dmr", "docker-model-runner"))
        self.assertEqual((a.health_check_url, a.model_url), (b.health_check_url, b.model_url))

    def test_unknown(self) -> None:
        """An unknown type is refused with all that there are, and auto (K27)."""
        said = self.refused_endpoint(f"{URL}, name: a, type: nonsense")
        for word in ('"nonsense"', "auto", "vllm-mlx", "openai-compatible"):
            self.assertIn(word, said)


class UrlTests(LoadingTestCase):
    """URLs."""

    def test_refused(self) -> None:
        """A URL is http or https with a host (K70)."""
        for url in (
            "localhost:1234",
            "http://",
            "ftp://h",
            "not a url",
            "http://h:abc",
            "http://h:0",
            "",
            "//h",
        ):
            self.assertIn("url", self.refused_endpoint(f'name: a, url: "{url}"'), url)
        self.assertIn("url", self.refused_endpoint("name: a"))

    def test_credentials(self) -> None:
        """Credentials are refused in all three URLs and never shown, parsable or not (K26, K70)."""
        for url in ("http://usr:pwd@h/", "http://usr:pwd@h:abc", "usr:pwd@h", "https://usr:pwd @h", "//usr:pwd@h/"):
            for keys in (f'url: "{url}"', f'{URL}, health_check_url: "{url}"', f'{URL}, model_url: "{url}"'):
                said = self.refused_endpoint(f"name: a, {keys}")
                self.assertIn("must not carry credentials", said)
                self.assertNotIn("usr", said)
                self.assertNotIn("pwd", said)

    def test_joined(self) -> None:
        """A path is appended to that of the URL, slashes single; a URL is used as it is (K30)."""
        base = 'name: a, url: "http://h:8080/api/"'
        written = {
            "/v1/models": "http://h:8080/api/v1/models",
            "v1//models": "http://h:8080/api/v1/models",
            "https://o/x?y=1": "https://o/x?y=1",
            "/x?y": "http://h:8080/api/x%3Fy",
        }
        for path, url in written.items():
            self.assertEqual(self.endpoint(f'{base}, model_url: "{path}"').model_url, url)
            self.assertEqual(self.endpoint(f'{base}, health_check_url: "{path}"').health_check_url, url)

    def test_doubled(self) -> None:
        """A path that doubles /v1 is warned of; the profile's own path does not double it (K30)."""
        base = 'name: a, url: "https://h/openai/v1", type: openai-compatible'
        self.assertIn("/v1/v1", self.warned_endpoint(f"{base}, model_url: /v1/models"))
        self.assertEqual(self.endpoint(base).model_url, "https://h/openai/v1/models")
        self.assertEqual(self.warned_endpoint(base), "")

    def test_filter(self) -> None:
        """A pattern that is no glob is refused naming endpoint and pattern (K72)."""
        for pattern in ("a*b", "**", " "):
            said = self.refused_endpoint(f'{URL}, name: gpu, model_filter: {{exclude: ["{pattern}"]}}')
            self.assertIn('endpoint "gpu"', said)
            self.assertIn(f'"{pattern}"', said)
        filters = self.endpoint(f'{URL}, name: a, model_filter: {{include: ["*x*"]}}').model_filter
        self.assertEqual((filters.include, filters.exclude), (("*x*",), ()))

    def test_not_disabled(self) -> None:
        """A key that looks as if it disabled an endpoint is warned of by name (K4)."""
        said = self.warned_endpoint(f"{URL}, name: gpu, enabled: false")
        self.assertIn("discovery.static.endpoints[0].enabled", said)
        self.assertIn('endpoint "gpu"', said)


class AddressTests(SynchronousTestCase):
    """Reading addresses."""

    @given(st.text(max_size=30))
    def test_quotes_nothing(self, text: str) -> None:
        """Whatever the text, it is read or refused, and what has credentials is refused."""
        try:
            found = address(text)
        except ValueError:
            return
        self.assertFalse(has_credentials(text))
        self.assertIn(found.scheme, ("http", "https"))
