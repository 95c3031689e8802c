"""Clients are answered in order, in time, or not at all; what is not ours is handed over whole."""

from __future__ import annotations

from collections import deque
from typing import Any

from hypothesis import given, settings
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IProtocolNegotiationFactory
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from olla.domain.message import Head, Request
from olla.errors import Refusal
from olla.interfaces import IExchange, IPaced
from olla.pending import Pending, Task
from olla.wire.channel import HELD, Channel
from olla.wire.front import ChannelFactory
from olla.wire.gather import RequestGatherer
from olla.wire.sizes import Sizes
from tests.wire.payloads import GET, HOST, ODD, PLAIN, REQUESTS, get
from tests.wire.support import GONE, Wire
from tests.wire.test_head import CUTS, cut

PEER = IPv4Address("TCP", "192.0.2.7", 4711)
POST = b"POST /olla/x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
OK_HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"


class Other(Protocol):
    """Plays the protocol that connections are handed over to."""

    def __init__(self) -> None:
        self.received = b""
        self.lost = False

    def connectionMade(self) -> None:
        """Take the connection as a server does."""
        self.transport.registerProducer(self, True)  # type: ignore[union-attr]  # a StringTransport

    def dataReceived(self, data: bytes) -> None:
        """Note it."""
        self.received += data

    def connectionLost(self, reason: Any = None) -> None:
        """Note it."""
        self.lost = True


@implementer(IPaced)
class Source:
    """Counts how often it is paused and resumed."""

    def __init__(self) -> None:
        self.calls = ""

    def pauseProducing(self) -> None:
        """Note it."""
        self.calls += "p"

    def resumeProducing(self) -> None:
        """Note it."""
        self.calls += "r"


class ChannelTests(SynchronousTestCase):
    """One factory, its clients in memory."""

    def setUp(self) -> None:
        """Make a factory that takes what is under ``/olla/``."""
        self.clock = Clock()
        self.others: list[Other] = []
        self.exchanges: list[Any] = []
        self.refused: list[tuple[Refusal, Request]] = []
        self.admitted: list[Request] = []
        self.cancelled = 0
        self.answer_at_once = False
        self.factory = self.make(Sizes(head=4096, body=100_000))

    def make(self, sizes: Sizes) -> ChannelFactory:
        """Make a factory."""
        site = Factory()
        site.buildProtocol = self.other  # type: ignore[method-assign]
        site.noisy = False
        return ChannelFactory(
            site,
            sizes,
            self.clock.seconds,
            lambda method, target: target.startswith((b"/olla/", b"/?")),
            self.begin,
            self.admitted.append,
            self.refuse,
        )

    def other(self, _: Any) -> Other:
        """Make what gets a connection that is handed over."""
        self.others.append(Other())
        return self.others[-1]

    def begin(self, exchange: IExchange) -> Task:
        """Note the exchange, and wait until it is cancelled."""

        async def wait() -> None:
            if self.answer_at_once:
                self.answer(exchange, b"hi")
            else:
                await Pending[None](self.count)

        self.exchanges.append(exchange)
        task = Task(wait(), self.fail)
        task.start()
        return task

    def count(self) -> None:
        """Count a task that was cancelled."""
        self.cancelled += 1

    def refuse(self, refusal: Refusal, request: Request) -> bytes:
        """Make an answer to what is refused."""
        self.refused.append((refusal, request))
        return b"HTTP/1.1 %d no\r\n\r\n" % refusal.status

    def answer(self, exchange: IExchange, body: bytes) -> None:
        """Answer with ``body``."""
        exchange.respond(Head(200, b"OK", [], len(body)))
        exchange.write(body)
        exchange.finish()

    def connect(self, address: Any = PEER) -> tuple[Channel, Wire]:
        """Connect a client."""
        channel, wire = self.factory.buildProtocol(None), Wire(peerAddress=address)
        channel.makeConnection(wire)
        return channel, wire

    def asked(self, data: bytes = POST) -> tuple[Channel, Wire, Any]:
        """Connect a client that sends a request."""
        channel, wire = self.connect()
        channel.dataReceived(data)
        return channel, wire, self.exchanges[-1]

    def pass_time(self, seconds: float) -> None:
        """Let time go by, with a sweep in each quarter of a second."""
        for _ in range(int(seconds * 4)):
            self.clock.advance(0.25)
            deque(self.factory.sweep(self.clock.seconds()))


