"""The way between the owner and one worker: messages, each with its length before it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec
from twisted.internet.interfaces import IReadDescriptor, IWriteDescriptor
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.protocols.basic import Int32StringReceiver
from twisted.python.failure import Failure

from olla.crew.messages import FromOwner, FromWorker, Message
from olla.pending import nothing

T = TypeVar("T")


class Link(Int32StringReceiver, Generic[T]):
    """
    One end.

    Listings of many thousand models go through it, which is why it is not AMP, whose values end at 64 KiB.

    :ivar open: whether something can be said.
    """

    MAX_LENGTH = 1 << 30
    _log = Logger()

    def __init__(
        self,
        decoder: msgspec.msgpack.Decoder[T],
        heard: Callable[[T], None],
        lost: Callable[[], None],
        over: Callable[[], None] = nothing,
    ) -> None:
        """
        Get ready to be connected.

        :param decoder: understands what the other end says.
        :param heard: told each message.
        :param lost: told that the other process is gone.
        :param over: called when each message that came with one read has been told.
        """
        self.open = False
        self._decoder = decoder
        self._encoder = msgspec.msgpack.Encoder()
        self._heard = heard
        self._lost = lost
        self._over = over
        self._push: Callable[[], object] = nothing
        self._pull: Callable[[], object] = nothing

    def connectionMade(self) -> None:
        """The other process can be spoken to."""
        self.open = True
        transport: Any = self.transport
        if IWriteDescriptor.providedBy(transport):
            self._push = transport.doWrite
        if IReadDescriptor.providedBy(transport):
            self._pull = transport.doRead

    def dataReceived(self, data: bytes) -> None:
        """Bytes have come."""
        super().dataReceived(data)
        self._over()

    def hear(self) -> None:
        """Read what has come and the reactor has yet to notice; that the other end is gone it notices by itself."""
        if not self.open:
            return
        try:
            self._pull()
        except Exception:  # the reactor would do the same
            self._log.failure("A process said what cannot be understood")
            self.close()

    def say(self, message: Message) -> None:
        """
        Send ``message`` now.

        It does not wait for the reactor's next turn: what a worker has said before it answers its client is with
        the owner before anything that the client can do next.
        """
        if not self.open:
            return
        try:
            data = self._encoder.encode(message)
        except UnicodeEncodeError:
            data = self._encoder.encode(_writable(msgspec.to_builtins(message, builtin_types=(bytes,))))
        self.sendString(data)
        self._push()

    def stringReceived(self, string: bytes) -> None:
        """A message has come."""
        self._heard(self._decoder.decode(string))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The other process is gone."""
        self.open = False
        self._lost()

    def close(self) -> None:
        """Say nothing more."""
        self.open = False
        if self.transport is not None:
            self.transport.loseConnection()


def owners_end(
    heard: Callable[[FromWorker], None], lost: Callable[[], None], over: Callable[[], None]
) -> Link[FromWorker]:
    """Make the end that a worker talks to."""
    return Link(msgspec.msgpack.Decoder(FromWorker), heard, lost, over)


def workers_end(heard: Callable[[FromOwner], None], lost: Callable[[], None]) -> Link[FromOwner]:
    """Make the end that the owner talks to."""
    return Link(msgspec.msgpack.Decoder(FromOwner), heard, lost)


def _writable(value: Any) -> Any:
    """Write ``?`` for half a surrogate pair, which a client may have named and UTF-8 has no bytes for."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_writable(key): _writable(one) for key, one in value.items()}
    return [_writable(one) for one in value] if isinstance(value, (list, tuple)) else value
