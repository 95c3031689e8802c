"""When another endpoint is asked, which one, and when none is."""

from __future__ import annotations

import json
import time
from email.utils import formatdate
from typing import Any

from twisted.logger import globalLogPublisher

from tests.support import (
    SSE,
    Backend,
    BackendConnection,
    ProxyCase,
    Seen,
    answer,
    chunk,
    on_each_engine,
    resets,
    says,
    says_and_closes,
)

IN_ORDER = {"load_balancer": "priority"}


def closes(connection: BackendConnection, seen: Seen) -> None:
    """Close the connection in good order without an answer."""
    connection.transport.loseConnection()


class InOrder(ProxyCase):
    """Endpoints ``a``, ``b`` and so on, preferred in this order; the last one answers."""

    def begin(self, *failing: Backend, proxy: dict[str, Any] | None = None, **more: Any) -> Backend:
        """Start with ``failing`` before the one that answers; gives that one."""
        good = Backend(play=says(answer({"from": "good"})))
        self.backends = dict(zip("abcd", (*failing, good), strict=False))
        self.start(self.backends, proxy={**IN_ORDER, **(proxy or {})}, **more)
        return good

    def refuse(self, number: int) -> None:
        """Let an endpoint refuse connections from now on."""
        del self.network.listeners[9000 + number]

    def listings(self, backend: Backend) -> list[Seen]:
        """Give the times that a backend was asked for its models."""
        return [seen for seen in backend.probes if "".join(seen.fields("User-Agent")).startswith("olla-Discovery")]

    def circuits(self) -> dict[str, str]:
        """Give the state of each endpoint's breaker."""
        return {one["name"]: one["circuit"] for one in self.status()["endpoints"]}


