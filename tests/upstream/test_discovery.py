"""Tests of :mod:`olla.upstream.discovery`."""

from __future__ import annotations

from collections.abc import Sequence

from olla.balance.member import Member
from olla.domain.models import ListedModel
from olla.events import Event, ListingFailed, ModelsListed
from olla.upstream.discovery import LISTING_LIMIT, Discovery, DiscoveryRules
from tests.support import BackendConnection, Seen, answer, resets, says, says_and_closes
from tests.upstream.asking import AskCase, Reply, member


def lists(*names: str) -> Reply:
    """List models."""
    return says(answer({"object": "list", "data": [{"id": name} for name in names]}))


class DiscoveryCase(AskCase):
    """A few endpoints whose listings are read."""

    rules = DiscoveryRules(interval=100.0, timeout=10.0)

    def setUp(self) -> None:
        super().setUp()
        self.told: list[Event] = []
        self.models: dict[str, list[str]] = {}
        self.detected: list[str] = []

    def serve(self, *plays: Reply, rules: DiscoveryRules | None = None, **settings: object) -> Discovery:
        """Start reading listings of servers that do as told; the first listens on port 9000."""
        self.servers = [self.server(9000 + number, play) for number, play in enumerate(plays)]
        self.members = [member(9000 + number, f"s{number}", **settings) for number in range(len(plays))]

        def learned(member: Member, models: Sequence[ListedModel]) -> None:
            self.models[member.name] = [model.name for model in models]

        async def detect(member: Member) -> None:
            self.detected.append(member.name)

        discovery = Discovery(
            lambda: self.members,
            lambda member: (member.endpoint.model_url, "openai"),
            learned,
            detect,
            self.asker,
            rules or self.rules,
            self.told.append,
            self.network,
        )
        discovery.startService()
        self.addCleanup(self.stop, discovery)
        return discovery

    def stop(self, discovery: Discovery) -> None:
        """Stop, and prove that nothing is left."""
        if discovery.running:
            stopped = discovery.stopService()
            assert stopped is not None
            self.successResultOf(stopped)
        self.assertQuiet()

    def read(self, discovery: Discovery, seconds: float = 0.0) -> None:
        """Read all listings, and let some time pass."""
        discovery.refresh(self.members)
        self.network.pump()
        self.network.wait(seconds)

    def failures(self, name: str = "s0") -> list[ListingFailed]:
        """Give what was told of an endpoint's failures."""
        return [event for event in self.told if isinstance(event, ListingFailed) and event.endpoint.name == name]


