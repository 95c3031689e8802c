"""Kinds of backend: the shipped ones and those of a folder."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from olla.config.profiles import canonical, load_profiles
from olla.domain.profile import AnthropicSupport, ConcurrencyLimit, Profile
from tests.config.loading import ENDPOINTS, LoadingTestCase, forbidden

TABLE = {  # ports, health, listing, parser, timeout, concurrency, base timeout, adds load time
    "ollama": ((11434,), "/", "/api/tags", "ollama", 300, 10, 30, True),
    "lm-studio": ((1234,), "/v1/models", "/api/v0/models", "lmstudio", 180, 1, 180, False),
    "vllm": ((8000,), "/health", "/v1/models", "vllm", 120, 100, 120, True),
    "vllm-mlx": ((8000,), "/health", "/v1/models", "vllm-mlx", 120, 20, 120, True),
    "llamacpp": ((8080, 8001), "/health", "/v1/models", "llamacpp", 300, 4, 30, True),
    "sglang": ((30000,), "/health", "/v1/models", "sglang", 120, 150, 120, True),
    "lmdeploy": ((23333,), "/health", "/v1/models", "lmdeploy", 120, 100, 120, True),
    "lemonade": ((8000,), "/api/v1/health", "/api/v1/models", "lemonade", 120, 100, 120, True),
    "litellm": ((4000, 8000, 8080), "/health/readiness", "/v1/models", "openai", 300, 100, 60, False),
    "docker-model-runner": (
        (12434,),
        "/engines/v1/models",
        "/engines/v1/models",
        "docker-model-runner",
        300,
        8,
        120,
        True,
    ),
    "omlx": ((8000,), "/health", "/v1/models", "openai", 180, 4, 180, True),
    "openai-compatible": ((), "/v1/models", "/v1/models", "openai", 120, 20, 120, False),
}
OWN = "name: My_PX\nrouting: {prefixes: [px]}\napi: {model_discovery_path: /list}\n"


class ShippedTests(SynchronousTestCase):
    """The twelve that come with the program."""

    def setUp(self) -> None:
        self.catalogue = load_profiles(None)
        self.profiles = {profile.name: profile for profile in self.catalogue.profiles}

    def test_clean(self) -> None:
        """All twelve load without a word."""
        self.assertEqual(sorted(self.profiles), sorted(TABLE))
        self.assertEqual((self.catalogue.faults, self.catalogue.warnings), ([], []))

    def test_table(self) -> None:
        """Paths, ports, parsers and times are those of the table (P7, P8)."""
        for name, expected in TABLE.items():
            p = self.profiles[name]
            found = (
                p.detection.ports,
                p.health_check_path,
                p.model_discovery_path,
                p.response_format,
                p.timeout,
                p.max_concurrent_requests,
                p.resources.base_timeout,
                p.resources.adds_load_time,
            )
            self.assertEqual(found, expected, name)
            self.assertTrue(p.openai_compatible)

    def test_prefixes(self) -> None:
        """Every documented prefix is there, and none is claimed twice (P7)."""
        prefixes = [prefix for p in self.profiles.values() for prefix in p.prefixes]
        self.assertEqual(len(prefixes), len(set(prefixes)))
        expected = "ollama lmstudio lm-studio lm_studio vllm vllm-mlx llamacpp llama.cpp sglang lmdeploy lemonade"
        self.assertLessEqual({*expected.split(), "litellm", "dmr", "omlx", "openai"}, set(prefixes))

    def test_anthropic(self) -> None:
        """Five kinds never take Anthropic messages; one takes them at a path of its own (P9, P10)."""
        without = {name for name, p in self.profiles.items() if p.anthropic is None}
        self.assertEqual(without, {"sglang", "lmdeploy", "lemonade", "litellm", "openai-compatible"})
        paths = {name: p.anthropic.messages_path for name, p in self.profiles.items() if p.anthropic}
        self.assertEqual(paths.pop("docker-model-runner"), "/anthropic/v1/messages")
        self.assertEqual(set(paths.values()), {"/v1/messages"})

    def test_listings(self) -> None:
        """Each listing that the proxy answers has its path and format (http-api.md §14)."""
        self.assertEqual(
            dict(self.profiles["lm-studio"].listing_paths),
            {"/v1/models": "openai", "/api/v0/models": "lmstudio", "/api/v1/models": "openai"},
        )
        self.assertEqual(
            dict(self.profiles["docker-model-runner"].listing_paths),
            {"/v1/models": "openai", "/engines/v1/models": "docker-model-runner"},
        )
        self.assertEqual(dict(self.profiles["vllm"].listing_paths), {"/v1/models": "openai"})

    def test_rewrites(self) -> None:
        """Paths are rewritten for three kinds, the longest beginning first (P23)."""
        rewrites = {name: p.path_rewrites for name, p in self.profiles.items() if p.path_rewrites}
        self.assertEqual(set(rewrites), {"lemonade", "docker-model-runner", "ollama"})
        self.assertEqual(rewrites["lemonade"], (("/v1/", "/api/v1/"),))
        first, second = rewrites["docker-model-runner"]
        self.assertEqual(first, ("/v1/messages", "/anthropic/v1/messages"))
        self.assertEqual(second, ("/v1/", "/engines/v1/"))

    def test_resources(self) -> None:
        """Sizes, factors and limits are there, times in seconds (P26, P27)."""
        resources = self.profiles["ollama"].resources
        first = resources.model_sizes[0]
        self.assertEqual((first.tokens, first.min_memory_gb, first.load_time), (("70b", "72b"), 40.0, 300.0))
        self.assertEqual(dict(resources.quantization)["q4"], 0.5)
        self.assertEqual(resources.concurrency_limits[0], ConcurrencyLimit(30.0, 1))
        self.assertTrue(self.profiles["vllm"].resources.requires_gpu)

    def test_load_times(self) -> None:
        """How long a model takes to load goes by whole parts of its name: 17b is not 7b (P28)."""
        load_time = self.profiles["vllm"].resources.load_time
        for name in ("Llama-7B", "7b-chat", "code:7b", "x_7b", "org/7b.gguf"):
            self.assertEqual(load_time(name), 20.0, name)
        for name in ("mymodel-17b", "mixtral-8x7b", "7bits", "", "m"):
            self.assertEqual(load_time(name), 30.0, name)
        self.assertEqual((load_time("llama-70b"), load_time("tiny-1.1b"), load_time("x-1.5b-chat")), (60.0, 10.0, 10.0))

    def test_patience(self) -> None:
        """The time until an answer begins is the time-out, or base and loading where that is more (P26-P31)."""
        for name, model, seconds in (
            ("ollama", "llama3:70b", 330.0),
            ("ollama", "llama3:70b-q4_K_M", 330.0),
            ("ollama", "llama3:8b", 300.0),
            ("lm-studio", "llama3:70b", 180.0),
            ("openai-compatible", "gpt-5", 120.0),
            ("vllm", "Llama-3.1-8B-Instruct", 140.0),
            ("vllm", "mymodel-17b", 150.0),
        ):
            self.assertEqual(self.profiles[name].patience(model), seconds, (name, model))

    def test_single_and_unknown_servers(self) -> None:
        """LM Studio works on one request at a time; of a server that could be any nothing is assumed (P29, P30)."""
        lm_studio, unknown = self.profiles["lm-studio"].resources, self.profiles["openai-compatible"].resources
        self.assertEqual(lm_studio.concurrency_limits, (ConcurrencyLimit(0.0, 1),))
        self.assertEqual((lm_studio.base_timeout, lm_studio.adds_load_time), (180.0, False))
        self.assertEqual(unknown.concurrency_limits, (ConcurrencyLimit(0.0, 20),))
        self.assertEqual((unknown.model_sizes, unknown.default.min_memory_gb), ((), 0.0))

    def test_context(self) -> None:
        """Context windows keep their order (P31)."""
        self.assertEqual(self.profiles["vllm"].context_patterns[0], ("*llama-3.1*", 131072))

    def test_metrics(self) -> None:
        """What could never work is replaced: Ollama's reason, the speeds of two others (profiles.md §3)."""
        self.assertEqual(dict(self.profiles["ollama"].metrics.paths)["finish_reason"].text, "$.done_reason")
        for name in ("lemonade", "docker-model-runner", "llamacpp"):
            metrics = self.profiles[name].metrics
            self.assertIn("predicted_per_second", dict(metrics.calculations)["tokens_per_second"].text)
            self.assertIn("ttft_ms", dict(metrics.paths))

    def test_translation(self) -> None:
        """Backends say what the translator may use (anthropic.md §5)."""
        self.assertEqual(self.profiles["vllm"].translation.prefill, "continue_final_message")
        self.assertEqual(self.profiles["llamacpp"].translation.tool_result_images, "tool_parts")
        self.assertTrue(self.profiles["litellm"].translation.cache_control)


