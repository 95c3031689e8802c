"""Reads along on the connections of Twisted's Agent, strictly."""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Protocol
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure

from olla.errors import BadReply
from olla.wire.head import ReplyHead, ReplyReader
from olla.wire.recent import Recent


class Guarded:
    """
    What a guard tells of the connection.

    :ivar heard: something has come since the last sweep.
    :ivar answered: some byte of an answer has come.
    :ivar broken: why what came is not a reply.
    :ivar was_reset: the connection ended otherwise than by a close.
    :ivar reader: reads the reply along with Agent.
    :ivar recent: what was read in heads of late.
    """

    reader: ReplyReader

    def __init__(self, recent: Recent[ReplyHead]) -> None:
        self.recent = recent
        self.heard = False
        self.answered = False
        self.broken: BadReply | None = None
        self.was_reset = False


class Guard(ProtocolWrapper):
    """
    Stands between a connection and Agent's protocol.

    :ivar attempt: the one that uses the connection now.
    :ivar requests: how many it has carried, this one included.
    """

    transport: Any

    def __init__(self, factory: Any, wrapped: Protocol) -> None:
        super().__init__(factory, wrapped)
        self.attempt: Guarded | None = None
        self.requests = 0

    def connectionMade(self) -> None:
        """The connection stands: switch Nagle off, or a token may wait for an acknowledgement."""
        if hasattr(self.transport, "setTcpNoDelay"):
            self.transport.setTcpNoDelay(True)
        super().connectionMade()

    def serve(self, attempt: Guarded, method: bytes) -> None:
        """Expect the answer to a request with ``method``."""
        self.attempt = attempt
        self.requests += 1
        attempt.reader = ReplyReader(head_only=method == b"HEAD", recent=attempt.recent)

    def dataReceived(self, data: bytes) -> None:
        """Read along, and pass on what is well-formed."""
        attempt = self.attempt
        if attempt is None:
            self.transport.abortConnection()  # bytes that nobody asked for
            return
        attempt.heard = attempt.answered = True
        try:
            attempt.reader.feed(data)
        except BadReply as error:
            attempt.broken = error
            self.transport.abortConnection()
            return
        super().dataReceived(data)
        if attempt.reader.surplus:
            self.transport.abortConnection()  # the next request must not take these bytes for its answer

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008  Twisted's signature
        """Tell how the connection ended: Agent takes a reset for the end of a body without a length."""
        if self.attempt is not None and self.attempt.broken is None and not reason.check(ConnectionDone):
            self.attempt.was_reset = True
        super().connectionLost(reason)

    def release(self, attempt: Guarded) -> None:
        """The answer to ``attempt`` is whole; the next one may have begun already."""
        if self.attempt is attempt:
            self.attempt = None


class GuardFactory(WrappingFactory):
    """Puts a guard around each protocol that it is given."""

    protocol = Guard
    noisy = False
