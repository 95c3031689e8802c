"""Tests for olla.dialect.target."""

from __future__ import annotations

from urllib.parse import unquote

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from olla.dialect.target import backend_target, decoded, read_target, resolved
from olla.domain.endpoint import Endpoint
from olla.domain.profile import Profile

PLAIN = Profile("openai-compatible")
DOTS = ("..", "%2e%2e", ".%2E", "%252e%252e", "..;a", "..%00", "%c0%ae%c0%ae", "%u002e.")
SLASHES = ("/", "%2f", "%2F", "\\", "%5c", "%252f", "%c0%af")


def path_of(target: bytes) -> str:
    """Read a target that is in origin form."""
    found = read_target(target)
    assert found is not None
    return found.path


class ReadTests(SynchronousTestCase):
    """What routes are matched with."""

    def rest(self, target: bytes, prefix: str) -> bytes:
        """Give what is forwarded."""
        found = read_target(target)
        assert found is not None
        self.assertTrue((found.path + "/").startswith(prefix + "/"), found.path)
        return found.rest(prefix)

    def test_plain(self) -> None:
        """Path and query are told apart, and the query is no part of matching."""
        found = read_target(b"/olla/ollama/api/chat?a=1&a=%2F&b?c")
        assert found is not None
        self.assertEqual(found.path, "/olla/ollama/api/chat")
        self.assertEqual(found.query, b"a=1&a=%2F&b?c")
        self.assertEqual(found.rest("/olla/ollama"), b"/api/chat?a=1&a=%2F&b?c")

    def test_other_forms(self) -> None:
        """Only the origin form is for us; no address in a request is ever used (R19)."""
        for target in (b"http://evil/x", b"*", b"evil:80", b"", b"@evil/x", b"?a", b"#"):
            self.assertIsNone(read_target(target))
        self.assertEqual(path_of(b"//evil/x"), "/evil/x")

    def test_prefix_without_slash(self) -> None:
        """A prefix without its slash has the rest ``/`` (C3)."""
        self.assertEqual(self.rest(b"/olla/ollama", "/olla/ollama"), b"/")
        self.assertEqual(self.rest(b"/olla/ollama?x", "/olla/ollama"), b"/?x")
        self.assertEqual(self.rest(b"/olla/ollama/", "/olla/ollama"), b"/")

    def test_repeated_slashes(self) -> None:
        """They are collapsed for matching and forwarded as they came (http-api.md §1.3)."""
        self.assertEqual(path_of(b"//olla//ollama//api/tags"), "/olla/ollama/api/tags")
        self.assertEqual(self.rest(b"//olla//ollama//api//tags?//", "/olla/ollama"), b"//api//tags?//")

    def test_escapes(self) -> None:
        """Matching is on the decoded path; what is forwarded keeps its escapes (C5, R18)."""
        self.assertEqual(path_of(b"/olla/%6Fllama/a%20b/%C3%A9"), "/olla/ollama/a b/\u00e9")
        self.assertEqual(self.rest(b"/olla/%6Fllama/a%2Fb%3F%23%25[]", "/olla/ollama"), b"/a%2Fb%3F%23%25[]")
        self.assertEqual(self.rest(b"/olla/ollama/a%0d%0aX:%20y%00", "/olla/ollama"), b"/a%0d%0aX:%20y%00")

    def test_encoded_slash_in_prefix(self) -> None:
        """An encoded slash does not end a segment of a prefix."""
        self.assertEqual(path_of(b"/olla%2Fproxy/x"), "")
        self.assertEqual(path_of(b"/olla/proxy%2Fx/y"), "")

    def test_dot_segments(self) -> None:
        """They are resolved below the prefix, for matching and for forwarding."""
        self.assertEqual(path_of(b"/olla/./ollama/a/../b/."), "/olla/ollama/b/")
        self.assertEqual(self.rest(b"/olla/ollama/a/%2e%2e/b%2Fc?..", "/olla/ollama"), b"/b%2Fc?..")
        self.assertEqual(path_of(b"/olla/ollama/..."), "/olla/ollama/...")

    def test_climbing(self) -> None:
        """A path that climbs out of its prefix matches nothing, however it is spelled (C4, R16)."""
        self.assertEqual(path_of(b"/olla/ollama/../../internal/health"), "")
        self.assertEqual(path_of(b"/internal/ui/../status"), "")
        self.assertEqual(path_of(b"/../olla/ollama/x"), "")
        for dots in DOTS:
            for slash in SLASHES:
                self.assertEqual(path_of(f"/olla/ollama/a{slash}{dots}{slash}{dots}{slash}x".encode()), "", dots)

    def test_fragment(self) -> None:
        """A fragment goes nowhere (http-api.md §5.1)."""
        self.assertEqual(self.rest(b"/olla/ollama/a#b?c", "/olla/ollama"), b"/a")
        self.assertEqual(self.rest(b"/olla/ollama/a?b#c", "/olla/ollama"), b"/a?b")


