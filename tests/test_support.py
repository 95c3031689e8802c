"""The proxy in memory that most tests use: it notices what is left behind."""

from __future__ import annotations

from twisted.internet.protocol import ClientFactory, Protocol

from tests.support import PORT, SSE, Backend, ProxyCase, chunk, says


class LeftBehindTests(ProxyCase):
    """Each test ends with :meth:`ProxyCase.stop`."""

    engine = "olla"

    def test_nothing(self) -> None:
        """A proxy that stops in the midst of a stream leaves no timer, port or connection (B138)."""
        backend = Backend(play=says(SSE + chunk(b"data: 1\n\n")))
        self.start({"a": backend})
        client = self.post()
        self.assertFalse(client.whole)
        self.stop()
        self.assertIsNotNone(client.lost)
        self.assertTrue(backend.connections)
        self.assertNotIn(None, [connection.lost for connection in backend.connections])

    def test_timer(self) -> None:
        """A timer that is left behind fails the test (B138)."""
        self.start({})
        late = self.network.callLater(3600.0, lambda: None)
        self.assertRaises(self.failureException, self.stop)
        late.cancel()

    def test_connection(self) -> None:
        """So does a connection (B138)."""
        self.start({"a": Backend()})
        self.network.connectTCP("127.0.0.1", 9000, ClientFactory.forProtocol(Protocol))
        self.network.pump()
        self.assertRaises(self.failureException, self.stop)

    def test_port(self) -> None:
        """So does a port (B138)."""
        self.start({})
        port = self.network.listeners[PORT]
        self.network.callLater(11.0, self.network.listeners.__setitem__, PORT, port)
        self.assertRaises(self.failureException, self.stop)
