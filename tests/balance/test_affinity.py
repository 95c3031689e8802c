"""Tests of :mod:`olla.balance.affinity`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from olla.balance.affinity import Affinity, Key, Stickiness
from olla.balance.fleet import Member
from tests.balance.support import Scene, endpoint

SECRET = b"0123456789abcdef"
ALL_SOURCES = ("session_header", "prefix_hash", "auth_header", "ip", "conversation")


class AffinityTests(SynchronousTestCase):
    """Who stays with whom."""

    def setUp(self) -> None:
        self.scene = Scene()
        self.a, self.b, self.c = self.all = self.scene.healthy(endpoint("a"), endpoint("b"), endpoint("c"))
        self.affinity = Affinity(Stickiness(idle_ttl=10.0), SECRET)

    def key(self, session: bytes, model: str = "llama3") -> Key | None:
        return self.affinity.key({"session_header": session}.get, model)

    def serve(
        self,
        session: bytes,
        member: Member,
        now: float = 0.0,
        model: str = "llama3",
        left: tuple[Member, ...] = (),
    ) -> tuple[str | None, str]:
        """Let ``member`` answer unless another is preferred; tell who was preferred and what came of it."""
        stay = self.affinity.recall(self.key(session, model), left or self.all, now)
        outcome = self.affinity.settle(stay, stay.preferred or member, now)
        return stay.preferred.name if stay.preferred else None, outcome

    def test_miss_then_hit(self) -> None:
        """The second request of a session goes where the first one went (B62, C52)."""
        self.assertEqual(self.serve(b"s", self.b), (None, "miss"))
        self.assertEqual(self.serve(b"s", self.a), ("b", "hit"))

    def test_models(self) -> None:
        """Another model of the same session has a pin of its own; letter case makes no other model (B62)."""
        self.serve(b"s", self.b)
        self.assertEqual(self.serve(b"s", self.a, model="qwen"), (None, "miss"))
        self.assertEqual(self.serve(b"s", self.a, model="LLaMA3"), ("b", "hit"))

    def test_expiry(self) -> None:
        """A pin unused for its time is forgotten, and every use begins that time anew (B62)."""
        self.serve(b"s", self.b, 0.0)
        self.assertEqual(self.serve(b"s", self.a, 9.9), ("b", "hit"))
        self.assertEqual(self.serve(b"s", self.a, 19.8), ("b", "hit"))
        self.assertEqual(self.serve(b"s", self.a, 29.8), (None, "miss"))

    def test_no_expiry(self) -> None:
        """With a time of 0 pins stay for ever."""
        self.affinity = Affinity(Stickiness(idle_ttl=0.0), SECRET)
        self.serve(b"s", self.b, 0.0)
        self.assertEqual(self.serve(b"s", self.a, 1e9), ("b", "hit"))

    def test_not_a_candidate(self) -> None:
        """When the pinned endpoint is no candidate the session moves, and stays moved (B63, C53)."""
        self.serve(b"s", self.b)
        self.assertEqual(self.serve(b"s", self.a, left=(self.a, self.c)), (None, "repin"))
        self.assertEqual(self.serve(b"s", self.c), ("a", "hit"))

    def test_lost(self) -> None:
        """When the pinned endpoint was lost the session moves, even if the endpoint is back by then (B63, C53)."""
        for session in (b"s", b"t"):
            self.serve(session, self.b)
        self.affinity.forget(self.b)
        for session in (b"s", b"t"):
            self.assertEqual(self.serve(session, self.a), (None, "repin"))
        self.assertEqual(self.serve(b"s", self.b), ("a", "hit"))

    def test_failover(self) -> None:
        """The pin moves to the endpoint that answered (http-api.md §7.5)."""
        self.serve(b"s", self.b)
        stay = self.affinity.recall(self.key(b"s"), self.all, 1.0)
        self.assertIs(stay.preferred, self.b)
        self.assertEqual(self.affinity.settle(stay, self.c, 1.0), "repin")
        self.assertEqual(self.serve(b"s", self.a), ("c", "hit"))

    def test_rejected(self) -> None:
        """A request that nobody answered leaves no pin (http-api.md §7.5)."""
        self.affinity.recall(self.key(b"s"), self.all, 0.0)
        self.assertEqual(len(self.affinity), 0)

    def test_disabled(self) -> None:
        """A request with nothing to know it by is not pinned."""
        stay = self.affinity.recall(self.affinity.key({"auth_header": b""}.get, "m"), self.all, 0.0)
        self.assertEqual((stay.source, self.affinity.settle(stay, self.a, 0.0)), ("", "disabled"))
        self.assertEqual(len(self.affinity), 0)

    def test_most_sessions(self) -> None:
        """With room for two, a, b, a, c evicts b (B64)."""
        self.affinity = Affinity(Stickiness(max_sessions=2), SECRET)
        for session in (b"a", b"b", b"a", b"c"):
            self.serve(session, self.b)
        self.assertEqual([self.serve(session, self.a)[1] for session in (b"a", b"c")], ["hit", "hit"])
        self.assertEqual(self.serve(b"b", self.a), (None, "miss"))

    def test_unlimited_sessions(self) -> None:
        """With a number of 0 none is evicted."""
        self.affinity = Affinity(Stickiness(max_sessions=0), SECRET)
        for number in range(50):
            self.serve(b"%d" % number, self.a)
        self.assertEqual(len(self.affinity), 50)

    def test_secrecy(self) -> None:
        """Neither a session id nor a token can be found in the store, nor guessed without the secret (B65)."""
        self.affinity = Affinity(Stickiness(ALL_SOURCES), SECRET)
        self.serve(b"my-secret-session", self.a)
        self.assertNotIn("my-secret-session", repr(self.affinity))
        self.assertNotIn(SECRET.decode(), repr(self.affinity))
        other = Affinity(Stickiness(ALL_SOURCES), b"another").key(
            {"session_header": b"my-secret-session"}.get, "llama3"
        )
        self.assertNotEqual(other, self.key(b"my-secret-session"))

    def test_sources(self) -> None:
        """The first source in the configured order that has something makes the key (behaviour.md §11)."""
        material = {"session_header": b"s", "auth_header": b"t", "ip": b"::1"}
        for sources, expected in (
            (("session_header", "auth_header"), "session_header"),
            (("auth_header", "session_header"), "auth_header"),
            (("prefix_hash", "conversation", "ip"), "ip"),
        ):
            key = Affinity(Stickiness(sources), SECRET).key(material.get, "m")
            assert key is not None
            self.assertEqual(key.source, expected)
        self.assertIsNone(Affinity(Stickiness(("prefix_hash",)), SECRET).key(material.get, "m"))

    def test_sources_differ(self) -> None:
        """The same value from two sources makes two keys: a session named like a token has nothing of its pin."""
        digests = set()
        for source in ALL_SOURCES:
            key = Affinity(Stickiness((source,)), SECRET).key({source: b"same"}.get, "m")
            assert key is not None
            digests.add(key.digest)
        self.assertEqual(len(digests), len(ALL_SOURCES))

    def test_lazily(self) -> None:
        """What a later source would need is not looked for."""
        asked: list[str] = []

        def material(source: str) -> bytes:
            asked.append(source)
            return b"s"

        self.affinity.key(material, "m")
        self.assertEqual(asked, ["session_header"])

    def test_prefix(self) -> None:
        """Of the messages only the beginning counts, of a conversation every byte (B66)."""
        for source, same in (("prefix_hash", True), ("conversation", False)):
            affinity = Affinity(Stickiness((source,), prefix_bytes=512), SECRET)
            system = b"x" * 4096
            one, two = (affinity.key({source: system + user}.get, "m") for user in (b"Hello", b"Bye"))
            self.assertEqual(one == two, same, source)
        whole = Affinity(Stickiness(("prefix_hash",), prefix_bytes=0), SECRET)
        self.assertNotEqual(
            whole.key({"prefix_hash": b"x" * 600}.get, "m"), whole.key({"prefix_hash": b"x" * 601}.get, "m")
        )

    @given(
        st.text(max_size=8),
        st.binary(min_size=1, max_size=8),
        st.text(max_size=8),
        st.binary(min_size=1, max_size=8),
    )
    def test_keys_differ(self, model: str, value: bytes, other_model: str, other_value: bytes) -> None:
        """Two requests have one key only if both model and value are the same."""
        one, two = self.key(value, model), self.key(other_value, other_model)
        self.assertEqual(one == two, (model.lower(), value) == (other_model.lower(), other_value))

    def test_spill(self) -> None:
        """With more than twice the mean on its endpoint a request goes elsewhere and the pin stays (→ Do)."""
        self.serve(b"s", self.b)
        self.b.in_flight = 3
        self.assertEqual(self.serve(b"s", self.a), (None, "miss"))
        self.b.in_flight = 2
        self.assertEqual(self.serve(b"s", self.a), ("b", "hit"))

    def test_spill_of_two(self) -> None:
        """Of two endpoints one can have more than twice as much to do as well; one alone is never left."""
        self.serve(b"s", self.b)
        for others, own, expected in ((0, 2, "b"), (0, 3, None), (2, 4, "b"), (2, 5, None)):
            self.a.in_flight, self.b.in_flight = others, own
            self.assertEqual(self.serve(b"s", self.b, left=(self.a, self.b))[0], expected, (others, own))
        self.assertEqual(self.serve(b"s", self.b, left=(self.b,)), ("b", "hit"))

    def test_spilled_to_itself(self) -> None:
        """A spilled request that the selector sends to its own endpoint all the same is a hit."""
        self.serve(b"s", self.b)
        self.b.in_flight = 3
        self.assertEqual(self.serve(b"s", self.b), (None, "hit"))

    def test_lost_while_spilled(self) -> None:
        """If its endpoint is lost while a request is elsewhere the session moves there."""
        self.serve(b"s", self.b)
        self.b.in_flight = 3
        stay = self.affinity.recall(self.key(b"s"), self.all, 1.0)
        self.affinity.forget(self.b)
        self.assertEqual(self.affinity.settle(stay, self.c, 1.0), "repin")
        self.assertEqual(self.serve(b"s", self.a), ("c", "hit"))

    def test_counts(self) -> None:
        """Everything that happens is counted (http-api.md §11.9)."""
        self.affinity = Affinity(Stickiness(max_sessions=1, idle_ttl=10.0), SECRET)
        self.serve(b"s", self.b)
        self.serve(b"s", self.b)
        self.affinity.forget(self.b)
        self.serve(b"s", self.a)
        self.serve(b"t", self.a)
        self.serve(b"t", self.a, 20.0)
        counts = self.affinity.counts
        self.assertEqual((counts.insertions, counts.misses, counts.hits, counts.repins), (3, 3, 1, 1))
        self.assertEqual((counts.evictions, len(self.affinity)), (2, 1))