@on_each_engine
class Failover(InOrder):
    """The preferred endpoint does not answer."""

    def test_same_request_again(self) -> None:
        """The second attempt has the same body, byte for byte, and the same fields (B71, B72)."""
        first = Backend(play=resets)
        second = self.begin(first)
        body = b'{"model" : "m",\r\n"odd":1e400, "pad":"' + b"\xc3\xa9" * 5000 + b'"}'
        self.assertEqual(self.post(body=body, X_Custom="1").json, {"from": "good"})
        ((one,), (other,)) = first.seen, second.seen
        self.assertEqual((one.body, other.body), (body, body))
        fields = [[line for line in seen.head.split(b"\r\n") if line[:5] != b"Host:"] for seen in (one, other)]
        self.assertEqual(fields[0], fields[1])

    def test_refused(self) -> None:
        """A refused POST is answered by the other endpoint, once; the first is offline (C41, B71, R34)."""
        good = self.begin(Backend())
        self.refuse(0)
        client = self.post(body={"model": "m", "n": 1})
        self.assertEqual((client.json, client.field("X-Olla-Attempts")), ({"from": "good"}, "2"))
        self.assertEqual([json.loads(seen.body) for seen in good.seen], [{"model": "m", "n": 1}])
        found = {one["name"]: one["status"] for one in self.status()["endpoints"]}
        self.assertEqual(found, {"a": "offline", "b": "healthy"})

    def test_all_refused(self) -> None:
        """With all refusing it is 502 with each attempt (B73, R41)."""
        self.begin(Backend())
        self.refuse(0)
        self.refuse(1)
        error = self.post().json["error"]
        self.assertEqual([one["endpoint"] for one in error["attempts"]], ["a", "b"])
        self.assertEqual(error["code"], "BACKEND_UNREACHABLE")

    def test_busy_then_refused(self) -> None:
        """An endpoint that was too busy is among the attempts of the final error (http-api.md §8.1)."""
        self.begin(Backend(play=says(answer(b"no", 503))))
        self.refuse(1)
        client = self.post()
        error = client.json["error"]
        self.assertEqual((client.status, client.field("X-Olla-Attempts")), (502, "2"))
        self.assertEqual([one["endpoint"] for one in error["attempts"]], ["a", "b"])
        self.assertEqual(error["attempts"][0]["error"], "answered 503")

    def test_blackholed(self) -> None:
        """Without an answer to the connection within ``connection_timeout`` the other endpoint has it (B77, R35)."""
        self.begin(Backend(), proxy={"connection_timeout": "2s"})
        self.refuse(0)
        self.network.unanswered.add(9000)
        client = self.post()
        self.network.wait(3.0)
        self.assertEqual((client.status, client.json), (200, {"from": "good"}))

    def test_silence_of_post(self) -> None:
        """A POST whose backend says nothing may be at work: 502 in time, and no second backend (C35, C45, R32)."""
        good = self.begin(Backend(), proxy={"response_header_timeout": "3s"})
        client = self.post()
        self.network.wait(4.0)
        self.assertEqual((client.status, client.json["error"]["code"]), (502, "BACKEND_TIMEOUT"))
        self.assertEqual(good.seen, [])

    def test_silence_without_effect(self) -> None:
        """A GET has no effect, and goes to the other endpoint after a silence (http-api.md §6.3)."""
        self.begin(Backend(), proxy={"response_header_timeout": "3s"})
        client = self.get("/olla/proxy/v1/x")
        self.network.wait(4.0)
        self.assertEqual(client.json, {"from": "good"})

    def test_listed_statuses(self) -> None:
        """503 and 429 of one endpoint are another's chance, a 500 is an answer (B75, B79, http-api.md §6.3)."""
        for status, answered in ((429, 200), (503, 200), (500, 500)):
            self.setUp()
            good = self.begin(Backend(play=says(answer(b"no", status))))
            self.assertEqual((self.post().status, len(good.seen)), (answered, answered == 200))
            self.stop()

    def test_clean_close_of_post(self) -> None:
        """A backend that closes a POST in good order may have worked on it: 502, and nobody else is asked (C45)."""
        second = self.begin(Backend(play=closes))
        client = self.post()
        self.assertEqual((client.status, client.json["error"]["code"]), (502, "BACKEND_PROTOCOL_ERROR"))
        self.assertEqual(second.seen, [])

    def test_clean_close_without_effect(self) -> None:
        """What has no effect is asked of another endpoint after a clean close (R36, http-api.md §6.3)."""
        for path in ("embeddings", "rerank", "tokenize", "detokenize", "score", "classify", "moderations", None):
            self.setUp()
            first = Backend(play=closes)
            second = self.begin(first)
            client = self.post(f"/olla/proxy/v1/{path}") if path else self.get("/olla/proxy/v1/anything")
            self.assertEqual((client.status, len(first.seen), len(second.seen)), (200, 1, 1), path)
            self.stop()

    def test_head_in_part(self) -> None:
        """A reset amid the head of an answer comes after its first byte: a POST stays where it was (R40)."""

        def play(connection: BackendConnection, seen: Seen) -> None:
            connection.transport.write(b"HTTP/1.1 200 OK\r\nContent-")
            self.network.callLater(0.1, connection.transport.abortConnection)

        second = self.begin(Backend(play=play))
        client = self.post()
        self.network.wait(0.5)
        self.assertEqual((client.status, second.seen), (502, []))

    def test_each_endpoint_once(self) -> None:
        """With all resetting, each is asked once, and 502 lists them in order (B73, R42)."""
        failing = [Backend(play=resets) for _ in range(3)]
        self.begin(*failing).play = resets
        error = self.post().json["error"]
        self.assertEqual([one["endpoint"] for one in error["attempts"]], ["a", "b", "c", "d"])
        self.assertEqual([len(one.seen) for one in self.backends.values()], [1, 1, 1, 1])
        self.assertNotIn("127.0.0.1:5", json.dumps(error))

    def test_max_attempts(self) -> None:
        """``retry.max_attempts`` ends the search, for failures and for listed statuses (http-api.md §6.3)."""
        for play, status in ((resets, 502), (says(answer(b"busy", 503)), 503)):
            self.setUp()
            good = self.begin(Backend(play=play), Backend(play=play), proxy={"retry": {"max_attempts": 2}})
            self.assertEqual((self.post().status, good.seen), (status, []))
            self.stop()

    def test_retry_switched_off(self) -> None:
        """``retry.enabled: false`` asks one endpoint, whatever it says (http-api.md §6.3)."""
        for play, status in ((resets, 502), (says(answer(b"busy", 503)), 503)):
            self.setUp()
            good = self.begin(Backend(play=play), proxy={"retry": {"enabled": False}})
            self.assertEqual((self.post().status, good.seen), (status, []))
            self.stop()

    def test_no_retry_of_connections(self) -> None:
        """``retry.on_connection_failure: false`` leaves a reset request alone (http-api.md §6.3)."""
        good = self.begin(Backend(play=resets), proxy={"retry": {"on_connection_failure": False}})
        self.assertEqual((self.post().status, good.seen), (502, []))

    def test_own_list_of_statuses(self) -> None:
        """``retry.on_status_codes`` takes the place of 429 and 503 (http-api.md §6.3)."""
        first = Backend(play=says(answer(b"busy", 503)))
        good = self.begin(first, proxy={"retry": {"on_status_codes": [500]}})
        self.assertEqual((self.post().status, good.seen), (503, []))
        first.play = says(answer(b"no", 500))
        self.assertEqual(self.post().json, {"from": "good"})

    def test_rest_after_a_listed_status(self) -> None:
        """Who answers any listed status is left alone for its Retry-After, or two seconds (behaviour.md §12)."""
        first = Backend(play=says(answer(b"overloaded", 529, Retry_After="20")))
        good = self.begin(first, proxy={"retry": {"on_status_codes": [529, 500]}})
        self.assertEqual([self.post().json for _ in range(3)], [{"from": "good"}] * 3)
        self.assertEqual((len(first.seen), len(good.seen)), (1, 3))
        self.network.wait(21.0)
        first.play = says(answer(b"no", 500))
        self.assertEqual([self.post().status for _ in range(3)], [200] * 3)
        self.assertEqual((len(first.seen), len(good.seen)), (2, 6))
        self.network.wait(2.5)
        self.post()
        self.assertEqual((len(first.seen), len(good.seen)), (3, 7))

    def test_all_busy(self) -> None:
        """With all busy the last one's answer is relayed, not wrapped, with its Retry-After (C58, R39)."""
        last = self.begin(Backend(play=says(answer(b"first", 503, Retry_After="3"))))
        last.play = says(answer(b"last", 429, Retry_After="9"))
        client = self.post()
        self.assertEqual((client.status, client.body, client.field("Retry-After")), (429, b"last", "9"))
        self.assertEqual(client.field("X-Olla-Endpoint"), "b")

    def test_busy_answer_is_let_go(self) -> None:
        """The connection of a busy answer that was passed over is not left open (http-api.md §6.3)."""
        first = Backend(play=says(b"HTTP/1.1 503 X\r\nContent-Length: 1000\r\n\r\nhalf"))
        self.begin(first)
        self.assertEqual(self.post().status, 200)
        self.network.pump(0.2)
        asked = [one for one in first.connections if b"POST" in one.transport.other.sent]
        self.assertEqual([one.lost is None for one in asked], [False])

    def test_cooling_down(self) -> None:
        """A busy endpoint is left alone for its Retry-After (http-api.md §6.3)."""
        first = Backend(play=says(answer(b"busy", 503, Retry_After="20")))
        self.begin(first)
        for _ in range(3):
            self.assertEqual(self.post().status, 200)
            self.network.wait(5.0)
        self.assertEqual(len(first.seen), 1)
        self.network.wait(8.0)
        self.post()
        self.assertEqual(len(first.seen), 2)

    def test_cooling_down_until_a_date(self) -> None:
        """Retry-After may be a date as well (http-api.md §6.3, RFC 9110 §10.2.3)."""
        until = formatdate(time.time() + 20.0, usegmt=True)
        first = Backend(play=says(answer(b"busy", 503, Retry_After=until)))
        self.begin(first)
        self.post()
        first.play = says(answer({"from": "a"}))
        self.network.wait(15.0, 0.5)
        self.assertEqual(self.post().json, {"from": "good"})
        self.network.wait(6.0, 0.5)
        self.assertEqual(self.post().json, {"from": "a"})

    def test_outage_is_remembered(self) -> None:
        """Of an outage that lasts the log reminds at the sixth bad check, and not before (behaviour.md §4)."""
        said: list[dict[str, Any]] = []
        globalLogPublisher.addObserver(said.append)
        self.addCleanup(globalLogPublisher.removeObserver, said.append)
        self.begin(Backend(healthy=500))
        for seconds, reminders in ((100.0, 0), (80.0, 1)):
            self.network.wait(seconds, 1.0)
            told = [one for one in said if one["log_format"] == "Endpoint still having issues:"]
            self.assertEqual([(one["endpoint"], one["consecutive_failures"]) for one in told], [("a", 6)] * reminders)

    def test_blackholed_for_ever(self) -> None:
        """A single endpoint that never takes connections is 502 after ``connection_timeout`` (B77, R41)."""
        self.start({"a": Backend()}, proxy={"connection_timeout": "2s"})
        self.refuse(0)
        self.network.unanswered.add(9000)
        client = self.post()
        self.network.wait(1.5)
        self.assertEqual(client.got, b"")
        self.network.wait(1.0)
        self.assertEqual((client.status, client.json["error"]["code"]), (502, "BACKEND_UNREACHABLE"))

    def test_back_by_the_next_check(self) -> None:
        """A check in good order makes an endpoint serve again, listed anew, that refused a request (B80, R44)."""
        first = Backend(play=says(answer({"from": "first"})))
        self.begin(first)
        self.refuse(0)
        self.assertEqual(self.post().json, {"from": "good"})
        self.network.listeners[9000] = first
        listings = len(self.listings(first))
        self.network.wait(40.0)
        self.assertEqual(self.post().json, {"from": "first"})
        self.assertEqual(len(self.listings(first)), listings + 1)

    def test_one_dies_under_load(self) -> None:
        """A hundred requests at once, one endpoint dead: all are answered, by as many at the other (R43)."""
        good = self.begin(Backend(play=resets))
        clients = [self.post() for _ in range(100)]
        self.assertEqual({client.status for client in clients}, {200})
        self.assertEqual(len(good.seen), 100)


