"""Tests of :mod:`olla.balance.eligible`."""

from __future__ import annotations

import attrs
from twisted.trial.unittest import SynchronousTestCase

from olla.balance.eligible import Narrowing, Plan, Refreshed, Strategy
from olla.balance.fleet import Member, Status
from olla.domain.requirements import Requirements
from olla.domain.routing import Decision, Located, Scope
from olla.errors import ModelNotFound, ModelUnavailable, NoEndpoints, NoProviderEndpoints, Refusal
from tests.balance.support import DOWN, GOOD, Scene, endpoint, set_status

EVERYWHERE = Scope("/olla/proxy")
OLLAMA = Scope("/olla/ollama", "ollama", frozenset({"ollama"}))
OPENAI = Scope("/olla/openai", "openai", frozenset({"ollama", "vllm"}))
PATHS = {("ollama", "/api/chat"), ("ollama", "/v1/chat/completions"), ("vllm", "/v1/chat/completions")}
CAPABLE = {("a", "vision"), ("b", "tools"), ("c", "vision"), ("c", "tools"), ("c", "embeddings")}


def supports(profile: str, path: str) -> bool:
    return (profile, path) in PATHS


def capable(name: str, capability: str) -> bool:
    return (name, capability) in CAPABLE


def told(refusal: Refusal | None) -> tuple[object, ...]:
    """Give what a refusal consists of: exceptions themselves are compared by identity."""
    assert refusal is not None
    return (type(refusal), *attrs.astuple(refusal))


def asks(model: str = "", path: str = "/v1/chat/completions", *capabilities: str) -> Requirements:
    return Requirements(path, model, capabilities=frozenset(capabilities))


def on(**names: str) -> Located:
    return Located(names, known=True)


