"""Requests go out on connections of our own, and replies come back whole or visibly broken."""

from __future__ import annotations

from collections import deque
from typing import Any, TypeVar
from weakref import ref

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from olla.domain.endpoint import Endpoint
from olla.domain.message import Body, Head, Outgoing, Request
from olla.errors import BadReply, BrokenBody, ClosedEarly, ConnectFailed, ConnectTimeout, HeadTimeout
from olla.interfaces import IExchange, IPaced, IReply, IUpstream
from olla.pending import Cancelled, Pending
from olla.upstream.attempt import Attempt
from olla.upstream.direct import DirectUpstream
from olla.upstream.limits import Patience
from tests.wire.payloads import CHUNKED, CUT, OK, REFUSED, REPLIES
from tests.wire.support import ABORTED, GONE, RESET, Backend
from tests.wire.test_head import CUTS, cut

T = TypeVar("T")
POST = Outgoing(b"POST", b"/v1", [(b"Host", b"b")], Body.of(b"hello"))
GET = Outgoing(b"GET", b"/v1", [(b"Host", b"b")])
SHORT = OK + b"Content-Length: 2\r\n\r\nhi"


@implementer(IExchange)
class Client:
    """Plays the client's side of an exchange."""

    def __init__(self) -> None:
        self.request = Request(b"GET", b"/", [])
        self.surface = "proxy"
        self.responded = False
        self.writes: list[bytes] = []
        self.flushes = 0
        self.source: IPaced | None = None

    def respond(self, head: Head) -> None:
        """Nothing to be done."""

    def write(self, data: bytes) -> None:
        """Note it."""
        self.writes.append(data)

    write_last = write

    def flush(self) -> None:
        """Count it."""
        self.flushes += 1

    def finish(self) -> None:
        """Nothing to be done."""

    def abort(self) -> None:
        """Nothing to be done."""

    def pace(self, source: IPaced | None) -> None:
        """Remember whom to pause."""
        if source is None and self.source is not None:
            self.source.resumeProducing()
        self.source = source


class DirectTests(SynchronousTestCase):
    """One endpoint, its connections in memory."""

    def setUp(self) -> None:
        """Make an upstream whose connections stand at once."""
        self.clock = Clock()
        self.backend = Backend()
        self.endpoint = Endpoint("e", "http", "b", 80)
        self.upstream = self.make()

    def make(self, **settings: Any) -> DirectUpstream:
        """Make an upstream."""
        patience = Patience(connect=5.0, head=30.0, silence=60.0, total=300.0)
        return DirectUpstream(lambda _: self.backend, self.clock.seconds, patience, **settings)

    def send(self, outgoing: Outgoing = GET) -> Pending[IReply]:
        """Send a request to the endpoint."""
        return self.upstream.send(self.endpoint, outgoing)

    def answered(self, text: bytes, outgoing: Outgoing = GET) -> Attempt:
        """Send a request, let the backend say ``text``, and give the reply."""
        pending = self.send(outgoing)
        self.backend.say(text)
        reply = pending.result()
        assert isinstance(reply, Attempt)
        return reply

    def pass_time(self, seconds: float) -> None:
        """Let time go by, with a sweep in each quarter of a second."""
        for _ in range(int(seconds * 4)):
            self.clock.advance(0.25)
            deque(self.upstream.sweep(self.clock.seconds()))

    def failure_of(self, pending: Pending[T], kind: type[Exception]) -> Any:
        """Give what ``pending`` has failed with."""
        self.assertTrue(pending.done)
        return self.assertRaises(kind, pending.result)


class Watched(Outgoing, weakref=True):
    """A request of which can be told when it is gone."""


