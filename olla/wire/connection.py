"""One connection to a backend: a request goes out, its reply comes in, and perhaps another after it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from typing import Protocol as Interface

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IPullProducer, ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from olla.domain.message import Head, Outgoing
from olla.errors import BadReply, BrokenBody, ClosedEarly, UpstreamFailure
from olla.wire.body import BodyReader
from olla.wire.head import ReplyHead, ReplyReader
from olla.wire.recent import Recent

AT_ONCE = 65536


class Listener(Interface):
    """What a connection tells about the request that it carries."""

    def head_came(self, head: Head, piece: bytes, ended: bool) -> None:
        """
        The head is here.

        :param piece: of the body, that came with it.
        :param ended: whether the reply is whole; the connection carries this request no more.
        """

    def body_came(self, piece: bytes) -> None:
        """A piece of the body is here."""

    def ended(self, piece: bytes) -> None:
        """The last piece of the body is here, perhaps ``b""``; the connection carries this request no more."""

    def failed(self, error: UpstreamFailure) -> None:
        """There will be no more of a reply; the connection is closed."""


class Owner(Interface):
    """Whoever made a connection."""

    def idle(self, connection: BackendConnection) -> None:
        """``connection`` may carry another request."""

    def gone(self, connection: BackendConnection) -> None:
        """``connection`` will carry no other request; told once."""

    def closed(self, connection: BackendConnection) -> None:
        """``connection`` is closed; told once, after :meth:`gone`."""


@implementer(IPullProducer)
class Upload:
    """
    Writes a large body as fast as the backend takes it.

    :ivar moved: a piece has been written since somebody set this to ``False``.
    :ivar running: not all has been written.
    """

    def __init__(self, pieces: Iterator[bytes], connection: BackendConnection) -> None:
        self.moved = True
        self.running = True
        self._pieces = pieces
        self._connection = connection

    def resumeProducing(self) -> None:
        """The last piece has left: write the next one."""
        piece = next(self._pieces, None)
        self.moved = True
        if piece is not None:
            self._connection.transport.write(piece)
        elif self.running:
            self.running = False
            self._connection.transport.unregisterProducer()

    def stopProducing(self) -> None:
        """The connection is gone: let go of the body, or its file would stay open until the collector comes."""
        self.running = False
        self._pieces = iter(())


class BackendConnection(Protocol):
    """
    The sending side of HTTP/1.1.

    :ivar owner: told when it is idle and when it is gone; ``None`` until somebody wants it.
    :ivar idle_since: for the pool: seconds, ``0.0`` when not known yet.
    :ivar heard: bytes of a body have come since somebody set this to ``False``.
    :ivar upload: the large body that was or is being sent; ``None`` for a small one.
    """

    transport: Any

    def __init__(self, recent: Recent[ReplyHead]) -> None:
        """
        Be ready to connect.

        :param recent: what was read in heads of late, on any connection.
        """
        self.owner: Owner | None = None
        self.idle_since = 0.0
        self.heard = False
        self.upload: Upload | None = None
        self._served = 0
        self._left = False
        self._answered = False
        self._paused = False
        self._listener: Listener | None = None
        self._reader = ReplyReader(head_only=False, recent=recent)
        self._body: BodyReader | None = None

    @property
    def reused(self) -> bool:
        """Whether it has carried a request before."""
        return self._served > 0

    def connectionMade(self) -> None:
        """The connection stands: switch Nagle off, or a request may wait for an acknowledgement."""
        transport = self.transport
        if ITCPTransport.providedBy(transport):
            transport.setTcpNoDelay(True)
            transport.setTcpKeepAlive(True)

    def ask(self, outgoing: Outgoing, head: bytes, listener: Listener) -> None:
        """
        Send a request.

        :param head: of it, as :func:`olla.wire.compose.request_head` writes it.
        """
        body = outgoing.body
        self._served += 1
        self._listener = listener
        self._answered = self.heard = False
        self._reader.expect(head_only=outgoing.method == b"HEAD")
        if body.size <= AT_ONCE:
            self.upload = None
            self.transport.write(head + body.whole() if body.size else head)
        else:
            self.transport.write(head)
            self.upload = Upload(body.pieces(), self)
            self.transport.registerProducer(self.upload, False)

    def pause(self) -> None:
        """Read no more for now."""
        if not self._paused:
            self._paused = True
            self.transport.pauseProducing()

    def resume(self) -> None:
        """Read on."""
        if self._paused:
            self._paused = False
            self.transport.resumeProducing()

    def close(self) -> None:
        """Close the connection, which is idle."""
        self._leave()
        self.resume()
        self.transport.loseConnection()

    def abort(self) -> None:
        """Cut the connection, whatever it is about; its listener hears no more."""
        self._listener = self._body = None
        self._leave()
        self.transport.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        """Bytes have come."""
        body = self._body
        if body is None:
            self._read_head(data)
            return
        self.heard = True
        try:
            piece = body.feed(data)
        except BadReply as error:
            self._fail(BrokenBody(error.detail))
            return
        if body.ended:
            self._detach().ended(piece)
        elif piece:
            self._listener.body_came(piece)  # type: ignore[union-attr]  # there is one as long as there is a body

    def _read_head(self, data: bytes) -> None:
        listener, reader = self._listener, self._reader
        if listener is None:
            self.abort()  # bytes that nobody asked for
            return
        self._answered = True
        try:
            piece = reader.feed(data)
        except BadReply as error:
            self._fail(error)
            return
        if reader.head is None or reader.body is None:
            return
        if reader.body.ended:
            self._detach().head_came(reader.head, piece, True)
        else:
            self._body = reader.body
            self.heard = True
            listener.head_came(reader.head, piece, False)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone."""
        listener = self._listener
        reset = reason.check(ConnectionDone) is None
        self._listener = None
        self._leave()
        if self.owner is not None:
            self.owner.closed(self)
        if listener is None:
            return
        if self._body is None:
            text = "the backend closed the connection before it answered"
            listener.failed(ClosedEarly(text, reset=reset, reused=self._served > 1, answered=self._answered))
        elif reset or not self._body.close():
            listener.failed(BrokenBody("the backend broke off its answer"))
        else:
            listener.ended(b"")

    def _detach(self) -> Listener:
        """The reply is whole: make the connection ready for the next request, or close it."""
        listener, reader = self._listener, self._reader
        assert listener is not None
        self._listener = self._body = None
        uploading = self.upload is not None and self.upload.running
        if reader.persistent and not reader.surplus and not uploading and self.owner is not None:
            if self._paused:
                self.resume()  # or it would never hear the answer to its next request
            self.owner.idle(self)
        elif uploading or reader.surplus:
            self.abort()
        else:
            self.close()
        return listener

    def _fail(self, error: UpstreamFailure) -> None:
        listener = self._listener
        self.abort()
        if listener is not None:
            listener.failed(error)

    def _leave(self) -> None:
        if self.owner is not None and not self._left:
            self._left = True
            self.owner.gone(self)
