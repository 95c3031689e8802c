"""What servers tell of themselves, besides whether they are well and which models they have."""

from __future__ import annotations

from typing import Any

from tests.support import SSE, Backend, ProxyCase, answer, chunk, on_each_engine, says


class Told(ProxyCase):
    """Endpoints with the model ``m``."""

    def begin(self, kind: str, **proxy: Any) -> None:
        """Start with two servers of a kind."""
        self.a, self.b = Backend(play=says(answer({}))), Backend(play=says(answer({})))
        self.start({"a": self.a, "b": self.b}, {"type": kind}, proxy=proxy)

    def served(self, times: int = 4, session: str = "") -> str:
        """Say who answers some requests, one after the other."""
        fields = {"X_Olla_Session_ID": session} if session else {}
        asked = [self.post("/olla/proxy/v1/chat/completions", **fields) for _ in range(times)]
        return "".join(one.field("X-Olla-Endpoint") or "-" for one in asked)


@on_each_engine
class Sleeping(Told):
    """LMDeploy puts its engine to sleep on demand, and answers checks all the same (profiles.md §8.7)."""

    def say(self, **said: Any) -> None:
        """Let ``a`` say whether it sleeps, and have it looked at."""
        self.a.tells["/is_sleeping"] = answer(said)
        self.network.wait(6.0)

    def test_asleep(self) -> None:
        """An engine that sleeps gets no requests, and the pages say why; within one interval it is back."""
        self.begin("lmdeploy")
        self.assertEqual(set(self.served()), {"a", "b"})
        self.say(is_sleeping=True)
        self.assertEqual(self.served(), "bbbb")
        endpoint = self.get("/internal/status/endpoints").json["endpoints"][0]
        self.assertEqual((endpoint["status"], endpoint["last_error"]), ("unhealthy", "the engine sleeps"))
        self.network.wait(120.0, 0.5)
        self.say(is_sleeping=False)
        self.network.wait(15.0, 0.5)
        self.assertEqual(set(self.served()), {"a", "b"})

    def test_silence(self) -> None:
        """What an engine has said of its sleep holds while it says nothing."""
        self.begin("lmdeploy")
        self.say(is_sleeping=True)
        self.a.tells["/is_sleeping"] = b""
        self.network.wait(12.0, 0.5)
        self.assertEqual(self.served(), "bbbb")

    def test_nothing_said(self) -> None:
        """An older server that cannot be asked, or says what makes no sense, is awake."""
        self.begin("lmdeploy")
        for told in (answer({}, 404), answer(b"[" * 10000), answer(b"true"), answer({"is_sleeping": "yes"}), b""):
            self.a.tells["/is_sleeping"] = told
            self.network.wait(6.0)
            self.assertEqual(set(self.served()), {"a", "b"}, told[:80])

    def test_others_are_not_asked(self) -> None:
        """Only a kind that is known to say so is asked."""
        self.begin("vllm")
        self.say(is_sleeping=True)
        self.assertEqual(set(self.served()), {"a", "b"})
        self.assertEqual([seen for seen in self.a.probes if b"/is_sleeping" in seen.line], [])


@on_each_engine
class Slots(Told):
    """A llama.cpp says how many requests it works on at once; others wait there (profiles.md §8.5)."""

    def begin(self, kind: str, **said: Any) -> None:
        """Start with streams that do not end; ``b`` has one slot, ``a`` says something."""
        streams = says(SSE + chunk(b"data: 1\n\n"))
        self.a, self.b = Backend(play=streams), Backend(play=streams)
        self.a.tells["/props"], self.b.tells["/props"] = answer(said), answer({"total_slots": 1})
        self.start({"a": self.a, "b": self.b}, {"type": kind})

    def shares(self, times: int) -> tuple[int, int]:
        """Say how many of some streams at once went to each."""
        served = self.served(times)
        return served.count("a"), served.count("b")

    def test_slots(self) -> None:
        """Streams go where slots are free; with all taken nobody waits here, since servers have queues of their own."""
        self.begin("llamacpp", total_slots=3)
        self.assertEqual(self.shares(4), (3, 1))
        self.assertEqual(self.shares(4), (3, 1))
        self.assertEqual({one["status"] for one in self.status()["endpoints"]}, {"healthy"})

    def test_nothing_said(self) -> None:
        """What an endpoint does not say, or what cannot be, changes nothing."""
        for said in ({}, {"total_slots": 0}, {"total_slots": True}, {"total_slots": "3"}, {"total_slots": 1e9}):
            self.setUp()
            self.begin("llamacpp", **said)
            self.assertEqual(self.shares(4), (2, 2), said)
            self.stop()

    def test_last_word_stays(self) -> None:
        """An endpoint that says nothing any more has as many as it said last."""
        self.begin("llamacpp", total_slots=3)
        self.a.tells["/props"] = answer({}, 500)
        self.network.wait(310.0, 1.0)
        self.assertEqual(self.shares(4), (3, 1))

    def test_others_are_not_asked(self) -> None:
        """Other kinds are not asked."""
        self.begin("vllm", total_slots=3)
        self.assertEqual(self.shares(4), (2, 2))
        self.assertEqual([seen for seen in self.a.probes if b"/props" in seen.line], [])

    def test_limit_of_the_operator(self) -> None:
        """A limit that the operator has set counts, not what the server says."""
        backend = Backend(play=says(SSE + chunk(b"data: 1\n\n")), tells={"/props": answer({"total_slots": 1})})
        self.start({"a": backend, "b": backend}, {"type": "llamacpp", "max_concurrent_requests": 2})
        self.assertEqual(self.shares(4), (2, 2))
        self.assertEqual(self.post("/olla/proxy/v1/chat/completions").got, b"")


