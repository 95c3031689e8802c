"""Tests of olla.domain.json_path."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from olla.domain.json_path import JsonPath

DOCUMENT = {"a": {"b": 1, "c-d": 2, "e f": 3}, "list": [{"x": 4}, 5]}


class PathTests(SynchronousTestCase):
    """Where paths lead."""

    def test_found(self) -> None:
        """Every way of writing a path leads there (profiles.md §3)."""
        for text, expected in [
            ("$.a.b", 1),
            ("a.b", 1),
            ("$['a']['b']", 1),
            ("a.c-d", 2),
            ('a["e f"]', 3),
            ("$.list[0].x", 4),
            ("list[1]", 5),
        ]:
            self.assertEqual(JsonPath.parse(text).find(DOCUMENT), expected, text)

    def test_not_found(self) -> None:
        """A path that leads nowhere finds nothing, whatever the document is."""
        for text in ("$.z", "$.a.b.c", "$.list.x", "$.list[2]", "$.a[0]"):
            self.assertIsNone(JsonPath.parse(text).find(DOCUMENT), text)
        for document in (None, [], "a", 1):
            self.assertIsNone(JsonPath.parse("$.a").find(document))

    def test_refused(self) -> None:
        """What is no such path is refused."""
        for text in ("", "$", "$..a", "$.a[", "$.a[-1]", "$.a[*]", "$.*", "a b", "$.a[?(@.x)]"):
            self.assertRaises(ValueError, JsonPath.parse, text)
