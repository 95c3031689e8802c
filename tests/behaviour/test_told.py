"""What servers tell of themselves, besides whether they are well and which models they have."""

from __future__ import annotations

from typing import Any

from tests.support import SSE, Backend, ProxyCase, answer, chunk, on_each_engine, says


class Told(ProxyCase):
    """Two endpoints with the model ``m``."""

    def begin(self, kind: str, **proxy: Any) -> None:
        """Start with two servers of a kind."""
        self.a, self.b = Backend(play=says(answer({}))), Backend(play=says(answer({})))
        self.start({"a": self.a, "b": self.b}, {"type": kind}, proxy=proxy)

    def served(self, times: int = 4) -> str:
        """Say who answers some requests, one after the other."""
        return "".join(
            self.post("/olla/proxy/v1/chat/completions").field("X-Olla-Endpoint") or "-" for _ in range(times)
        )


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
