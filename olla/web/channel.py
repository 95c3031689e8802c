"""
Clients on Twisted's own HTTP server: its channel and request, with our limits.

What the stock channel lacks is added where it offers a method to override: heads read by the same strict grammar
as on our own channel, those of our own size answered 431 instead of 400, bodies refused before they are read,
deadlines that a dripping client cannot push back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import ITCPTransport
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, _ChunkedTransferDecoder
from twisted.web.server import Request as StockRequest

from olla.dialect.fields import FRAMING
from olla.domain.message import Request
from olla.errors import BadRequest, HeadersTooLarge, InternalError, Refusal, RequestTooLarge, Stalled
from olla.limits.address import unmapped
from olla.pending import Pending
from olla.wire.gather import BROKEN_LINE, REQUEST_LINE
from olla.wire.head import MAX_FIELDS, RequestHead, parse_request
from olla.wire.recent import apart

if TYPE_CHECKING:
    from olla.web.site import FrontSite

LINGER = 2.0
LONGEST_CHUNK = 2**63 - 1
ACTED_ON = FRAMING | {b"expect"}
"""Fields that Twisted's channel acts on."""

AROUND_FIELD = 2  # a colon and a blank are in the line, and http-api.md §9.4 counts four


class FrontRequest(StockRequest):
    """
    A request on Twisted's server that refuses what is too large before it has come.

    :ivar received: seconds on the reactor's clock when its head had been read.
    :ivar head: as it was read.
    :ivar admitted: what the limiters said before its body came; ``None`` when they have yet to be asked.
    :ivar verdict: what they will say, where another process has them and was asked.
    """

    defaultContentType = None
    channel: Any
    content: Any
    site: FrontSite
    received = 0.0
    head: RequestHead | None = None
    admitted: Sequence[tuple[bytes, bytes]] | None = None
    verdict: Pending[Any] | None = None
    _read = 0
    _whole = False

    def parseCookies(self) -> None:
        """Cookies mean nothing here."""

    def getRequestHostname(self) -> bytes:
        """Give Klein a name: no route depends on what a client calls us (R11), and a Unix socket has none."""
        return b"olla"

    def gotLength(self, length: int | None) -> None:
        """The head is complete; look at what the client announces."""
        channel = self.channel
        self.received, self.head = channel.head_complete(), channel.head
        try:
            if length != 0:
                self._admit(length)
        except Refusal as refusal:
            channel.refuse(refusal, self)
        else:
            self._keep(partial(super().gotLength, length))

    def _admit(self, length: int | None) -> None:
        """Ask whether a request with a body may send it (http-api.md §1.2)."""
        site, asked = self.channel.site, self.channel.asked(self)
        waiting = site.admit(asked)
        self.admitted, self.verdict = asked.admitted, asked.asked
        limit = site.sizes.body
        if limit and length is not None and length > limit:
            raise RequestTooLarge()
        if waiting is not None:
            waiting.when_done(partial(self._judged, waiting, asked))

    def _judged(self, waiting: Pending[Any], asked: Request) -> None:
        """The limiters have spoken of a request, perhaps before its body is there."""
        channel = self.channel
        try:
            waiting.result()
            self.admitted = asked.admitted
        except Refusal as refusal:
            if not self._whole and channel is not None and not channel.refused:
                channel.refuse(refusal, self)

    def handleContentChunk(self, data: bytes) -> None:
        """A piece of the body has come; a chunked one may outgrow the limit only now."""
        channel = self.channel
        if channel.refused:
            return
        self._read += len(data)
        limit = channel.site.sizes.body
        if limit and self._read > limit:
            channel.refuse(RequestTooLarge(), self)
            return
        self._keep(partial(super().handleContentChunk, data))

    def chunk_announced(self, left: int) -> None:
        """A chunk has begun, of which ``left`` bytes have not come: too large is too large already."""
        limit = self.channel.site.sizes.body
        if left > LONGEST_CHUNK:
            self.channel.refuse(BadRequest("Malformed request"), self)
        elif limit and self._read + left > limit:
            self.channel.refuse(RequestTooLarge(), self)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """The request is whole; one that was refused meanwhile has its answer."""
        self._whole = True
        if not self.channel.refused:
            self._keep(self.content.flush)
        if not self.channel.refused:
            super().requestReceived(command, path, version)

    def _keep(self, keep: Callable[[], object]) -> None:
        """Do something with the file that has the body; refuse when there is no room for it."""
        try:
            keep()
        except OSError as error:
            refusal = InternalError()
            refusal.__cause__ = error
            self.channel.refuse(refusal, self)

    def process(self) -> None:
        """Hand over to the resource, without the header fields that stock Twisted would make up."""
        self.channel.body_complete()
        self.site = self.channel.site
        self.prepath, self.postpath = [], []
        self.render(self.site.resource)


