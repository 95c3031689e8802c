"""Finds out what kind of server an endpoint of type ``auto`` is (profiles.md §5)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from attrs import define, field, frozen
from twisted.internet.defer import Deferred, FirstError, gatherResults

from olla.balance.member import Member
from olla.domain.profile import Profile
from olla.upstream.ask import LITELLM, Answer, Asker, Unanswered

PURPOSE = "Discovery"
LIMIT = 1 << 20
SECONDS = 2.0
PATHS = (
    "/api/version",
    "/api/tags",
    "/api/v0/models",
    "/props",
    "/version",
    "/get_model_info",
    "/api/v1/models",
    "/api/v1/system-info",
    "/engines/v1/models",
    "/v1/models/status",
    "/health/readiness",
    "/v1/models",
)
OWNERS = ("vllm-mlx", "sglang", "lmdeploy", "llamacpp")


@frozen
class _Seen:
    """What one path answered."""

    value: Any = None
    server: str = ""


@define(eq=False)
class Detector:
    """
    Asks an endpoint at the paths that give its kind away, all at once.

    It does so again when the endpoint comes back after an outage: another server may have taken its place.

    :ivar profiles: the kinds in use, by canonical name.
    :ivar found: told of each endpoint whose kind has been found.
    """

    _asker: Asker
    profiles: Mapping[str, Profile]
    found: Callable[[Member, str], None]
    _known: dict[Member, float] = field(init=False, factory=dict)

    def forget(self, member: Member) -> None:
        """Drop what is kept for an endpoint that is configured no more, or is to be looked at anew."""
        self._known.pop(member, None)

    async def detect(self, member: Member) -> None:
        """Find out what ``member`` is, if its type is left to us and is not known since it was up last."""
        came_up = member.recovered_at
        if member.endpoint.profile != "auto" or self._known.get(member) == came_up:
            return
        looks = [Deferred.fromCoroutine(self._look(member, path)) for path in PATHS]
        try:
            answers = await gatherResults(looks, consumeErrors=True)
        except FirstError as error:  # a wrapped cancellation would be taken for a fault of ours
            error.subFailure.raiseException()
        kind = kind_of(dict(zip(PATHS, answers, strict=True)))
        if kind in self.profiles:
            self._known[member] = came_up
            self.found(member, kind)

    async def identify(self, member: Member) -> bool:
        """Find out anew what ``member`` is, if its type is left to us; say whether it is not what it was taken for."""
        before = member.profile
        self.forget(member)
        await self.detect(member)
        return member.profile != before

    async def _look(self, member: Member, path: str) -> _Seen:
        try:
            answer = await self._asker.ask(member.endpoint, member.endpoint.at(path), PURPOSE, LIMIT, SECONDS)
        except Unanswered:
            return _Seen()
        return _seen(answer)


def _seen(answer: Answer) -> _Seen:
    if answer.status != 200:
        return _Seen(None, answer.server)
    try:
        return _Seen(json.loads(answer.body), answer.server)
    except (ValueError, RecursionError):
        return _Seen(None, answer.server)


def kind_of(seen: Mapping[str, _Seen]) -> str:
    """
    Say which profile the answers speak for; ``""`` when none does.

    The order is that of profiles.md §5: the more specific evidence first.
    """

    def value(path: str) -> Any:
        return seen[path].value

    def first(path: str) -> dict[str, Any]:
        rows = value(path).get("data") if isinstance(value(path), dict) else None
        return rows[0] if isinstance(rows, list) and rows and isinstance(rows[0], dict) else {}

    def has(path: str, key: str) -> bool:
        return isinstance(value(path), dict) and key in value(path)

    def tells(path: str) -> bool:
        """Say whether a path is there: LM Studio answers 200 with an error to all, others with their models."""
        return value(path) is not None and not has(path, "error") and value(path) != value("/v1/models")

    owner = str(first("/v1/models").get("owned_by", ""))
    tests = (
        ("ollama", has("/api/version", "version") and has("/api/tags", "models")),
        ("lm-studio", "arch" in first("/api/v0/models")),
        ("llamacpp", has("/props", "default_generation_settings") or "llama.cpp" in seen["/props"].server),
        ("lemonade", "recipe" in first("/api/v1/models") or tells("/api/v1/system-info")),
        ("omlx", tells("/v1/models/status")),
        ("sglang", has("/get_model_info", "model_path")),
        ("litellm", any(one.server == LITELLM for one in seen.values())),
        ("litellm", LITELLM in json.dumps(value("/health/readiness"))[:4096].lower()),
        ("vllm", owner == "vllm" and has("/version", "version")),
        *((name, owner == name) for name in OWNERS),
        (
            "docker-model-runner",
            has("/engines/v1/models", "data") and (owner == "docker" or tells("/engines/v1/models")),
        ),
        ("openai-compatible", has("/v1/models", "data")),
    )
    return next((name for name, holds in tests if holds), "")