@on_each_engine
class Loaded(Told):
    """An LM Studio says which models it has loaded; the others would take a while (profiles.md §8.2)."""

    def begin(self, balancer: str, *states: str, sticky: bool = False, **more: Any) -> None:
        """Start with servers that have the model in these states."""
        self.backends = {}
        for name, state in zip("abc", states, strict=False):
            listing = {"data": [{"id": "m", "type": "llm", "state": state} if state else {"id": "m"}]}
            self.backends[name] = Backend(play=says(answer({})), tells={"/api/v0/models": answer(listing)})
        proxy = {"load_balancer": balancer, "sticky_sessions": {"enabled": sticky, "key_sources": ["session_header"]}}
        self.start(self.backends, {"type": "lm-studio", **more}, proxy=proxy)

    def keep(self) -> None:
        """Let no answer come to its end from now on."""
        for backend in self.backends.values():
            backend.play = says(SSE + chunk(b"data: 1\n\n"))

    def test_one_after_the_other(self) -> None:
        """Requests that come one after the other all go where the model is loaded, in turns."""
        self.begin("least-connections", "not-loaded", "loaded", "loaded")
        self.assertEqual(self.served(6).count("b"), 3)
        self.assertEqual(self.served(6).count("c"), 3)

    def test_no_more_than_its_share(self) -> None:
        """At once, the load decides: nobody is spared because it has yet to load the model."""
        self.begin("least-connections", "not-loaded", "loaded")
        self.keep()
        self.assertEqual(self.served(6), "bababa")

    def test_nobody_says(self) -> None:
        """With all or none of them loaded, or where a server does not say, they take turns as ever."""
        for states in (("not-loaded",) * 2, ("loaded",) * 2, ("", "loaded")):
            self.setUp()
            self.begin("least-connections", *states)
            self.assertEqual(self.served(), "abab", states)
            self.stop()

    def test_priority_comes_first(self) -> None:
        """A higher priority wins, loaded or not; among equal ones the load decides, then what is loaded."""
        self.begin("priority", "not-loaded", "loaded")
        self.assertEqual(self.served(), "aaaa")
        self.stop()
        self.setUp()
        self.begin("priority", "not-loaded", "loaded", priority=7)
        self.assertEqual(self.served(8), "b" * 8)
        self.keep()
        self.assertIn("a", self.served(20))

    def test_turns_are_turns(self) -> None:
        """``round-robin`` asks one after the other, whatever they have loaded."""
        self.begin("round-robin", "not-loaded", "loaded")
        self.assertEqual(self.served(), "abab")

    def test_health_comes_first(self) -> None:
        """An endpoint that is down, or busy, is not asked for having the model."""
        self.begin("least-connections", "not-loaded", "loaded", check_interval="2s", check_timeout="1s")
        self.backends["b"].healthy = 500
        self.network.wait(5.0)
        self.assertEqual(self.served(), "aaaa")

    def test_sessions_come_first(self) -> None:
        """A session stays where it is, though the model be loaded elsewhere."""
        self.begin("least-connections", "not-loaded", "loaded", sticky=True)
        self.backends["b"].healthy = 500
        self.network.wait(6.0)
        self.assertEqual(self.served(1, "s"), "a")
        self.backends["b"].healthy = 200
        self.network.wait(30.0, 0.5)
        self.assertEqual((self.served(2, "s"), self.served(2, "")), ("aa", "bb"))

    def test_limits(self) -> None:
        """One that works at its limit does not keep others waiting."""
        self.begin("least-connections", "not-loaded", "loaded", max_concurrent_requests=1)
        self.keep()
        self.assertEqual(self.served(2), "ba")

    def test_downloaded(self) -> None:
        """What a Lemonade would have to download first is as good as not loaded (P19)."""
        self.a, self.b = Backend(play=says(answer({}))), Backend(play=says(answer({})))
        for backend, there in ((self.a, False), (self.b, True)):
            backend.tells["/api/v1/models"] = answer({"data": [{"id": "m", "downloaded": there}]})
        self.start({"a": self.a, "b": self.b}, {"type": "lemonade"})
        self.assertEqual(self.served(), "bbbb")
