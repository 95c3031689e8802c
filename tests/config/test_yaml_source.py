"""YAML as a tree that keeps what was written."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from olla.config.remarks import ConfigError
from olla.config.yaml_source import Items, Node, Scalar, Table, parse


def tree(node: Node | None) -> object:
    """Return a tree as plain lists and dictionaries of raw text."""
    if isinstance(node, Table):
        return {entry.key: tree(entry.node) for entry in node.entries}
    if isinstance(node, Items):
        return [tree(inner) for inner in node.nodes]
    return node.text if isinstance(node, Scalar) else None


class ParseTests(SynchronousTestCase):
    """Reading."""

    def parsed(self, text: str | bytes) -> object:
        """Return what ``text`` says."""
        return tree(parse(text.encode() if isinstance(text, str) else text, "f"))

    def refused(self, text: str | bytes) -> str:
        """Return what is said about ``text``."""
        return str(self.assertRaises(ConfigError, self.parsed, text))

    def test_raw(self) -> None:
        """Scalars keep the text as written, whatever YAML 1.1 would make of it (K53)."""
        said = "{a: 0123, b: 1.50, c: on, d: 2024-01-02, e: 12:30, f: 0x1F}"
        expected = {"a": "0123", "b": "1.50", "c": "on", "d": "2024-01-02", "e": "12:30", "f": "0x1F"}
        self.assertEqual(self.parsed(said), expected)

    def test_lines_and_quotes(self) -> None:
        """Each key knows its line, each scalar whether it stood in quotes."""
        root = parse(b"a:\n  b: 'x'\n  c: y\n", "f")
        assert isinstance(root, Table)
        inner = root.entries[0].node
        assert isinstance(inner, Table)
        b, c = inner.entries
        self.assertEqual((b.line, c.line), (2, 3))
        assert isinstance(b.node, Scalar) and isinstance(c.node, Scalar)
        self.assertEqual((b.node.plain, c.node.plain), (False, True))

    def test_nulls(self) -> None:
        """Nothing, a tilde and null say nothing unless they stand in quotes (K57)."""
        for text in ("~", "null", "NULL", ""):
            self.assertTrue(Scalar(text, 1).null)
        self.assertFalse(Scalar("", 1, plain=False).null)

    def test_encodings(self) -> None:
        """UTF-8 with and without a mark, UTF-16 with one, CRLF and JSON are read."""
        for data in (
            b"a: b\r\n",
            b"\xef\xbb\xbfa: b",
            "a: b".encode("utf-16"),
            b"\xfe\xff" + "a: b".encode("utf-16-be"),
            b'{"a": "b"}',
        ):
            self.assertEqual(self.parsed(data), {"a": "b"})
        self.assertIn("f:2: failed to parse: not UTF-8", self.refused(b"a: b\nc: \xff"))

    def test_empty(self) -> None:
        """An empty file, one of comments and one of null say nothing (K58)."""
        for text in ("", "# a\n", "null\n", "---\n"):
            self.assertIsNone(self.parsed(text))

    def test_first_document(self) -> None:
        """What follows the first document is not even parsed (K58)."""
        self.assertEqual(self.parsed("a: b\n---\n{ [ broken"), {"a": "b"})

    def test_repeated_key(self) -> None:
        """A key given twice is refused with its path and both lines, all such keys at once (K56)."""
        said = self.refused("s:\n  a: 1\n  b: 2\n  a: 3\nt: [{x: 1, x: 2}]\n")
        self.assertIn("f:4: s.a: key given twice, on line 2 and line 4", said)
        self.assertIn("t[0].x", said)

    def test_anchors_and_merges(self) -> None:
        """Aliases and << work; a key of the block itself wins over a merged one."""
        text = "x: &x {a: 1, b: 2}\ny: {<<: *x, b: 3}\nz: {<<: [*x, {c: 4}]}\nw: *x\n"
        x = {"a": "1", "b": "2"}
        expected = {"x": x, "y": {"b": "3", "a": "1"}, "z": {**x, "c": "4"}, "w": x}
        self.assertEqual(self.parsed(text), expected)

    def test_faults_have_a_place(self) -> None:
        """What is not YAML is refused with line and column, without the text around (K7)."""
        self.assertIn("f:2: failed to parse: ", self.refused("a: b\n\tc: secret"))
        self.assertIn("column", self.refused("a: 'secret"))
        self.assertNotIn("secret", self.refused("a: 'secret"))
        for text in ("a: *nowhere", "? [a]\n: b", "a: !!python/object:os.system x", "<<: text", "&a [*a]"):
            self.refused(text)

    def test_bounds(self) -> None:
        """Deep nesting and aliases that multiply are refused before they take memory."""
        self.assertIn("nested more than 60 deep", self.refused("[\n" * 100))
        self.assertIn("nest", self.refused("[" * 5000))  # by us, or by a parser that has a bound of its own
        bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
        for old, new in zip("abcdefg", "bcdefgh", strict=True):
            bomb += f"{new}: &{new} [{','.join([f'*{old}'] * 10)}]\n"
        self.assertIn("aliases counted", self.refused(bomb))
        self.assertIn("larger", self.refused(b"#" * (9 * 1024 * 1024)))
