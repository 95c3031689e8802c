"""Several workers are one proxy: limits, sessions, health and figures are those of the whole."""

from __future__ import annotations

import json
import time

from tests.crew.support import CrewCase
from tests.support import SSE, Backend, BackendConnection, Client, answer, chunk, request, says

LIMITS = {
    "per_ip_requests_per_minute": 60,
    "burst_size": 5,
    "global_requests_per_minute": 0,
    "health_requests_per_minute": 0,
}
LAST = b"0\r\n\r\n"


class Limits(CrewCase):
    """Who is let in."""

    def test_per_client(self) -> None:
        """A client's burst is its burst, whichever worker it meets; then 429 with when to return (issue 4 item 6)."""
        self.start({"a": Backend(play=says(answer({})))}, server={"rate_limits": LIMITS})
        asked = [self.post(1 + number % 2) for number in range(8)]
        self.assertEqual([one.status for one in asked], [200] * 5 + [429] * 3)
        self.assertEqual([one.field("X-RateLimit-Remaining") for one in asked[:6]], ["4", "3", "2", "1", "0", "0"])
        self.assertEqual(asked[5].field("Retry-After"), "1")
        self.assertEqual(self.post(1, peer="192.0.2.8").status, 200)

    def test_everybody(self) -> None:
        """The limit of all clients together does not multiply by workers (issue 4 item 6)."""
        limits = {**LIMITS, "per_ip_requests_per_minute": 0, "global_requests_per_minute": 60, "global_burst_size": 3}
        self.start({"a": Backend(play=says(answer({})))}, size=3, server={"rate_limits": limits})
        asked = [self.post(1 + n % 3, peer=f"192.0.2.{n}").status for n in range(6)]
        self.assertEqual(asked, [200] * 3 + [429] * 3)

    def test_pages(self) -> None:
        """The limit of our own pages is shared as well."""
        limits = {**LIMITS, "per_ip_requests_per_minute": 0, "health_requests_per_minute": 60, "burst_size": 2}
        self.start({}, server={"rate_limits": limits})
        asked = [self.get(1 + n % 2, "/internal/health").status for n in range(4)]
        self.assertEqual(asked, [200, 200, 429, 429])

    def test_listings(self) -> None:
        """A listing counts against the same limit as what is proxied."""
        self.start({"a": Backend(play=says(answer({})))}, server={"rate_limits": {**LIMITS, "burst_size": 2}})
        self.assertEqual([self.get(1, "/olla/models").status, self.post(2).status], [200, 200])
        self.assertEqual(self.get(2, "/olla/models").status, 429)

    def test_uploads(self) -> None:
        """A body that comes late is admitted once."""
        self.start({"a": Backend(play=says(answer({})))}, server={"rate_limits": {**LIMITS, "burst_size": 1}})
        head = (
            b"POST /olla/openai/v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 13\r\n"
            b"Content-Type: application/json\r\n\r\n"
        )
        client = self.send(1, head)
        client.transport.write(b'{"model":"m"}')
        self.network.pump()
        self.assertEqual(client.status, 200)
        self.assertEqual(self.post(2).status, 429)

    def refuse_early(self, engine: str) -> None:
        """Check that a refused client hears of it before it has sent its body."""
        limits = {**LIMITS, "burst_size": 1}
        self.start({"a": Backend(play=says(answer({})))}, server={"rate_limits": limits}, proxy={"engine": engine})
        for number, framing in enumerate(
            (b"Content-Length: 13", b"Transfer-Encoding: chunked", b"Expect: 100-continue\r\nContent-Length: 13")
        ):
            peer = f"192.0.2.{number}"
            self.assertEqual(self.post(1, peer=peer).status, 200)
            head = b"POST /olla/openai/v1/x HTTP/1.1\r\nHost: a\r\n" + framing + b"\r\n\r\n"
            client = self.send(2, head, peer=peer)
            self.network.pump()
            answers = client.got.replace(b"HTTP/1.1 100 Continue\r\n\r\n", b"")
            self.assertEqual((answers[:13], answers.count(b"HTTP/1.1 ")), (b"HTTP/1.1 429 ", 1), framing)

    def test_no_body_is_waited_for(self) -> None:
        """A refused client hears of it before it has sent its body (http-api.md §1.2, issue 4 item 6)."""
        self.refuse_early("olla")

    def test_no_body_is_waited_for_at_sherpa(self) -> None:
        """So it does on Twisted's server (http-api.md §1.2, issue 4 item 6)."""
        self.refuse_early("sherpa")

    def test_too_large(self) -> None:
        """What is announced too large counts as a request, as it does without workers (http-api.md §1.2, R54)."""
        self.start(
            {"a": Backend(play=says(answer({})))},
            server={"rate_limits": {**LIMITS, "burst_size": 2}, "request_limits": {"max_body_size": 100}},
        )
        head = b"POST /olla/openai/v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: 101\r\n\r\n"
        self.assertEqual([self.send(1, head).status for _ in range(2)], [413, 413])
        self.assertEqual(self.post(2).status, 429)

    def test_requests_of_an_endpoint(self) -> None:
        """``requests_per_minute`` of an endpoint is for all workers together; one that is empty is passed over."""
        first, second = Backend(play=says(answer({}))), Backend(play=says(answer({})))
        proxy = {"load_balancer": "priority"}
        self.start({"a": first, "b": second}, {"requests_per_minute": 2}, size=3, proxy=proxy)
        asked = [self.post(1 + n % 3) for n in range(6)]
        self.assertEqual([one.status for one in asked], [200] * 4 + [429] * 2)
        self.assertEqual((len(first.seen), len(second.seen)), (2, 2))
        self.assertEqual(asked[4].field("Retry-After"), "30")

    def test_no_retry_where_nothing_is_left(self) -> None:
        """A worker knows that the others have had what an endpoint may be sent, and keeps a backend's own 503."""
        first, second = Backend(play=says(answer({}, 503))), Backend(play=says(answer({})))
        proxy = {"load_balancer": "priority"}
        self.start({"a": first, "b": second}, {"requests_per_minute": 2}, proxy=proxy)
        self.assertEqual([self.post(1).status for _ in range(2)], [200, 200])
        self.network.wait(3.0)
        self.assertEqual(self.post(2).status, 503)

    def test_nobody_is_asked_without_limits(self) -> None:
        """Where nothing is limited a request costs no question."""
        self.start({"a": Backend(play=says(answer({})))})
        desk = self.workers[1].service.desk
        self.assertEqual(self.post(1).status, 200)
        self.assertEqual(desk.number(), 0)


