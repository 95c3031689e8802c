"""Tests of :mod:`olla.upstream.health`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from email.utils import formatdate
from itertools import pairwise

from twisted.internet.defer import Deferred, DeferredSemaphore

from olla.balance.fleet import CheckOutcome, Member
from olla.upstream.health import HealthChecker
from tests.balance.support import Scene
from tests.support import BackendConnection, Seen, answer, says, says_and_closes
from tests.upstream.asking import AskCase, Reply, endpoint

NOW = 1_700_000_000.0


class HealthCase(AskCase):
    """A fleet whose endpoints are looked at."""

    def setUp(self) -> None:
        super().setUp()
        self.scene = Scene()
        self.turn = DeferredSemaphore(10)
        self.outcomes: list[tuple[str, CheckOutcome]] = []
        self.stopped: list[Deferred[object] | None] = []
        self.urls: dict[str, Sequence[str]] = {}
        self.kinds: list[str] = []

    def checker(self, member: Member) -> HealthChecker:
        """Make what looks at ``member``; it reports to the fleet."""

        def report(member: Member, outcome: CheckOutcome) -> float:
            self.outcomes.append((member.name, outcome))
            now = self.network.seconds()
            self.scene.fleet.checked(member, outcome, now)
            return member.next_check - now

        return self.looking(member, report)

    def looking(self, member: Member, report: Callable[[Member, CheckOutcome], float]) -> HealthChecker:
        """Make what looks at ``member``, where :attr:`urls` say, and reports to ``report``."""

        async def identify(member: Member) -> bool:
            before, member.profile = member.profile, self.kinds.pop(0) if self.kinds else member.profile
            return member.profile != before

        return HealthChecker(
            member,
            self.asker,
            lambda member: self.urls.get(member.profile, (member.endpoint.health_url,)),
            identify,
            report,
            self.turn,
            lambda pause: pause,
            lambda: NOW,
            self.network,
        )

    def watch(self, *plays: Reply, **settings: object) -> list[HealthChecker]:
        """Start looking at servers that do as told; the first listens on port 9000."""
        self.servers = [self.server(9000 + number, play) for number, play in enumerate(plays)]
        self.scene.fleet.replace([endpoint(9000 + number, f"s{number}", **settings) for number in range(len(plays))])
        checkers = [self.checker(member) for member in self.scene.fleet.members]
        for checker in checkers:
            checker.startService()
        self.addCleanup(self.stop, checkers)
        self.network.pump()
        return checkers

    def stop(self, checkers: list[HealthChecker]) -> None:
        """Stop, and prove that nothing is left."""
        for checker in checkers:
            if checker.running:
                stopped = checker.stopService()
                assert stopped is not None
                self.successResultOf(stopped)
        self.assertQuiet()

    def status(self, checker: HealthChecker) -> str:
        """Give the status of the endpoint that it looks at."""
        return checker.member.status.value


class LookTests(HealthCase):
    """One look."""

    def test_statuses(self) -> None:
        """What an endpoint answers says how it is; without an answer it is offline (B11, B12)."""
        plays = {
            "healthy": answer(b"", 204),
            "unhealthy": answer(b"", 404),
            "config_error": answer(b"", 401),
            "rate_limited": answer(b"", 429),
        }
        checkers = self.watch(*map(says, plays.values()), says(answer(b"", 500)), says_and_closes(b"garbage\r\n\r\n"))
        self.network.wait(1.0, 0.05)
        self.assertEqual([self.status(one) for one in checkers], [*plays, "unhealthy", "offline"])

    def test_redirect(self) -> None:
        """A redirect to another host is no answer of its own, and nobody goes there (B11, http-api.md §11.1)."""
        other = self.server(9009, says(answer(b"{}")))
        (checker,) = self.watch(says(answer(b"", 301, Location="http://127.0.0.1:9009/")))
        self.assertEqual((self.status(checker), other.connections), ("offline", []))

    def test_elsewhere(self) -> None:
        """A server that has nothing where it is asked first is asked at the next place; other faults stand (P40)."""

        def play(there: int) -> Reply:
            def reply(connection: BackendConnection, seen: Seen) -> None:
                connection.transport.write(answer(b"", 200 if b"/second" in seen.line else there))

            return reply

        self.urls["auto"] = ("http://127.0.0.1:9000/first", "http://127.0.0.1:9000/second")
        for status, found in ((404, "healthy"), (405, "healthy"), (501, "healthy"), (500, "unhealthy")):
            (checker,) = self.watch(play(status))
            self.assertEqual(self.status(checker), found, status)
            self.stop([checker])

    def test_another_kind(self) -> None:
        """What does not answer well is asked once more where the kind that it turns out to be is asked (P40)."""

        def play(connection: BackendConnection, seen: Seen) -> None:
            connection.transport.write(answer(b"", 200 if b"/health" in seen.line else 404))

        self.urls["auto"] = ("http://127.0.0.1:9000/v1/models",)
        self.kinds = ["auto", "vllm"]
        (checker,) = self.watch(play, check_interval=5.0)
        self.assertEqual(self.status(checker), "unhealthy")
        self.network.wait(5.5, 0.5)
        self.assertEqual((self.status(checker), self.kinds), ("warming", []))

    def test_no_kind(self) -> None:
        """What is well, away or busy is nothing else than before: nobody looks what it is (P22)."""
        self.kinds = ["vllm"]
        self.watch(says(answer(b"{}")), says(answer(b"", 429)), says_and_closes(b"garbage\r\n\r\n"))
        self.network.wait(1.0, 0.1)
        self.assertEqual((len(self.outcomes), self.kinds), (3, ["vllm"]))

    def test_three_attempts(self) -> None:
        """After a fault of the network it is asked twice more, 0.1 s and 0.2 s later (behaviour.md §4)."""
        times: list[float] = []

        def hang_up(connection: BackendConnection, seen: Seen) -> None:
            times.append(self.network.seconds())
            connection.transport.loseConnection()

        (checker,) = self.watch(hang_up)
        self.assertEqual(self.outcomes, [])
        self.network.wait(0.4, 0.1)
        self.assertEqual([round(at, 1) for at in times], [0.0, 0.1, 0.3])
        self.assertEqual(([name for name, _ in self.outcomes], self.status(checker)), (["s0"], "offline"))

    def test_one_lost_packet(self) -> None:
        """One fault followed by a good answer is no outage, and the latency is that of the answer (§4)."""

        def once(connection: BackendConnection, seen: Seen) -> None:
            self.servers[0].reply = says(answer(b"{}"))
            connection.transport.loseConnection()

        (checker,) = self.watch(once)
        self.network.wait(0.2, 0.1)
        self.assertEqual(self.status(checker), "healthy")
        self.assertEqual([outcome.latency for _, outcome in self.outcomes], [0.0])

    def test_nothing_left(self) -> None:
        """What cannot be asked for want of descriptors keeps its state, and is asked again after an interval (R52)."""
        (checker,) = self.watch(says(answer(b"{}")), check_interval=5.0)
        self.network.exhausted = True
        self.network.wait(60.0)
        self.assertEqual((len(self.outcomes), self.status(checker)), (1, "healthy"))
        self.network.exhausted = False
        self.network.wait(5.0)
        self.assertEqual((len(self.outcomes), self.status(checker)), (2, "healthy"))

    def test_timeout(self) -> None:
        """Silence is one attempt, as long as the endpoint's limit, and then it is offline (B12, B15)."""
        (checker,) = self.watch(says(b""), check_timeout=2.0)
        self.network.wait(1.9, 0.1)
        self.assertEqual(self.outcomes, [])
        self.network.wait(0.2, 0.1)
        self.assertEqual(self.status(checker), "offline")
        self.assertEqual(len(self.servers[0].seen), 1)

    def test_stalled_body(self) -> None:
        """A head without the rest of its body is no answer, and the next look comes all the same (B12, B21)."""
        (checker,) = self.watch(says(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"))
        self.network.wait(2.1, 0.1)
        self.assertEqual(self.status(checker), "offline")
        self.servers[0].reply = says(answer(b"{}"))
        self.network.wait(5.0, 0.1)
        self.assertEqual(self.status(checker), "warming")


class ScheduleTests(HealthCase):
    """When the next look is."""

    def test_backoff(self) -> None:
        """Under constant failure the waits are 5, 10, 20, 40, 60, 60 s; a success resets them (B16, B17)."""
        times: list[float] = []

        def fails(connection: BackendConnection, seen: Seen) -> None:
            times.append(self.network.seconds())
            connection.transport.write(answer(b"", 500))

        self.watch(fails, check_interval=5.0)
        self.network.wait(200.0, 0.5)
        waits = [after - before for before, after in pairwise(times)]
        self.assertEqual(waits, [5.0, 10.0, 20.0, 40.0, 60.0, 60.0])
        well: list[float] = []

        def works(connection: BackendConnection, seen: Seen) -> None:
            well.append(self.network.seconds())
            connection.transport.write(answer(b"{}"))

        self.servers[0].reply = works
        self.network.wait(75.0, 0.5)
        self.assertEqual([after - before for before, after in pairwise(well)], [5.0] * (len(well) - 1))
        self.assertGreater(len(well), 2)

    def test_no_drift(self) -> None:
        """The pause begins when a look is over, so that a slow one is not followed at once by the next."""
        times: list[float] = []

        def slow(connection: BackendConnection, seen: Seen) -> None:
            times.append(self.network.seconds())
            self.network.callLater(1.5, connection.transport.write, answer(b"{}"))

        self.watch(slow, check_interval=2.0)
        self.network.wait(8.0, 0.5)
        self.assertEqual(times, [0.0, 3.5, 7.0])
        self.network.wait(2.0, 0.5)

    def test_retry_after_seconds(self) -> None:
        """An endpoint that asks to be left alone for 120 s is (B18)."""
        self.watch(says(answer(b"", 429, Retry_After="120")))
        self.network.wait(119.5, 0.5)
        self.assertEqual(len(self.servers[0].seen), 1)
        self.network.wait(1.0, 0.5)
        self.assertEqual(len(self.servers[0].seen), 2)

    def test_retry_after_date(self) -> None:
        """A date is understood as well (B18)."""
        self.watch(says(answer(b"", 429, Retry_After=formatdate(NOW + 90, usegmt=True))))
        self.network.wait(89.5, 0.5)
        self.assertEqual(len(self.servers[0].seen), 1)
        self.network.wait(1.0, 0.5)
        self.assertEqual(len(self.servers[0].seen), 2)

    def test_retry_after_untold(self) -> None:
        """Without the field, or with nonsense in it, it is 30 s (B18)."""
        self.watch(says(answer(b"", 429)), says(answer(b"", 429, Retry_After="soon")))
        self.network.wait(29.5, 0.5)
        self.assertEqual([len(one.seen) for one in self.servers], [1, 1])
        self.network.wait(1.0, 0.5)
        self.assertEqual([len(one.seen) for one in self.servers], [2, 2])

    def test_no_overlap(self) -> None:
        """Two looks at one endpoint never overlap, however short its interval (B22)."""
        self.watch(says(b""), check_interval=0.5, check_timeout=2.0)
        self.network.wait(1.9, 0.1)
        self.assertEqual(len(self.servers[0].seen), 1)

    def test_slow_neighbour(self) -> None:
        """A slow endpoint delays no look at another (B23)."""
        times: list[float] = []

        def notes(connection: BackendConnection, seen: Seen) -> None:
            times.append(self.network.seconds())
            connection.transport.write(answer(b"{}"))

        self.watch(*[says(b"")] * 3, notes, check_interval=2.0)
        self.network.wait(6.5, 0.5)
        self.assertEqual(times, [0.0, 2.0, 4.0, 6.0])

    def test_turn(self) -> None:
        """Only so many looks run at once, and waiting for its turn costs none its time (behaviour.md §4)."""
        self.turn = DeferredSemaphore(2)
        checkers = self.watch(*[says(b"")] * 2, says(answer(b"{}")), check_timeout=2.0)
        self.assertEqual([len(one.seen) for one in self.servers], [1, 1, 0])
        self.network.wait(2.2, 0.1)
        self.assertEqual(self.status(checkers[2]), "healthy")
        self.assertEqual(self.outcomes[-1][1].latency, 0.0)


class LifeTests(HealthCase):
    """Start, stop, and faults of our own."""

    def test_first(self) -> None:
        """It says when the first look is over, be it good or bad (B2)."""
        good, bad = self.watch(says(answer(b"{}")), says(b""))
        self.successResultOf(good.first)
        self.assertNoResult(bad.first)
        self.network.wait(2.1, 0.1)
        self.successResultOf(bad.first)

    def test_stop_in_flight(self) -> None:
        """Stopping abandons a look under way, at once, blaming nobody and leaving nothing behind (B21)."""
        (checker,) = self.watch(says(b""))
        self.stop([checker])
        self.network.wait(3.0, 0.1)
        self.assertEqual((self.outcomes, self.status(checker)), ([], "unknown"))

    def test_stop_between_attempts(self) -> None:
        """Nor does it go on after the pause between two attempts."""
        (checker,) = self.watch(says_and_closes(b""))
        seen = len(self.servers[0].seen)
        self.stop([checker])
        self.network.wait(3.0, 0.1)
        self.assertEqual((self.outcomes, len(self.servers[0].seen)), ([], seen))

    def test_stop_while_queued(self) -> None:
        """Nor does one that waits for its turn keep its place."""
        self.turn = DeferredSemaphore(1)
        first, second = self.watch(says(b""), says(answer(b"{}")))
        self.stop([second, first])
        self.assertEqual((self.turn.tokens, self.servers[1].seen), (1, []))

    def test_stop_unstarted(self) -> None:
        """One that never began has nothing to stop."""
        self.scene.fleet.replace([endpoint()])
        self.assertIsNone(self.checker(next(iter(self.scene.fleet.members))).stopService())

    def test_crash(self) -> None:
        """A fault of ours is logged, and stops neither this loop nor another (B21)."""
        self.server(9000, says(answer(b"{}")))
        self.scene.fleet.replace([endpoint(check_interval=5.0)])
        (member,) = self.scene.fleet.members
        looks: list[float] = []

        def report(member: Member, outcome: CheckOutcome) -> float:
            looks.append(self.network.seconds())
            raise ZeroDivisionError

        checker = self.looking(member, report)
        checker.startService()
        self.network.pump()
        self.successResultOf(checker.first)
        self.network.wait(5.5, 0.5)
        self.assertEqual(looks, [0.0, 5.0])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)
        self.stop([checker])
