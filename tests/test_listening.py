"""Tests of :mod:`olla.listening`."""

from __future__ import annotations

from pathlib import Path

from twisted.internet.error import CannotListenError
from twisted.trial.unittest import SynchronousTestCase

from olla.config.validate import validate
from olla.listening import CannotOpen, fault, why


class Faults(SynchronousTestCase):
    """What is wrong with an endpoint string before any socket is opened."""

    def test_good(self) -> None:
        """What Twisted knows is taken, by several processes too when its sockets can be shared."""
        for text in ("tcp:8080", "tcp6:8080:interface=\\:\\:1", "unix:olla.sock:mode=660", "haproxy:tcp:8080"):
            self.assertEqual((fault(text, shared=False), fault(text, shared=True)), ("", ""))

    def test_nonsense(self) -> None:
        """What Twisted does not know, and files that are not there, are faults (K50)."""
        for text, said in (
            ("nope:1", "Unknown endpoint type: 'nope'"),
            ("tcp", "port"),
            ("tcp:many", "'many'"),
            ("", "endpoint"),
            ("ssl:8443:privateKey=no.pem", "No such file or directory"),
        ):
            self.assertIn(said, fault(text, shared=False), text)

    def test_shared(self) -> None:
        """What one process alone can listen at is a fault with several."""
        self.assertIn("several workers", fault("systemd:domain=INET:index=0", shared=True))

    def test_in_configuration(self) -> None:
        """The check of a configuration names the key, and fails (K49, K83)."""
        folder = Path(self.mktemp())
        folder.mkdir()
        for listen, workers in (("nope:1", 1), ("systemd:domain=INET:index=0", 2)):
            (folder / "olla.yaml").write_text(f'server: {{listen: ["{listen}"], workers: {workers}}}')
            report, status = validate("olla.yaml", environ={}, cwd=folder, listen_fault=fault)
            self.assertEqual(status, 1)
            self.assertIn(f'olla.yaml:1: server.listen: "{listen}" ', report)


class Reasons(SynchronousTestCase):
    """Why something could not be opened, in a few words."""

    def test_reasons(self) -> None:
        """The system's words, with the file if there is one; never those of a traceback."""
        taken = OSError(98, "Address already in use")
        self.assertEqual(str(CannotOpen("tcp:1", CannotListenError("", 1, taken))), "tcp:1: Address already in use")
        missing = FileNotFoundError(2, "No such file or directory", "1", None, "/no/x.lock")
        self.assertEqual(why(missing), "No such file or directory: /no/x.lock")
        self.assertEqual(why(OverflowError("port must be 0-65535")), "port must be 0-65535")
