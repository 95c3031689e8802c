"""The engines keep their pace, play faults, and notice when their client leaves."""

from __future__ import annotations

from typing import Any

from treq.testing import StubTreq
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from olla.demo.engine import LARGEST, REMEMBERED, REMEMBERED_BODY
from olla.demo.openai import OpenAIEngine
from tests.demo.support import CHAT, MODELS, PACE, EngineCase, chat, events
from tests.support import Client

STREAM = chat(stream=True)


class PaceTests(EngineCase):
    """Streams, as they come."""

    def test_pace(self) -> None:
        """The first token comes at once, each other one pace later, and nothing in between."""
        client = self.ask(body=STREAM)
        self.assertEqual(len(events(client.body)), 1)
        self.network.pump(PACE * 0.9)
        self.assertEqual(len(events(client.body)), 1)
        self.network.pump(PACE * 0.1)
        self.assertEqual(len(events(client.body)), 2)
        self.network.wait(PACE * 5, PACE)
        self.assertEqual(len(events(client.body)), 7)
        self.assertFalse(client.whole)

    def test_whole(self) -> None:
        """An answer that is not streamed takes as long as a streamed one."""
        body = chat(max_tokens=4)
        client = self.ask(body=body)
        self.network.wait(PACE * 3, PACE)
        self.assertEqual(client.got, b"")
        self.network.pump(PACE)
        self.assertTrue(client.whole)
        self.assertEqual(client.json["usage"]["completion_tokens"], 4)

    def test_no_pace(self) -> None:
        """Without a pace the whole answer is there at once."""
        self.engine.pace = 0.0
        self.assertEqual(events(self.ask(body=STREAM).body)[-1], "[DONE]")

    def test_slow(self) -> None:
        """A slow answer takes ten times as long."""
        self.engine.faults.mode = "slow"
        client = self.ask(body=STREAM)
        self.network.wait(PACE * 9, PACE)
        self.assertEqual(len(events(client.body)), 1)
        self.network.pump(PACE)
        self.assertEqual(len(events(client.body)), 2)

    def test_kept_connection(self) -> None:
        """After an answer the connection serves the next request."""
        client = self.ask(body=chat(stream=True, max_tokens=1))
        self.network.wait(PACE * 2, PACE)
        self.assertTrue(client.whole)
        client.got = b""
        client.transport.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        self.network.pump()
        self.assertEqual(client.json, {"status": "ok"})

    def test_backpressure(self) -> None:
        """To a client that does not read no more is said than the connection holds; then it goes on."""
        client = self.ask(body=STREAM)
        (channel,) = self.site.standing
        channel.pauseProducing()  # as the connection does when it is full
        self.network.wait(PACE * 10, PACE)
        self.assertEqual(len(events(client.body)), 1)
        self.assertEqual(self.network.getDelayedCalls(), [])
        channel.resumeProducing()
        self.network.wait(PACE * 2, PACE)
        self.assertEqual(len(events(client.body)), 4)

    def test_leaves_unread(self) -> None:
        """A client that leaves without having read what was said is counted as well."""
        client = self.ask(body=STREAM)
        (channel,) = self.site.standing
        channel.pauseProducing()
        client.transport.abortConnection()
        self.network.pump()
        self.assertEqual(self.engine.cancelled, 1)

    def test_client_leaves(self) -> None:
        """When the client leaves nothing more is said, no timer stays, and it is counted."""
        client = self.ask(body=STREAM)
        client.transport.loseConnection()
        self.network.pump()
        self.assertEqual(self.network.getDelayedCalls(), [])
        self.assertEqual((self.engine.requests, self.engine.cancelled), (1, 1))

    def test_client_stays(self) -> None:
        """An answer heard to its end is not counted as cancelled, even if the client leaves then."""
        client = self.answer(CHAT, STREAM)
        client.transport.loseConnection()
        self.network.pump()
        self.assertEqual(self.engine.cancelled, 0)


