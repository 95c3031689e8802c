"""What proves to a backend who we are."""

from __future__ import annotations

from olla.config.secret import Secret
from tests.config.loading import LoadingTestCase

BASE = 'url: "http://h", name: gpu'


class AuthTests(LoadingTestCase):
    """``auth``."""

    def sent(self, auth: str, **environ: str) -> tuple[str, str] | None:
        """Return the header field that an ``auth`` block makes."""
        header = self.endpoint(f"{BASE}, auth: {{{auth}}}", **environ).auth
        return None if header is None else (header.name, header.value.reveal())

    def test_kinds(self) -> None:
        """Each type makes its own field (config.md §7)."""
        self.assertEqual(self.sent("type: bearer, token: 0123"), ("Authorization", "Bearer 0123"))
        self.assertEqual(self.sent("type: api_key, key: k"), ("X-Api-Key", "k"))
        self.assertEqual(self.sent("type: api_key, key: k, header: Api-Key"), ("Api-Key", "k"))
        self.assertEqual(self.sent("type: basic, username: u, password: p:q"), ("Authorization", "Basic dTpwOnE="))

    def test_files(self) -> None:
        """A file's blanks at the ends are not sent, and its text is not expanded (K34)."""
        self.write("token", "  a${B}c\n")
        self.assertEqual(self.sent("type: bearer, token_file: token"), ("Authorization", "Bearer a${B}c"))

    def test_read_again(self) -> None:
        """Loading again reads the files again (K61)."""
        for text in ("old", "new"):
            self.write("token", text)
            self.assertEqual(self.sent("type: bearer, token_file: token"), ("Authorization", f"Bearer {text}"))

    def test_refused(self) -> None:
        """Each wrong shape is refused, naming the endpoint and showing no secret (K31, K75)."""
        self.write("empty", " \n")
        self.write("two", "hunter2\nhunter2")
        for auth in (
            "",
            "type: Bearer, token: hunter2",
            "type: none",
            "type: hunter2",
            "type: bearer",
            "type: bearer, token: hunter2, token_file: empty",
            "type: bearer, token_file: missing",
            "type: bearer, token_file: empty",
            "type: bearer, token_file: two",
            'type: bearer, token: ""',
            'type: bearer, token: "hunter2\\n"',
            "type: bearer, token: hunter2, key: hunter2",
            "type: bearer, token: hunter2, password_file: empty",
            "type: bearer, token: [hunter2]",
            "type: api_key, key: hunter2, header: a b",
            "type: api_key, key: hunter2, header: content-length",
            "type: api_key, key: hunter2, header: Host",
            "type: basic, username: hunter2",
            "type: basic, username: 'a:b', password: hunter2",
            'type: bearer, token: "${EMPTY}"',
        ):
            said = self.refused_endpoint(f"{BASE}, auth: {{{auth}}}", EMPTY="")
            self.assertIn('endpoint "gpu"', said, auth)
            self.assertNotIn("hunter2", said)

    def test_no_block(self) -> None:
        """Null is no credential; text in the place of a block is refused unseen (K75)."""
        self.assertIsNone(self.endpoint(f"{BASE}, auth: ~").auth)
        self.assertNotIn("hunter2", self.refused_endpoint(f"{BASE}, auth: hunter2"))

    def test_header_without_effect(self) -> None:
        """A header's name beside a type that has its own is warned of (K75)."""
        self.assertIn("auth.header", self.warned_endpoint(f"{BASE}, auth: {{type: bearer, token: t, header: X}}"))


class HeaderTests(LoadingTestCase):
    """``headers``."""

    def sent(self, headers: str, auth: str = "", **environ: str) -> list[tuple[str, str]]:
        """Return the configured header fields."""
        keys = f"{BASE}, headers: {{{headers}}}" + (f", auth: {{{auth}}}" if auth else "")
        return [(h.name, h.value.reveal()) for h in self.endpoint(keys, **environ).headers]

    def test_texts(self) -> None:
        """Values are sent as written, null as the empty text, placeholders filled in (K53)."""
        sent = self.sent('A: on, B: 1.50, C: 2024-01-02, D: 12:30, E: , F: "${T:-lab}"')
        expected = [("A", "on"), ("B", "1.50"), ("C", "2024-01-02"), ("D", "12:30"), ("E", ""), ("F", "lab")]
        self.assertEqual(sent, expected)

    def test_auth_wins(self) -> None:
        """A configured Authorization gives way to auth (K32)."""
        self.assertEqual(self.sent("authorization: x, Y: z", "type: bearer, token: t"), [("Y", "z")])

    def test_refused(self) -> None:
        """Bad names, and line breaks in a value, are refused naming the key and not the value (K74)."""
        for headers in (
            '"X Y": hunter2',
            'X: "hunter2\\r\\nA: b"',
            'X: "hunter2\\0"',
            'X: "${V}"',
            "X: [hunter2]",
        ):
            said = self.refused_endpoint(f"{BASE}, headers: {{{headers}}}", V="hunter2\n")
            self.assertIn("headers", said)
            self.assertIn('endpoint "gpu"', said)
            self.assertNotIn("hunter2", said)

    def test_ours(self) -> None:
        """A configured Host, and whatever frames a body or belongs to a connection, has no effect; that is said."""
        for name in ("Host", "Content-Length", "transfer-encoding", "Connection", "Upgrade", "Expect", "TE"):
            self.assertEqual(self.sent(f"{name}: x"), [], name)
            self.assertIn(f"headers.{name}", self.warned_endpoint(f"{BASE}, headers: {{{name}: x}}"))


class SecretTests(LoadingTestCase):
    """Secrets."""

    def test_not_shown(self) -> None:
        """A configuration can be printed without a secret in it (config.md §7)."""
        keys = f"{BASE}, auth: {{type: bearer, token: hunter2}}, headers: {{X: hunter2}}"
        config = self.config(f"discovery: {{static: {{endpoints: [{{{keys}}}]}}}}")
        self.assertNotIn("hunter2", repr(config))
        self.assertEqual((str(Secret("hunter2")), f"{Secret('hunter2')}"), ("***", "***"))