class ListingTests(DiscoveryCase):
    """One listing."""

    def test_listed(self) -> None:
        """What an endpoint lists is learned and told; whoever waits is told when it is over."""
        discovery = self.serve(lists("a", "b"))
        waiting = discovery.read(self.members[0])
        self.assertNoResult(waiting)
        self.network.pump()
        self.successResultOf(waiting)
        self.assertEqual(self.models, {"s0": ["a", "b"]})
        (event,) = self.told
        assert isinstance(event, ModelsListed)
        self.assertEqual((event.endpoint.name, [one.name for one in event.models]), ("s0", ["a", "b"]))
        self.assertEqual(self.detected, ["s0"])

    def test_removed(self) -> None:
        """A model that is listed no more is gone after the next pass, and an empty list is one too (B94)."""
        discovery = self.serve(lists("a", "b"))
        self.read(discovery)
        self.servers[0].reply = lists("b")
        self.network.wait(101.0)
        self.assertEqual(self.models, {"s0": ["b"]})
        self.servers[0].reply = lists()
        self.network.wait(101.0)
        self.assertEqual(self.models, {"s0": []})

    def test_credential(self) -> None:
        """The listing is asked for with the endpoint's credential (B98, K33)."""
        discovery = self.serve(lists("a"), credential=(b"X-Api-Key", b"k3y"))
        self.read(discovery)
        (seen,) = self.servers[0].seen
        self.assertEqual(seen.line, b"GET /v1/models HTTP/1.1")
        self.assertEqual(seen.fields("X-Api-Key"), ["k3y"])

    def test_together(self) -> None:
        """Two that want the same listing at once share one question."""
        discovery = self.serve(lists("a"))
        first, second = discovery.read(self.members[0]), discovery.read(self.members[0])
        self.network.pump()
        self.successResultOf(first)
        self.successResultOf(second)
        self.assertEqual(len(self.servers[0].seen), 1)

    def test_too_large(self) -> None:
        """10 MiB and a byte is an error and no part of a list; 10 MiB are read (B96)."""
        start, end = b'{"data":[{"id":"a"}],"pad":"', b'"}'
        whole = start + b"x" * (LISTING_LIMIT - len(start) - len(end)) + end
        discovery = self.serve(says(answer(whole)), says(answer(whole + b" ")))
        self.read(discovery)
        self.assertEqual(LISTING_LIMIT, 10 * 1024 * 1024)
        self.assertEqual(self.models, {"s0": ["a"]})
        self.assertIn("larger than 10485760 bytes", self.failures("s1")[0].error)

    def test_unreadable(self) -> None:
        """What is no listing is one failure, not tried again at once, and keeps what was known (B99)."""
        discovery = self.serve(lists("a"))
        self.read(discovery)
        for body in (b"<html>", b"[1]", b'{"data": 3}', b"[" * 100_000):
            self.servers[0].reply = says(answer(body))
            self.read(discovery)
        self.assertEqual(self.models, {"s0": ["a"]})
        self.assertEqual([event.failures for event in self.failures()], [1, 2, 3, 4])
        self.assertEqual(len(self.servers[0].seen), 5)


class TroubleTests(DiscoveryCase):
    """Listings that fail."""

    def test_tried_again(self) -> None:
        """What may pass is tried three times, after 1 s and 2 s, before it counts as a failure (B97)."""
        times: list[float] = []

        def fails(connection: BackendConnection, seen: Seen) -> None:
            times.append(self.network.seconds())
            connection.transport.write(answer(b"", 500))

        discovery = self.serve(fails)
        self.read(discovery, 5.0)
        self.assertEqual(times, [0.0, 1.0, 3.0])
        (failed,) = self.failures()
        self.assertEqual((failed.error, failed.failures), ("the listing was answered with status 500", 1))

    def test_passes(self) -> None:
        """A fault that passes costs nothing (B97)."""
        discovery = self.serve(resets)
        self.read(discovery)
        self.servers[0].reply = lists("a")
        self.network.wait(1.0)
        self.assertEqual((self.models, self.failures()), ({"s0": ["a"]}, []))

    def test_not_given(self) -> None:
        """A 4xx is not asked about again at once, but later, and it recovers without a restart (B95)."""
        discovery = self.serve(says(answer(b"", 401)))
        self.read(discovery, 10.0)
        self.assertEqual(len(self.servers[0].seen), 1)
        self.servers[0].reply = lists("a")
        self.network.wait(201.0)
        self.assertEqual(self.models, {"s0": ["a"]})

    def test_less_and_less(self) -> None:
        """Each failure in a row doubles the pause, up to half an hour (behaviour.md §15)."""
        discovery = self.serve(says(answer(b"", 404)))
        self.read(discovery)
        self.network.wait(12_000.0, 10.0)
        pauses = [event.next_try for event in self.failures()]
        self.assertEqual(pauses[:7], [100.0, 200.0, 400.0, 800.0, 1600.0, 1800.0, 1800.0])
        self.assertEqual(len(self.servers[0].seen), len(pauses))

    def test_for_ever(self) -> None:
        """However often it has failed, it is tried again and said so (B95)."""
        discovery = self.serve(says(answer(b"", 404)))
        for _ in range(1100):
            self.read(discovery)
        self.assertEqual(self.failures()[-1].next_try, 1800.0)
        self.assertEqual(self.failures()[-1].failures, 1100)

    def test_recovered(self) -> None:
        """A reading that somebody asks for does not wait for the pause, and a good one ends it (B20, B95)."""
        discovery = self.serve(says(answer(b"", 404)))
        for _ in range(3):
            self.read(discovery)
        self.servers[0].reply = lists("a")
        self.read(discovery)
        self.assertEqual(self.models, {"s0": ["a"]})
        self.servers[0].reply = says(answer(b"", 404))
        self.read(discovery)
        self.assertEqual([event.failures for event in self.failures()], [1, 2, 3, 1])


