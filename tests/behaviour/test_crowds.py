"""How many clients may be connected."""

from __future__ import annotations

from twisted.logger import capturedLogs

from olla.wire.door import MOST_LEAVING
from tests.support import SSE, Backend, ProxyCase, answer, chunk, on_each_engine, request, says


@on_each_engine
class Crowds(ProxyCase):
    """``server.max_connections`` (design.md §4)."""

    def begin(self, limit: int) -> Backend:
        """Start with a backend that streams."""
        backend = Backend(play=says(SSE + chunk(b"data: 1\n\n")))
        self.start({"a": backend}, server={"max_connections": limit})
        return backend

    def test_one_too_many(self) -> None:
        """Who comes when as many are connected is told so at once, with when to return, and has to leave."""
        backend = self.begin(2)
        streaming, silent = self.post(), self.connect()
        refused = self.post()
        self.assertEqual((refused.status, refused.json["error"]["code"]), (503, "TOO_MANY_CLIENTS"))
        self.assertEqual((refused.field("Retry-After"), refused.field("Connection")), ("1", "close"))
        self.assertIsNotNone(refused.lost)
        self.assertEqual((streaming.lost, silent.lost, len(backend.seen)), (None, None, 1))

    def test_without_a_word(self) -> None:
        """Who says nothing hears it too, and may not stay."""
        self.begin(1)
        self.connect()
        refused = self.connect()
        self.network.wait(3.0)
        self.assertEqual(refused.status, 503)
        self.assertIsNotNone(refused.lost)

    def test_room_again(self) -> None:
        """Who leaves makes room, whatever it was served by; the log says once that there was none, and how long."""
        self.begin(2)
        first, page = self.post(), self.get("/version")
        with capturedLogs() as events:
            self.assertEqual([self.post().status for _ in range(3)], [503] * 3)
            first.transport.abortConnection()
            self.network.wait(0.5)
        self.assertEqual([self.post().status, self.post().status], [200, 503])
        page.transport.abortConnection()
        self.network.wait(0.5)
        self.assertEqual([self.get("/version").status, self.post().status], [200, 503])
        said = [event for event in events if event["log_namespace"] == "olla.wire.door.Door"]
        self.assertEqual([event["log_level"].name for event in said], ["warn", "info"])
        self.assertEqual((said[0]["max_connections"], said[1]["turned_away"]), (2, 3))

    def test_handed_over(self) -> None:
        """A connection that changes to Twisted's server is one all the time."""
        self.begin(2)
        client = self.get("/version")
        client.transport.write(request("POST", "/olla/openai/v1/chat/completions", {"model": "m"}, True))
        self.network.pump()
        self.assertEqual([self.get("/version").status, self.get("/version").status], [200, 503])

    def test_flood(self) -> None:
        """Those who are turned away and linger do not pile up."""
        self.begin(1)
        self.connect()
        clients = [self.connect() for _ in range(MOST_LEAVING + 20)]
        self.network.pump()
        self.assertEqual([client.got[9:12] for client in clients], [b"503"] * MOST_LEAVING + [b""] * 20)
        self.assertNotIn(None, [client.lost for client in clients])

    def test_no_limit(self) -> None:
        """``0``, the default, is no limit."""
        self.start({"a": Backend(play=says(answer({})))})
        self.assertEqual({self.post().status for _ in range(50)}, {200})