class Crowds(CrewCase):
    """``server.max_connections``."""

    def test_of_all_workers(self) -> None:
        """So many clients may be connected to all workers together; room at one is room at each (design.md §4)."""
        self.start({"a": Backend(play=says(answer({})))}, size=3, server={"max_connections": 4})
        clients = [self.post(1 + n % 3) for n in range(6)]
        self.assertEqual([one.status for one in clients], [200] * 4 + [503] * 2)
        self.assertEqual(clients[4].json["error"]["code"], "TOO_MANY_CLIENTS")
        clients[0].transport.loseConnection()
        self.network.wait(0.5, 0.05)
        self.assertEqual([self.post(3).status, self.post(1).status], [200, 503])

    def test_a_dead_worker_has_nobody(self) -> None:
        """The clients of a worker that was killed are not counted any more, and its successor knows of the others."""
        self.start({"a": Backend(play=says(answer({})))}, server={"max_connections": 2})
        self.assertEqual([self.post(1).status, self.post(2).status, self.post(2).status], [200, 200, 503])
        self.workers[1].kill()
        self.network.wait(0.5, 0.05)
        self.assertEqual([self.post(1).status, self.post(1).status, self.post(2).status], [200, 503, 503])


class Slots(CrewCase):
    """``max_concurrent_requests``."""

    def test_slots_are_counted_once(self) -> None:
        """An endpoint with two slots works on two requests of all workers; the third waits, in one queue."""
        backend = Backend(play=says(SSE + chunk(b"data: 1\n\n")))
        self.start({"a": backend}, {"max_concurrent_requests": 2})
        first, second, third = self.post(1), self.post(2), self.post(1)
        fourth = self.post(2)
        self.assertEqual([one.got[9:12] for one in (first, second, third, fourth)], [b"200", b"200", b"", b""])
        self.assertEqual(len(backend.seen), 2)
        backend.connections[-1].transport.write(LAST)
        self.network.pump()
        self.assertTrue(second.whole)
        self.assertEqual([third.got[9:12], fourth.got[9:12]], [b"200", b""])
        self.assertEqual(self.status(1)["system"]["active_connections"], 2)

    def test_waiting_client_leaves(self) -> None:
        """A client that leaves the queue leaves it for those behind it."""
        backend = Backend(play=says(SSE + chunk(b"data: 1\n\n")))
        self.start({"a": backend}, {"max_concurrent_requests": 1})
        self.post(1)
        leaving, staying = self.post(2), self.post(2)
        leaving.transport.abortConnection()
        self.network.pump()
        self.assertEqual(self.supervisor.parts.fleet.waiting, 1)
        backend.connections[-1].transport.write(LAST)
        self.network.pump()
        self.assertEqual(staying.status, 200)

    def test_full_queue(self) -> None:
        """The queue's limit is that of the whole, and its refusal is the client's."""
        backend = Backend(play=says(SSE + chunk(b"data: 1\n\n")))
        self.start({"a": backend}, {"max_concurrent_requests": 1}, proxy={"queue": {"max_waiting": 1}})
        self.post(1)
        self.post(1)
        refused = self.post(2)
        self.assertEqual((refused.status, refused.json["error"]["code"]), (503, "QUEUE_FULL"))
        self.assertEqual(refused.field("Retry-After"), "1")

    def test_a_dead_worker_holds_nothing(self) -> None:
        """Slots and counts of a worker that was killed are free at once, and another takes its place."""
        backend = Backend(play=says(SSE + chunk(b"data: 1\n\n")))
        self.start({"a": backend}, {"max_concurrent_requests": 1})
        self.post(1)
        waiting = self.post(2)
        dead = self.workers[1]
        dead.kill()
        self.assertEqual(waiting.status, 200)
        self.network.wait(0.5, 0.05)
        self.assertIsNot(self.workers[1], dead)
        self.assertEqual(self.status(1)["system"]["active_connections"], 1)


