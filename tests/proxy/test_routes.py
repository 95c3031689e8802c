"""Tests of :mod:`olla.proxy.routes`."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from olla.config.profiles import load_profiles
from olla.domain.memo import MOST
from olla.domain.profile import Profile
from olla.errors import BadRequest, NotSupported, ProviderDisabled, Refusal, RouteNotFound, UnknownProvider
from olla.proxy.routes import Routes

PROFILES = {profile.name: profile for profile in load_profiles(None).profiles}
PREFIXES = {  # http-api.md §2.4
    "ollama": ("ollama",),
    "lm-studio": ("lmstudio", "lm-studio", "lm_studio"),
    "vllm": ("vllm",),
    "vllm-mlx": ("vllm-mlx", "vllm_mlx", "vllmmlx"),
    "llamacpp": ("llamacpp", "llama-cpp", "llama_cpp", "llama.cpp"),
    "sglang": ("sglang",),
    "lmdeploy": ("lmdeploy",),
    "litellm": ("litellm",),
    "lemonade": ("lemonade",),
    "omlx": ("omlx",),
    "docker-model-runner": ("dmr", "docker-model-runner", "docker_model_runner"),
}


class RoutesCase(SynchronousTestCase):
    """The routes of the shipped profiles."""

    def setUp(self) -> None:
        self.routes = Routes(PROFILES, frozenset({"gone"}))


class ScopeTests(RoutesCase):
    """Which endpoints a path may reach."""

    def test_prefixes(self) -> None:
        """Each prefix leads to endpoints of its own kind alone, and is stripped (C8, C9, C10)."""
        for kind, prefixes in PREFIXES.items():
            for prefix in prefixes:
                with self.subTest(prefix=prefix):
                    route = self.routes.find(f"/olla/{prefix}/v1/x".encode())
                    self.assertEqual(route.scope.profiles, frozenset({kind}))
                    self.assertEqual((route.rest, route.path), (b"/v1/x", "/v1/x"))
                    self.assertEqual(route.scope.prefix, f"/olla/{prefix}")

    def test_openai(self) -> None:
        """OpenAI's prefix reaches every kind that is compatible (C11)."""
        compatible = frozenset(name for name, profile in PROFILES.items() if profile.openai_compatible)
        for prefix in ("openai", "openai-compatible", "openai_compatible"):
            self.assertEqual(self.routes.find(f"/olla/{prefix}/v1".encode()).scope.profiles, compatible)
        self.assertIn("vllm", compatible)

    def test_universal(self) -> None:
        """The universal prefix reaches every endpoint (http-api.md §2.3)."""
        scope = self.routes.find(b"/olla/proxy/api/chat").scope
        self.assertEqual((scope.profiles, scope.label), (None, ""))

    def test_labels(self) -> None:
        """Messages name the prefix, and LM Studio by one name whatever its spelling."""
        self.assertEqual(self.routes.find(b"/olla/lm_studio/x").scope.label, "lm-studio")
        self.assertEqual(self.routes.find(b"/olla/dmr/x").scope.label, "dmr")

    def test_normalised(self) -> None:
        """A prefix is first compared as it is, then in lower case with hyphens (http-api.md §2.4)."""
        for path in (b"/olla/LM_Studio/x", b"/olla/Ollama/x", b"/olla/VLLM_MLX/x"):
            self.assertEqual(self.routes.find(path).rest, b"/x")
        own = Routes({"my_kind": Profile("my_kind", prefixes=("My_Kind",))})
        self.assertEqual(own.find(b"/olla/My_Kind/x").scope.profiles, frozenset({"my_kind"}))


class RestTests(RoutesCase):
    """What is left for the backend."""

    def rest(self, target: bytes) -> bytes:
        """Give path and query after the prefix."""
        return self.routes.find(target).rest

    def test_bytes(self) -> None:
        """Path and query stay as the client wrote them (http-api.md §5.1)."""
        for rest in (
            b"/v1/models/a%2Fb",
            b"/v1//x",
            b"/v1/x/",
            b"/x?a=1&a=%2F&b",
            b"/x?",
            b"/x?u=/../y",
            b"/%E2%82%AC",
        ):
            self.assertEqual(self.rest(b"/olla/openai" + rest), rest)

    def test_empty(self) -> None:
        """A bare prefix stands for the backend's root (http-api.md §5.1)."""
        self.assertEqual(self.rest(b"/olla/ollama"), b"/")
        self.assertEqual(self.rest(b"/olla/ollama/"), b"/")
        self.assertEqual(self.rest(b"/olla/ollama?x=1"), b"/?x=1")

    def test_fragment(self) -> None:
        """A fragment never reaches a backend (http-api.md §5.1)."""
        self.assertEqual(self.rest(b"/olla/ollama/x#f"), b"/x")
        self.assertEqual(self.rest(b"/olla/ollama/x?a=1#f"), b"/x?a=1")
        self.assertEqual(self.rest(b"/olla/ollama/x#f?a=1"), b"/x")

    def test_climbing(self) -> None:
        """Nobody climbs out of a prefix by dots, however they are spelled (http-api.md §5.1)."""
        for path in (b"/olla/vllm/../ollama/x", b"/olla/vllm/%2e%2e/ollama/x", b"/olla/vllm/..%2fproxy/x"):
            self.assertRaises(RouteNotFound, self.routes.find, path)
        self.assertEqual(self.rest(b"/olla/vllm/a/../b"), b"/b")

    @settings(deadline=None)
    @given(st.binary(max_size=30))
    def test_anything(self, rest: bytes) -> None:
        """Whatever follows a prefix, it is refused or stays within that prefix, the second time as well."""
        for _ in range(2):
            try:
                route = self.routes.find(b"/olla/vllm/" + rest)
            except Refusal:
                continue
            self.assertEqual(route.scope.profiles, frozenset({"vllm"}))
            self.assertTrue(route.rest.startswith(b"/"))
            self.assertNotIn(b"#", route.rest)