class FaultTests(EngineCase):
    """Faults, as a client meets them."""

    def test_cut_stream(self) -> None:
        """A cut stream has so many tokens, then the connection breaks; there is no last chunk."""
        self.engine.faults.mode, self.engine.faults.after = "cut", 2
        client = self.ask(body=STREAM)
        self.network.wait(PACE * 2, PACE)
        self.assertEqual((client.status, len(events(client.body))), (200, 2))
        self.assertFalse(client.whole)
        assert client.lost is not None
        self.assertIsNone(client.lost.check(ConnectionDone))
        self.assertEqual(self.engine.cancelled, 0)

    def test_cut_whole(self) -> None:
        """A cut answer that is not streamed has less body than announced."""
        client = self.ask(body=chat(), X_Demo_Fault="cut")
        self.network.wait(PACE * 5, PACE)
        self.assertEqual(client.status, 200)
        self.assertTrue(0 < len(client.body) < int(client.field("Content-Length") or 0))
        self.assertIsNotNone(client.lost)

    def test_busy(self) -> None:
        """A busy engine says so with status 503 and when to come again; for so many requests as are asked for."""
        self.engine.faults.mode, self.engine.faults.count = "busy", 1
        client = self.ask(body=STREAM)
        self.assertEqual((client.status, client.field("Retry-After")), (503, "1"))
        self.assertEqual(client.json["error"]["type"], "server_error")
        self.assertEqual(self.ask(body=STREAM).status, 200)

    def test_hang(self) -> None:
        """A hanging engine takes the request and never answers; it keeps no timer, and notices who leaves."""
        client = self.ask(body=chat("!hang"))
        self.network.wait(600, 60)
        self.assertEqual((client.got, client.lost), (b"", None))
        self.assertEqual(self.network.getDelayedCalls(), [])
        client.transport.loseConnection()
        self.network.pump()
        self.assertEqual(self.engine.cancelled, 1)

    def test_refuse(self) -> None:
        """While it refuses, connections break before anything is read, and so do kept ones."""
        kept = self.get("/health")
        self.engine.faults.mode = "refuse"
        for client in (self.get("/health"), self.ask(body=STREAM)):
            self.assertEqual(client.got, b"")
            self.assertIsNotNone(client.lost)
        self.assertEqual((self.engine.requests, kept.lost), (1, None))
        kept.transport.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        self.network.pump()
        self.assertIsNotNone(kept.lost)
        self.engine.faults.mode = "none"
        self.assertEqual(self.get("/health").status, 200)

    def test_checks(self) -> None:
        """Checks are answered while inference fails, unless the fault is everywhere."""
        self.engine.faults.mode = "busy"
        self.assertEqual((self.get("/health").status, self.ask(body=STREAM).status), (200, 503))
        self.engine.faults.everywhere = True
        self.assertEqual(self.get("/health").status, 503)

    def test_wish(self) -> None:
        """A message of one word asks for a fault, which uses up none of those that are set."""
        self.engine.faults.mode, self.engine.faults.count = "hang", 1
        self.assertEqual(self.ask(body=chat("!busy")).status, 503)
        self.assertEqual(self.engine.faults.count, 1)

    def test_good_again(self) -> None:
        """A request can ask to be spared."""
        self.engine.faults.mode = "busy"
        self.assertEqual(self.ask(body=STREAM, X_Demo_Fault="none").status, 200)


class RequestTests(EngineCase):
    """What is asked in the wrong way, and what is remembered."""

    def test_log(self) -> None:
        """What arrived can be read: method, path, headers, body."""
        self.ask("/v1/nothing?x=1", b'{"a": 1}', X_Trace="t")
        (arrival,) = self.engine.log
        self.assertEqual((arrival.method, arrival.path, arrival.body), ("POST", "/v1/nothing", b'{"a": 1}'))
        self.assertEqual(arrival.headers["x-trace"], "t")

    def test_log_is_bounded(self) -> None:
        """Only so many requests are remembered, and only so much of each."""
        self.ask(body=b"x" * (REMEMBERED_BODY + 1))
        self.assertEqual(len(self.engine.log[0].body), REMEMBERED_BODY)
        for _ in range(REMEMBERED):
            self.get("/health")
        self.assertEqual((len(self.engine.log), self.engine.requests), (REMEMBERED, REMEMBERED + 1))
        self.assertEqual(self.engine.log[0].method, "GET")

    def test_large_body(self) -> None:
        """A body that is too large is answered with 413 in the dialect's form; one that just fits is read."""
        client = self.ask(body=b" " * (LARGEST + 1))
        self.assertEqual((client.status, client.json["error"]["type"]), (413, "invalid_request_error"))
        self.assertEqual(self.ask(body=b" " * (LARGEST - 2) + b"{}").status, 400)

    def test_large_body_is_dropped(self) -> None:
        """Of a body without a length no more is kept than tells that it is too large."""
        client = Client()
        transport = self.network.connect(client, 80)
        transport.write(b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        piece = b" " * (1 << 20)
        for _ in range(20):
            transport.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        self.network.pump()
        (channel,) = self.site.standing
        self.assertLessEqual(channel.requests[0].content.tell(), LARGEST + len(piece))
        transport.write(b"0\r\n\r\n")
        self.network.pump()
        self.assertEqual(client.status, 413)

    def test_head(self) -> None:
        """``HEAD`` gets what ``GET`` gets, without the body."""
        client = self.ask("/health", method="HEAD")
        self.assertEqual((client.status, client.field("Content-Length")), (200, "16"))
        self.assertTrue(client.got.endswith(b"\r\n\r\n"))


class InMemoryTests(SynchronousTestCase):
    """An engine without any network."""

    def test_resource(self) -> None:
        """An engine is a resource, and streams through treq's agent for tests."""
        clock = Clock()
        treq: Any = StubTreq(OpenAIEngine(MODELS, clock, PACE))
        response = self.successResultOf(treq.post(f"http://engine{CHAT}", json=STREAM))
        pieces: list[bytes] = []
        collected = treq.collect(response, pieces.append)
        for count in (1, 2, 3):
            treq.flush()
            self.assertEqual(len(events(b"".join(pieces))), count)
            clock.advance(PACE)
        clock.pump([PACE] * 60)
        treq.flush()
        self.successResultOf(collected)
        self.assertEqual(events(b"".join(pieces))[-1], "[DONE]")