class Sessions(CrewCase):
    """Sticky sessions."""

    def test_one_endpoint_for_all_workers(self) -> None:
        """A session that began at one worker stays at its endpoint at every other (C52, issue 4 item 6)."""
        backends = {name: Backend(play=says(answer({}))) for name in ("a", "b")}
        self.start(backends, size=3, proxy={"load_balancer": "round-robin", "sticky_sessions": {"enabled": True}})
        for session in ("one", "two", "three"):
            asked = [self.post(1 + n % 3, X_Olla_Session_ID=session) for n in range(4)]
            self.assertEqual([one.field("X-Olla-Sticky-Session") for one in asked], ["miss", "hit", "hit", "hit"])
            self.assertEqual(len({one.field("X-Olla-Endpoint") for one in asked}), 1)
        counts = self.get(2, "/internal/stats/sticky").json
        self.assertEqual(counts["hits"], 9)

    def test_heard_in_any_order(self) -> None:
        """Who had an answer from one worker is known at another, whomever the first process hears first (C52)."""
        asked: list[BackendConnection] = []
        waits = Backend(play=lambda connection, seen: asked.append(connection))
        proxy = {"sticky_sessions": {"enabled": True}, "load_balancer": "round-robin"}
        self.start({"a": waits, "b": waits}, size=3, proxy=proxy)
        for worker in (1, 2):
            first = self.post(worker, X_Olla_Session_ID=f"by {worker}")
            link = self.workers[worker].service.desk.link.transport
            link.stalled = True
            asked[-1].transport.write(answer({}))
            self.network.pump()
            then = self.post(3, X_Olla_Session_ID=f"by {worker}")
            asked[-1].transport.write(answer({}))
            self.network.pump()
            self.assertEqual(then.field("X-Olla-Endpoint"), first.field("X-Olla-Endpoint"))
            self.assertEqual(then.field("X-Olla-Sticky-Session"), "hit")

    def test_load_is_exact(self) -> None:
        """What has just begun at any worker spills a session, and what has just ended does not (http-api.md §7.5)."""
        running: list[BackendConnection] = []
        waits = Backend(play=lambda connection, seen: running.append(connection))
        proxy = {"sticky_sessions": {"enabled": True}, "load_balancer": "round-robin"}
        self.start({"a": waits, "b": waits}, size=3, proxy=proxy)

        def ask(worker: int) -> Client:
            return self.post(worker, X_Olla_Session_ID="s")

        def finish() -> None:
            while running:
                running.pop().transport.write(answer({}))
            self.network.pump()

        def told(clients: list[Client]) -> list[str]:
            return [client.field("X-Olla-Sticky-Session") for client in clients]

        first = ask(1)
        finish()
        self.assertEqual(told([first]), ["miss"])
        asked = [ask(worker) for worker in (1, 2, 3, 1)]
        self.network.wait(0.5, 0.05)
        finish()
        self.assertEqual(told(asked), ["hit", "hit", "hit", "miss"])
        last = ask(2)
        finish()
        self.assertEqual(told([last]), ["hit"])
        self.assertEqual(last.field("X-Olla-Endpoint"), first.field("X-Olla-Endpoint"))

    def test_lost_endpoint(self) -> None:
        """When the endpoint of a session is lost, another has it from then on, for all workers (C53)."""
        backends = {name: Backend(play=says(answer({}))) for name in ("a", "b")}
        self.start(backends, proxy={"sticky_sessions": {"enabled": True}, "load_balancer": "priority"})
        self.assertEqual(self.post(1, X_Olla_Session_ID="s").field("X-Olla-Endpoint"), "a")
        del self.network.listeners[9000]
        for connection in backends["a"].connections:
            connection.transport.loseConnection()
        self.network.pump()
        moved, again = self.post(2, X_Olla_Session_ID="s"), self.post(1, X_Olla_Session_ID="s")
        said = [(one.field("X-Olla-Endpoint"), one.field("X-Olla-Sticky-Session")) for one in (moved, again)]
        self.assertEqual(said, [("b", "repin"), ("b", "hit")])


