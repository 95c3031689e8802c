"""
The lean reactor: Twisted's epoll reactor with less work for each event (``twistd --reactor olla``).

Stock Twisted sets up a logging context around each event and checks the descriptor twice.  Here an event that is
nothing but readable, as nearly all are, goes straight to the reader; every other goes Twisted's way.  Between events it
looks for what is due twice as well, and with each look at the clock; here that is one look, and no more while nothing
can be due.
"""

from __future__ import annotations

import errno
import socket
import sys
from select import EPOLLIN
from typing import Any

from twisted.internet.epollreactor import EPollReactor
from twisted.internet.main import installReactor
from twisted.logger import Logger
from twisted.python import log

LONGEST = 3600.0

_log = Logger()


class LeanReactor(EPollReactor):
    """Twisted's epoll reactor with a shorter way for what is readable."""

    def mainLoop(self) -> None:
        """Run until it is stopped, whatever fails on the way."""
        while self._started:
            with _log.failuresHandled("Unexpected error in main loop"):
                while self._started:
                    self.doIteration(self.until_due())

    def until_due(self) -> float | None:
        """
        Do what is due.

        :return: seconds until more can be; ``None`` for never.
        """
        calls = self._pendingTimedCalls
        if calls and not (self._newTimedCalls or self.threadCallQueue or self._justStopped):
            wait = calls[0].time - self.seconds()
            if wait > 0.0:
                return min(wait, LONGEST)
        self.runUntilCurrent()
        return self.timeout() if self.running else 0.0

    def doPoll(self, timeout: float | None) -> None:
        """Wait for events, and act on them."""
        selectables = self._selectables
        try:
            events = self._poller.poll(-1 if timeout is None else timeout, len(selectables))
        except OSError as error:
            if error.errno == errno.EINTR:
                return
            raise
        for fd, event in events:
            selectable = selectables.get(fd)
            if selectable is None:
                continue  # an event before it has closed it
            if event != EPOLLIN:
                log.callWithLogger(selectable, self._doReadOrWrite, selectable, fd, event)
                continue
            why: Any
            try:
                why = selectable.doRead()
            except BaseException:
                why = sys.exc_info()[1]
                log.err()
            if why:
                self._disconnectSelectable(selectable, why, True)

    doIteration = doPoll


class _Trial:
    """A reader that is tried out: reads, and fails when it is to."""

    def __init__(self, own: socket.socket) -> None:
        self._own = own
        self.heard = b""
        self.lost: object = None

    def fileno(self) -> int:
        return self._own.fileno()

    def logPrefix(self) -> str:
        return "trial"

    def doRead(self) -> Exception | None:
        self.heard = self._own.recv(100)
        return OSError("as asked") if self.heard == b"fail" else None

    def connectionLost(self, reason: Any) -> None:
        self.lost = reason.value

    readConnectionLost = connectionLost


def fault(reactor: LeanReactor) -> str:
    """
    Try ``reactor`` out on a pair of sockets, before it runs.

    :return: why it cannot be used with this Twisted; ``""`` when it can.
    """
    ours, theirs = socket.socketpair()
    reader = _Trial(ours)
    try:
        reactor.addReader(reader)
        theirs.send(b"heard")
        reactor.doIteration(0)
        if reader.heard != b"heard" or reader.lost is not None:
            return "what is readable is not read"
        theirs.send(b"fail")
        reactor.doIteration(0)
        if not isinstance(reader.lost, OSError) or reader in reactor.getReaders():
            return "what fails is not disconnected"
        return _fault_of_time(reactor)
    except Exception as error:
        return f"{type(error).__name__} when it was tried out: {error}"
    finally:
        ours.close()
        theirs.close()


def _fault_of_time(reactor: LeanReactor) -> str:
    """Say what is wrong with how ``reactor`` does what is due; ``""`` when nothing is."""
    done: list[str] = []
    later = reactor.callLater(LONGEST, done.append, "later")
    reactor.callLater(0.0, done.append, "now")
    reactor.until_due()
    wait = reactor.until_due()
    reactor.callFromThread(done.append, "from a thread")
    reactor.until_due()
    later.cancel()
    if done != ["now", "from a thread"] or wait is None or wait > LONGEST:
        return "what is due is not done"
    return ""


def install() -> None:
    """Install the lean reactor; Twisted's own, and a line in the log, if it cannot be."""
    lean = LeanReactor()
    reason = fault(lean)
    if reason:
        _log.warn("Using the stock epoll reactor: {reason}", reason=reason)
    installReactor(EPollReactor() if reason else lean)
