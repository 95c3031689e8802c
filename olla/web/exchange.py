"""The client's side of one request, on Twisted's own server."""

from __future__ import annotations

from typing import Any

from attrs import define
from twisted.internet.interfaces import IPushProducer, IWriteDescriptor
from twisted.web.server import Request as StockRequest
from zope.interface import implementer

from olla.domain.message import EMPTY, Body, Fields, Head, Request
from olla.interfaces import IExchange, IPaced
from olla.limits.address import unmapped
from olla.wire.head import BODILESS, RequestHead
from olla.wire.headers import Prepared

IN_MEMORY = 1 << 20


class _Closed:
    """Stands where a content file was that somebody else keeps open."""

    def close(self) -> None:
        """Nothing is open here."""


def header_fields(stock: StockRequest) -> Fields:
    """Give the header fields that have come, in Twisted's spelling."""
    return [(name, value) for name, values in stock.requestHeaders.getAllRawHeaders() for value in values]


def request_of(stock: StockRequest, now: float) -> Request:
    """
    Give the request as the journey takes it.

    :param stock: any request of Twisted's server, whole; its resource may hang somewhere below the root.
    :param now: when it arrived, if ``stock`` does not know.
    """
    head: RequestHead | None = getattr(stock, "head", None)  # a stranger's server has read its own way
    if head is None:
        fields = header_fields(stock)
        framed = any(name in (b"Content-Length", b"Transfer-Encoding") for name, _ in fields)
    else:
        fields, framed = head.fields, head.length is not None or head.chunked
    request = Request(
        stock.method,
        _below(stock),
        fields,
        _body(stock),
        framed,
        unmapped(getattr(stock.client, "host", "") or ""),
        received=getattr(stock, "received", 0.0) or now,
        admitted=getattr(stock, "admitted", None),
        asked=getattr(stock, "verdict", None),
        secure=stock.isSecure(),
    )
    if head is not None and request.target == head.target:  # a resource of somebody's may hang us deeper
        request.made, request.index = head.made, head.index
    return request


def _below(stock: Any) -> bytes:
    """Give the target without the part of its path that led to our resource."""
    path, mark, query = stock.uri.partition(b"?")
    above = len(stock.prepath) + 1
    uri: bytes = stock.uri
    return b"/" + b"/".join(path.split(b"/")[above:]) + mark + query if above > 1 else uri


def _body(stock: Any) -> Body:
    content = stock.content
    size = content.seek(0, 2)
    content.seek(0)
    if not size:
        return EMPTY
    stock.content = _Closed()  # the body is the journey's now, which may be done with it sooner, or later
    if size <= IN_MEMORY:
        return Body.of(content.read())
    return Body.spooled(content, size)


@implementer(IPushProducer)
@define
class _Producer:
    """Shows a paced source to Twisted as a push producer."""

    source: IPaced

    def pauseProducing(self) -> None:
        self.source.pauseProducing()

    def resumeProducing(self) -> None:
        self.source.resumeProducing()

    def stopProducing(self) -> None:
        """The client has gone; whoever runs the journey is told so by another way."""


@implementer(IExchange)
class SiteExchange:
    """
    The client's side of one request on Twisted's server; see :class:`IExchange`.

    :ivar gone: nothing can be sent any more: the client has left, or the response is over.
    :ivar finished: the response went out whole.
    """

    def __init__(self, stock: Any, surface: str, now: float) -> None:
        self.request = request_of(stock, now)
        self.surface = surface
        self.responded = False
        self.gone = False
        self.finished = False
        self._stock = stock
        self._length: int | None = None
        self._written = 0
        self._producer: _Producer | None = None
        stock.notifyFinish().addBoth(self._left)

    def _left(self, _: object) -> None:
        self.gone = True

    def respond(self, head: Head) -> None:
        """Give the head; Twisted sends it with the first write."""
        self.responded = True
        if self.gone:
            return
        stock = self._stock
        stock.setResponseCode(head.status, head.reason)
        headers = Prepared(head.blocks, head.fields)
        for name, values in stock.responseHeaders.getAllRawHeaders():  # somebody else's server names itself
            headers.setRawHeaders(name, values)
        stock.responseHeaders = headers
        if head.length is not None and head.status != 204:
            headers.setRawHeaders(b"Content-Length", [b"%d" % head.length])
        self._length = 0 if head.status in BODILESS or self.request.method == b"HEAD" else head.length
        if getattr(stock.channel.site, "draining", False):  # not every site has that
            stock.channel.persistent = False
        if not stock.channel.persistent:
            headers.setRawHeaders(b"Connection", [b"close"])

    def write(self, data: bytes) -> None:
        """Send a piece."""
        self._written += len(data)
        if not self.gone and data:
            self._stock.write(data)

    def write_last(self, data: bytes) -> None:
        """Send the last piece; Twisted ends the body by a write of its own."""
        self.write(data)

    def flush(self) -> None:
        """Send the head now."""
        if not self.gone and not self._stock.startedWriting:
            self._stock.write(b"")

    def finish(self) -> None:
        """End the body."""
        if self._length is not None and self._written != self._length:
            self.abort()
        elif not self.gone:
            self.finished = True
            self._stock.finish()

    def abort(self) -> None:
        """
        Cut the connection.

        What was written is still sent.  Of a body that only the connection's end delimits nothing but a reset tells
        that it is not whole: there the socket gets what it takes now, which is all unless the client is slow.
        """
        if self.gone:
            return
        self.gone = True
        stock = self._stock
        delimited = stock.startedWriting and (stock.chunked or self._length is not None)
        if delimited:
            stock.channel.loseConnection()
        else:
            transport: Any = stock.channel.transport
            if IWriteDescriptor.providedBy(transport):
                transport.doWrite()
            transport.abortConnection()

    def pace(self, source: IPaced | None) -> None:
        """Pause ``source`` while the client is slow."""
        producer, self._producer = self._producer, None
        if producer is not None:
            if not self.gone:
                self._stock.unregisterProducer()
            producer.resumeProducing()
        if source is not None and not self.gone:
            self._producer = _Producer(source)
            self._stock.registerProducer(self._producer, True)
