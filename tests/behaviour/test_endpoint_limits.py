"""What one endpoint may be given: requests a minute, and requests that wait for it."""

from __future__ import annotations

from tests.support import SSE, Backend, ProxyCase, answer, chunk, on_each_engine, says

LAST = b"0\r\n\r\n"


@on_each_engine
class RequestsPerMinute(ProxyCase):
    """``requests_per_minute`` of an endpoint (config-corpus.md, table 1)."""

    def test_alone(self) -> None:
        """An endpoint is sent so many requests; then 429 says when to return, and nothing reaches it."""
        backend = Backend(play=says(answer({})))
        self.start({"a": backend}, {"requests_per_minute": 2})
        asked = [self.post() for _ in range(4)]
        self.assertEqual([one.status for one in asked], [200, 200, 429, 429])
        self.assertEqual(asked[2].json["error"]["code"], "RATE_LIMIT_EXCEEDED")
        self.assertEqual(asked[2].field("Retry-After"), "30")
        self.assertEqual(len(backend.seen), 2)
        self.network.wait(30.5)
        self.assertEqual([self.post().status, self.post().status], [200, 429])

    def test_passed_over(self) -> None:
        """One whose bucket is empty is passed over, healthy or not; 429 comes when all are empty."""
        first, second = Backend(play=says(answer({}))), Backend(play=says(answer({})))
        self.start({"a": first, "b": second}, {"requests_per_minute": 1}, proxy={"load_balancer": "priority"})
        self.assertEqual([self.post().status for _ in range(3)], [200, 200, 429])
        self.assertEqual((len(first.seen), len(second.seen)), (1, 1))
        self.assertEqual({one["status"] for one in self.status()["endpoints"]}, {"healthy"})

    def test_checks_are_not_counted(self) -> None:
        """Health checks and listings take nothing of it."""
        backend = Backend(play=says(answer({})))
        self.start({"a": backend}, {"requests_per_minute": 1})
        self.network.wait(12.0)
        self.assertGreater(len(backend.probes), 2)
        self.assertEqual(self.post().status, 200)

    def test_sessions(self) -> None:
        """A session whose endpoint has had its requests goes elsewhere."""
        first, second = Backend(play=says(answer({}))), Backend(play=says(answer({})))
        proxy = {"load_balancer": "priority", "sticky_sessions": {"enabled": True}}
        self.start({"a": first, "b": second}, {"requests_per_minute": 2}, proxy=proxy)
        asked = [self.post(X_Olla_Session_ID="s").status for _ in range(5)]
        self.assertEqual(asked, [200] * 4 + [429])
        self.assertEqual((len(first.seen), len(second.seen)), (2, 2))

    def test_no_retry_where_nothing_is_left(self) -> None:
        """A backend's own 503 is the answer where the next one has had its requests."""
        first, second = Backend(play=says(answer({}, 503))), Backend(play=says(answer({})))
        self.start({"a": first, "b": second}, {"requests_per_minute": 2}, proxy={"load_balancer": "priority"})
        self.assertEqual([self.post().status for _ in range(2)], [200, 200])
        self.network.wait(3.0)
        refused = self.post()
        self.assertEqual((refused.status, refused.field("X-Olla-Endpoint")), (503, "a"))

    def test_reload(self) -> None:
        """An endpoint that stays as it is keeps its empty bucket on a reload."""
        backend = Backend(play=says(answer({})))
        self.start({"a": backend}, {"requests_per_minute": 1})
        self.assertEqual(self.post().status, 200)
        assert self.proxy is not None
        self.proxy.reload()
        self.assertEqual(self.post().status, 429)


@on_each_engine
class WaitingForOne(ProxyCase):
    """``max_queue`` of an endpoint."""

    def begin(self, longest: int) -> Backend:
        """Start with one endpoint that works on one request, and give it that."""
        backend = Backend(play=says(SSE + chunk(b"data: 1\n\n")))
        self.start({"a": backend}, {"max_concurrent_requests": 1, "max_queue": longest})
        self.post()
        return backend

    def test_full(self) -> None:
        """So many wait; the next one is told at once that the queue is full."""
        backend = self.begin(1)
        waiting, refused = self.post(), self.post()
        self.assertEqual(waiting.got, b"")
        self.assertEqual((refused.status, refused.json["error"]["code"]), (503, "QUEUE_FULL"))
        self.assertEqual(refused.field("Retry-After"), "1")
        backend.connections[-1].transport.write(LAST)
        self.network.pump()
        self.assertEqual(waiting.status, 200)

    def test_nobody_waits(self) -> None:
        """With ``0`` nobody does."""
        self.begin(0)
        self.assertEqual(self.post().status, 503)

    def test_who_leaves_makes_room(self) -> None:
        """Who has left the queue is not counted."""
        self.begin(1)
        self.post().transport.abortConnection()
        self.network.pump()
        self.assertEqual(self.post().got, b"")

    def test_each_for_itself(self) -> None:
        """A request that two could serve waits as long as one of them has room for it."""
        streams = says(SSE + chunk(b"data: 1\n\n"))
        first, second = Backend(play=streams), Backend(models=["m", "n"], play=streams)
        self.start({"a": first, "b": second}, {"max_concurrent_requests": 1, "max_queue": 1})
        self.post()
        self.post()
        self.assertEqual(self.post(body={"model": "n"}).got, b"")
        both = self.post()
        self.assertEqual(both.got, b"")
        self.assertEqual([self.post().status, self.post(body={"model": "n"}).status], [503, 503])
        first.connections[-1].transport.write(LAST)
        self.network.pump()
        self.assertEqual(both.status, 200)
