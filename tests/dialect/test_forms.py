"""Tests for olla.dialect.forms."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from olla.dialect.forms import fields, pairs

TYPE = b"multipart/form-data; boundary=XX"
URLENCODED = b"application/x-www-form-urlencoded"


def part(disposition: bytes, value: bytes) -> bytes:
    """Write one part."""
    return b"--XX\r\nContent-Disposition: form-data; " + disposition + b"\r\n\r\n" + value + b"\r\n"


class FormTests(SynchronousTestCase):
    """Fields of forms, where they stand."""

    def found(self, content_type: bytes, data: bytes) -> list[tuple[str, bytes]]:
        """Give names and bare values."""
        return [(name, data[start:stop]) for name, start, stop in fields(content_type, data)]

    def test_multipart(self) -> None:
        """Fields are found between files, which are passed over whatever they contain."""
        data = (
            part(b'name="language"', b"en")
            + part(b'name="file"; filename="model"', b"\r\n\r\nname=model\r\n--X")
            + part(b'name="model"', b"whisper-1")
            + part(b"name=stream", b"")
            + b"--XX--\r\n"
        )
        expected = [("language", b"en"), ("model", b"whisper-1"), ("stream", b"")]
        self.assertEqual(self.found(TYPE, data), expected)
        self.assertEqual(self.found(b'Multipart/Form-Data; charset=x; Boundary="XX"', data), expected)

    def test_field_after_a_large_file(self) -> None:
        """The field may come after megabytes, as curl writes it (openai-surface.md §4)."""
        data = part(b'name="file"; filename="a.mp3"', bytes(2_000_000)) + part(b'name="model"', b"w") + b"--XX--"
        self.assertEqual(self.found(TYPE, data), [("model", b"w")])

    def test_long_value(self) -> None:
        """A value above 4 KiB is not taken for a field that matters."""
        data = part(b'name="prompt"', bytes(5000)) + part(b'name="model"', b"w") + b"--XX--"
        self.assertEqual(self.found(TYPE, data), [("model", b"w")])

    def test_other_headers_of_a_part(self) -> None:
        """The disposition is found among other headers of its part, in any letter case."""
        head = b'Content-Type: text/plain\r\ncontent-disposition: form-data; NAME="model"'
        data = b"--XX\r\n" + head + b"\r\n\r\nw\r\n--XX--"
        self.assertEqual(self.found(TYPE, data), [("model", b"w")])

    @given(
        st.binary(max_size=100),
        st.sampled_from([TYPE, b"multipart/form-data", b"application/x-www-form-urlencoded"]),
    )
    def test_broken(self, data: bytes, content_type: bytes) -> None:
        """A broken form holds no fields, or some, and is never an error (openai-surface.md §4)."""
        self.found(content_type, b"--XX" + data)
        self.found(content_type, data)

    def test_urlencoded(self) -> None:
        """Names are decoded, values stay as they stand; what is no pair is passed over."""
        found = self.found(URLENCODED + b"; charset=utf-8", b"a=1&&x&mo%64el=a%20b+c&=")
        self.assertEqual(found, [("a", b"1"), ("model", b"a%20b+c"), ("", b"")])

    def test_many_fields(self) -> None:
        """At most a thousand pairs are looked at (R57)."""
        self.assertEqual(len(list(pairs(b"a=b&" * 5000))), 1000)

    def test_no_form(self) -> None:
        """Another content type holds no fields."""
        self.assertEqual(self.found(b"text/plain", b"model=a"), [])