class CanonicalTests(SynchronousTestCase):
    """One spelling for all."""

    def test_own(self) -> None:
        """Name and prefix lead to the profile in any case, with - or _ (P33)."""
        profiles = [Profile("my-px", prefixes=("p_x",)), Profile("other", prefixes=("o",))]
        for written in ("my_px", "My-PX", "p_x", "P-X"):
            self.assertEqual(canonical(written, profiles), "my-px")
        self.assertEqual([canonical(w, profiles) for w in ("", "Auto", "nope")], ["auto", "auto", ""])


class FolderTests(LoadingTestCase):
    """Profiles of the user."""

    def profile(self, text: str, name: str = "my-px") -> Profile:
        """Return one profile with ``text`` in the folder's file."""
        self.write("config/profiles/own.yaml", text)
        return next(p for p in self.config().profiles.known if p.name == name)

    def test_new_type(self) -> None:
        """A file adds a working type under its name and its prefix (P5, P33)."""
        self.write("config/profiles/own.yaml", OWN)
        for type_ in ("my_px", "My-PX", "px"):
            endpoint = self.endpoint(f'url: "http://h", name: a, type: {type_}')
            self.assertEqual((endpoint.profile, endpoint.model_url), ("my-px", "http://h/list"))

    def test_defaults(self) -> None:
        """What a file leaves out is OpenAI-style, listed at /v1/models and probed at / (P36)."""
        profile = self.profile("name: my-px\n")
        self.assertEqual(profile, Profile("my-px", display_name="my-px", listing_paths=(("/v1/models", "openai"),)))

    def test_default_priority(self) -> None:
        """A profile's priority holds for an endpoint that gives none (profiles.md §9)."""
        self.write("config/profiles/own.yaml", OWN + "characteristics: {default_priority: 7}\n")
        self.assertEqual(self.endpoint('url: "http://h", name: a, type: px').priority, 7)
        self.assertEqual(self.endpoint('url: "http://h", name: a, type: px, priority: 3').priority, 3)

    def test_replaces(self) -> None:
        """A file with the name of a shipped profile replaces all of it (P1)."""
        profile = self.profile("name: vllm\napi: {health_check_path: /live}\n", "vllm")
        self.assertEqual((profile.health_check_path, profile.prefixes, profile.paths), ("/live", (), ()))

    def test_anthropic(self) -> None:
        """Native support is off unless enabled, at /v1/messages unless elsewhere (P37)."""
        text = "name: my-px\napi: {anthropic_support: {%s}}\n"
        self.assertEqual(self.profile(text % "enabled: true").anthropic, AnthropicSupport())
        found = self.profile(text % "enabled: true, messages_path: /x, limitations: [no_tool_use]").anthropic
        self.assertEqual(found, AnthropicSupport("/x", False, ("no_tool_use",)))
        self.assertIsNone(self.profile(text % "messages_path: /x").anthropic)

    def test_bad_files(self) -> None:
        """A file without a name, mistyped or no YAML is skipped with a warning (P2, K45)."""
        self.write("config/profiles/own.yaml", OWN)
        for text in ("version: 1\n", "name: x\ncharacteristics: {timeout: 5}\n", "name: ["):
            self.write("config/profiles/bad.yaml", text)
            found = self.loaded()
            self.assertIn("this profile is skipped", str(found.warnings[0]))
            self.assertIn("bad.yaml", str(found.warnings[0]))
            self.assertEqual(len(found.config.profiles.known), 13)

    def test_unreadable(self) -> None:
        """A file that may not be read is skipped with a warning, and the rest load (K45)."""
        self.write("config/profiles/own.yaml", OWN)
        self.write("config/profiles/secret.yaml", "name: x\n")
        self.patch(Path, "read_bytes", forbidden("secret.yaml", Path.read_bytes))
        found = self.loaded()
        self.assertIn("secret.yaml: cannot be read: Permission denied", str(found.warnings[0]))
        self.assertIn("my-px", [profile.name for profile in found.config.profiles.known])

    def test_unknown_keys(self) -> None:
        """Keys of published files pass in silence, others with a warning (profiles.md §1)."""
        text = OWN + "home: x\nfeatures: {a: {b: c}}\nresources: {slot_configuration: {a: 1}}\nversion: 1.0\n"
        self.write("config/profiles/own.yaml", text)
        self.assertEqual(self.loaded().warnings, ())
        self.write("config/profiles/own.yaml", OWN + "characteristics: {time_out: 5m}\n")
        self.assertIn("characteristics.time_out: unknown key", self.warned(""))

    def test_broken_formula(self) -> None:
        """A calculation with an unknown name is told when it is loaded, and left out (P4)."""
        text = OWN + "metrics: {extraction: {enabled: 'true', paths: {a: $.a, c: '$.[', d: $}, calculations: {%s}}}\n"
        self.write("config/profiles/own.yaml", text % 'x: "a * b", y: "len(a) > 0 && a != null", z: "a +", v: "c"')
        found = self.loaded()
        said = "\n".join(map(str, found.warnings))
        self.assertIn("metrics.extraction.calculations.x: uses b, which no path extracts", said)
        self.assertIn("metrics.extraction.calculations.z: ends too early", said)
        self.assertIn("metrics.extraction.calculations.v: uses c", said)
        self.assertIn("metrics.extraction.paths.c: is not understood at .[", said)
        self.assertIn("metrics.extraction.paths.d: leads nowhere", said)
        metrics = next(p for p in found.config.profiles.known if p.name == "my-px").metrics
        self.assertTrue(metrics.enabled)
        self.assertEqual([name for name, _ in metrics.calculations], ["y"])
        self.assertFalse(metrics.usual)

    def test_prefixes(self) -> None:
        """Prefixes that cannot be routes, or are another's, are refused naming file and prefix (P34)."""
        for prefix in (
            "proxy",
            "models",
            "anthropic",
            "",
            "a b",
            "{x}",
            "a/b",
            "Vllm",
            "vllm",
            "LM_studio".lower(),
        ):
            self.write("config/profiles/own.yaml", f'name: x\nrouting: {{prefixes: ["{prefix}"]}}\n')
            said = self.refused("")
            self.assertIn("own.yaml", said)
            self.assertIn(f'"{prefix}"', said)

    def test_names(self) -> None:
        """A profile's name leads to it too, so it is refused as a prefix would be, and ``auto`` is none (P34)."""
        for name in ("proxy", "Models", "anthropic", "auto", "openai", "DMR", "a b", "a/b", "{x}"):
            self.write("config/profiles/own.yaml", f'name: "{name}"\n')
            self.assertIn("own.yaml: name: ", self.refused(""), name)
        self.write("config/profiles/own.yaml", "name: x\nrouting: {prefixes: [docker-model-runner]}\n")
        self.assertIn("docker-model-runner", self.refused(""))

    def test_places(self) -> None:
        """Subfolders and .yml count; of two with one name the later path wins with a warning (P38, K82)."""
        self.write("config/profiles/a/x.yaml", "name: my-px\ndisplay_name: first\n")
        self.write("config/profiles/b/x.yml", "name: my-px\ndisplay_name: second\n")
        found = self.loaded()
        self.assertEqual([p.display_name for p in found.config.profiles.known if p.name == "my-px"], ["second"])
        for name in ("a/x.yaml", "b/x.yml"):
            self.assertIn(name, str(found.warnings[0]))

    def test_folder_key(self) -> None:
        """Another folder can be named; one that is not there is refused."""
        self.write("mine/own.yaml", OWN)
        known = self.config("profiles: {dir: mine}").profiles.known
        self.assertIn("my-px", [p.name for p in known])
        self.assertIn("profiles.dir", self.refused("profiles: {dir: nowhere}"))


class FilterTests(LoadingTestCase):
    """``proxy.profile_filter``."""

    def test_exclude(self) -> None:
        """A filter removes profiles, but never the fallback (K23)."""
        known = self.config('proxy: {profile_filter: {exclude: ["vllm*", "openai*"]}}').profiles.known
        names = [p.name for p in known]
        self.assertEqual(len(names), 10)
        self.assertIn("openai-compatible", names)

    def test_removed_type(self) -> None:
        """An endpoint of a removed type is refused by name (config-corpus.md §2)."""
        text = "proxy: {profile_filter: {include: [ollama]}}\n"
        text += ENDPOINTS % '{name: gpu, url: "http://h", type: vllm}'
        said = self.refused(text)
        self.assertIn('endpoint "gpu"', said)
        self.assertIn("profile_filter", said)

    def test_pattern(self) -> None:
        """A pattern that is no glob is refused."""
        self.assertIn("profile_filter", self.refused('proxy: {profile_filter: {include: ["a*b"]}}'))