class MadeObjects(CrewCase):
    """What one backend has made, and no other has."""

    def test_found_at_every_worker(self) -> None:
        """Who goes on from a stored response at another worker is sent to the endpoint that has it."""
        backends = {
            name: Backend(play=says(answer({"id": f"resp_{name}", "object": "response"}))) for name in ("a", "b")
        }
        self.start(backends, size=3, proxy={"load_balancer": "round-robin"})
        body = {"model": "m", "input": "hi"}
        path = "/olla/openai/v1/responses"
        for worker in (1, 1, 2):
            made = self.send(worker, request("POST", path, body))
            again = {**body, "previous_response_id": made.json["id"]}
            for other in (3, 2, 1):
                followed = self.send(other, request("POST", path, again))
                self.assertEqual(followed.field("X-Olla-Endpoint"), made.field("X-Olla-Endpoint"))


class Endpoints(CrewCase):
    """Health, breakers and models."""

    def test_checked_once(self) -> None:
        """Checks and listings are asked once for each endpoint, not once for each worker (issue 4 item 6)."""
        backend = Backend(play=says(answer({})))
        self.start({"a": backend}, size=3)
        self.network.wait(12.0)
        purposes = ["".join(one.fields("user-agent")).partition("/")[0] for one in backend.probes]
        self.assertLessEqual(purposes.count("olla-HealthChecker"), 4)
        self.assertEqual(purposes.count("olla-Discovery"), 1)

    def test_lost_for_all(self) -> None:
        """What one worker finds unreachable is offered to no client of another."""
        backend = Backend(play=says(answer({})))
        self.start({"a": Backend(play=says(answer({}))), "b": backend}, proxy={"load_balancer": "priority"})
        del self.network.listeners[9000]
        self.assertEqual(self.post(1).field("X-Olla-Attempts"), "2")
        second = self.post(2)
        self.assertEqual((second.status, second.field("X-Olla-Attempts")), (200, None))
        states = {one["name"]: one["status"] for one in self.status(2)["endpoints"]}
        self.assertEqual(states, {"a": "offline", "b": "healthy"})

    def test_one_breaker(self) -> None:
        """Failures at all workers together open the breaker, and a single trial closes it (B40)."""
        backend = Backend(play=says(answer({}, 502)))
        breaker = {"enabled": True, "failure_threshold": 4, "open_duration": "10s"}
        self.start({"a": backend}, proxy={"circuit_breaker": breaker}, discovery={"health_check": {"jitter": 0}})
        said = [self.post(1 + n % 2).status for n in range(6)]
        self.assertEqual(said, [502] * 4 + [503] * 2)
        self.assertEqual(self.status(1)["endpoints"][0]["circuit"], "open")
        self.network.wait(10.0)
        trials = []
        backend.play = lambda connection, seen: trials.append(connection)
        trial, refused = self.post(1), self.post(2)
        self.assertEqual((trial.got, refused.status), (b"", 503))
        trials[0].transport.write(answer({}))
        self.network.pump()
        self.assertEqual(trial.status, 200)
        backend.play = says(answer({}))
        self.assertEqual([self.post(2).status, self.post(1).status], [200, 200])
        self.assertEqual(self.status(2)["endpoints"][0]["circuit"], "closed")

    def test_a_rest_is_everybodys(self) -> None:
        """An endpoint that asks one worker for a rest is used by another only if nothing else is left."""
        tired = Backend(play=says(answer({}, 429, Retry_After="30")))
        fresh = Backend(play=says(answer({})))
        self.start({"a": tired, "b": fresh}, proxy={"load_balancer": "priority"})
        self.assertEqual(self.post(1).field("X-Olla-Endpoint"), "b")
        self.assertEqual(self.post(2).field("X-Olla-Endpoint"), "b")
        self.assertEqual(len(tired.seen), 1)

    def test_lies(self) -> None:
        """Numbers beyond all measure in a reply stop nothing between the processes (R57)."""
        usage = {"prompt_tokens": 10**30, "completion_tokens": 4}
        self.start({"a": Backend(play=says(answer({"usage": usage})))})
        for worker in (1, 2):
            self.assertEqual(self.post(worker).status, 200)
            self.network.wait(1.0)
            self.assertEqual(self.status(2)["system"]["total_requests"], worker)

    def test_models_are_known(self) -> None:
        """A model that turns up later is known to every worker; one miss reads the listing, for all."""
        backend = Backend(play=says(answer({})))
        strategy = {"routing_strategy": {"type": "discovery", "options": {"discovery_refresh_on_miss": True}}}
        self.start({"a": backend}, model_registry=strategy)
        backend.models = ("m", "new")
        asked = [self.post(1, {"model": "new"}), self.post(2, {"model": "new"})]
        self.assertEqual([one.status for one in asked], [200, 200])
        purposes = ["".join(one.fields("user-agent")).partition("/")[0] for one in backend.probes]
        self.assertEqual(purposes.count("olla-Discovery"), 2)
        listed = [model["id"] for model in self.get(2, "/olla/openai/v1/models").json["data"]]
        self.assertEqual(sorted(listed), ["m", "new"])

    def test_models_stay_as_old_as_they_are(self) -> None:
        """A worker that takes another's place lists models as the others do, of the same age (C102)."""
        now = [1_000.0]
        self.patch(time, "time", lambda: now[0])
        self.start({"a": Backend()})
        now[0] = 2_000.0
        self.workers[1].kill()
        self.network.wait(0.5, 0.05)
        for path in ("/olla/models", "/olla/openai/v1/models"):
            self.assertEqual(self.get(1, path).body, self.get(2, path).body)
        self.assertEqual(self.get(1, "/olla/openai/v1/models").json["data"][0]["created"], 1_000)

    def test_loads_are_shared(self) -> None:
        """The least busy endpoint is the least busy of the whole."""
        backends = {name: Backend(play=says(SSE + chunk(b"data: 1\n\n"))) for name in ("a", "b")}
        self.start(backends, proxy={"load_balancer": "least-connections"}, endpoint={"priority": 100})
        used = self.post(1).field("X-Olla-Endpoint")
        self.network.wait(0.5, 0.05)
        self.assertNotEqual(self.post(2).field("X-Olla-Endpoint"), used)

    def test_reload(self) -> None:
        """A reload reaches every worker: endpoints, aliases, limits."""
        first, second = Backend(play=says(answer({}))), Backend(play=says(answer({})))
        self.start({"a": first})
        config = json.loads(self.path.read_text())
        self.network.listeners[9001] = second
        config["discovery"]["static"]["endpoints"] = [{"name": "z", "url": "http://127.0.0.1:9001", "type": "openai"}]
        config["model_aliases"] = {"fast": ["m"]}
        config["server"]["rate_limits"] = {**LIMITS, "burst_size": 3}
        self.path.write_text(json.dumps(config))
        self.supervisor.reload()
        self.network.pump(0.01)
        asked = [self.post(1 + n % 2, {"model": "fast"}) for n in range(4)]
        self.assertEqual([one.status for one in asked], [200] * 3 + [429])
        self.assertEqual({one.field("X-Olla-Endpoint") for one in asked[:3]}, {"z"})

    def test_restart_only(self) -> None:
        """What needs a restart stays as it was, also in a worker that begins after the reload (config.md §2)."""
        self.start({"a": Backend(play=says(answer({})))})
        config = json.loads(self.path.read_text())
        config["server"]["request_limits"] = {"max_body_size": 1}
        config["model_aliases"] = {"fast": ["m"]}
        self.path.write_text(json.dumps(config))
        self.supervisor.reload()
        self.network.pump(0.01)
        self.workers[1].kill()
        self.network.wait(0.5, 0.05)
        self.assertEqual([self.post(number, {"model": "fast"}).status for number in (1, 2)], [200, 200])


