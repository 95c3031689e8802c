"""Tests of :mod:`olla.dialect.objects`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from olla.dialect.inspect import requirements
from olla.dialect.objects import in_path, made, made_secret, shown_secret
from olla.domain.message import Body


class PathTests(SynchronousTestCase):
    """Ids in paths."""

    def test_ids(self) -> None:
        """The id stands behind the kind, whatever follows it."""
        for path, name in (
            ("/v1/responses/resp_1", "resp_1"),
            ("/v1/responses/resp_1/cancel", "resp_1"),
            ("/v1/files/file-2/content", "file-2"),
            ("/v1/fine_tuning/jobs/ft%201", "ft 1"),
            ("/v1/chat/completions/chatcmpl-3", "chatcmpl-3"),
            ("/v1/responses", ""),
            ("/v1/responses/input_tokens", ""),
            ("/v1/chat/completions", ""),
            ("/v1/models/x", ""),
        ):
            self.assertEqual(in_path(path), name, path)


class BodyTests(SynchronousTestCase):
    """Ids in bodies."""

    def test_asked(self) -> None:
        """What a request goes on from is found under each of its names, and nothing odd fails."""
        for body, name in (
            (b'{"previous_response_id": "r"}', "r"),
            (b'{"conversation": "c"}', "c"),
            (b'{"conversation": {"id": "c"}}', "c"),
            (b'{"input_file_id": "f"}', "f"),
            (b'{"file_id": "f"}', "f"),
            (b'{"input": [{"content": [{"type": "input_file", "file_id": "f"}]}]}', "f"),
            (b'{"previous_response_id": "r", "input": [{"file_id": "f"}]}', "r"),
            (b'{"input": "\\"file_id\\": \\"f\\""}', ""),
            (b'{"conversation": 3}', ""),
            (b'{"previous_response_id": null}', ""),
            (b"{}", ""),
        ):
            wanted = requirements("/v1/responses", b"", b"application/json", Body.of(body), None)
            self.assertEqual((wanted.object, wanted.makes), (name, True), body)

    def test_stored_chat(self) -> None:
        """A chat makes something only when it is to be stored."""
        for body, makes in ((b'{"store": true}', True), (b'{"store": false}', False), (b"{}", False)):
            wanted = requirements("/v1/chat/completions", b"", b"application/json", Body.of(body), None)
            self.assertEqual(wanted.makes, makes)

    def test_made(self) -> None:
        """The id is read from a document, and from the events of a stream."""
        for data, name in (
            (b'{"id": "file-1", "object": "file"}', "file-1"),
            (b'data: {"id": "chatcmpl-1"}\n\ndata: [DONE]\n\n', "chatcmpl-1"),
            (b'event: x\ndata: {"type": "response.completed", "response": {"id": "resp_1"}}\n\n', "resp_1"),
            (b'..."}\n\ndata: {"response": {"id": "resp_2"}}\n\n', "resp_2"),
            (b'{"id": 3}', ""),
            (b"not JSON", ""),
            (b"[" * 100_000, ""),
            (b"", ""),
        ):
            self.assertEqual(made(data), name, data[:40])

    def test_made_in_pieces(self) -> None:
        """An id that has come by half is none yet, and the first event of a stream tells it (openai-surface.md §3)."""
        for data in (
            b'event: x\ndata: {"type":"response.created","response":{"id":"resp_1"}}\n\n',
            b'{"output": [{"id": "msg_2"}], "id": "resp_1"}',
        ):
            found = [made(data[:cut]) for cut in range(len(data) + 1)]
            self.assertEqual((set(found), found[-1]), ({"", "resp_1"}, "resp_1"))


class SecretTests(SynchronousTestCase):
    """Secrets for calls of ``/realtime``, whose names do not tell them."""

    def test_found(self) -> None:
        """One name in the answer that made it and in the field that shows it; nothing odd fails."""
        name = shown_secret(b"Bearer ek_1")
        self.assertNotIn("ek_1", name)
        self.assertNotEqual(name, shown_secret(b"Bearer ek_2"))
        for answer in (
            b'{"value": "ek_1", "expires_at": 2, "session": {"value": "x"}}',
            b'{"id": "s", "client_secret": {"expires_at": 2, "value": "ek_1"}}',
            b'{"id": "s", "value": "x", "client_secret": {"value": "ek_1"}, "mo',
        ):
            self.assertEqual(made_secret(answer), name, answer)
        for answer in (b"", b"{", b'{"value": 1}', b'{"value": ""}', b'{"client_secret": "x"}', b'{"value": "ek_'):
            self.assertEqual(made_secret(answer), "", answer)
        for field in (None, b"", b"Bearer", b"Bearer ", b"Basic ek_1", b"Bearer a b"):
            self.assertEqual(shown_secret(field), "", field)