class RefusalTests(RoutesCase):
    """Paths that lead nowhere."""

    def test_kinds(self) -> None:
        """Each has its own reason (C14, C16, http-api.md §8.3)."""
        for target, kind in (
            (b"/olla/nonexistent/v1/models", UnknownProvider),
            (b"/olla/gone/v1/models", ProviderDisabled),
            (b"/olla/GONE/v1/models", ProviderDisabled),
            (b"/olla/anthropic/v1/messages", RouteNotFound),
            (b"/olla/models/x", RouteNotFound),
            (b"/olla/", RouteNotFound),
            (b"/other/ollama/x", RouteNotFound),
            (b"*", BadRequest),
            (b"http://h/olla/ollama/x", BadRequest),
        ):
            with self.subTest(target=target):
                for _ in range(2):
                    self.assertRaises(kind, self.routes.find, target)
                self.assertFalse(self.routes.is_proxied(b"POST", target))

    def test_management(self) -> None:
        """What changes one Ollama cannot be spread over several (C13)."""
        for path in ("pull", "push", "create", "copy", "delete", "list"):
            target = f"/olla/ollama/api/{path}".encode()
            self.assertFalse(self.routes.is_proxied(b"POST", target))
            self.assertIsInstance(self.routes.unsupported(b"POST", self.routes.find(target)), NotSupported)
        for path in (b"/olla/ollama/api/show", b"/olla/ollama/api/ps", b"/olla/vllm/api/pull"):
            self.assertTrue(self.routes.is_proxied(b"POST", path))

    def test_remembered(self) -> None:
        """However many paths come, only so many are remembered, and all are answered rightly."""
        for number in range(MOST + 10):
            self.assertEqual(self.routes.find(b"/olla/vllm/%d" % number).rest, b"/%d" % number)
        self.assertLessEqual(len(self.routes._remembered), MOST)

    def test_forgotten(self) -> None:
        """A path that is none leaves nothing behind, however often it comes, and neither does a long one (R56)."""
        first, second = (self.assertRaises(UnknownProvider, self.routes.find, b"/olla/nobody/x") for _ in range(2))
        self.assertIsNot(first, second)
        self.routes.find(b"/olla/proxy/" + b"x" * 10000)
        self.assertEqual(len(self.routes._remembered), 0)


class ListingTests(RoutesCase):
    """Pages of ours under a provider's prefix."""

    def listing(self, target: bytes) -> tuple[str, str] | None:
        """Give shape and id of a listing."""
        listing = self.routes.find(target).listing
        return None if listing is None else (listing.format, listing.id)

    def test_listings(self) -> None:
        """Each prefix has OpenAI's listing, and its own dialect's (http-api.md §14)."""
        for target, found in (
            (b"/olla/openai/v1/models", ("openai", "")),
            (b"/olla/proxy/v1/models", ("openai", "")),
            (b"/olla/ollama/api/tags", ("ollama", "")),
            (b"/olla/lm_studio/api/v0/models", (PROFILES["lm-studio"].response_format, "")),
            (b"/olla/lmstudio/api/v1/models", ("openai", "")),
            (b"/olla/vllm/v1/models/org/name", ("openai", "org/name")),
            (b"/olla/vllm/v1/models/", None),
            (b"/olla/omlx/v1/models/status", None),
            (b"/olla/proxy/v1/models/status", None),
            (b"/olla/vllm/v1/models/status", ("openai", "status")),
            (b"/olla/vllm/v1/chat/completions", None),
            (b"/olla/vllm/x/v1/models/y", None),
            (b"/olla/lmstudio/api/v1/models/org/name", ("openai", "org/name")),
            (b"/olla/lemonade/api/v1/models/m", ("lemonade", "m")),
            (b"/olla/dmr/engines/v1/models/ai/m:1B", ("docker-model-runner", "ai/m:1B")),
            (b"/olla/dmr/engines/llama.cpp/v1/models/m", None),
            (b"/olla/lmstudio/api/v0/models/m", None),
        ):
            with self.subTest(target=target):
                self.assertEqual(self.listing(target), found)

    def test_without_version(self) -> None:
        """``/v1`` may be left out, as other paths may have it left out (openai-surface.md, "must not be copied")."""
        for target, found in (
            (b"/olla/openai/models", ("openai", "")),
            (b"/olla/litellm/models", ("openai", "")),
            (b"/olla/ollama/models/a%2Fb", ("openai", "a/b")),
            (b"/olla/proxy/models/", None),
            (b"/olla/proxy/modelsx", None),
        ):
            with self.subTest(target=target):
                self.assertEqual(self.listing(target), found)

    def test_methods(self) -> None:
        """A listing is ours for GET and HEAD alone; any other method goes to a backend (http-api.md §2.4)."""
        for method, proxied in ((b"GET", False), (b"HEAD", False), (b"POST", True), (b"DELETE", True)):
            self.assertEqual(self.routes.is_proxied(method, b"/olla/vllm/v1/models?x=1"), proxied)

    def test_members(self) -> None:
        """A prefix lists its own kind alone (C10)."""
        listing = self.routes.find(b"/olla/vllm/v1/models").listing
        assert listing is not None
        self.assertEqual(listing.profiles, frozenset({"vllm"}))
