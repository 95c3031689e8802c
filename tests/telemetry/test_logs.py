"""Tests of :mod:`olla.telemetry.logs`."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import ILogObserver, Logger
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from olla.telemetry.lines import Lines
from olla.telemetry.logs import FILE, LogObserver, Rotation, form_for, to_file, to_stream
from olla.telemetry.records import Form, Stamps, as_json, as_text, shown_from


class LogObserverTests(SynchronousTestCase):
    """From events of the logger to lines."""

    def setUp(self) -> None:
        """Write to a list."""
        self.written: list[bytes] = []

    def logger(self, form: Form = as_json, level: str = "info", namespace: str = "olla.x") -> Logger:
        """Give a logger whose lines are written down."""
        lines = Lines([self.written.append], Clock())
        observer = LogObserver(lines, form, Stamps(lambda: 0.0, lambda: 0.0).at, shown_from(level))
        verifyObject(ILogObserver, observer)
        return Logger(namespace, observer=observer)

    def line(self) -> dict[str, Any]:
        """Give the only line."""
        [line] = self.written
        value: dict[str, Any] = json.loads(line)
        return value

    def test_facts(self) -> None:
        """A line has the message with its values, and the values as facts, objects as text."""
        self.logger().warn("{endpoint} refused", endpoint="alpha", count=3, path=Path("/x"))
        line = self.line()
        del line["timestamp"]
        self.assertEqual(line, {"level": "WARN", "msg": "alpha refused", "endpoint": "alpha", "count": 3, "path": "/x"})

    def test_text(self) -> None:
        """In text what the message says is not said twice."""
        self.logger(as_text).info("{endpoint} refused", endpoint="alpha", error="no way")
        self.assertTrue(self.written[0].endswith(b'Z INFO  alpha refused error="no way"\n'), self.written)

    def test_levels(self) -> None:
        """Lines below the configured level are not written."""
        log = self.logger(level="warn")
        log.debug("a")
        log.info("b")
        self.assertEqual(self.written, [])
        log.error("c")
        self.assertEqual(self.line()["level"], "ERROR")

    def test_framework(self) -> None:
        """The comings and goings of the framework are for debug, its troubles are not."""
        log = self.logger(namespace="twisted.internet.protocol.Factory")
        log.info("Starting factory")
        self.assertEqual(self.written, [])
        log.warn("trouble")
        self.assertEqual(self.line()["level"], "WARN")

    def test_failure(self) -> None:
        """A failure is told with its type, its message and a traceback, in one line (R61)."""
        log = self.logger()
        try:
            raise RuntimeError("first\nsecond")
        except RuntimeError:
            log.failure("It broke")
        line = self.line()
        self.assertEqual((line["level"], line["error"]), ("ERROR", "RuntimeError: first\nsecond"))
        self.assertIn("test_failure", line["traceback"])
        self.assertEqual(self.written[0].count(b"\n"), 1)

    def test_cut(self) -> None:
        """A value as large as a prompt does not get into the log whole (R60)."""
        self.logger().info("{body}", body="x" * 100_000)
        self.assertLess(len(self.written[0]), 10_000)

    def test_cut_in_the_middle(self) -> None:
        """Of a long text both ends are kept: what went wrong stands at the end of a traceback."""
        self.logger().info("{text}", text="first" + "x" * 100_000 + "last")
        text = self.line()["text"]
        self.assertTrue(text.startswith("first"))
        self.assertTrue(text.endswith("last"))

    def test_braces(self) -> None:
        """A message that is no format is written all the same."""
        self.logger(as_text).info("{")
        self.assertEqual(len(self.written), 1)


class OutputTests(SynchronousTestCase):
    """Where lines go and how they look."""

    def test_form(self) -> None:
        """A terminal gets text unless the environment insists on JSON (config.md §9)."""
        self.assertIs(form_for("json", terminal=False, insisted=False), as_json)
        self.assertIs(form_for("json", terminal=True, insisted=False), as_text)
        self.assertIs(form_for("json", terminal=True, insisted=True), as_json)
        self.assertIs(form_for("text", terminal=False, insisted=True), as_text)

    def test_stream(self) -> None:
        """What is written to a stream is there at once."""
        raw = io.BytesIO()
        stream = io.BufferedWriter(raw)  # type: ignore[type-var]  # a BytesIO is raw enough
        to_stream(stream)(b"line\n")
        self.assertEqual(raw.getvalue(), b"line\n")

    def test_file(self) -> None:
        """The file is made with its folder, and added to."""
        folder = Path(self.mktemp()) / "logs"
        to_file(folder / FILE, Rotation())(b"one\n")
        to_file(folder / FILE, Rotation())(b"two\n")
        self.assertEqual((folder / "olla.log").read_bytes(), b"one\ntwo\n")

    def test_rotation(self) -> None:
        """Size, number and age of the files are the environment's, or the usual ones (config.md §10)."""
        usual = Rotation()
        self.assertEqual(Rotation.of({"OLLA_LOG_SIZE_MB": "x", "OLLA_LOG_MAX_BACKUPS": "-1"}), usual)
        told = {"OLLA_LOG_SIZE_MB": "2", "OLLA_LOG_MAX_BACKUPS": "3", "OLLA_LOG_MAX_AGE_DAYS": "1"}
        self.assertEqual(Rotation.of(told), Rotation(2 * 1024 * 1024, 3, 86400.0))

    def test_rotated(self) -> None:
        """So many old files are kept, none of which is older than it may be."""
        folder = Path(self.mktemp())
        write = to_file(folder / FILE, Rotation(size=4, files=2, age=3600.0))
        for number in range(5):
            write(b"%d...\n" % number)
        self.assertEqual({path.name for path in folder.iterdir()}, {"olla.log", "olla.log.1", "olla.log.2"})
        os.utime(folder / "olla.log.1", (0, 0))
        write(b"last\n")
        self.assertEqual({path.name for path in folder.iterdir()}, {"olla.log", "olla.log.1"})
        self.assertEqual((folder / "olla.log").read_bytes(), b"last\n")