class RequestTests(ChannelTests):
    """What comes in."""

    def test_request(self) -> None:
        """A request reaches the journey as it was sent, with its peer and the time of its head."""
        self.clock.advance(3.0)
        _, wire, exchange = self.asked()
        request = exchange.request
        self.assertEqual((request.method, request.target, request.body.whole()), (b"POST", b"/olla/x", b"hello"))
        self.assertEqual(request.fields, [(b"Host", b"a")])
        self.assertEqual((request.has_body, request.peer, request.received), (True, "192.0.2.7", 3.0))
        self.assertEqual(request.get(b"host"), b"a")
        self.assertTrue(wire.no_delay)
        verifyObject(IExchange, exchange)

    def test_again(self) -> None:
        """The same head with another length, or none, or a false one, gets what belongs to it (R1–R3, R12)."""
        self.answer_at_once = True
        channel, wire = self.connect()
        start = b"POST /olla/x HTTP/1.1\r\nHost: a\r\n"
        for length, body in (
            (b"5", b"hello"),
            (b"2", b"hi"),
            (b"0", b""),
            (b"005", b"again"),
            (b"12", b"hello, world"),
        ):
            channel.dataReceived(start + b"Content-Length: " + length + b"\r\n\r\n" + body)
            request = self.exchanges[-1].request
            self.assertEqual((request.body.whole(), request.has_body), (body, True))
        channel.dataReceived(start + b"\r\n")
        self.assertEqual((request.body.whole(), self.exchanges[-1].request.has_body), (b"hello, world", False))
        self.assertEqual(len(self.exchanges), 6)
        self.assertEqual(len({id(exchange.request.made) for exchange in self.exchanges}), 2)
        for length in (b"", b"+5", b"5, 5"):
            channel, wire = self.connect()
            channel.dataReceived(start + b"Content-Length: " + length + b"\r\n\r\nhello")
            self.assertEqual(wire.value(), b"HTTP/1.1 400 no\r\n\r\n")

    def test_again_with_a_decoy(self) -> None:
        """A figure in another field is not taken for the length (R2)."""
        self.answer_at_once = True
        for decoy in (b"X-Content-Length: 5", b"X: Content-Length: 5"):
            channel, _ = self.connect()
            for size in (b"5", b"7"):
                fields = decoy.replace(b"5", size) + b"\r\nCONTENT-LENGTH: 2\r\n\r\n"
                channel.dataReceived(b"POST /olla/x HTTP/1.1\r\nHost: a\r\n" + fields + b"hi")
                self.assertEqual(self.exchanges[-1].request.body.whole(), b"hi")
        self.assertEqual(len(self.exchanges), 4)

    def test_negotiated(self) -> None:
        """A TLS client that offers protocols is told which is spoken, or Twisted ends its handshake (RFC 7301)."""
        verifyObject(IProtocolNegotiationFactory, self.factory)
        self.assertEqual(self.factory.acceptableProtocols(), [b"http/1.1"])

    def test_peer(self) -> None:
        """An IPv4 client on an IPv6 socket has its IPv4 address (http-api.md §9.5)."""
        channel, _ = self.connect(IPv6Address("TCP", "::ffff:192.0.2.9", 1))
        channel.dataReceived(get())
        self.assertEqual(self.exchanges[-1].request.peer, "192.0.2.9")

    def test_any_cut(self) -> None:
        """However its bytes are cut, a request is the same, and so is what follows it (issue 4)."""

        @settings(max_examples=200, deadline=None)
        @given(CUTS)
        def same(cuts: list[int]) -> None:
            self.exchanges.clear()
            channel, wire = self.connect()
            for piece in cut(POST + get() + POST, cuts):
                channel.dataReceived(piece)
            for number in range(3):
                self.answer(self.exchanges[number], b"%d" % number)
            bodies = [exchange.request.body.whole() for exchange in self.exchanges]
            self.assertEqual(bodies, [b"hello", b"", b"hello"])
            self.assertEqual([written[-1:] for written in wire.writes], [b"0", b"1", b"2"])

        same()

    def test_families(self) -> None:
        """Malformed requests get 400 and are closed; odd ones the other server, plain ones us (R1–R11)."""
        wrong = []
        for family, data, expected in REQUESTS:
            self.exchanges, self.others, self.refused = [], [], []
            channel, wire = self.connect()
            channel.dataReceived(data)
            found = (int(channel.busy), len(self.others), len(self.refused), wire.closed)
            ours = b"/olla/x" in data and expected == PLAIN and b"http://" not in data and b"BREW" not in data
            odd = expected == ODD or (expected == PLAIN and not ours)
            if found != (int(ours), int(odd), int(not ours and not odd), not ours and not odd):
                wrong.append((family, found))
        self.assertEqual(wrong, [])

    def test_hand_over(self) -> None:
        """What is not ours goes to the other server with every byte, and stays there."""
        for first in (
            b"GET /internal/health HTTP/1.1\r\nHost: a\r\n\r\n",
            b"POST /olla/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
            b"OPTIONS /olla/x HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET /olla/x HTTP/1.0\r\n\r\n",
        ):
            for pieces in ([first], [first[:30], first[30:]]):
                channel, wire = self.connect()
                for piece in [*pieces, get()]:
                    channel.dataReceived(piece)
                other = self.others[-1]
                self.assertEqual(other.received, first + get())
                self.assertIs(other.transport, wire)
                channel.connectionLost(GONE)
                self.assertTrue(other.lost)
        self.assertEqual((self.exchanges, self.factory.channels), ([], set()))

    def test_hand_over_later(self) -> None:
        """A connection can be handed over after requests of ours, when they have been answered."""
        odd = b"GET /internal/health HTTP/1.1\r\nHost: a\r\n\r\n"
        _, wire, exchange = self.asked(POST + odd)
        self.assertEqual(self.others, [])
        self.answer(exchange, b"hi")
        self.assertEqual(self.others[0].received, odd)
        self.assertEqual(wire.written, OK_HEAD + b"hi")

    def test_body_file(self) -> None:
        """A body above 1 MiB waits in a file."""
        self.factory = self.make(Sizes(body=4 << 20))
        size = 2 << 20
        channel, _ = self.connect()
        channel.dataReceived(b"POST /olla/x HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size // 65536):
            self.assertEqual(self.exchanges, [])
            channel.dataReceived(bytes(65536))
        body = self.exchanges[0].request.body
        self.addCleanup(body.parts[0].file.close)
        self.assertEqual((body.size, body.parts[0].stop), (size, size))


class LimitTests(ChannelTests):
    """What is refused before it is read, and what takes too long."""

    def test_body_too_large(self) -> None:
        """A length above the limit is answered 413 before the body comes; the limit is accepted (R53, C66)."""
        for size, refused in ((100_000, False), (100_001, True), (10**15, True)):
            channel, wire = self.connect()
            channel.dataReceived(b"POST /olla/x?y HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
            self.assertEqual(wire.closed, refused)
            self.assertEqual(wire.written, b"HTTP/1.1 413 no\r\n\r\n" if refused else b"")
        self.assertEqual(self.refused[0][1].target, b"/olla/x?y")
        self.assertEqual(self.refused[0][1].fields[0], (b"Host", b"a"))
        self.assertEqual(self.exchanges, [])

    def test_head_too_large(self) -> None:
        """A head above the limit is answered 431, at the limit it is read, without end cut off (R50, C67)."""
        fixed = len(b"GET /olla/x HTTP/1.1") + len(b"Host") + len(b"a") + 4 + len(b"X") + 4
        for size, statuses in ((4096, []), (4097, [431]), (60000, [431])):
            self.refused.clear()
            channel, wire = self.connect()
            channel.dataReceived(get(b"X: " + b"a" * (size - fixed)))
            self.assertEqual([refusal.status for refusal, _ in self.refused], statuses)
        channel, wire = self.connect()
        channel.dataReceived(GET + HOST)
        for _ in range(9):
            channel.dataReceived(b"X: " + b"a" * 1000 + b"\r\n")
        self.assertEqual((self.refused[-1][0].status, wire.closed), (431, True))

    def test_after_refusal(self) -> None:
        """What comes after a refusal is thrown away (R1, R53)."""
        channel, wire = self.connect()
        channel.dataReceived(get(b"Content-Length: x"))
        channel.dataReceived(get())
        self.assertEqual((len(wire.writes), self.exchanges), (1, []))

    def test_slow_head(self) -> None:
        """A head that is not whole in time is closed without an answer, however it drips (R47)."""
        channel, wire = self.connect()
        for byte in get(b"X: 12345678901234567890")[:38]:
            self.assertFalse(wire.closed)
            channel.dataReceived(bytes([byte]))
            self.pass_time(0.25)
        self.pass_time(0.75)
        self.assertEqual((wire.closed, wire.written), (True, b""))

    def test_silent_connection(self) -> None:
        """A connection on which nothing ever comes is closed after the time for a head."""
        _, wire = self.connect()
        self.pass_time(9.75)
        self.assertFalse(wire.closed)
        self.pass_time(0.5)
        self.assertTrue(wire.closed)

    def test_slow_body(self) -> None:
        """A body that drips is refused after ``read_timeout``, and nothing of it reaches a backend (R47, C131)."""
        channel, wire = self.connect()
        channel.dataReceived(POST[:-5])
        for byte in b"hell":
            self.pass_time(7.0)
            channel.dataReceived(bytes([byte]))
        self.assertFalse(wire.closed)
        self.pass_time(2.25)
        self.assertEqual((wire.closed, wire.written), (True, b"HTTP/1.1 408 no\r\n\r\n"))
        self.assertEqual(self.exchanges, [])

    def test_idle(self) -> None:
        """Between two requests a connection may be idle for a while; then a head has its own time."""
        channel, wire, exchange = self.asked()
        self.pass_time(100.0)
        self.answer(exchange, b"hi")
        self.pass_time(29.0)
        self.assertFalse(wire.closed)
        channel.dataReceived(GET)
        self.pass_time(9.5)
        self.assertFalse(wire.closed)
        self.pass_time(1.0)
        self.assertTrue(wire.closed)
        _, wire, exchange = self.asked()
        self.answer(exchange, b"hi")
        self.pass_time(30.5)
        self.assertTrue(wire.closed)

    def test_answer_timeout(self) -> None:
        """With ``write_timeout`` an answer that takes longer is cut; without it never (§1.1)."""
        self.factory = self.make(Sizes(answer_seconds=5.0))
        _, wire, _ = self.asked()
        self.pass_time(5.0)
        self.assertTrue(wire.aborted)

    def test_no_limits(self) -> None:
        """A limit of zero is none."""
        self.factory = self.make(Sizes(head_seconds=0.0, body_seconds=0.0, idle_seconds=0.0, body=0))
        channel, wire = self.connect()
        self.pass_time(100.0)
        channel.dataReceived(b"POST /olla/x HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
        self.pass_time(100.0)
        channel.dataReceived(bytes(1_000_000))
        self.answer(self.exchanges[0], b"hi")
        self.pass_time(100.0)
        self.assertFalse(wire.closed)


class AnswerTests(ChannelTests):
    """What goes out."""

    def test_one_write(self) -> None:
        """Head and the first piece leave in one write; so do the last piece and the end (R33)."""
        _, wire, exchange = self.asked()
        exchange.respond(Head(200, b"OK", [(b"A", b"b")], None))
        self.assertEqual(wire.writes, [])
        exchange.write(b"abc")
        exchange.write(b"d" * 16)
        exchange.write_last(b"e")
        exchange.finish()
        self.assertEqual(
            wire.writes,
            [
                b"HTTP/1.1 200 OK\r\nA: b\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
                b"10\r\n" + b"d" * 16 + b"\r\n",
                b"1\r\ne\r\n0\r\n\r\n",
            ],
        )

    def test_flush(self) -> None:
        """A head without a body yet leaves when asked to (R33)."""
        _, wire, exchange = self.asked()
        exchange.respond(Head(200, b"OK", [], 3))
        exchange.flush()
        exchange.flush()
        self.assertEqual(wire.writes, [b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"])

    def test_bodiless(self) -> None:
        """``HEAD``, 204 and 304 have no body, whatever is written; the connection is kept (R26)."""
        for method, status in ((b"HEAD", 200), (b"GET", 204), (b"GET", 304)):
            channel, wire, exchange = self.asked(method + b" /olla/x HTTP/1.1\r\nHost: a\r\n\r\n")
            exchange.respond(Head(status, b"R", [], 9 if status != 204 else None))
            exchange.write(b"x")
            exchange.write_last(b"y")
            exchange.finish()
            self.assertTrue(wire.written.endswith(b"\r\n\r\n"))
            self.assertFalse(wire.closed)
            channel.dataReceived(POST)
            self.answer(self.exchanges[-1], b"hi")
            self.assertTrue(wire.written.endswith(OK_HEAD + b"hi"))

    def test_empty_chunk(self) -> None:
        """An empty piece is not written: in chunks it would be the end (C42)."""
        _, wire, exchange = self.asked()
        exchange.respond(Head(200, b"OK", [], None))
        exchange.flush()
        exchange.write(b"")
        exchange.write_last(b"")
        self.assertEqual(len(wire.writes), 1)

    def test_too_short(self) -> None:
        """An answer shorter than announced is cut, never ended (R23)."""
        channel, wire, exchange = self.asked(POST + POST)
        exchange.respond(Head(200, b"OK", [], 3))
        exchange.write(b"ab")
        exchange.finish()
        self.assertTrue(wire.closed)
        self.assertEqual((len(self.exchanges), wire.written[-4:]), (1, b"\r\nab"[-4:]))
        channel.dataReceived(POST)
        self.assertEqual(len(self.exchanges), 1)

    def test_too_long(self) -> None:
        """More than was announced is not written, for the client would take it for the next answer."""
        _, wire, exchange = self.asked()
        exchange.respond(Head(200, b"OK", [], 3))
        exchange.write(b"ab")
        exchange.write(b"cd")
        self.assertTrue(wire.closed)
        self.assertEqual(wire.written[-4:], b"\r\nab"[-4:])

    def test_abort(self) -> None:
        """An answer that breaks off ends without its end; one not begun is reset (R40, C42)."""
        _, wire, exchange = self.asked()
        exchange.respond(Head(200, b"OK", [], None))
        exchange.write(b"a")
        exchange.write(b"error")
        exchange.abort()
        self.assertEqual((wire.disconnecting, wire.aborted), (True, False))
        self.assertTrue(wire.written.endswith(b"1\r\na\r\n5\r\nerror\r\n"))
        _, wire, exchange = self.asked()
        exchange.abort()
        self.assertEqual((wire.written, wire.aborted), (b"", True))

    def test_abort_without_piece(self) -> None:
        """An answer that breaks off after its head is seen to: the head leaves, no end follows."""
        _, wire, exchange = self.asked()
        exchange.respond(Head(200, b"OK", [], None))
        exchange.abort()
        self.assertEqual((wire.written[:15], wire.written[-4:], wire.closed), (b"HTTP/1.1 200 OK", b"\r\n\r\n", True))

    def test_after_the_end(self) -> None:
        """After its end an exchange does nothing: the next answer is safe from it (R12)."""
        _, wire, exchange = self.asked()
        self.answer(exchange, b"hi")
        written = wire.written
        exchange.respond(Head(200, b"OK", [], 3))
        exchange.write(b"abc")
        exchange.write_last(b"abc")
        exchange.flush()
        exchange.finish()
        exchange.abort()
        self.assertEqual((wire.written, wire.closed), (written, False))

    def test_bad_head(self) -> None:
        """A head that would inject a line is refused before a byte of it is written (R28)."""
        _, wire, exchange = self.asked()
        self.assertRaises(ValueError, exchange.respond, Head(200, b"OK", [(b"A", b"b\r\nC: d")], 0))
        self.assertEqual((exchange.responded, wire.written), (False, b""))
        self.answer(exchange, b"hi")
        self.assertEqual(wire.written, OK_HEAD + b"hi")

    def test_close_wanted(self) -> None:
        """A client that wants the connection closed gets it closed, and is told so."""
        _, wire, exchange = self.asked(get(b"Connection: close"))
        self.answer(exchange, b"hi")
        self.assertIn(b"\r\nConnection: close\r\n", wire.written)
        self.assertTrue(wire.closed)


class OrderTests(ChannelTests):
    """Several requests on a connection."""

    def test_pipelined(self) -> None:
        """Requests sent before the answer to the first are answered after it, in order (R12)."""
        channel, wire, _ = self.asked(POST)
        channel.dataReceived(b"GET /olla/2 HTTP/1.1\r\nHost: a\r\n\r\nGET /olla/3 HTT")
        self.assertEqual(len(self.exchanges), 1)
        self.answer(self.exchanges[0], b"1")
        channel.dataReceived(b"P/1.1\r\nHost: a\r\n\r\n")
        self.assertEqual(len(self.exchanges), 2)
        self.answer(self.exchanges[1], b"2")
        self.answer(self.exchanges[2], b"3")
        self.assertEqual([exchange.request.target[-1:] for exchange in self.exchanges], [b"x", b"2", b"3"])
        self.assertEqual([write[-1:] for write in wire.writes], [b"1", b"2", b"3"])

    def test_many_at_once(self) -> None:
        """Thousands of pipelined requests answered at once do not exhaust the stack."""
        self.answer_at_once = True
        channel, wire = self.connect()
        channel.dataReceived(get() * 3000)
        self.assertEqual(wire.written.count(OK_HEAD), 3000)

    def test_held_is_bounded(self) -> None:
        """A client that floods while it is answered is read no further (R49)."""
        channel, wire, exchange = self.asked()
        channel.dataReceived(get(b"X: " + b"a" * 100))
        self.assertFalse(wire.paused)
        channel.dataReceived(bytes(HELD))
        self.assertTrue(wire.paused)
        self.answer(exchange, b"1")
        self.assertTrue(wire.paused)
        self.answer(self.exchanges[1], b"2")
        self.assertFalse(wire.paused)
        self.assertEqual(self.refused[0][0].status, 400)

    def test_refused_after_answer(self) -> None:
        """A malformed request behind a good one does not spoil the answer to that (R12)."""
        _, wire, exchange = self.asked(POST + b"nonsense\r\n\r\n")
        self.assertEqual(self.refused, [])
        self.answer(exchange, b"hi")
        self.assertEqual(wire.written, OK_HEAD + b"hi" + b"HTTP/1.1 400 no\r\n\r\n")


class LeavingTests(ChannelTests):
    """Clients that go, or that are slow."""

    def test_gone(self) -> None:
        """When the client goes its journey is cancelled, and the exchange does nothing any more (R45)."""
        channel, wire, exchange = self.asked()
        channel.connectionLost(GONE)
        self.assertEqual((self.cancelled, self.factory.channels), (1, set()))
        self.answer(exchange, b"hi")
        exchange.abort()
        self.assertEqual(wire.written, b"")

    def test_gone_after_answer(self) -> None:
        """A client that goes after its answer cancels nothing."""
        channel, _, exchange = self.asked()
        self.answer(exchange, b"hi")
        channel.connectionLost(GONE)
        self.assertEqual(self.cancelled, 0)

    def test_upload_abandoned(self) -> None:
        """A client that goes while it sends leaves nothing behind (R51, R70)."""
        channel, _ = self.connect()
        channel.dataReceived(POST[:-1])
        self.assertEqual(self.factory.busy, 1)
        channel.connectionLost(GONE)
        self.assertEqual((self.factory.busy, self.exchanges), (0, []))

    def test_slow(self) -> None:
        """While the client is slow the source is paused, and resumed when it is taken back (R49)."""
        _, wire, exchange = self.asked()
        source = Source()
        assert wire.producer is not None
        exchange.respond(Head(200, b"OK", [], None))
        exchange.pace(source)
        self.assertEqual(source.calls, "")
        wire.producer.pauseProducing()
        wire.producer.resumeProducing()
        wire.producer.pauseProducing()
        exchange.pace(None)
        self.assertEqual(source.calls, "prpr")
        exchange.pace(source)
        self.assertEqual(source.calls, "prprp")
        exchange.finish()
        self.assertEqual(source.calls, "prprpr")

    def test_gone_while_slow(self) -> None:
        """A source that is paused when the client goes is resumed, so that nothing stays paused for ever."""
        channel, wire, exchange = self.asked()
        source = Source()
        exchange.pace(source)
        assert wire.producer is not None
        wire.producer.pauseProducing()
        channel.connectionLost(GONE)
        self.assertEqual(source.calls, "pr")

    def test_closing_unregisters(self) -> None:
        """Before the connection is closed the transport is told that nothing more comes, or it would wait."""
        _, wire, exchange = self.asked(get(b"Connection: close"))
        self.answer(exchange, b"hi")
        self.assertIsNone(wire.producer)

    def test_closing_takes_too_long(self) -> None:
        """A client that does not read what is left is cut after a while."""
        _, wire, exchange = self.asked(get(b"Connection: close"))
        self.answer(exchange, b"hi")
        self.pass_time(29.0)
        self.assertFalse(wire.aborted)
        self.pass_time(1.5)
        self.assertTrue(wire.aborted)

    def test_drain(self) -> None:
        """Draining makes the answer that runs the last one, which says so; then idle connections are closed (R64)."""
        _, idle = self.connect()
        _, busy, exchange = self.asked()
        self.assertEqual(self.factory.busy, 1)
        self.factory.drain()
        self.assertEqual((idle.closed, busy.closed), (False, False))
        self.factory.retire()
        self.assertEqual((idle.closed, busy.closed), (True, False))
        self.answer(exchange, b"hi")
        self.assertTrue(busy.closed)
        self.assertIn(b"\r\nConnection: close\r\n", busy.written)
        self.assertEqual(self.factory.busy, 0)

    def test_abort_all(self) -> None:
        """The rest is cut."""
        _, wire, _ = self.asked()
        self.factory.abort()
        self.assertTrue(wire.aborted)


class GathererTests(SynchronousTestCase):
    """The reader of heads, in the channel's use of it."""

    def test_cost_of_dripping(self) -> None:
        """A long head that drips byte by byte is searched once, not once for each byte (R47)."""
        gatherer = RequestGatherer(1 << 20)
        gatherer.take(GET + HOST)
        for _ in range(200_000):
            gatherer.take(b"a")
        self.assertTrue(gatherer.waiting)
