"""Tests for olla.dialect.redact."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from olla.dialect.redact import printable, redact


class RedactTests(SynchronousTestCase):
    """What may be logged."""

    def test_secrets(self) -> None:
        """Values of secret names are replaced, in any spelling of the name (C125, R59)."""
        for name in (
            "api_key",
            "api%5Fkey",
            "API_Key",
            "token",
            "access_token",
            "key",
            "password",
            "secret",
            "auth",
            "+key",
        ):
            self.assertEqual(redact(f"a=1&{name}=s3cret&b".encode()), f"a=1&{name}=[REDACTED]&b")
        self.assertEqual(redact(b"key=a=b"), "key=[REDACTED]")
        self.assertEqual(redact(b"token=s&token=s"), "token=[REDACTED]&token=[REDACTED]")

    def test_others(self) -> None:
        """Other queries are shown as they came."""
        for query in (b"", b"key", b"a=1&a=%2F&b", b"monkey=1&tokens=2", b"x=%0a"):
            self.assertEqual(redact(query), query.decode())

    def test_control_characters(self) -> None:
        """Nothing that ends a line or steers a terminal gets into a log (R61, C20)."""
        self.assertEqual(printable("a\r\nb\x1b[31m\u2028\u202e\x7f\ud800"), r"a\r\nb\x1b[31m\u2028\u202e\x7f\ud800")
        self.assertEqual(printable("na\u00efve \u96ea"), "na\u00efve \u96ea")
        self.assertEqual(redact(b"a=\x1b\xff"), "a=\\x1b\ufffd")

    @given(st.text())
    def test_printable(self, text: str) -> None:
        """Whatever the text, what is logged is one printable line (R61)."""
        self.assertTrue(printable(text).isprintable())