class SendingTests(DirectTests):
    """Requests."""

    def test_request_is_let_go(self) -> None:
        """Once its answer has begun nothing of a request is held, for the answer may last an hour."""
        outgoing = Watched(b"POST", b"/v1", [(b"Host", b"b")], Body.of(b"hello"))
        held = ref(outgoing)
        pending = self.send(outgoing)
        del outgoing
        self.assertIsNotNone(held())
        self.backend.say(OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n")
        self.assertTrue(pending.done)
        self.assertIsNone(held())

    def test_interfaces(self) -> None:
        """Upstream and reply are what the journey expects."""
        verifyObject(IUpstream, self.upstream)
        verifyObject(IReply, self.answered(SHORT))
        verifyObject(IPaced, self.answered(SHORT))

    def test_one_write(self) -> None:
        """Head and a small body leave in one write, on a connection without Nagle."""
        self.send(POST)
        (wire,) = self.backend.wires
        self.assertEqual(wire.writes, [b"POST /v1 HTTP/1.1\r\nHost: b\r\nContent-Length: 5\r\n\r\nhello"])
        self.assertTrue(wire.no_delay)

    def test_upload_paced(self) -> None:
        """A large body is read piece by piece, as the backend takes it (R51)."""
        pieces = tuple(bytes([n]) * 70000 for n in range(3))
        self.send(Outgoing(b"POST", b"/", [], Body(pieces, 210000)))
        (wire,) = self.backend.wires
        for sent in (1, 2, 3):
            self.assertTrue(wire.writes[1:] == [*pieces[:sent]], sent)
            wire.pull()
        self.assertEqual(len(wire.writes), 4)
        self.assertIsNone(wire.producer)

    def test_early_answer(self) -> None:
        """An answer before the upload is finished reaches the client, and its connection serves no other (R31)."""
        reply = self.answered(SHORT, Outgoing(b"POST", b"/", [], Body((bytes(70000), bytes(70000)), 140000)))
        self.assertEqual(reply.gather(10).result(), b"hi")
        self.assertTrue(self.backend.wires[0].aborted)
        self.send()
        self.assertEqual(len(self.backend.wires), 2)

    def test_unsendable(self) -> None:
        """A request that cannot be one line is never sent (R17)."""
        self.assertRaises(ValueError, self.send, Outgoing(b"GET", b"/\r\nX: y", []))
        self.assertEqual(self.backend.wires, [])

    def test_cancel(self) -> None:
        """Cancelling hangs up, whether it connects, waits for the head or for the body (R45)."""
        pending = self.send()
        pending.cancel()
        self.failure_of(pending, Cancelled)
        self.assertTrue(self.backend.wires[0].aborted)
        copying = self.answered(OK + b"\r\n").relay(Client(), None)
        copying.cancel()
        self.failure_of(copying, Cancelled)
        self.assertTrue(self.backend.wires[1].aborted)
        self.backend.slow = True
        pending = self.send()
        pending.cancel()
        self.assertEqual((self.backend.cancelled, len(self.backend.wires)), (1, 2))

    def test_close(self) -> None:
        """Closing ends everything, and fires when the last connection is gone."""
        waiting = self.send()
        copying = self.answered(CHUNKED).relay(Client(), None)
        self.answered(SHORT)
        closing = self.upstream.close()
        self.failure_of(waiting, ConnectFailed)
        self.failure_of(copying, BrokenBody)
        self.assertNoResult(closing)
        for number, wire in enumerate(self.backend.wires):
            self.assertTrue(wire.closed)
            self.backend.hang_up(ABORTED, number)
        self.successResultOf(closing)


class PoolTests(DirectTests):
    """Connections are kept and used again."""

    def test_reuse(self) -> None:
        """After a whole reply the connection serves the next request."""
        for _ in range(3):
            self.assertEqual(self.answered(SHORT).gather(9).result(), b"hi")
        self.assertEqual(len(self.backend.wires), 1)

    def test_last_first(self) -> None:
        """The connection that was used last is used first, so that the others may grow old."""
        first, second = self.send(), self.send()
        self.backend.say(SHORT, 1)
        self.backend.say(SHORT, 0)
        self.assertTrue(first.done and second.done)
        self.send()
        self.assertEqual([len(wire.writes) for wire in self.backend.wires], [2, 1])

    def test_bounds(self) -> None:
        """Only so many idle connections are kept for each endpoint and in all."""
        self.upstream = self.make(max_idle=3, max_idle_per_host=2)
        other = Endpoint("f", "http", "b", 80)
        pending = [self.send() for _ in range(3)] + [self.upstream.send(other, GET) for _ in range(2)]
        for number in range(5):
            self.backend.say(SHORT, number)
        self.assertTrue(all(one.done for one in pending))
        self.pass_time(0.25)
        self.assertFalse(any(wire.closed for wire in self.backend.wires))  # for a moment there may be more
        self.pass_time(0.25)
        self.assertEqual([wire.closed for wire in self.backend.wires], [True, True, False, False, False])

    def test_idle_timeout(self) -> None:
        """A connection idle for too long is closed."""
        self.answered(SHORT)
        self.pass_time(90.0)
        self.assertFalse(self.backend.wires[0].closed)
        self.pass_time(0.5)
        self.assertTrue(self.backend.wires[0].closed)

    def test_not_reusable(self) -> None:
        """Not kept: a connection that the backend will close, or on which more came than was asked for (R26)."""
        for text in (
            OK + b"Content-Length: 0\r\nConnection: close\r\n\r\n",
            b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
            SHORT + b"junk",
            b"HTTP/1.1 204 No Content\r\n\r\njunk",
        ):
            self.answered(text)
            self.assertTrue(self.backend.wires[-1].closed, text)

    def test_unasked_bytes(self) -> None:
        """An idle connection on which bytes come is dropped; the next request is clean (R26)."""
        self.answered(SHORT)
        self.backend.say(SHORT)
        self.assertTrue(self.backend.wires[0].aborted)
        pending = self.send()
        self.assertEqual(len(self.backend.wires), 2)
        self.backend.hang_up(ABORTED, 0)
        self.backend.say(OK + b"Content-Length: 3\r\n\r\nnew")
        self.assertEqual(pending.result().gather(9).result(), b"new")

    def test_closed_while_idle(self) -> None:
        """A connection that the backend closes while it is idle is not used any more."""
        self.answered(SHORT)
        self.backend.hang_up()
        self.send()
        self.assertEqual(len(self.backend.wires), 2)

    def test_stale(self) -> None:
        """A kept connection that closes without an answer: once more on a new one, for POST too (R37, B76)."""
        for reason in (GONE, RESET):
            self.backend = Backend()
            self.upstream = self.make()
            idle = [self.send(), self.send()]
            self.backend.say(SHORT, 0)
            self.backend.say(SHORT, 1)
            self.assertTrue(all(one.done for one in idle))
            pending = self.send(POST)
            self.backend.hang_up(reason, 1)
            self.assertFalse(pending.done)
            self.assertEqual(len(self.backend.wires), 3)  # not on the other kept one
            self.assertEqual(self.backend.wires[2].written, self.backend.wires[1].writes[1])
            self.backend.say(SHORT)
            self.assertEqual(pending.result().head.status, 200)

    def test_stale_but_once(self) -> None:
        """The second connection's failure is the request's: nothing is sent a third time (R42)."""
        self.answered(SHORT)
        pending = self.send(POST)
        self.backend.hang_up()
        self.backend.hang_up()
        error = self.failure_of(pending, ClosedEarly)
        self.assertEqual((error.reused, error.answered, len(self.backend.wires)), (False, False, 2))

    def test_answered_is_not_stale(self) -> None:
        """After the first byte of an answer nothing is sent again (C45)."""
        self.answered(SHORT)
        pending = self.send(POST)
        self.backend.say(b"HTTP/1.1 2")
        self.backend.hang_up(RESET)
        error = self.failure_of(pending, ClosedEarly)
        self.assertEqual((error.reused, error.answered, error.reset), (True, True, True))

    def test_limit(self) -> None:
        """With a limit on connections further requests wait for one, in order, and not for ever."""
        self.upstream = self.make(max_per_host=1)
        first, second, third = self.send(), self.send(POST), self.send()
        self.assertEqual(len(self.backend.wires), 1)
        self.backend.say(SHORT)
        self.assertTrue(first.done)
        self.assertTrue(self.backend.wires[0].writes[1].startswith(b"POST"))
        self.assertFalse(second.done)
        self.pass_time(5.25)
        self.failure_of(third, ConnectTimeout)
        self.assertFalse(second.done)
        fourth = self.send()
        self.backend.hang_up()
        self.assertEqual(len(self.backend.wires), 2)
        self.backend.say(SHORT)
        self.backend.say(SHORT)
        self.assertEqual((second.result().head.status, fourth.result().head.status), (200, 200))

    def test_drop(self) -> None:
        """A dropped endpoint's idle connections are closed, and busy ones when their reply is whole."""
        busy = self.send()
        self.send()
        self.backend.say(SHORT)
        self.upstream.drop(self.endpoint)
        self.assertTrue(self.backend.wires[1].closed)
        self.backend.say(SHORT, 0)
        self.assertEqual(busy.result().head.status, 200)
        self.assertTrue(self.backend.wires[0].closed)


class FailureTests(DirectTests):
    """Attempts that come to nothing."""

    def test_refused(self) -> None:
        """A connection that cannot be made is said to be so: the backend has not got the request (R34)."""
        self.backend.refusal = ConnectionRefusedError()
        self.failure_of(self.send(), ConnectFailed)

    def test_bad_configuration(self) -> None:
        """An endpoint whose CA file cannot be read is never used (R38)."""

        def dial(_: Endpoint) -> Any:
            raise OSError("no such file")

        self.upstream.dial = dial
        self.failure_of(self.send(), ConnectFailed)

    def test_closed_early(self) -> None:
        """How the connection ended before an answer is told (R36)."""
        for text, reason, reset, answered in (
            (b"", GONE, False, False),
            (b"", RESET, True, False),
            (b"HTTP/1.1 200 OK\r\nX:", GONE, False, True),
            (b"HTTP/1.1 100 Continue\r\n\r\n", RESET, True, True),
        ):
            pending = self.send()
            if text:
                self.backend.say(text)
            self.backend.hang_up(reason)
            error = self.failure_of(pending, ClosedEarly)
            self.assertEqual((error.reset, error.reused, error.answered), (reset, False, answered))

    def test_bad_reply(self) -> None:
        """What is not a reply fails before a byte of it goes on, and its connection is cut (R24, R25, R28)."""
        for _, text, expected in REPLIES:
            if expected == REFUSED and not text.startswith(CHUNKED):
                pending = self.send()
                self.backend.say(text)
                self.failure_of(pending, BadReply)
                self.assertTrue(self.backend.wires[-1].aborted, text)

    def test_head_timeout(self) -> None:
        """Silence, and a head that drips, end with the limit for heads (R32, C35)."""
        for dripping in (False, True):
            pending = self.send()
            for _ in range(29):
                self.pass_time(1.0)
                if dripping:
                    self.backend.say(b"HTTP/1.1 200 OK\r\nX: aaaaaaaaaaaaaaaaaaaaaaaaaaaaa"[_ : _ + 1])
            self.assertFalse(pending.done)
            self.pass_time(1.25)
            error = self.failure_of(pending, HeadTimeout)
            self.assertEqual((error.which, error.limit), ("response_header", 30.0))
            self.assertTrue(self.backend.wires[-1].aborted)

    def test_head_timeout_after_upload(self) -> None:
        """The limit for heads counts from the last piece that was sent (§5.5)."""
        pending = self.send(Outgoing(b"POST", b"/", [], Body((bytes(70000),) * 4, 280000)))
        for _ in range(4):
            self.pass_time(20.0)
            self.backend.wires[0].pull()
        self.assertFalse(pending.done)
        self.pass_time(31.0)
        self.failure_of(pending, HeadTimeout)

    def test_read_timeout(self) -> None:
        """Silence in the body ends it after ``read_timeout`` (C35)."""
        copying = self.answered(OK + b"\r\nabc").relay(Client(), None)
        self.pass_time(50.0)
        self.backend.say(b"d")
        self.pass_time(59.0)
        self.assertFalse(copying.done)
        self.pass_time(1.5)
        self.failure_of(copying, BrokenBody)
        self.assertTrue(self.backend.wires[0].aborted)

    def test_slow_client_is_not_silence(self) -> None:
        """While the client makes us wait the backend's silence is not counted (R49)."""
        client = Client()
        copying = self.answered(OK + b"\r\nabc").relay(client, None)
        assert client.source is not None
        client.source.pauseProducing()
        self.pass_time(200.0)
        self.assertFalse(copying.done)
        client.source.resumeProducing()
        self.pass_time(59.0)
        self.assertFalse(copying.done)
        self.pass_time(1.5)
        self.failure_of(copying, BrokenBody)

    def test_total_timeout(self) -> None:
        """A reply that trickles for ever is cut after ``response_timeout``, and so is no reply (C35)."""
        copying = self.answered(OK + b"\r\n").relay(Client(), None)
        for _ in range(10):
            self.pass_time(29.0)
            self.assertFalse(copying.done)
            self.backend.say(b"a")
        self.pass_time(11.0)
        self.failure_of(copying, BrokenBody)
        self.upstream.patience = Patience(connect=0.0, head=0.0, total=10.0)
        pending = self.send()
        self.pass_time(10.0)
        self.assertEqual(self.failure_of(pending, HeadTimeout).which, "response")


class RelayTests(DirectTests):
    """Bodies."""

    def test_families(self) -> None:
        """Whole replies are relayed as they are, cut and malformed ones never end well (R8, R23–R27)."""
        for family, text, expected in REPLIES:
            self.assertEqual(self.relayed([text] if text else []), expected if expected != CUT else REFUSED, family)

    def relayed(self, pieces: list[bytes]) -> bytes | str:
        """Give the body that a client gets, or ``REFUSED`` when it does not end well."""
        client, wires = Client(), len(self.backend.wires)
        pending = self.send()
        copying: Pending[None] | None = None
        for piece in pieces:
            if not self.backend.wires[-1].closed:
                self.backend.say(piece)
            if copying is None and pending.done:
                try:
                    copying = pending.result().relay(client, None)
                except BadReply:
                    return REFUSED
        self.backend.hang_up()
        self.assertLessEqual(len(self.backend.wires), wires + 1)
        try:
            (copying or pending).result()
        except (BrokenBody, ClosedEarly):
            return REFUSED
        return b"".join(client.writes)

    def test_any_cut(self) -> None:
        """However a reply is cut into reads, the client gets the same (issue 4)."""

        @settings(max_examples=300, deadline=None)
        @given(st.sampled_from([text for _, text, _ in REPLIES]), CUTS)
        def same(text: bytes, cuts: list[int]) -> None:
            self.assertEqual(self.relayed(cut(text, cuts)), self.relayed([text] if text else []))

        same()

    def test_at_once(self) -> None:
        """A read becomes one write in the same turn, whatever number of chunks it holds (R33)."""
        client, tapped = Client(), list[bytes]()
        copying = self.answered(CHUNKED).relay(client, tapped.append)
        self.assertEqual((client.writes, client.flushes), ([], 1))
        self.backend.say(b"1\r\na\r\n2\r\nbc\r\n")
        self.assertEqual(client.writes, [b"abc"])
        self.backend.say(b"1\r\nd\r\n0\r\n\r\n")
        self.assertEqual((client.writes, tapped), ([b"abc", b"d"], [b"abc", b"d"]))
        self.assertTrue(copying.done)
        self.assertIsNone(copying.result())

    def test_with_the_head(self) -> None:
        """What comes with the head is written without a flush before it, so that both can leave together."""
        client = Client()
        reply = self.answered(CHUNKED + b"1\r\na\r\n")
        copying = reply.relay(client, None)
        self.assertEqual((client.writes, client.flushes, copying.done), ([b"a"], 0, False))

    def test_figures(self) -> None:
        """The reply knows how much was copied, and when the first byte came."""
        pending = self.send()
        self.clock.advance(1.0)
        self.backend.say(CHUNKED)
        reply = pending.result()
        reply.relay(Client(), None)
        self.assertEqual((reply.copied, reply.first_at), (0, 0.0))
        self.clock.advance(1.0)
        self.backend.say(b"3\r\nabc\r\n")
        self.clock.advance(1.0)
        self.backend.say(b"1\r\nd\r\n")
        self.assertEqual((reply.copied, reply.first_at), (4, 2.0))

    def test_later(self) -> None:
        """A body that is asked for later is held back until then, and nothing of it is lost."""
        reply = self.answered(CHUNKED + b"1\r\na\r\n")
        (wire,) = self.backend.wires
        self.assertTrue(wire.paused)
        self.backend.say(b"1\r\nb\r\n")  # on its way already
        client, tapped = Client(), list[bytes]()
        copying = reply.relay(client, tapped.append)
        self.assertFalse(wire.paused)
        self.backend.say(b"1\r\nc\r\n0\r\n\r\n")
        self.assertEqual((b"".join(client.writes), b"".join(tapped), copying.done), (b"abc", b"abc", True))

    def test_broken_before_it_is_asked_for(self) -> None:
        """A body that broke before anybody asked for it fails when somebody does."""
        reply = self.answered(CHUNKED + b"1\r\na\r\n")
        self.backend.hang_up(RESET)
        client = Client()
        self.failure_of(reply.relay(client, None), BrokenBody)
        self.assertEqual(client.writes, [b"a"])
        reply = self.answered(CHUNKED)
        self.backend.hang_up(RESET)
        self.failure_of(reply.gather(9), BrokenBody)

    def test_paced(self) -> None:
        """The backend is read no faster than the client reads, and goes back to the pool resumed (R49)."""
        client = Client()
        copying = self.answered(CHUNKED).relay(client, None)
        (wire,) = self.backend.wires
        assert client.source is not None
        client.source.pauseProducing()
        self.assertTrue(wire.paused)
        client.source.resumeProducing()
        self.assertFalse(wire.paused)
        client.source.pauseProducing()
        self.backend.say(b"0\r\n\r\n")  # on its way already
        self.assertTrue(copying.done)
        self.assertFalse(wire.paused)
        self.assertIsNone(client.source)
        self.assertEqual(self.answered(SHORT).gather(9).result(), b"hi")
        self.assertEqual(len(self.backend.wires), 1)

    def test_end_of_connection(self) -> None:
        """A body without a length ends with a close, and is broken by a reset (R23, R27)."""
        for reason, whole in ((GONE, True), (RESET, False)):
            copying = self.answered(OK + b"\r\nabc").relay(Client(), None)
            self.backend.hang_up(reason)
            if whole:
                copying.result()
            else:
                self.failure_of(copying, BrokenBody)

    def test_broken(self) -> None:
        """A body that ends too early, or whose framing is broken, fails; its connection is cut (R23, R24, R40)."""
        for text in (b"", b"x\r\n"):
            client = Client()
            copying = self.answered(CHUNKED + b"1\r\na\r\n").relay(client, None)
            if text:
                self.backend.say(text)
                self.assertTrue(self.backend.wires[-1].aborted)
            self.backend.hang_up()
            self.failure_of(copying, BrokenBody)
            self.assertEqual((client.writes, client.source), ([b"a"], None))

    def test_head_request(self) -> None:
        """An answer to ``HEAD`` is over with its head, and the connection is kept (R26)."""
        head = Outgoing(b"HEAD", b"/", [])
        for _ in range(2):
            reply = self.answered(OK + b"Content-Length: 9\r\n\r\n", head)
            self.assertEqual((reply.head.length, reply.gather(9).result()), (9, b""))
        self.assertEqual(len(self.backend.wires), 1)

    def test_gather(self) -> None:
        """A body can be read whole, up to a limit."""
        gathering = self.answered(CHUNKED + b"2\r\nab\r\n").gather(4)
        self.backend.say(b"2\r\ncd\r\n0\r\n\r\n")
        self.assertEqual(gathering.result(), b"abcd")
        gathering = self.answered(CHUNKED + b"2\r\nab\r\n").gather(3)
        self.backend.say(b"2\r\ncd\r\n0\r\n\r\n")
        self.failure_of(gathering, BrokenBody)
        self.failure_of(self.answered(SHORT).gather(1), BrokenBody)
        self.failure_of(self.answered(CHUNKED + b"2\r\nab\r\n").gather(1), BrokenBody)
        self.assertTrue(self.backend.wires[-1].aborted)

    def test_unwanted(self) -> None:
        """A reply that nobody wants is hung up on."""
        self.answered(CHUNKED + b"2\r\nab\r\n").abort()
        self.assertTrue(self.backend.wires[-1].aborted)
