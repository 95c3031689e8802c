"""Large uploads whose backend does not wait for their end."""

from __future__ import annotations

import gc
import tempfile
from typing import Any
from weakref import ref

from tests.support import HEADER_END, Backend, BackendConnection, ProxyCase, answer, on_each_engine, request

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
