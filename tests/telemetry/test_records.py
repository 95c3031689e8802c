"""Tests of :mod:`olla.telemetry.records`."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from olla.telemetry.records import Note, Stamps, as_json, as_text, shown_from

ANY = st.text(st.characters(), max_size=40)


class FormTests(SynchronousTestCase):
    """Lines in both forms."""

    def test_json(self) -> None:
        """A line is an object with time, level, message and facts."""
        line = as_json(Note("T", "INFO", "Hello", {"endpoint": "a", "n": 1, "ok": True}))
        self.assertEqual(line, b'{"timestamp":"T","level":"INFO","msg":"Hello","endpoint":"a","n":1,"ok":true}\n')

    def test_text(self) -> None:
        """A line is time, level, message and facts; values that need it are quoted, empty ones left out."""
        note = Note("T", "INFO", "Hello", {"a": "x", "b": "y z", "c": "", "d": None, "e": 1.5, "f": 'q"'})
        self.assertEqual(as_text(note), b'T INFO  Hello a=x b="y z" e=1.5 f="q\\""\n')

    @given(ANY, ANY)
    def test_no_injection(self, message: str, value: str) -> None:
        """Whatever is logged, it is one line, and shows nothing but printable characters (R61)."""
        note = Note("T", "WARN", message, {"v": value})
        for form in (as_json, as_text):
            line = form(note).decode()
            self.assertEqual(line[-1], "\n")
            self.assertTrue(line[:-1].isprintable(), line)

    @given(ANY)
    def test_json_is_lossless(self, value: str) -> None:
        """What is escaped in JSON reads back as it was."""
        self.assertEqual(json.loads(as_json(Note("T", "WARN", "m", {"v": value})))["v"], value)

    def test_known_tricks(self) -> None:
        """Newlines, terminal sequences, line separators and marks of direction come out escaped (R61)."""
        for trick in ("\r\n", "\x1b[31m", "\x9b31m", "\u2028", "\u202e", "\x7f"):
            for form in (as_json, as_text):
                self.assertNotIn(trick.encode(), form(Note("T", "INFO", trick, {"v": trick}))[:-1])

    def test_half_a_character(self) -> None:
        """A lone surrogate, which has no UTF-8, is escaped rather than the line lost (R61)."""
        note = Note("T", "INFO", "m", {"v": "a\ud800b"})
        self.assertIn(b'"a\\ud800b"', as_json(note))
        self.assertIn(b"\\ud800", as_text(note))


class LevelTests(SynchronousTestCase):
    """Which levels are logged."""

    def test_from(self) -> None:
        """A level includes those above it; an unknown one is info."""
        self.assertEqual(shown_from("debug"), {"DEBUG", "INFO", "WARN", "ERROR"})
        self.assertEqual(shown_from("Warning"), shown_from("warn"))
        self.assertEqual(shown_from("error"), {"ERROR"})
        self.assertEqual(shown_from("loud"), {"INFO", "WARN", "ERROR"})


class StampsTests(SynchronousTestCase):
    """Times."""

    def test_rfc3339(self) -> None:
        """A time has milliseconds and a zone, and the next one of the same second its own."""
        stamps = Stamps(lambda: 1_700_000_000.25, lambda: 100.0)
        self.assertEqual(stamps.of(100.0), "2023-11-14T22:13:20.250Z")
        self.assertEqual(stamps.of(98.25), "2023-11-14T22:13:18.500Z")
        self.assertEqual(stamps.at(1_700_000_000.75), "2023-11-14T22:13:20.750Z")
        self.assertEqual(stamps.at(1_700_000_001.0), "2023-11-14T22:13:21.000Z")
