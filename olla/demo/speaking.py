"""Says an answer at a human pace."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from attrs import define, field
from twisted.internet.interfaces import IPushProducer, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer


@implementer(IPushProducer)
@define(eq=False)
class Speaking:
    """
    One answer being said, a token at a time, no faster than the client reads it, and no longer than it listens.

    :ivar _tokens: bytes of each.
    :ivar _end: bytes after the last token; ``None`` to break the connection instead.
    :ivar _left: told that the client has gone before the end.
    """

    _log = Logger()

    _request: Any
    _tokens: Iterator[bytes]
    _end: bytes | None
    _left: Callable[[], None]
    _pace: float
    _loop: LoopingCall = field(init=False)
    _ended: bool = field(init=False, default=False)

    def start(self, clock: IReactorTime) -> None:
        """Say the first token now, and one every ``pace`` seconds."""
        self._loop = LoopingCall(self._say)
        self._loop.clock = clock
        self._request.notifyFinish().addErrback(self._gone)
        self._request.registerProducer(self, True)
        self.resumeProducing()

    def resumeProducing(self) -> None:
        """Go on: the client has read what was said."""
        if not self._ended and not self._loop.running:
            self._loop.start(self._pace).addErrback(self._broken)

    def pauseProducing(self) -> None:
        """Wait: the client does not keep up."""
        if self._loop.running:
            self._loop.stop()

    def stopProducing(self) -> None:
        """Say no more: the connection is lost."""
        self.pauseProducing()

    def _say(self) -> None:
        token = next(self._tokens, None)
        if token is not None:
            if token:
                self._request.write(token)
            return
        self._ended = True
        self._loop.stop()
        if self._end is None:
            self._request.channel.transport.abortConnection()
            return
        self._request.write(self._end)
        self._request.unregisterProducer()
        self._request.finish()

    def _gone(self, _: Failure) -> None:
        self.pauseProducing()
        if not self._ended:
            self._ended = True
            self._left()

    def _broken(self, failure: Failure) -> None:
        self._log.failure("The answer broke off", failure)
        self._request.channel.transport.abortConnection()
