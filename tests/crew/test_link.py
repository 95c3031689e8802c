"""What goes over the way between the processes."""

from __future__ import annotations

import os
import socket
from typing import Any

from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from olla.crew.link import owners_end, workers_end
from olla.crew.messages import Done, FromWorker, Listed, Report
from olla.crew.owner import numbered
from olla.crew.setting import Setting, packed, received
from olla.crew.sockets import unshared
from olla.domain.models import ListedModel
from olla.events import Finished
from olla.pending import nothing


class Links(SynchronousTestCase):
    """Messages."""

    def said(self, event: Finished) -> list[Any]:
        heard: list[FromWorker] = []
        worker = workers_end(lambda message: None, lambda: None)
        worker.makeConnection(StringTransport())
        worker.say(Report({"a": 1}, [], [Done(event, "a", None)], [], []))
        owner = owners_end(heard.append, nothing, nothing)
        owner.makeConnection(StringTransport())
        for byte in worker.transport.value():  # type: ignore[union-attr]  # a StringTransport
            owner.dataReceived(bytes([byte]))
        return heard

    def test_in_pieces(self) -> None:
        """A message arrives as it was said, however it was cut on its way."""
        event = Finished("id", "success", "proxy", "GET", "/", "", 200, "p", "c", 1.0, 0.5)
        (report,) = self.said(event)
        self.assertEqual((report.load, report.done[0].event), ({"a": 1}, event))

    def test_what_cannot_be_written(self) -> None:
        """Half a surrogate pair in what a client named costs that letter and nothing else."""
        event = Finished("id", "success", "proxy", "GET", "/", "", 200, "p", "c", 1.0, 0.5, model="x\ud800y")
        (report,) = self.said(event)
        self.assertEqual((report.done[0].event.model, report.done[0].event.status), ("x?y", 200))

    def test_large(self) -> None:
        """A listing of twenty thousand models goes through whole."""
        heard: list[Any] = []
        owner = owners_end(lambda message: None, nothing, nothing)
        owner.makeConnection(StringTransport())
        models = tuple(ListedModel(f"model-{n}", digest="d" * 64) for n in range(20_000))
        owner.say(Listed("e", "ollama", models, (), 1.0, 2.0))
        worker = workers_end(heard.append, lambda: None)
        worker.makeConnection(StringTransport())
        worker.dataReceived(owner.transport.value())  # type: ignore[union-attr]  # a StringTransport
        self.assertEqual(heard[0].models, models)

    def test_after_the_end(self) -> None:
        """What is said to a process that has gone is lost without a word."""
        lost: list[bool] = []
        worker = workers_end(lambda message: None, lambda: lost.append(True))
        transport = StringTransport()
        worker.makeConnection(transport)
        worker.connectionLost()
        worker.say(Report({}, [], [], [], []))
        self.assertEqual((transport.value(), lost), (b"", [True]))


class Settings(SynchronousTestCase):
    """What a worker is born with."""

    def test_nothing_after_it_is_read(self) -> None:
        """The setting is read, and what the owner says next is left for the worker's ears."""
        ours, theirs = socket.socketpair()
        data = packed(Setting(1, 2, {"any": "thing"}, b"s" * 32, 1, 5))
        ours.sendall(len(data).to_bytes(4, "big") + data + b"next")
        setting = received(theirs.fileno())
        self.assertEqual((setting.number, setting.config), (1, {"any": "thing"}))
        self.assertFalse(os.get_blocking(theirs.fileno()))
        self.assertEqual(theirs.recv(10), b"next")
        ours.close()
        theirs.close()

    def test_orphan(self) -> None:
        """A spare whose parent has gone learns it, and does not wait for ever."""
        ours, theirs = socket.socketpair()
        ours.close()
        self.assertRaises(EOFError, received, theirs.fileno())
        theirs.close()


class Words(SynchronousTestCase):
    """Small things."""

    def test_numbered(self) -> None:
        """Lines of JSON stay JSON, lines of text stay lines."""
        self.assertEqual(numbered(b'{"a":1}\n{"b":2}\n', 3), b'{"a":1,"worker":3}\n{"b":2,"worker":3}\n')
        self.assertEqual(numbered(b"12:00 INFO  hello a=1\n", 2), b"12:00 INFO  hello a=1 worker=2\n")

    def test_unshared(self) -> None:
        """Sockets that another process opens, or that are none, cannot be shared; TLS and HAProxy's can."""
        shared = ["tcp:80", "tcp6:80", "unix:/run/o", "ssl:443:privateKey=k", "haproxy:tcp:80"]
        alone = ["systemd:domain=INET:index=0", "stdio:", "haproxy:systemd:domain=INET:index=0"]
        self.assertEqual(unshared([*shared, *alone]), alone)
