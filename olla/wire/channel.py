"""
Clients on HTTP/1.1 of our own: plain requests that go to backends, read whole and answered in order.

Everything else that is legal (other paths, chunked uploads, ``Expect``, HTTP/1.0, upgrades) is handed over to
another server's protocol with its bytes, once and for good for that connection.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IPushProducer, ISSLTransport, ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.tcp import Connection
from twisted.python.failure import Failure
from zope.interface import implementer

from olla.domain.message import EMPTY, Body, Request
from olla.errors import HeadersTooLarge, Refusal, RequestTooLarge, Stalled
from olla.limits.address import unmapped
from olla.pending import Pending, Task
from olla.wire.body import Intake
from olla.wire.exchange import Exchange
from olla.wire.gather import REQUEST_LINE, RequestGatherer, first_line
from olla.wire.head import RequestHead, parse_request, policy_size
from olla.wire.recent import LONGEST_FIGURE, apart

if TYPE_CHECKING:
    from olla.wire.front import ChannelFactory

METHODS = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE"})
ALLOWANCE = 4096
HELD = 65536
LINGER = 2.0
NEVER = 0.0
FROM_SWEEP = -1.0


@implementer(IPushProducer)
class Channel(Protocol):
    """
    One client's connection.

    :ivar persistent: whether another request may follow the one that is answered.
    :ivar slow: whether the client does not read as fast as we write.
    :ivar send: writes bytes.
    """

    transport: Any
    factory: ChannelFactory

    def __init__(self) -> None:
        self.persistent = True
        self.slow = False
        self.send: Callable[[bytes], None]
        self._peer = ""
        self._secure = False
        self._gatherer: RequestGatherer
        self._request: Request | None = None
        self._intake: Intake | None = None
        self._exchange: Exchange | None = None
        self._task: Task | None = None
        self._held = b""
        self._holding = False
        self._reading = False
        self._closing = False
        self._idle = False
        self._expires = NEVER

    @property
    def busy(self) -> bool:
        """Whether a request is being read or answered, or the client has yet to take all of an answer."""
        return self._exchange is not None or self._intake is not None or self.slow

    def connectionMade(self) -> None:
        """A client has connected."""
        factory, transport = self.factory, self.transport
        if ITCPTransport.providedBy(transport):
            transport.setTcpNoDelay(True)
            transport.setTcpKeepAlive(True)
        self.send = transport.write
        self._secure = ISSLTransport.providedBy(transport)
        self._peer = unmapped(getattr(transport.getPeer(), "host", ""))
        self._gatherer = RequestGatherer(factory.sizes.head + ALLOWANCE)
        transport.registerProducer(self, True)
        factory.channels.add(self)
        self._expire_after(factory.sizes.head_seconds)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The client has gone: whatever is done for it ends."""
        self.factory.channels.discard(self)
        exchange, task = self._exchange, self._task
        self._closing = True
        self._exchange = self._task = self._intake = self._request = None
        self._held = b""
        if exchange is not None:
            exchange.leave()
        if task is not None:
            task.cancel()

    def dataReceived(self, data: bytes) -> None:
        """Bytes have come."""
        if self._closing:
            return
        if self._exchange is not None:
            self._held += data
            if len(self._held) > HELD and not self._holding:
                self._holding = True
                self.transport.pauseProducing()
            return
        self._read(data)

    def pauseProducing(self) -> None:
        """The client reads slowly."""
        self.slow = True
        if self._exchange is not None and self._exchange.source is not None:
            self._exchange.source.pauseProducing()

    def resumeProducing(self) -> None:
        """The client has caught up."""
        self.slow = False
        if self._exchange is not None and self._exchange.source is not None:
            self._exchange.source.resumeProducing()

    def stopProducing(self) -> None:
        """The connection is lost; :meth:`connectionLost` follows."""

    def finished(self) -> None:
        """See :class:`olla.wire.exchange.Connected`."""
        self._exchange = self._task = None
        if not self.persistent:
            self._close()
            return
        self._idle = True
        self._expires = FROM_SWEEP
        if self._held and not self._reading:
            held, self._held = self._held, b""
            self._read(held)
        if self._holding and self._exchange is None and not self._closing:
            self._read_on()

    def cut(self, *, visibly: bool) -> None:
        """See :class:`olla.wire.exchange.Connected`."""
        self._exchange = self._task = None
        if visibly:
            self._close()
        else:
            self._closing = True
            self.transport.abortConnection()

    def check(self, now: float) -> None:
        """Act when a deadline has passed."""
        if self._expires == NEVER:
            return
        if self._expires == FROM_SWEEP:
            idle = self.factory.sizes.idle_seconds
            self._expires = now + idle if idle else NEVER
        elif now >= self._expires:
            self._expires = NEVER
            if self._intake is not None and self._request is not None:
                self._refuse(Stalled(), self._request)
            elif self._exchange is not None or self._closing:
                self.transport.abortConnection()
            else:
                self._close()

    def drain(self) -> None:
        """Have the answer that has yet to begin, if there will be one, be the last."""
        if self._intake is not None or (self._exchange is not None and not self._exchange.responded):
            self.persistent = False

    def retire(self) -> None:
        """Close the connection if nothing runs on it; otherwise after the answer that does."""
        self.persistent = False
        if not self.busy and not self._closing:
            self._close()

    def _read(self, data: bytes) -> None:
        """Read requests, until one has to be answered first."""
        self._reading = True
        try:
            while data and not self._closing:
                if self._intake is None:
                    data = self._read_head(data)
                else:
                    data = self._read_body(data, self._intake)
                if self._exchange is not None:
                    self._held = data
                    return
        finally:
            self._reading = False

    def _read_head(self, data: bytes) -> bytes:
        """Read on in a head; gives the bytes after the request, as far as it is here."""
        text = data
        try:
            split = self._gatherer.take(data)
            if split is None:
                if self._idle:
                    self._idle = False
                    self._expire_after(self.factory.sizes.head_seconds)
                return b""
            text, rest = split
            key, length = apart(text)
            head = self.factory.recent.get(key)
            if head is None:
                head = parse_request(text)
                if not (head.plain and head.method in METHODS and self.factory.takes(head.method, head.target)):
                    self._hand_over(text + rest)
                    return b""
                limit = self.factory.sizes.head
                # with a blank or two for each field that has none
                size = len(text) + len(head.fields) + 1
                if size > limit and policy_size(text) > limit:
                    raise HeadersTooLarge()
                if key and size + LONGEST_FIGURE <= limit:
                    self.factory.recent.put(key, head)
            if length < 0 and head.length is not None:
                length = head.length
        except Refusal as refusal:
            self._refuse(refusal, self._unread(text))
            return b""
        return self._expect(head, length, rest)

    def _expect(self, head: RequestHead, length: int, rest: bytes) -> bytes:
        """
        Look at what the head announces.

        :param length: of the body; less than 0 when none is announced.
        :return: the bytes after the request, as far as it is here.
        """
        factory = self.factory
        request = Request(
            head.method,
            head.target,
            head.fields,
            EMPTY,
            length >= 0,
            self._peer,
            "",
            factory.clock(),
            "",
            False,
            head.made,
            head.index,
            secure=self._secure,
        )
        self.persistent = head.persistent and not factory.draining
        if length <= 0:
            self._begin(request)
            return rest
        sizes = factory.sizes
        too_large = sizes.body and length > sizes.body
        if length <= len(rest) and not too_large:
            request.body = Body.of(rest[:length])
            self._begin(request)
            return rest[length:]
        try:
            asked = factory.admit(request)
            if too_large:
                raise RequestTooLarge()
            if asked is not None:
                asked.when_done(partial(self._judged, asked, request))
            self._intake = Intake(length)
        except Refusal as refusal:
            self._refuse(refusal, request)
            return b""
        self._request = request
        self._expires = request.received + sizes.body_seconds if sizes.body_seconds else NEVER
        return rest

    def _judged(self, asked: Pending[Any], request: Request) -> None:
        """The limiters have spoken of a request, perhaps before its body is there."""
        try:
            asked.result()
        except Refusal as refusal:
            if self._request is request:
                self._refuse(refusal, request)

    def _read_body(self, data: bytes, intake: Intake) -> bytes:
        """Read on in a body; gives the bytes after it."""
        request = self._request
        assert request is not None
        try:
            rest = intake.add(data)
            if not intake.left:
                request.body = intake.body()
        except Refusal as refusal:
            self._refuse(refusal, request)
            return b""
        if not intake.left:
            self._request = self._intake = None
            self._begin(request)
        return rest

    def _begin(self, request: Request) -> None:
        """Have a whole request answered."""
        factory = self.factory
        limit = factory.sizes.answer_seconds
        self._idle = False
        self._expires = request.received + limit if limit else NEVER
        exchange = self._exchange = Exchange(request, self)
        task = factory.begin(exchange)
        if self._exchange is exchange:
            self._task = task

    def _unread(self, text: bytes) -> Request:
        """Make what can be made of a request that is refused."""
        line = REQUEST_LINE.fullmatch(first_line(text))
        method, target = (line[1], line[2]) if line is not None else (b"", b"")
        return Request(method, target, [], peer=self._peer, received=self.factory.clock())

    def _refuse(self, refusal: Refusal, request: Request) -> None:
        """
        Answer on the spot, and close.

        Our half is closed first, and what still comes is thrown away for a while: a socket that is closed with
        bytes unread resets the connection, and the answer would be lost with it.
        """
        self._read_on()
        self._closing = True
        self._request = self._intake = None
        transport = self.transport
        transport.unregisterProducer()
        transport.write(self.factory.refuse(refusal, request))
        if isinstance(transport, Connection) and not transport.TLS:
            transport.loseWriteConnection()
            self._expire_after(LINGER)
        else:
            transport.loseConnection()

    def _hand_over(self, data: bytes) -> None:
        """Let another protocol have the connection, and ``data`` first."""
        self.factory.channels.discard(self)
        transport = self.transport
        transport.unregisterProducer()
        other: Any = self.factory.site.buildProtocol(transport.getPeer())
        self._closing = True
        # Whatever the transport calls by these names from now on is the other's.
        self.dataReceived = other.dataReceived  # type: ignore[method-assign]
        self.connectionLost = other.connectionLost  # type: ignore[method-assign]
        other.makeConnection(transport)
        other.dataReceived(data)

    def _read_on(self) -> None:
        """Read again, if reading was stopped because too much was held."""
        if self._holding:
            self._holding = False
            self.transport.resumeProducing()

    def _close(self) -> None:
        """Close the connection, as soon as what was written has left."""
        self._closing = True
        self.transport.unregisterProducer()
        self.transport.loseConnection()
        self._expire_after(self.factory.sizes.flush_seconds(slow=self.slow))

    def _expire_after(self, seconds: float) -> None:
        self._expires = self.factory.clock() + seconds if seconds else NEVER
