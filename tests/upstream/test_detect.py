"""Tests of :mod:`olla.upstream.detect`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred

from olla.balance.member import Member
from olla.domain.profile import Profile
from olla.upstream.detect import PATHS, Detector, _Seen, kind_of
from tests.support import BackendConnection, Seen, answer, says
from tests.upstream.asking import AskCase, Reply, member

Pages = Mapping[str, Any]


def openai(owner: str = "x") -> dict[str, Any]:
    """List one model as OpenAI does."""
    return {"object": "list", "data": [{"id": "m", "owned_by": owner}]}


KINDS: dict[str, Pages] = {
    "ollama": {
        "/api/version": {"version": "0.14.0"},
        "/api/tags": {"models": []},
        "/v1/models": openai("library"),
    },
    "lm-studio": {"/api/v0/models": {"data": [{"id": "m", "arch": "llama"}]}, "/v1/models": openai()},
    "llamacpp": {"/props": {"default_generation_settings": {}}, "/v1/models": openai("llamacpp")},
    "vllm": {"/version": {"version": "0.9"}, "/v1/models": openai("vllm")},
    "sglang": {"/get_model_info": {"model_path": "/m"}, "/v1/models": openai("sglang")},
    "lmdeploy": {"/v1/models": openai("lmdeploy")},
    "lemonade": {"/api/v1/models": {"data": [{"id": "m", "recipe": "oga-cpu"}]}, "/v1/models": openai("lemonade")},
    "docker-model-runner": {"/engines/v1/models": openai("docker"), "/v1/models": openai("docker")},
    "omlx": {"/v1/models/status": {"models": []}, "/v1/models": openai("omlx")},
    "vllm-mlx": {"/v1/models": openai("vllm-mlx")},
    "litellm": {"/health/readiness": {"status": "healthy", "litellm_version": "1.0"}, "/v1/models": openai()},
    "openai-compatible": {"/v1/models": openai("organization")},
}


def serves(pages: Pages) -> Reply:
    """Answer these paths, and 404 everywhere else."""

    def play(connection: BackendConnection, seen: Seen) -> None:
        path = seen.line.split(b" ")[1].decode()
        connection.transport.write(answer(pages[path]) if path in pages else answer({"error": "no"}, 404))

    return play


class DetectCase(AskCase):
    """A detector, and what it finds."""

    def setUp(self) -> None:
        super().setUp()
        self.found: list[str] = []
        profiles = {name: Profile(name) for name in KINDS}
        self.detector = Detector(self.asker, profiles, lambda member, kind: self.found.append(kind))

    def detect(self, member: Member) -> Deferred[None]:
        """Begin, and deliver everything."""
        detecting = Deferred.fromCoroutine(self.detector.detect(member))
        self.network.pump()
        return detecting


class DetectTests(DetectCase):
    """Finding out."""

    def test_twelve(self) -> None:
        """Each of the twelve kinds is recognised by what it answers (P20)."""
        for kind, pages in KINDS.items():
            with self.subTest(kind=kind):
                self.server(9000, serves(pages))
                self.found.clear()
                self.successResultOf(self.detect(member()))
                self.assertEqual(self.found, [kind])
                self.assertQuiet()

    def test_server_field(self) -> None:
        """A llama.cpp that keeps its settings to itself still says its name (profiles.md §5)."""
        self.server(9000, says(answer(b"{}", 403, Server="llama.cpp")))
        self.successResultOf(self.detect(member()))
        self.assertEqual(self.found, ["llamacpp"])

    def test_litellm_field(self) -> None:
        """A LiteLLM whose readiness is somebody else's business says what it is in each head (profiles.md §5)."""
        self.server(9000, says(answer({"error": "key"}, 401, X_LiteLLM_Version="1.80")))
        self.successResultOf(self.detect(member()))
        self.assertEqual(self.found, ["litellm"])

    def test_nothing(self) -> None:
        """Where nothing answers the kind stays open, and the next time asks again (P21)."""
        server = self.server(9000, says(answer(b"no", 404)))
        one = member()
        self.successResultOf(self.detect(one))
        self.assertEqual((self.found, len(server.seen)), ([], len(PATHS)))
        server.reply = serves(KINDS["ollama"])
        self.successResultOf(self.detect(one))
        self.assertEqual(self.found, ["ollama"])

    def test_once(self) -> None:
        """What has been found is not looked for again while the endpoint stays up (P22, behaviour.md §15)."""
        server = self.server(9000, serves(KINDS["vllm"]))
        one = member()
        self.successResultOf(self.detect(one))
        self.successResultOf(self.detect(one))
        self.assertEqual((self.found, len(server.seen)), (["vllm"], len(PATHS)))

    def test_again(self) -> None:
        """After an outage it is looked for again: another server may stand there (profiles.md §5)."""
        server = self.server(9000, serves(KINDS["vllm"]))
        one = member()
        self.successResultOf(self.detect(one))
        one.profile, one.recovered_at = "vllm", 7.0
        server.reply = serves(KINDS["ollama"])
        self.successResultOf(self.detect(one))
        self.successResultOf(self.detect(one))
        self.assertEqual((self.found, len(server.seen)), (["vllm", "ollama"], 2 * len(PATHS)))

    def test_anew(self) -> None:
        """Whoever doubts what was found has it looked for again, and hears whether it is another (P40)."""
        server = self.server(9000, serves(KINDS["vllm"]))
        one = member()
        self.detector.found = lambda member, kind: setattr(member, "profile", kind)
        for kind, is_another in (("vllm", True), ("vllm", False), ("lemonade", True)):
            server.reply = serves(KINDS[kind])
            looking = Deferred.fromCoroutine(self.detector.identify(one))
            self.network.pump()
            self.assertEqual((self.successResultOf(looking), one.profile), (is_another, kind))

    def test_address_with_v1(self) -> None:
        """An address that ends in ``/v1`` is asked at ``/v1/models`` below its host, not at ``/v1/v1/models`` (P25)."""
        self.server(9000, serves({"/v1/models": openai("lmdeploy")}))
        self.successResultOf(self.detect(member(base_path="/v1")))
        self.assertEqual(self.found, ["lmdeploy"])

    def test_configured(self) -> None:
        """A configured type always holds: nothing is asked (profiles.md §5)."""
        server = self.server(9000, serves(KINDS["ollama"]))
        self.successResultOf(self.detect(member(profile="vllm")))
        self.assertEqual((self.found, server.seen), ([], []))

    def test_at_once(self) -> None:
        """All paths are asked at once, and 2 s of silence at one cost no more than 2 s (profiles.md §5)."""

        def most(connection: BackendConnection, seen: Seen) -> None:
            if b"/props" not in seen.line:
                serves(KINDS["ollama"])(connection, seen)

        server = self.server(9000, most)
        detecting = self.detect(member())
        self.assertEqual(len(server.seen), len(PATHS))
        self.assertNoResult(detecting)
        self.network.wait(2.1, 0.1)
        self.successResultOf(detecting)
        self.assertEqual(self.found, ["ollama"])

    def test_credential(self) -> None:
        """Every question carries the endpoint's credential, as a check does (B98)."""
        server = self.server(9000, serves(KINDS["litellm"]))
        self.successResultOf(self.detect(member(credential=(b"Authorization", b"Bearer k"))))
        self.assertEqual({tuple(seen.fields("Authorization")) for seen in server.seen}, {("Bearer k",)})

    def test_unused_kind(self) -> None:
        """A kind that the configuration takes out is not found."""
        self.detector.profiles = {}
        self.server(9000, serves(KINDS["vllm"]))
        self.successResultOf(self.detect(member()))
        self.assertEqual(self.found, [])

    def test_cancelled(self) -> None:
        """Whoever gives up is told just that, and no question stays open (B21)."""
        self.server(9000, says(b""))
        detecting = self.detect(member())
        detecting.cancel()
        self.failureResultOf(detecting, CancelledError)
        self.assertQuiet()


