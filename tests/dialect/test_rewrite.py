"""Tests for olla.dialect.rewrite."""

from __future__ import annotations

import io
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from olla.dialect.inspect import requirements
from olla.dialect.rewrite import rename, rename_target
from olla.domain.message import Body
from tests.dialect.test_scan import OBJECTS, nested, written

JSON = b"application/json"


def renamed(data: bytes, new: str = "new", path: str = "/x", content_type: bytes = JSON) -> bytes:
    """Rename the model of a body."""
    body = Body.of(data)
    return rename(body, requirements(path, b"", content_type, body), new).whole()


class BodyTests(SynchronousTestCase):
    """Renaming in bodies."""

    def test_top_level_only(self) -> None:
        """Only the top-level value changes (C37, B52)."""
        self.assertEqual(
            renamed(rb'{"messages":[{"content":"\"model\": \"a\""}],"model":"a"}'),
            rb'{"messages":[{"content":"\"model\": \"a\""}],"model":"new"}',
        )

    def test_byte_identical(self) -> None:
        """Spacing, order, escapes and number formats of all the rest stay (C36)."""
        data = (
            b'\n{ "temperature" : 1.0e0,\r\n"x":"\\u00e9\xc3\xa9\\/" ,\t"model"\t:\n"a" , "n":1000000000000000000000}\n'
        )
        self.assertEqual(renamed(data), data.replace(b'"a"', b'"new"'))

    def test_every_occurrence(self) -> None:
        """Every occurrence of a repeated key changes, in any letter case or escaped (R58, http-api.md §5.2)."""
        self.assertEqual(
            renamed(b'{"model":"a", "Model":"b","mod\\u0065l":"c","x":{"model":"d"}}'),
            b'{"model":"new", "Model":"new","mod\\u0065l":"new","x":{"model":"d"}}',
        )

    def test_escaped(self) -> None:
        """The new name is a proper JSON string."""
        self.assertEqual(json.loads(renamed(b'{"model":"a"}', 'q"\\\n\u00e9'))["model"], 'q"\\\n\u00e9')

    def test_unchanged(self) -> None:
        """Without a top-level string nothing changes (behaviour.md §10)."""
        for data in (
            b'{"model":5}',
            b'["model"]',
            b"",
            b'{"messages":[{"model":"a"}]}',
            b'{"name":"a"}',
            b"\x00\xff",
        ):
            self.assertEqual(renamed(data), data)

    def test_native_name(self) -> None:
        """Ollama's older ``name`` changes where it names the model."""
        self.assertEqual(renamed(b'{"name":"a"}', path="/api/show"), b'{"name":"new"}')

    def test_spooled(self) -> None:
        """A large body in a file is spliced, not copied into memory."""
        data = b'{"model":"a","x":"' + b"y" * 100000 + b'","model":"b"}'
        body = Body.spooled(io.BytesIO(data), len(data))
        new = rename(body, requirements("/x", b"", JSON, body), "new")
        self.assertEqual(new.whole(), data.replace(b'"a"', b'"new"').replace(b'"b"', b'"new"'))
        self.assertEqual(new.size, len(data) + 4)

    @given(OBJECTS, st.text(max_size=10))
    def test_any_document(self, pairs: list[tuple[str, Any]], new: str) -> None:
        """Parsed, the outcome differs in top-level model strings alone (B52)."""
        data = written(pairs, True, None)
        expected = [(key, new if key.lower() == "model" and isinstance(value, str) else value) for key, value in pairs]
        self.assertEqual(nested(renamed(data, new)), nested(written(expected, True, None)))

    def test_forms(self) -> None:
        """In a form only the field changes, encoded as that form needs it (openai-surface.md §4)."""
        data = (
            b'--b\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n\r\nmodel\x00\r\n'
            b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\na\r\n--b--\r\n'
        )
        self.assertEqual(
            renamed(data, "n w", content_type=b"multipart/form-data; boundary=b"),
            data.replace(b"\r\n\r\na\r\n", b"\r\n\r\nn w\r\n"),
        )
        self.assertEqual(
            renamed(b"x=%41&model=a+b&y", "n w&", content_type=b"application/x-www-form-urlencoded"),
            b"x=%41&model=n%20w%26&y",
        )


class TargetTests(SynchronousTestCase):
    """Renaming in paths and queries."""

    def renamed(self, rest: bytes, path: str, query: bytes, new: str) -> bytes:
        """Rename the model of a request without a body."""
        return rename_target(rest, requirements(path, query, None, Body()), new)

    def test_path(self) -> None:
        """The part of the path changes and the rest keeps its escapes."""
        self.assertEqual(
            self.renamed(b"/v%31/models/a%2Fb?x=%41", "/v1/models/a/b", b"x=%41", "o/n ew"),
            b"/v%31/models/o/n%20ew?x=%41",
        )
        self.assertEqual(
            self.renamed(b"/openai/deployments/a/chat", "/openai/deployments/a/chat", b"", "o/n"),
            b"/openai/deployments/o%2Fn/chat",
        )

    def test_query(self) -> None:
        """The value in the query changes alone."""
        self.assertEqual(
            self.renamed(b"/realtime?a=%41&model=x%2Fy&b", "/realtime", b"a=%41&model=x%2Fy&b", "n&w"),
            b"/realtime?a=%41&model=n%26w&b",
        )

    def test_unchanged(self) -> None:
        """A target that does not name this model stays."""
        body = Body.of(b'{"model":"a"}')
        wanted = requirements("/v1/chat", b"model=other", JSON, body)
        self.assertEqual(rename_target(b"/v1/chat?model=other", wanted, "new"), b"/v1/chat?model=other")
