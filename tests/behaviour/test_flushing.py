"""When what a backend has said goes out to the client (``proxy.profile``)."""

from __future__ import annotations

from tests.support import Backend, BackendConnection, Client, ProxyCase, Seen, chunk, on_each_engine

EVENTS = [b"data: %d\n\n" % number for number in range(5)]


@on_each_engine
class Flushing(ProxyCase):
    """Answers that come in small pieces."""

    def begin(self, profile: str, kind: str, *, stream: bool = False) -> tuple[Client, BackendConnection]:
        """Start with a profile, and ask for an answer of some type; gives the client, and the backend's connection."""
        held: list[BackendConnection] = []

        def play(connection: BackendConnection, seen: Seen) -> None:
            held.append(connection)
            head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n"
            connection.transport.write(head.encode())

        self.setUp()
        self.start({"a": Backend(play=play)}, proxy={"profile": profile})
        return self.post(body={"model": "m", "stream": stream}), held[0]

    def pieces(self, profile: str, kind: str, *, stream: bool = False) -> int:
        """Count the pieces that the client has before the end, of five that the backend has sent."""
        client, backend = self.begin(profile, kind, stream=stream)
        self.assertEqual(client.status, 200)
        for event in EVENTS:
            backend.transport.write(chunk(event))
            self.network.pump(0.1)
        count = client.body.count(b"data: ")
        backend.transport.write(b"0\r\n\r\n")
        self.network.pump()
        self.assertEqual((client.body, client.whole), (b"".join(EVENTS), True))
        self.stop()
        return count

    def test_standard(self) -> None:
        """``standard`` lets small pieces wait, even of events, all but the first (K21, http-api.md §6.1)."""
        for kind in ("text/event-stream", "application/json", "image/png"):
            for stream in (True, False):
                self.assertEqual(self.pieces("standard", kind, stream=stream), 1, kind)

    def test_streaming(self) -> None:
        """``streaming`` lets nothing wait (http-api.md §6.1)."""
        for kind in ("text/event-stream", "image/png", "application/octet-stream"):
            self.assertEqual(self.pieces("streaming", kind), 5, kind)

    def test_auto(self) -> None:
        """``auto`` lets only what is of use as a whole wait, unless it was asked for as a stream (K35)."""
        for kind in ("text/event-stream", "application/x-ndjson", "application/json", "text/html"):
            self.assertEqual(self.pieces("auto", kind), 5, kind)
        self.assertEqual(self.pieces("auto", "image/png"), 1)
        self.assertEqual(self.pieces("auto", "image/png", stream=True), 5)

    def test_enough(self) -> None:
        """What has come to 4 KiB goes out, so little is held for each client (C44)."""
        client, backend = self.begin("standard", "text/event-stream")
        for _ in range(10):
            backend.transport.write(chunk(b"x" * 1000))
            self.network.pump()
        self.assertEqual(len(client.body), 6000)
        self.stop()

    def test_broken(self) -> None:
        """What waited when the backend died is sent, then the error, and then the client is cut off (C42)."""
        client, backend = self.begin("standard", "text/event-stream")
        for event in EVENTS:
            backend.transport.write(chunk(event))
            self.network.pump()
        backend.transport.abortConnection()
        self.network.pump(0.1)
        self.assertTrue(client.body.startswith(b"".join(EVENTS)))
        self.assertIn(b"BACKEND_STREAM_ABORTED", client.body)
        self.assertFalse(client.whole)
        self.stop()