KEYS = st.sampled_from(["data", "models", "version", "owned_by", "arch", "recipe"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["data", "models", "version", "owned_by", "arch", "recipe"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)


class KindTests(AskCase):
    """Reading the evidence."""

    def test_rows(self) -> None:
        """The more specific evidence wins (profiles.md §5)."""
        pages = {path: _Seen(value) for kind in KINDS.values() for path, value in kind.items()}
        self.assertEqual(kind_of({path: pages.get(path, _Seen()) for path in PATHS}), "ollama")

    def test_one_row_each(self) -> None:
        """vLLM's name alone is not vLLM, for others pass its listing on; Lemonade need not have a model yet."""
        for pages, kind in (
            ({"/v1/models": openai("vllm")}, "openai-compatible"),
            ({"/version": {"version": "1"}, "/v1/models": openai("vllm")}, "vllm"),
            ({"/version": {"version": "1"}, "/v1/models": openai("x")}, "openai-compatible"),
            ({"/api/v1/system-info": {"OS Version": "x"}, "/api/v1/models": {"data": []}}, "lemonade"),
            ({"/v1/models/status": {"models": []}, "/v1/models": {"data": []}}, "omlx"),
        ):
            seen = {path: _Seen(value) for path, value in pages.items()}
            self.assertEqual(kind_of({path: seen.get(path, _Seen()) for path in PATHS}), kind, pages)

    def test_errors_are_no_evidence(self) -> None:
        """LM Studio answers 200 with an error where it has nothing: no sign of any kind, even without a model."""
        said = {"error": "Unexpected endpoint or method. (GET /x)"}
        pages = {path: _Seen(said) for path in PATHS}
        pages["/v1/models"] = pages["/api/v0/models"] = _Seen({"object": "list", "data": []})
        self.assertEqual(kind_of(pages), "openai-compatible")

    def test_one_answer_to_all(self) -> None:
        """A server that answers with its models whatever it is asked is no more than OpenAI-compatible."""
        for owner in ("x", "vllm"):
            self.assertEqual(kind_of({path: _Seen(openai(owner)) for path in PATHS}), "openai-compatible")

    def test_anything(self) -> None:
        """Whatever JSON the paths answer, the result is a kind or none."""

        @settings(max_examples=200, deadline=None)
        @given(st.fixed_dictionaries(dict.fromkeys(PATHS, VALUES)))
        def reads(values: dict[str, Any]) -> None:
            kind = kind_of({path: _Seen(value) for path, value in values.items()})
            self.assertIn(kind, ("", *KINDS))

        reads()
