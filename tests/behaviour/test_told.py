"""What servers tell of themselves, besides whether they are well and which models they have."""

from __future__ import annotations

from typing import Any

from tests.support import Backend, ProxyCase, answer, on_each_engine, says


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
