"""Conversations that stay where they are."""

from __future__ import annotations

from tests.support import SSE, Backend, ProxyCase, answer, chunk, on_each_engine, request, says

CHAT = {"model": "m", "messages": [{"role": "system", "content": "x" * 600}, {"role": "user", "content": "hi"}]}


@on_each_engine
class Sticky(ProxyCase):
    """Two endpoints with the same model, taken in turn but for sessions."""

    def begin(self, **sticky: object) -> None:
        """Start with sticky sessions."""
        self.backends = {name: Backend(play=says(answer({}))) for name in ("a", "b")}
        proxy = {"load_balancer": "round-robin", "sticky_sessions": {"enabled": True, **sticky}}
        self.start(self.backends, proxy=proxy)

    def test_session_header(self) -> None:
        """Two requests of one session meet one endpoint, and learn so (C52, B62)."""
        self.begin()
        asked = [self.post(X_Olla_Session_ID="s-1") for _ in range(3)]
        self.assertEqual([one.field("X-Olla-Sticky-Session") for one in asked], ["miss", "hit", "hit"])
        self.assertEqual(len({one.field("X-Olla-Endpoint") for one in asked}), 1)
        self.assertEqual(asked[0].field("X-Olla-Sticky-Key-Source"), "session_header")
        self.assertEqual(asked[0].field("X-Olla-Session-ID"), "s-1")

    def test_echo(self) -> None:
        """The session's name comes back as it was sent, however long or odd it is (http-api.md §4.2)."""
        self.begin()
        for name in (b"s" * 1000, b'caf\xc3\xa9 "1"', b"\xff%0A", b"voil\xc3\xa0"):
            head, _, body = request("POST", "/olla/openai/v1/x", {"model": "m"}, self.detour).partition(b"\r\n\r\n")
            client = self.send(head + b"\r\nX-Olla-Session-ID: " + name + b"\r\n\r\n" + body)
            self.assertIn(b"\r\nX-Olla-Session-ID: " + name + b"\r\n", client.head)

    def test_lost_endpoint_is_replaced(self) -> None:
        """When the pinned endpoint refuses, the next one answers and keeps the session (C53, B63)."""
        self.begin()
        first = self.post(X_Olla_Session_ID="s").field("X-Olla-Endpoint")
        del self.network.listeners[9000 if first == "a" else 9001]
        for transport in self.network.transports:
            transport.loseConnection() if "BackendConnection" in type(transport.protocol).__name__ else None
        self.network.pump()
        second, third = self.post(X_Olla_Session_ID="s"), self.post(X_Olla_Session_ID="s")
        self.assertEqual([second.status, third.status], [200, 200])
        self.assertNotEqual(second.field("X-Olla-Endpoint"), first)
        said = [one.field("X-Olla-Sticky-Session") for one in (second, third)]
        self.assertEqual(said, ["repin", "hit"])
        self.assertEqual(third.field("X-Olla-Endpoint"), second.field("X-Olla-Endpoint"))

    def test_unanswered(self) -> None:
        """A request that nobody answers tells of its session too, and leaves its pin alone (http-api.md §4.3)."""
        self.begin()
        first = self.post(X_Olla_Session_ID="s")
        for backend in self.backends.values():
            backend.play = says(b"garbage\r\n\r\n")
        pinned, new = self.post(X_Olla_Session_ID="s"), self.post(X_Olla_Session_ID="t")
        for client, outcome, name in ((pinned, "hit", "s"), (new, "miss", "t")):
            self.assertEqual((client.status, client.field("X-Olla-Sticky-Session")), (502, outcome))
            self.assertEqual(client.field("X-Olla-Sticky-Key-Source"), "session_header")
            self.assertEqual(client.field("X-Olla-Session-ID"), name)
        self.assertEqual(pinned.field("X-Olla-Endpoint"), first.field("X-Olla-Endpoint"))
        for backend in self.backends.values():
            backend.play = says(answer({}))
        said = [self.post(X_Olla_Session_ID=name).field("X-Olla-Sticky-Session") for name in "st"]
        self.assertEqual(said, ["hit", "miss"])
        rejected = self.post(body={"model": "nobody"}, X_Olla_Session_ID="s")
        self.assertEqual((rejected.status, rejected.field("X-Olla-Sticky-Session")), (404, None))

    def test_conversation(self) -> None:
        """A growing chat keeps its endpoint; another with the same system prompt has a key of its own (B66)."""
        self.begin(key_sources=["conversation"])
        more = {**CHAT, "messages": [*CHAT["messages"], {"role": "assistant", "content": "hello"}]}
        other = {**CHAT, "messages": [CHAT["messages"][0], {"role": "user", "content": "else"}]}
        said = [self.post(body=body).field("X-Olla-Sticky-Session") for body in (CHAT, more, other)]
        self.assertEqual(said, ["miss", "hit", "miss"])

    def test_prefix_is_found_anywhere(self) -> None:
        """``messages`` behind 100 KiB of tools still give a key (B67)."""
        self.begin()
        client = self.post(body={"model": "m", "tools": [{"x": "y" * 100_000}], **CHAT})
        self.assertEqual(client.field("X-Olla-Sticky-Key-Source"), "prefix_hash")

    def test_many_of_one_key(self) -> None:
        """What many users have in common does not pile them up on one of two endpoints (behaviour.md §11)."""
        self.begin(key_sources=["prefix_hash"])
        for backend in self.backends.values():
            backend.play = says(SSE + chunk(b"data: 1\n\n"))
        served = [self.post(body=CHAT).field("X-Olla-Endpoint") for _ in range(12)]
        self.assertGreaterEqual(min(served.count("a"), served.count("b")), 4, served)

    def test_without_a_key(self) -> None:
        """A request with nothing to know it by says ``disabled``, and no source."""
        self.begin(key_sources=["session_header"])
        client = self.post()
        self.assertEqual(client.field("X-Olla-Sticky-Session"), "disabled")
        self.assertIsNone(client.field("X-Olla-Sticky-Key-Source"))