@on_each_engine
class Stale(InOrder):
    """Kept connections that the backend has closed."""

    def test_closed_while_idle(self) -> None:
        """A connection that the backend closed while idle is not used again (R37)."""
        backend = Backend(play=says(answer({"n": 1})))
        self.start({"a": backend})
        self.post()
        for connection in backend.connections:
            connection.transport.loseConnection()
        self.network.pump(1.0)
        self.assertEqual(self.post().status, 200)
        self.assertEqual(len(backend.seen), 2)

    def test_reset_on_use(self) -> None:
        """A kept connection reset on use is replaced at the same endpoint, once, which stays well (R37, B76)."""
        for ends in (resets, closes):
            self.setUp()
            used: set[BackendConnection] = set()

            def play(connection: BackendConnection, seen: Seen, ends: Any = ends, used: Any = used) -> None:
                if connection in used:
                    ends(connection, seen)
                else:
                    used.add(connection)
                    connection.transport.write(answer({"n": len(used)}))

            other = self.begin(Backend(play=play))
            self.assertEqual(self.post().json, {"n": 1})
            client = self.post(body=b'{"model": "m", "n": 2}')
            self.assertEqual((client.json, client.field("X-Olla-Endpoint")), ({"n": 2}, "a"))
            self.assertEqual([seen.body for seen in self.backends["a"].seen[1:]], [b'{"model": "m", "n": 2}'] * 2)
            self.assertEqual((other.seen, self.status()["endpoints"][0]["status"]), ([], "healthy"))
            self.stop()

    def test_not_for_ever(self) -> None:
        """When the new connection fails as well it is a failure like any other (R37, R42)."""
        backend = Backend(play=says(answer({})))
        other = self.begin(backend)
        self.post()
        backend.play = resets
        self.assertEqual(self.post().json, {"from": "good"})
        self.assertEqual((len(backend.seen), len(other.seen)), (3, 1))