class Pages(CrewCase):
    """What is told of all."""

    def test_whole(self) -> None:
        """Status and statistics are those of all workers, whichever is asked, up to the moment (issue 4 item 6)."""
        self.start({"a": Backend(play=says(answer({})))}, size=3)
        for worker in (1, 2, 3, 3):
            self.post(worker)
        for worker in (1, 2, 3):
            self.assertEqual(self.status(worker)["system"]["total_requests"], 4)
            self.assertEqual(self.get(worker, "/internal/stats/models").json["summary"]["total_requests"], 4)
            self.assertIn(b"olla_requests_total 4\n", self.get(worker, "/internal/metrics").body)
            self.assertEqual(self.get(worker, "/internal/status/models").json["total_models"], 1)

    def test_running_requests(self) -> None:
        """Requests that run at other workers are among the active ones."""
        backend = Backend(play=says(SSE + chunk(b"data: 1\n\n")))
        self.start({"a": backend})
        self.post(1)
        self.post(2)
        self.assertEqual(self.status(2)["system"]["active_connections"], 2)
        for connection in backend.connections[-2:]:
            connection.transport.write(LAST)
        self.network.pump()
        self.assertEqual(self.status(1)["system"]["active_connections"], 0)

    def test_refusals_are_counted(self) -> None:
        """What the limits refuse at any worker is among the violations."""
        self.start({"a": Backend(play=says(answer({})))}, server={"rate_limits": {**LIMITS, "burst_size": 1}})
        for worker in (1, 2, 1):
            self.post(worker)
        self.assertEqual(self.status(2)["security"]["violations"]["rate_limits"], 2)

    def test_failures_are_counted(self) -> None:
        """An attempt that failed at one worker is the endpoint's failure on every page."""
        self.start({"a": None, "b": Backend(play=says(answer({})))}, proxy={"load_balancer": "priority"})
        self.network.pump()
        fleet = self.supervisor.parts.fleet
        self.assertFalse(fleet.members[0].status.routable)
        self.assertEqual(self.post(1).status, 200)
        self.assertEqual(self.status(2)["system"]["total_failures"], 0)

    def test_processes(self) -> None:
        """``/internal/process`` is the worker's own; ``all=true`` lists every worker (http-api.md §11.10)."""
        self.start({}, size=3)
        own = self.get(2, "/internal/process").json["runtime"]
        self.assertEqual((own["workers"], own["worker_id"]), (3, 2))
        listed = self.get(1, "/internal/process?all=true").json["workers"]
        self.assertEqual([one["runtime"]["worker_id"] for one in listed], [1, 2, 3])

    def test_silent_worker(self) -> None:
        """A worker that does not report delays a page by a second, and does not prevent it."""
        self.start({})
        self.workers[1].service.desk.news = lambda message: None
        client = self.get(2, "/internal/status")
        self.assertEqual(client.got, b"")
        self.network.wait(1.5)
        self.assertEqual(client.status, 200)

    def test_silent_owner(self) -> None:
        """A question that the owner does not answer becomes 503, and nothing waits for ever."""
        self.start({}, server={"rate_limits": LIMITS})
        self.workers[1].service.desk.link.transport.other.pauseProducing()
        page, chat = self.get(1, "/internal/status"), self.post(1)
        self.network.wait(6.0)
        self.assertEqual([page.status, chat.status], [503, 503])
        self.workers[1].service.desk.link.transport.other.resumeProducing()

    def test_client_leaves_page(self) -> None:
        """A client that does not wait for its page is no fault of ours."""
        self.start({})
        self.workers[1].service.desk.news = lambda message: None
        client = self.get(2, "/internal/status")
        client.transport.abortConnection()
        self.network.wait(1.5)
        self.assertEqual(self.status_lines("fault of our own"), [])

    def status_lines(self, text: str) -> list[bytes]:
        """Give the lines of the log that say so."""
        self.network.wait(0.5)
        return [line for block in self.logged for line in block.splitlines() if text.encode() in line]

    def test_log(self) -> None:
        """Lines of all workers come to one log, each with the worker's number."""
        self.start({"a": Backend(play=says(answer({})))})
        self.post(2)
        lines = self.status_lines('"msg":"Request"')
        self.assertEqual([json.loads(line)["worker"] for line in lines], [2])


