"""The client's side of one request, on our own channel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from zope.interface import implementer

from olla.domain.message import Head, Request
from olla.interfaces import IExchange, IPaced
from olla.wire.compose import reply_head
from olla.wire.head import BODILESS


class Connected(Protocol):
    """
    The connection that an exchange belongs to, for as long as it lasts.

    :ivar persistent: whether another request may follow.
    :ivar slow: whether the client does not read as fast as we write.
    :ivar send: writes bytes.
    """

    persistent: bool
    slow: bool
    send: Callable[[bytes], None]

    def finished(self) -> None:
        """The answer is out."""

    def cut(self, *, visibly: bool) -> None:
        """
        The answer will never be whole.

        :param visibly: what was written tells so when the connection ends after it; otherwise reset it.
        """


def swallow(data: bytes) -> None:
    """Send nothing: the client is gone, or its answer is over."""


@implementer(IExchange)
class Exchange:
    """
    See :class:`IExchange`.

    :ivar source: what is paused while the client is slow.
    """

    __slots__ = (
        "_chunked",
        "_connected",
        "_corked",
        "_left",
        "_send",
        "request",
        "responded",
        "source",
        "surface",
    )

    def __init__(self, request: Request, connected: Connected) -> None:
        """Begin, with nothing answered."""
        self.request = request
        self.surface = "proxy"
        self.responded = False
        self.source: IPaced | None = None
        self._connected: Connected | None = connected
        self._corked = b""
        self._chunked = False
        self._left = 0
        self._send = connected.send

    def respond(self, head: Head) -> None:
        """
        Give the head; it waits for what follows.

        :raise ValueError: when a field of it could not be sent as one line; nothing was sent.
        """
        connected = self._connected
        if connected is not None:
            bodiless = self.request.method == b"HEAD"
            self._corked = reply_head(head, bodiless=bodiless, persistent=connected.persistent)
            if not bodiless and head.status not in BODILESS:
                self._chunked = head.length is None
                self._left = head.length or 0
            else:
                self._left = -1
        self.responded = True

    def write(self, data: bytes) -> None:
        """Send a piece of the body, at once."""
        if not data:
            return
        if self._chunked:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        elif not self._counted(len(data)):
            return
        if self._corked:
            data = self._corked + data
            self._corked = b""
        self._send(data)

    def write_last(self, data: bytes) -> None:
        """Send the last piece of the body: together with its end, for :meth:`finish` follows at once."""
        if self._chunked and data:
            self._corked += b"%x\r\n%b\r\n" % (len(data), data)
        elif self._counted(len(data)):
            self._corked += data

    def flush(self) -> None:
        """Send what waits."""
        if self._corked:
            corked, self._corked = self._corked, b""
            self._send(corked)

    def finish(self) -> None:
        """The body is whole, or the connection is cut when it is not."""
        connected = self._connected
        if connected is None:
            return
        if self._left > 0:
            self.abort()
            return
        last = self._corked + b"0\r\n\r\n" if self._chunked else self._corked
        if last:
            self._send(last)
        self.leave()
        connected.finished()

    def abort(self) -> None:
        """The body will never be whole: let the client see it."""
        connected = self._connected
        if connected is None:
            return
        self.flush()
        self.leave()
        connected.cut(visibly=self.responded and (self._chunked or self._left > 0))

    def pace(self, source: IPaced | None) -> None:
        """Name what to pause while the client is slow; see :class:`IExchange`."""
        slow = self._connected is not None and self._connected.slow
        before, self.source = self.source, source
        if before is not None and slow:
            before.resumeProducing()
        if source is not None and slow:
            source.pauseProducing()

    def leave(self) -> None:
        """Let go of the connection: from now on everything does nothing."""
        if self.source is not None:
            self.pace(None)
        self._connected = None
        self._corked = b""
        self._send = swallow

    def _counted(self, size: int) -> bool:
        """Count ``size`` bytes against the length that was announced; cut when there are more."""
        left = self._left - size
        if left >= 0:
            self._left = left
            return True
        if self._left >= 0:
            self.abort()  # the client would take the rest for the next answer
        return False