@on_each_engine
class Breaker(InOrder):
    """An endpoint that keeps failing."""

    failing = answer(b"", 503, Retry_After="0")

    def fail_often(self, times: int) -> None:
        """Send requests one after the other, with pauses longer than an endpoint cools down."""
        for _ in range(times):
            self.assertEqual(self.post().status, 200)
            self.network.wait(2.5, 0.5)

    def test_opens(self) -> None:
        """The fifth failure in a row opens it, the fourth does not; the other answers all the time (B24, B28, C135)."""
        first = Backend(play=says(self.failing))
        self.begin(first)
        self.fail_often(4)
        self.assertEqual(self.circuits(), {"a": "closed", "b": "closed"})
        self.fail_often(1)
        self.assertEqual(self.circuits(), {"a": "open", "b": "closed"})
        self.fail_often(5)
        self.assertEqual(len(first.seen), 5)

    def test_opens_for_silence(self) -> None:
        """Five requests in a row that are not answered in time open it, too (B24)."""
        first = Backend()
        self.begin(first, proxy={"response_header_timeout": "1s"})
        for number in range(5):
            self.assertEqual(self.circuits()["a"], "closed", number)
            client = self.post()
            self.network.wait(1.5)
            self.assertEqual(client.status, 502)
        self.assertEqual(self.circuits()["a"], "open")
        self.assertEqual(self.post().json, {"from": "good"})
        self.assertEqual(len(first.seen), 5)

    def test_one_trial(self) -> None:
        """After thirty seconds exactly one request tries it while others come; failing shuts it again (B25, B26)."""
        first = Backend(play=says(self.failing))
        good = self.begin(first)
        self.fail_often(5)
        self.network.wait(29.0, 0.5)
        first.play = lambda connection, seen: None
        trial, *others = [self.post() for _ in range(20)]
        self.assertEqual((len(first.seen), trial.got), (6, b""))
        self.assertEqual({other.status for other in others}, {200})
        (held,) = [one for one in first.connections if one.lost is None and one.transport.other.sent[:4] == b"POST"][
            -1:
        ]
        held.transport.write(self.failing)
        self.network.pump()
        self.assertEqual(trial.json, {"from": "good"})
        self.fail_often(8)
        self.assertEqual((len(first.seen), self.circuits()["a"]), (6, "open"))
        self.assertEqual(len(good.seen), 5 + 20 + 8)

    def test_one_death_of_many_streams(self) -> None:
        """A server that dies under ten streams and is restarted takes part again as soon as it is healthy (R44)."""
        first = Backend(play=says(SSE + chunk(b"data: 1\n\n")))
        self.begin(first)
        streams = [self.post() for _ in range(10)]
        self.refuse(0)
        for connection in first.connections:
            connection.transport.abortConnection()
        self.network.pump(0.1)
        self.assertEqual([stream.lost is None for stream in streams], [False] * 10)
        self.assertEqual([self.post().json for _ in range(10)], [{"from": "good"}] * 10)
        first.play = says(answer({"from": "a"}))
        self.network.listeners[9000] = first
        self.network.wait(20.0)
        self.assertEqual(self.post().json, {"from": "a"})
        self.assertEqual(self.circuits(), {"a": "closed", "b": "closed"})

    def test_one_death_of_the_only_one(self) -> None:
        """Where nobody else is left it is back within two checks (R44)."""
        only = Backend(play=says(SSE + chunk(b"data: 1\n\n")))
        self.start({"a": only})
        for _ in range(10):
            self.post()
        self.refuse(0)
        for connection in only.connections:
            connection.transport.abortConnection()
        self.network.pump(0.1)
        self.assertEqual([self.post().status for _ in range(10)], [502] + [503] * 9)
        only.play = says(answer({"from": "a"}))
        self.network.listeners[9000] = only
        self.network.wait(10.0)
        self.assertEqual(self.post().json, {"from": "a"})

    def test_cut_again_and_again(self) -> None:
        """One that breaks off one stream after the other, with time between them, is closed off (behaviour.md §12)."""
        first = Backend(play=says_and_closes(SSE + chunk(b"data: 1\n\n")))
        self.begin(first)
        for number in range(5):
            self.assertEqual(self.circuits()["a"], "closed", number)
            self.post()
            self.network.wait(1.5)
        self.assertEqual(self.circuits()["a"], "open")

    def test_open_until_an_outage_is_over(self) -> None:
        """What is closed off and then down is tried as soon as a check finds it well (R44)."""
        first = Backend(play=says(self.failing))
        self.begin(first)
        self.fail_often(5)
        first.healthy = 500
        self.network.wait(6.0)
        first.healthy, first.play = 200, says(answer({"from": "a"}))
        self.network.wait(18.0)
        self.assertEqual(self.circuits()["a"], "half-open")
        self.assertEqual(self.post().json, {"from": "a"})
        self.assertEqual(self.circuits()["a"], "closed")

    def test_success_resets_the_count(self) -> None:
        """An answer in between starts the count anew, and 400 is an answer (B24, B30)."""
        first = Backend(play=says(self.failing))
        self.begin(first)
        self.fail_often(4)
        first.play = says(answer(b"bad", 400))
        self.assertEqual(self.post().status, 400)
        first.play = says(self.failing)
        self.fail_often(4)
        self.assertEqual(self.circuits()["a"], "closed")

    def test_nobody_left(self) -> None:
        """With every circuit open it is 503 with when to return, and no backend is bothered (http-api.md §8.3)."""
        backend = Backend(play=says(self.failing))
        self.start({"a": backend})
        for _ in range(5):
            self.post()
            self.network.wait(2.5, 0.5)
        client = self.post()
        self.assertEqual((client.status, client.json["error"]["code"]), (503, "CIRCUIT_OPEN"))
        self.assertTrue(1 <= int(client.field("Retry-After") or "0") <= 30)
        self.assertEqual(len(backend.seen), 5)

    def test_switched_off(self) -> None:
        """``circuit_breaker.enabled: false`` asks a failing endpoint every time (config.md)."""
        first = Backend(play=says(self.failing))
        self.begin(first, proxy={"circuit_breaker": {"enabled": False}})
        self.fail_often(8)
        self.assertEqual(len(first.seen), 8)