class BackendTests(SynchronousTestCase):
    """What a backend sees."""

    def seen(self, rest: bytes, base: str = "", preserve: bool = False, profile: Profile = PLAIN) -> bytes:
        """Make the target at a backend."""
        return backend_target(Endpoint("e", "http", "h", 80, base_path=base, preserve_path=preserve), profile, rest)

    def test_examples(self) -> None:
        """The rows of http-api.md §5.1."""
        self.assertEqual(self.seen(b"/api/chat", preserve=True), b"/api/chat")
        self.assertEqual(self.seen(b"/v1/models/x", "/engines/llama.cpp", True), b"/engines/llama.cpp/v1/models/x")
        self.assertEqual(self.seen(b"/v1/models/x", "/engines/llama.cpp"), b"/v1/models/x")
        self.assertEqual(self.seen(b"/x", "/"), b"/x")

    def test_query(self) -> None:
        """The query arrives byte for byte (C32)."""
        self.assertEqual(self.seen(b"/x?a=1&a=%2F&b"), b"/x?a=1&a=%2F&b")
        self.assertEqual(self.seen(b"/x?../../y", "/base", True), b"/base/x?../../y")

    def test_never_above_base(self) -> None:
        """No spelling of ``..`` makes a backend see a path outside of its base (C132, R16)."""
        for dots in DOTS:
            for slash in SLASHES:
                seen = self.seen(f"/a{slash}{dots}{slash}{dots}{slash}{dots}{slash}x".encode(), "/base", True)
                self.assertIn(seen, (b"/base/x", f"/base{slash}x".encode(), f"/base/{slash}x".encode()))

    @given(st.lists(st.sampled_from([*DOTS, *SLASHES, "a", ".", "%2e", "%", ";"]), max_size=12))
    def test_any_spelling(self, words: list[str]) -> None:
        """Decoded as often as one likes, a path keeps below its base and has no dot segments (R16)."""
        seen = self.seen(("/" + "".join(words)).encode(), "/base", True).decode()
        for _ in range(4):
            seen = unquote(seen)
            self.assertTrue(seen.startswith("/base"))
            self.assertNotIn("..", seen.replace("\\", "/").split("/"))

    @given(st.lists(st.sampled_from(["a", "b..", "/", "%41", "%2F", ";x", "...", "[", "%"]), max_size=12))
    def test_byte_for_byte(self, words: list[str]) -> None:
        """A path without dot segments is forwarded as it came (C5, R18)."""
        path = ("/" + "".join(words)).encode()
        self.assertEqual(self.seen(path), path)

    def test_no_doubled_version(self) -> None:
        """A base that ends with ``/v1`` takes requests with and without it (P25)."""
        for rest in (b"/v1/models", b"/models"):
            self.assertEqual(self.seen(rest, "/openai/v1", True), b"/openai/v1/models")
        self.assertEqual(self.seen(b"/v1", "/openai/v1", True), b"/openai/v1")
        self.assertEqual(self.seen(b"/v1x", "/openai/v1", True), b"/openai/v1/v1x")

    def test_profile_rewrites(self) -> None:
        """A path that the kind of backend does not list takes its other beginning (P23, P24)."""
        lemonade = Profile("lemonade", paths=("/api/v1/models",), path_rewrites=(("/v1/", "/api/v1/"),))
        self.assertEqual(self.seen(b"/v1/chat/completions?a", profile=lemonade), b"/api/v1/chat/completions?a")
        self.assertEqual(self.seen(b"/api/v1/models", profile=lemonade), b"/api/v1/models")
        listed = Profile("x", paths=("/v1/models",), path_rewrites=(("/v1/", "/api/v1/"),))
        self.assertEqual(self.seen(b"/v1/models", profile=listed), b"/v1/models")
        self.assertEqual(self.seen(b"/v1/%6dodels", profile=listed), b"/v1/%6dodels")
        runner = Profile("x", path_rewrites=(("/v1/messages", "/anthropic/v1/messages"), ("/v1/", "/engines/v1/")))
        self.assertEqual(self.seen(b"/v1/messages", profile=runner), b"/anthropic/v1/messages")

    def test_rewrites_below_an_address(self) -> None:
        """So it does below the address of the endpoint, unless that leads to the other beginning itself (P23)."""
        rewrites = (("/v1/messages", "/anthropic/v1/messages"), ("/v1/", "/engines/v1/"))
        runner = Profile("x", paths=("/engines/v1/models",), path_rewrites=rewrites)
        for path, base, seen in (
            (b"/v1/chat", "/runner", b"/runner/engines/v1/chat"),
            (b"/engines/v1/models", "/runner", b"/runner/engines/v1/models"),
            (b"/v1/chat", "/engines/llama.cpp", b"/engines/llama.cpp/v1/chat"),
            (b"/v1/chat", "/runner/engines", b"/runner/engines/v1/chat"),
            (b"/v1/chat", "/engines/v1/", b"/engines/v1/chat"),
            (b"/v1/messages", "/runner", b"/runner/anthropic/v1/messages"),
        ):
            self.assertEqual(self.seen(path, base, True, runner), seen)

    def test_decoded(self) -> None:
        """A path is decoded for comparing, whatever its bytes are."""
        self.assertEqual(decoded(b"/a%20b"), "/a b")
        self.assertEqual(decoded(b"/%ff\xff"), "/\ufffd\ufffd")

    def test_resolved(self) -> None:
        """Resolving keeps the floor and tells of climbing."""
        self.assertEqual(resolved(b"/a/b/../../../c", 1), (b"/a/c", True))
        self.assertEqual(resolved(b"/a/b/..", 1), (b"/a/", False))
        self.assertEqual(resolved(b"/.."), (b"/", True))