class FrontChannel(HTTPChannel):
    """
    Twisted's server side of HTTP/1.1, with deadlines and limits.

    :ivar refused: the conversation is over; what still comes is not read.
    :ivar slow: whether the client does not read as fast as we write.
    :ivar head: the last one that was read; ``None`` before the first.
    """

    maxHeaders = MAX_FIELDS
    transport: Any
    site: FrontSite
    refused = False
    slow = False
    head: RequestHead | None = None
    _line = b""
    _lines: list[bytes]
    _head_size = 0
    _deadline = 0.0
    _phase = "head"
    _drained = False

    def connectionMade(self) -> None:
        """A client has connected."""
        sizes = self.site.sizes
        self._lines = []
        self.totalHeadersSize = sizes.head + 4096
        self.MAX_LENGTH = sizes.head + 4096
        super().connectionMade()
        self.setTimeout(None)  # the sweep knows what phase it is; an idle timer starts anew at every byte
        self._set_deadline("head", sizes.head_seconds)
        self.site.opened(self)

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008  Twisted's signature
        """The client has gone."""
        self.site.closed(self)
        super().connectionLost(reason)

    def dataReceived(self, data: bytes) -> None:
        """Bytes have come."""
        if self.refused:
            return
        if self._phase == "idle":
            self._set_deadline("head", self.site.sizes.head_seconds)
        super().dataReceived(data)
        if self.line_mode and not self.refused and BROKEN_LINE.search(self._buffer):
            self.refuse(BadRequest("Malformed request"), None)  # the stock channel would wait for the end of the line

    def lineReceived(self, line: bytes) -> None:
        """
        A line of a head has come.

        The stock channel gets none before all have been found good: it would join folded lines, pass on control
        characters, think nothing of the coding ``identity``, and stumble over a length of thousands of digits.
        Of the fields it gets those that it acts on: the others are in ``head``, and would be kept twice.
        """
        try:
            whole = not self.refused and self._collect(line)
        except Refusal as refusal:
            self.refuse(refusal, None)
            return
        if whole:
            lines, self._lines = self._lines, []
            for one in lines:
                name, colon, _ = one.partition(b":")
                if one is lines[0] or not colon or name.lower() in ACTED_ON:
                    super().lineReceived(one)

    def _collect(self, line: bytes) -> bool:
        """
        Keep a line of a head.

        :return: whether the head is whole, and good.
        :raise Refusal: when it is neither and never will be.
        """
        if not self._lines:
            if not line:
                return False  # before a request they are to be ignored (RFC 9112 §2.2)
            if REQUEST_LINE.fullmatch(line) is None:
                raise BadRequest("Malformed request")
            self._line, self._head_size = line, -AROUND_FIELD
        self._lines.append(line)
        if line:
            self._head_size += len(line) + AROUND_FIELD
            if self._head_size > self.site.sizes.head:
                raise HeadersTooLarge()
            return False
        text = b"\r\n".join(self._lines) + b"\r\n"
        key, _ = apart(text)
        head = self.site.recent.get(key)
        if head is None:
            head = parse_request(text)
            if key:
                self.site.recent.put(key, head)
        self.head = head
        return True

    def checkPersistence(self, request: StockRequest, version: bytes) -> bool:
        """Say whether another request may follow; the stock channel finds ``close`` only where it stands alone."""
        return super().checkPersistence(request, version) and self.head is not None and self.head.persistent

    def rawDataReceived(self, data: bytes) -> None:
        """Bytes of a body have come."""
        super().rawDataReceived(data)
        decoder = self._transferDecoder  # private, and the one place that knows how much a chunk will be
        if not isinstance(decoder, _ChunkedTransferDecoder) or self.refused:
            return
        if decoder.state == "BODY":
            self.requests[-1].chunk_announced(decoder.length)
        elif BROKEN_LINE.search(decoder._buffer):
            self.refuse(BadRequest("Malformed request"), self.requests[-1])

    def _send100Continue(self) -> None:
        # Private, and called even when the answer has been given.
        if not self.refused:
            super()._send100Continue()

    def lineLengthExceeded(self, line: bytes) -> None:
        """A line is longer than a whole head may be."""
        self.refuse(HeadersTooLarge(), None)

    def _respondToBadRequestAndDisconnect(self) -> None:
        # Private, and the one place where the stock channel gives up on a request; its answer has no body.
        if not self.refused:
            self.refuse(BadRequest("Malformed request"), None)

    def refuse(self, refusal: Refusal, request: FrontRequest | None) -> None:
        """
        Answer on the spot, and close.

        The sending half is closed first and what the client still sends is thrown away for a while: a socket
        closed with bytes unread resets the connection, and the answer would be lost with it.
        """
        self.refused = True
        self._lines = []
        self.transport.write(self.site.refusal(refusal, self.asked(request)))
        self._networkProducer.resumeProducing()
        if ITCPTransport.providedBy(self.transport):
            self.transport.loseWriteConnection()
            self._set_deadline("linger", LINGER)
        else:
            self.loseConnection()

    def asked(self, request: FrontRequest | None) -> Request:
        """
        Give what is known of the request that is being read.

        :param request: it, when its head is whole.
        """
        peer, now = unmapped(getattr(self.getPeer(), "host", "") or ""), self.site.clock()
        head = request.head if request is not None else None
        if head is None:
            method, _, rest = self._line.partition(b" ")
            return Request(method, rest.rpartition(b" ")[0], [], peer=peer, received=now)
        return Request(
            head.method,
            head.target,
            head.fields,
            peer=peer,
            received=request.received if request is not None else now,
            made=head.made,
            index=head.index,
            admitted=request.admitted if request is not None else None,
        )

    def head_complete(self) -> float:
        """The head is whole; give the time."""
        self._set_deadline("body", self.site.sizes.body_seconds)
        return self.site.clock()

    def body_complete(self) -> None:
        """The request is whole."""
        self._line = b""
        self._set_deadline("answer", self.site.sizes.answer_seconds)

    def requestDone(self, request: StockRequest) -> None:
        """The answer is out."""
        sizes = self.site.sizes
        self._set_deadline("idle", sizes.idle_seconds or sizes.body_seconds)
        super().requestDone(request)

    def check(self, now: float) -> None:
        """Close the connection when its deadline has passed."""
        if self._deadline and now >= self._deadline:
            self._deadline = 0.0
            if self._phase == "body" and not self.refused:
                self.refuse(Stalled(), self.requests[-1])
            elif self._phase in ("head", "idle"):  # a slow client may still read the last answer
                self.loseConnection()
            else:
                self.transport.abortConnection()

    @property
    def busy(self) -> bool:
        """Whether a request is being read or answered, or the client has yet to take all of an answer."""
        return self._phase in ("body", "answer") or self.slow

    def pauseProducing(self) -> None:
        """The client reads slowly."""
        self.slow = True
        super().pauseProducing()

    def resumeProducing(self) -> None:
        """The client has caught up."""
        self.slow = False
        super().resumeProducing()

    def loseConnection(self) -> None:
        """Close the connection, as soon as what was written has left; what comes meanwhile is not read."""
        self.refused = True
        self._set_deadline("flush", self.site.sizes.flush_seconds(slow=self.slow))
        super().loseConnection()

    def _set_deadline(self, phase: str, seconds: float) -> None:
        self._phase = phase
        self._deadline = self.site.clock() + seconds if seconds else 0.0