class NarrowTests(SynchronousTestCase):
    """The steps of http-api.md §7.3."""

    def setUp(self) -> None:
        self.scene = Scene()
        self.a, self.b, self.c = self.all = self.scene.healthy(
            endpoint("a", profile="ollama"), endpoint("b", profile="vllm"), endpoint("c", profile="vllm")
        )
        self.strategy = Strategy()

    def narrow(
        self,
        wanted: Requirements,
        scope: Scope = EVERYWHERE,
        located: Located | None = None,
        now: float = 1.0,
        refreshed: Refreshed | None = None,
    ) -> Plan:
        return Narrowing(self.strategy, supports, capable).narrow(self.all, scope, wanted, located, now, refreshed)

    def names(self, plan: Plan) -> str:
        self.assertIsNone(plan.refusal)
        return "".join(member.name for member in plan.candidates)

    def lose(self, *members: Member) -> None:
        for member in members:
            self.scene.fleet.checked(member, DOWN, 1.0)

    def test_no_model(self) -> None:
        """Without a model all that serve the path are candidates, in configured order, undecided (B9, B50)."""
        plan = self.narrow(asks())
        self.assertEqual((self.names(plan), plan.decision, dict(plan.names)), ("abc", None, {}))

    def test_soft_states(self) -> None:
        """Busy and warming endpoints are candidates too: the lease prefers healthy ones (B10)."""
        set_status(self.a, Status.BUSY)
        set_status(self.b, Status.WARMING)
        self.lose(self.c)
        self.assertEqual(self.names(self.narrow(asks())), "ab")

    def test_scope(self) -> None:
        """A provider's route never leaves its provider (B42, B43)."""
        self.assertEqual(self.names(self.narrow(asks(), OLLAMA)), "a")
        self.assertEqual(self.names(self.narrow(asks(), OPENAI)), "abc")
        self.lose(self.a)
        self.assertEqual(self.narrow(asks(), OLLAMA).candidates, ())

    def test_scope_of_detected(self) -> None:
        """An endpoint of unknown kind belongs to no provider until its kind has been found out (C136)."""
        self.scene.healthy(endpoint("x"))
        (x,) = self.all = tuple(self.scene.fleet.members)
        self.assertIsInstance(self.narrow(asks(), OLLAMA).refusal, NoProviderEndpoints)
        self.scene.fleet.detected(x, "ollama")
        self.assertEqual(self.names(self.narrow(asks(), OLLAMA)), "x")

    def test_none_configured(self) -> None:
        """A provider without an endpoint is 404 (http-api.md §8.3)."""
        plan = self.narrow(asks("llama3"), Scope("/olla/dmr", "dmr", frozenset({"docker-model-runner"})))
        self.assertEqual(told(plan.refusal), (NoProviderEndpoints, "No dmr endpoints available"))
        self.assertIsNone(plan.decision)

    def test_none_up(self) -> None:
        """A provider whose endpoints are down is 503, with the time of the next check (http-api.md §8.3)."""
        self.lose(self.a)
        for wanted in (asks(), asks("llama3")):
            refusal = self.narrow(wanted, OLLAMA, now=2.0).refusal
            self.assertEqual(told(refusal), (NoEndpoints, "No ollama endpoints available", 4))

    def test_nothing_up(self) -> None:
        """On the universal route the message speaks of healthy endpoints (http-api.md §8.3)."""
        self.lose(*self.all)
        message = "No healthy endpoints available"
        self.assertEqual(told(self.narrow(asks(), now=2.0).refusal), (NoEndpoints, message, 4))
        self.all = ()
        self.assertEqual(told(self.narrow(asks()).refusal), (NoEndpoints, message, None))

    def test_path(self) -> None:
        """Endpoints that serve the path are preferred; a path that nobody lists is no reason to refuse (§7.3)."""
        self.assertEqual(self.names(self.narrow(asks(path="/api/chat"))), "a")
        self.assertEqual(self.names(self.narrow(asks(path="/api/new"))), "abc")

    def test_path_of_unknown_kind(self) -> None:
        """An endpoint of unknown kind may serve any path (behaviour.md §8)."""
        self.scene.fleet.detected(self.b, "auto")
        self.assertEqual(self.names(self.narrow(asks(path="/api/chat"))), "ab")

    def test_capabilities(self) -> None:
        """Without a model an endpoint is preferred that has one which can do it; each ability counts (B45)."""
        self.assertEqual(self.names(self.narrow(asks("", "/v1/chat/completions", "embeddings"))), "c")
        self.assertEqual(self.names(self.narrow(asks("", "/v1/chat/completions", "vision"))), "ac")
        self.assertEqual(self.names(self.narrow(asks("", "/v1/chat/completions", "vision", "tools"))), "c")
        self.assertEqual(self.names(self.narrow(asks("", "/v1/chat/completions", "vision", "flight"))), "ac")

    def test_model(self) -> None:
        """A model narrows to those that have it, and tells the name each knows it by (http-api.md §7.3)."""
        located = on(b="Llama3", c="llama-3")
        plan = self.narrow(asks("LLAMA3"), located=located)
        self.assertEqual(self.names(plan), "bc")
        self.assertEqual(plan.decision, Decision("strict", "routed", "model_found"))
        self.assertEqual(plan.names, {"b": "Llama3", "c": "llama-3"})

    def test_model_before_guesses(self) -> None:
        """Neither path nor ability ever takes a named model from its only endpoint (B44, §7.3)."""
        self.assertEqual(self.names(self.narrow(asks("m", "/api/chat", "vision"), located=on(b="m"))), "b")
        self.assertEqual(self.names(self.narrow(asks("m", "/v1/chat/completions", "vision"), located=on(b="m"))), "b")

    def test_path_prefers_among_owners(self) -> None:
        """Among those that have the model the path may prefer (§7.3)."""
        self.assertEqual(self.names(self.narrow(asks("m", "/api/chat"), located=on(a="m", b="m"))), "a")

    def test_stale_listing(self) -> None:
        """After an outage an endpoint gets no request for a model that others have until it is listed (§4)."""
        self.lose(self.b)
        self.scene.fleet.checked(self.b, GOOD, 6.0)
        located = on(b="m", c="m")
        self.assertEqual(self.names(self.narrow(asks("m"), located=located, now=7.0)), "c")
        self.assertEqual(self.names(self.narrow(asks("m"), located=on(b="m"), now=7.0)), "b")
        self.assertEqual(self.names(self.narrow(asks("m"), located=located, now=16.0)), "bc")
        briefs = [self.narrow(asks("m"), located=located, now=now).brief for now in (7.0, 16.0)]
        self.assertEqual(briefs, [True, False])
        self.scene.fleet.listed(self.b, 7.5)
        self.assertEqual(self.names(self.narrow(asks("m"), located=located, now=8.0)), "bc")

    def test_not_found(self) -> None:
        """A model that nobody has is 404, and the decision is there for the headers (C50, B32)."""
        plan = self.narrow(asks("nope"), located=Located())
        self.assertEqual(told(plan.refusal), (ModelNotFound, "Model not found: nope", "model_not_found"))
        self.assertEqual(plan.decision, Decision("strict", "rejected", "model_not_found", 404))
        self.assertEqual(told(self.narrow(asks("nope")).refusal), told(plan.refusal))

    def test_unavailable(self) -> None:
        """A model of which all endpoints are down is 503, with the time of their next check (C51)."""
        self.lose(self.b)
        plan = self.narrow(asks("m"), located=on(b="m"), now=2.0)
        message = "Model m is not available on any healthy endpoint"
        self.assertEqual(told(plan.refusal), (ModelUnavailable, message, "model_unavailable", 4))
        self.assertEqual(plan.decision, Decision("strict", "rejected", "model_unavailable", 503))

    def test_unavailable_with_nothing_up(self) -> None:
        """The same holds when its endpoint is the only one there is (C51)."""
        self.lose(*self.all)
        self.assertIsInstance(self.narrow(asks("m"), located=on(b="m")).refusal, ModelUnavailable)

    def test_unavailable_in_scope(self) -> None:
        """A model that only another provider has is unavailable here, and no time will mend it (B42)."""
        refusal = self.narrow(asks("m"), OLLAMA, on(b="m")).refusal
        assert isinstance(refusal, ModelUnavailable)
        self.assertIsNone(refusal.wait)

    def test_fallback(self) -> None:
        """A fallback goes by path and ability, and keeps the model's name as it came (B46)."""
        self.strategy = Strategy("optimistic", "all")
        plan = self.narrow(asks("nope", "/v1/chat/completions", "vision"))
        self.assertEqual((self.names(plan), dict(plan.names)), ("ac", {}))
        self.assertEqual(plan.decision, Decision("optimistic", "fallback", "model_not_found_fallback"))

    def test_fallback_to_nobody(self) -> None:
        """Where nobody is up there is nothing to fall back on, and nothing is said of a fallback (http-api.md §7.4)."""
        self.strategy = Strategy("optimistic", "all")
        self.lose(*self.all)
        plan = self.narrow(asks("m"), located=on(b="m"))
        self.assertIsInstance(plan.refusal, ModelUnavailable)
        self.assertEqual(plan.decision, Decision("optimistic", "rejected", "model_unavailable", 503))
        self.assertIsInstance(self.narrow(asks("new")).refusal, NoEndpoints)

    def test_alias(self) -> None:
        """An alias goes where one of its names is; with none up it is refused like a model (B53, B54)."""
        located = Located({"b": "qwen", "c": "llama3"}, "fast", True)
        plan = self.narrow(asks("Fast"), located=located)
        self.assertEqual((self.names(plan), plan.names["c"]), ("bc", "llama3"))
        self.assertEqual(plan.decision, Decision("alias", "routed", 'alias "fast" resolved to 2 endpoint(s)'))
        self.lose(self.b, self.c)
        self.assertIsInstance(self.narrow(asks("Fast"), located=located).refusal, ModelUnavailable)

    def test_refresh(self) -> None:
        """A miss under ``discovery`` first asks for the listings of those that are up, in scope (B47)."""
        self.strategy = Strategy("discovery", refresh=True)
        self.lose(self.c)
        self.assertEqual(self.narrow(asks("new")), Plan(refresh=(self.a, self.b)))
        self.assertEqual(self.narrow(asks("new"), OLLAMA), Plan(refresh=(self.a,)))

    def test_after_refresh(self) -> None:
        """What the refresh found is served, even if part of it failed; there is no second one (B47, C137)."""
        self.strategy = Strategy("discovery", refresh=True)
        for refreshed in (Refreshed.DONE, Refreshed.FAILED):
            plan = self.narrow(asks("new"), located=on(b="new"), refreshed=refreshed)
            self.assertEqual(self.names(plan), "b")
            self.assertEqual(plan.decision, Decision("discovery", "routed", "model_found_after_refresh"))
        plan = self.narrow(asks("new"), refreshed=Refreshed.DONE)
        reason = "model_unavailable_after_discovery"
        self.assertEqual(plan.decision, Decision("discovery", "rejected", reason, 404))
        self.assertEqual(told(plan.refusal), (ModelNotFound, "Model not found: new", reason))

    def test_nobody_left_after_refresh(self) -> None:
        """When all went down meanwhile that is the reason given (B46)."""
        self.strategy = Strategy("discovery", refresh=True)
        self.lose(*self.all)
        plan = self.narrow(asks("new"), refreshed=Refreshed.DONE)
        self.assertEqual(plan.decision, Decision("discovery", "rejected", "no_healthy_after_discovery", 503))

    def test_nobody_to_refresh(self) -> None:
        """A miss under ``discovery`` has a reason also where nobody is there to be asked (C137)."""
        self.strategy = Strategy("discovery", "all", refresh=True)
        self.lose(*self.all)
        plan = self.narrow(asks("new"))
        self.assertEqual(plan.decision, Decision("discovery", "rejected", "no_healthy_after_discovery", 503))
        self.assertEqual(told(plan.refusal)[0], ModelUnavailable)

    def test_models_not_listed(self) -> None:
        """Where models are not listed a request goes by type and path alone (K69)."""
        self.strategy = Strategy(models_known=False)
        plan = self.narrow(asks("any", "/api/chat"))
        self.assertEqual((self.names(plan), plan.decision), ("a", None))
