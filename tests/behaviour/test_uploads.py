"""Large uploads: no room for them, or a backend that does not wait for their end."""

from __future__ import annotations

import errno
import gc
import io
import tempfile
from typing import Any
from weakref import ref

from tests.support import (
    HEADER_END,
    Backend,
    BackendConnection,
    Client,
    ProxyCase,
    answer,
    on_each_engine,
    request,
    says,
)

LARGE = b"x" * 3_000_000


class Hasty(BackendConnection):
    """Answers an upload as soon as its head is there."""

    def dataReceived(self, data: bytes) -> None:
        before, self._data = self._data, self._data + data
        if b"POST" not in self._data:
            super().dataReceived(data)
        elif HEADER_END in self._data and HEADER_END not in before:
            self.transport.write(answer({"too": "large"}, 413))


class Impatient(Backend):
    """A backend of such connections."""

    def buildProtocol(self, addr: Any) -> BackendConnection:
        """Make one."""
        return Hasty(self)


class Full(io.BytesIO):
    """A file on a full disk."""

    def write(self, data: Any) -> int:
        """Find no room."""
        raise OSError(errno.ENOSPC, "No space left on device")


@on_each_engine
class NoRoom(ProxyCase):
    """A body for which there is no file."""

    def upload(self) -> Client:
        """Send a large body in pieces."""
        raw = request("POST", "/olla/proxy/x", LARGE, self.detour)
        client = self.send(raw[:65536])
        for at in range(65536, len(raw), 65536):
            client.transport.write(raw[at : at + 65536])
        self.network.pump(0.5)
        return client

    def assertRefused(self, client: Client) -> None:
        """Check that it was told so, that no backend was asked, and that all goes on."""
        error = client.json["error"]
        self.assertEqual((client.status, error["code"]), (500, "INTERNAL_ERROR"))
        self.assertEqual(error["message"], "Internal server error")
        self.assertIsNotNone(client.lost)
        self.assertEqual((self.backend.seen, self.flushLoggedErrors()), ([], []))
        self.assertEqual(self.send(request("POST", "/olla/proxy/x", b"small")).status, 200)

    def begin(self) -> None:
        """Start."""
        self.backend = Backend(play=says(answer({})))
        self.start({"a": self.backend})

    def test_no_file(self) -> None:
        """An upload for which no file can be opened is 500 in our own words; others are served (R52, R62)."""

        def refuse(*_: Any, **__: Any) -> Any:
            raise OSError(errno.EMFILE, "Too many open files")

        self.begin()
        self.patch(tempfile, "TemporaryFile", refuse)
        self.assertRefused(self.upload())

    def test_full_disk(self) -> None:
        """So is one that no longer fits on the disk (R52, R62)."""
        self.begin()
        self.patch(tempfile, "TemporaryFile", lambda *_, **__: Full())
        self.assertRefused(self.upload())


@on_each_engine
class Early(ProxyCase):
    """The answer is there before the upload has ended."""

    def setUp(self) -> None:
        super().setUp()
        self.files: list[ref[Any]] = []
        make = tempfile.TemporaryFile

        def remembered(*arguments: Any, **named: Any) -> Any:
            file = make(*arguments, **named)
            self.files.append(ref(file))
            return file

        self.patch(tempfile, "TemporaryFile", remembered)

    def test_refused(self) -> None:
        """Of an upload that nobody gets nothing stays open once the refusal is out (R51)."""
        self.addCleanup(gc.enable)
        gc.disable()
        for backend, status in ((None, 503), (Backend(), 404)):
            self.start({"a": backend})
            self.network.wait(1.0)
            model = b'{"model": "nobody-has-it", "x": "' + LARGE + b'"}'
            raw = request("POST", "/olla/proxy/v1/chat/completions", model, self.detour)
            client = self.send(raw[:65536])
            client.transport.write(raw[65536:])
            self.network.pump()
            self.assertEqual(client.status, status)
            self.assertTrue(self.files)
            self.assertEqual([file() for file in self.files], [None] * len(self.files))
            self.stop()

    def test_answer_is_relayed(self) -> None:
        """The client gets the early answer (R31), and nothing of the upload stays open afterwards (R51)."""
        self.start({"a": Impatient()})
        self.addCleanup(gc.enable)
        gc.disable()
        raw = request("POST", "/olla/proxy/x", LARGE, self.detour)
        client = self.send(raw[:65536])
        client.transport.write(raw[65536:])
        self.network.wait(1.0)
        self.assertEqual((client.status, client.json), (413, {"too": "large"}))
        client.transport.loseConnection()
        self.network.wait(1.0)
        self.assertTrue(self.files)
        self.assertEqual([file() for file in self.files], [None] * len(self.files))
