"""
The lean reactor: Twisted's epoll reactor with less work for each event (``twistd --reactor olla``).

Stock Twisted sets up a logging context around each event and checks the descriptor twice.  Here an event that is
nothing but readable, as nearly all are, goes straight to the reader; every other goes Twisted's way.
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

_log = Logger()


class LeanReactor(EPollReactor):
    """Twisted's epoll reactor with a shorter way for what is readable."""

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


def fault(reactor: EPollReactor) -> str:
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
        return ""
    except Exception as error:
        return f"{type(error).__name__} when it was tried out: {error}"
    finally:
        ours.close()
        theirs.close()


def install() -> None:
    """Install the lean reactor; Twisted's own, and a line in the log, if it cannot be."""
    reactor: EPollReactor = LeanReactor()
    reason = fault(reactor)
    if reason:
        _log.warn("Using the stock epoll reactor: {reason}", reason=reason)
        reactor = EPollReactor()
    installReactor(reactor)