class Stopping(CrewCase):
    """The end."""

    def test_drains(self) -> None:
        """When the first process stops, streams at the workers end whole, and then all is over (B131)."""
        backend = Backend(play=says(SSE + chunk(b"data: 1\n\n")))
        self.start({"a": backend})
        stream = self.post(2)
        stopped = self.supervisor.stopService()
        self.network.wait(0.5, 0.05)
        self.assertNoResult(stopped)
        backend.connections[-1].transport.write(chunk(b"data: 2\n\n") + LAST)
        self.network.wait(0.5, 0.05)
        self.assertTrue(stream.whole)
        self.successResultOf(stopped)

    def test_owner_is_gone(self) -> None:
        """A worker whose first process has vanished finishes what runs, refuses the rest, and ends."""
        backend = Backend(play=says(SSE + chunk(b"data: 1\n\n")))
        self.start({"a": backend}, server={"rate_limits": LIMITS})
        stream = self.post(1)
        ended: list[str] = []
        self.workers[1].ended = ended.append
        self.workers[1].post.link.transport.abortConnection()
        self.network.wait(0.3, 0.05)
        self.assertEqual(ended, [])
        backend.connections[-1].transport.write(LAST)
        self.network.wait(0.5, 0.05)
        self.assertTrue(stream.whole)
        self.assertEqual(ended, ["status 0"])
        self.supervisor.crew._places[0].worker = None