class NeighbourTests(DiscoveryCase):
    """Many endpoints."""

    def test_independent(self) -> None:
        """Neither silence nor garbage nor a lie of one endpoint costs another its models (B93)."""
        discovery = self.serve(
            lists("a"),
            says(b""),
            says_and_closes(b"\x00\xff"),
            says(answer(b'{"data": [{"id": 1}, {"id": "d"}, null]}')),
            says(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n{"),
            lists("f"),
            rules=DiscoveryRules(interval=100.0, timeout=10.0, workers=6),
        )
        self.read(discovery)
        self.assertEqual((self.models["s0"], self.models["s5"]), (["a"], ["f"]))
        self.assertIn("d", self.models["s3"])
        self.assertEqual(self.failures("s0") + self.failures("s5"), [])
        self.network.wait(40.0)
        self.assertEqual([len(self.failures(name)) for name in ("s1", "s2", "s4")], [1, 1, 1])

    def test_later_passes(self) -> None:
        """A listing that takes longer than a pass delays no later pass of another (B93)."""
        discovery = self.serve(lists("a"), says(b""), rules=DiscoveryRules(interval=4.0, timeout=30.0))
        self.read(discovery)
        self.network.wait(12.5)
        self.assertEqual([len(server.seen) for server in self.servers], [4, 1])

    def test_workers(self) -> None:
        """Only so many are read at once; the next begins when one is over (behaviour.md §15)."""
        rules = DiscoveryRules(interval=100.0, timeout=10.0, workers=2, attempts=1)
        discovery = self.serve(says(b""), says(b""), lists("c"), rules=rules)
        self.read(discovery)
        self.assertEqual([len(server.seen) for server in self.servers], [1, 1, 0])
        self.network.wait(10.5)
        self.assertEqual(self.models, {"s2": ["c"]})

    def test_first_pass(self) -> None:
        """The first pass comes after one interval: before that each endpoint's good check asks (B20)."""
        self.serve(lists("a"))
        self.network.wait(99.0)
        self.assertEqual(self.servers[0].seen, [])
        self.network.wait(2.0)
        self.assertEqual(len(self.servers[0].seen), 1)

    def test_crash(self) -> None:
        """A fault of ours is logged, frees its place, and ends whoever waits for it (B93)."""
        discovery = self.serve(lists("a"), lists("b"), rules=DiscoveryRules(interval=100.0, workers=1))

        def breaks(member: Member, models: Sequence[ListedModel]) -> None:
            raise ZeroDivisionError

        learned, discovery.learned = discovery.learned, breaks
        waiting = discovery.read(self.members[0])
        self.network.pump()
        self.successResultOf(waiting)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        discovery.learned = learned
        self.read(discovery)
        self.assertEqual(self.models, {"s0": ["a"], "s1": ["b"]})


class StopTests(DiscoveryCase):
    """Stopping."""

    def test_reading(self) -> None:
        """A listing being read, or waiting for its second try or its turn, is abandoned and blames nobody."""
        rules = DiscoveryRules(interval=100.0, workers=2)
        discovery = self.serve(says(b""), says(answer(b"", 500)), lists("c"), rules=rules)
        self.read(discovery)
        self.stop(discovery)
        self.network.wait(40.0)
        self.assertEqual((self.models, self.told), ({}, []))

    def test_unstarted(self) -> None:
        """One that never began has nothing to stop."""
        discovery = self.serve()
        self.stop(discovery)
        fresh = Discovery(
            list,
            discovery.listing,
            discovery.learned,
            discovery.look,
            self.asker,
            self.rules,
            print,
            self.network,
        )
        self.assertIsNone(fresh.stopService())