@on_each_engine
class Queueing(ProxyCase):
    """Endpoints that take so many requests at once."""

    def begin(self, limit: int, **queue: Any) -> None:
        """Start one endpoint that holds every request; :attr:`held` are its connections."""
        self.held: list[BackendConnection] = []
        self.backend = Backend(play=lambda connection, seen: self.held.append(connection))
        self.start({"a": self.backend}, endpoint={"max_concurrent_requests": limit}, proxy={"queue": queue})

    def reply(self, number: int) -> None:
        """Let a held request be answered with its number."""
        self.held[number].transport.write(answer({"n": number}))
        self.network.pump()

    def test_queue_is_full(self) -> None:
        """Where so many wait as may, the next one is refused at once: 503 (design.md §5, http-api.md §8.3)."""
        self.begin(1, max_waiting=1)
        _, waiting, refused = self.post(), self.post(), self.post()
        self.assertEqual((waiting.got, len(self.backend.seen)), (b"", 1))
        self.assertEqual((refused.status, refused.json["error"]["code"]), (503, "QUEUE_FULL"))

    def test_in_order(self) -> None:
        """Those who wait are served in the order they came, never more at once than allowed (design.md §5)."""
        self.begin(2)
        clients = [self.post() for _ in range(6)]
        for number in range(6):
            self.assertEqual(len(self.backend.seen), min(2 + number, 6))
            self.reply(number)
        self.assertEqual([client.json["n"] for client in clients], list(range(6)))

    def test_waits_so_long(self) -> None:
        """Who waits longer than ``queue.timeout`` is told to come back: 503 (design.md §5)."""
        self.begin(1, timeout="3s")
        first, second = self.post(), self.post()
        self.network.wait(2.5)
        self.assertEqual(second.got, b"")
        self.network.wait(1.0)
        self.assertEqual(second.status, 503)
        self.assertIsNotNone(second.field("Retry-After"))
        self.reply(0)
        self.assertEqual((first.status, len(self.backend.seen)), (200, 1))

    def test_leaves_the_queue(self) -> None:
        """A client that leaves while waiting gives its place up, and no backend hears of it (C43)."""
        self.begin(1, max_waiting=1)
        self.post()
        gone = self.post()
        gone.transport.abortConnection()
        self.network.pump(0.2)
        last = self.post()
        self.assertEqual(last.got, b"")
        self.reply(0)
        self.reply(1)
        self.assertEqual((last.json, len(self.backend.seen)), ({"n": 1}, 2))

    def test_slot_freed_by_leaving(self) -> None:
        """A client that leaves its backend frees the slot for the next one (B85)."""
        self.begin(1)
        first, second = self.post(), self.post()
        first.transport.abortConnection()
        self.network.pump(0.2)
        self.reply(1)
        self.assertEqual(second.json, {"n": 1})
