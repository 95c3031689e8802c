"""Tests of :mod:`olla.upstream.ask`."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError
from twisted.protocols.tls import TLSMemoryBIOFactory

from olla.domain.endpoint import Endpoint
from olla.upstream.ask import Unanswered, _same_host
from tests.support import answer, chunked, resets, says, says_and_closes
from tests.upstream.asking import AskCase, certified, endpoint

HANGS = says(b"")


class AskTests(AskCase):
    """What is asked, and what comes back."""

    def test_check(self) -> None:
        """A check names itself, wants anything, and wants it fresh (behaviour.md §4)."""
        server = self.server(9000, says(answer(b"{}", 204)))
        self.answered(endpoint(), "/health?deep=1")
        (seen,) = server.seen
        self.assertEqual(seen.line, b"GET /health?deep=1 HTTP/1.1")
        self.assertEqual(seen.fields("User-Agent"), ["olla-HealthChecker/1.2.3"])
        self.assertEqual(seen.fields("Accept"), ["application/json, text/plain, */*"])
        self.assertEqual(seen.fields("Cache-Control"), ["no-cache"])

    def test_address_of_six(self) -> None:
        """A server at an IPv6 address is asked like any other (B12)."""
        server = self.server(9000, says(answer(b"{}")))
        there = Endpoint("six", "http", "::1", 9000)
        self.assertEqual(there.url, "http://[::1]:9000")
        for path in ("/health?a=%20&b", "/v1/caf\u00e9"):
            self.answered(there, path)
        self.assertEqual([seen.line.split()[1] for seen in server.seen], [b"/health?a=%20&b", b"/v1/caf%C3%A9"])
        self.assertEqual({*server.seen[0].fields("Host"), *server.seen[1].fields("Host")}, {"[::1]:9000"})

    def test_listing(self) -> None:
        """A listing is asked for by another name, and as JSON (behaviour.md §15)."""
        server = self.server(9000, says(answer(b"{}")))
        self.successResultOf(self.ask(endpoint(), "/v1/models", "Discovery"))
        (seen,) = server.seen
        self.assertEqual(seen.fields("User-Agent"), ["olla-Discovery/1.2.3"])
        self.assertEqual(seen.fields("Accept"), ["application/json"])
        self.assertEqual(seen.fields("Cache-Control"), [])

    def test_credential(self) -> None:
        """Checks and listings alike carry the endpoint's own fields; the credential wins (B19, B98)."""
        server = self.server(9000, says(answer(b"{}")))
        there = endpoint(
            fields=((b"X-Team", b"blue"), (b"authorization", b"Bearer old"), (b"Accept", b"text/plain")),
            credential=(b"Authorization", b"Bearer new"),
        )
        for purpose in ("HealthChecker", "Discovery"):
            self.successResultOf(self.ask(there, "/", purpose))
        for seen in server.seen:
            self.assertEqual(seen.fields("Authorization"), ["Bearer new"])
            self.assertEqual(seen.fields("X-Team"), ["blue"])
            self.assertEqual(seen.fields("Accept"), ["text/plain"])

    def test_answer(self) -> None:
        """Status, body and the two fields that matter are kept; nothing is left open."""
        self.server(9000, says(answer(b"hello", 429, Retry_After="120", Server="llama.cpp")))
        got = self.answered(endpoint())
        self.assertEqual(
            (got.status, got.body, got.whole, got.retry_after, got.server),
            (429, b"hello", True, "120", "llama.cpp"),
        )
        self.assertQuiet()

    def test_odd_fields(self) -> None:
        """A field in some other encoding is no reason to take the endpoint for dead."""
        self.server(9000, says(b"HTTP/1.1 200 OK\r\nServer: caf\xe9\r\nContent-Length: 0\r\n\r\n"))
        self.assertEqual(self.answered(endpoint()).server, "café")

    def test_name_of_another(self) -> None:
        """A certificate that is good for another host is no answer, and nothing is sent to its owner (R38, §5.5)."""
        options, pem = certified()
        path = Path(self.mktemp())
        path.write_bytes(pem)
        server = self.server(9000, says(answer(b"{}")))
        self.network.listeners[9000] = TLSMemoryBIOFactory(options, False, server)
        there = Endpoint("a", "https", "127.0.0.2", 9000, tls_ca_file=str(path))
        unanswered = self.failureResultOf(self.ask(there), Unanswered)
        self.assertIn("the certificate is for another name", str(unanswered.value))
        self.assertEqual(server.seen, [])

    def test_limit(self) -> None:
        """No more than the limit is read, a body just as long is whole, and one byte more is not (B96)."""
        for size, whole in ((4096, True), (4097, False)):
            for data in (
                answer(b"x" * size),
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"x" * (size - 1), b"x"),
            ):
                self.server(9000, says(data))
                got = self.answered(endpoint(), limit=4096)
                self.assertEqual((got.body, got.whole), (b"x" * 4096, whole))
                self.assertQuiet()

    def test_endless(self) -> None:
        """A body without an end is left as soon as there is enough of it."""
        self.server(9000, says(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 5000))
        got = self.answered(endpoint(), limit=4096)
        self.assertEqual((len(got.body), got.whole), (4096, False))
        self.assertQuiet()


class RedirectTests(AskCase):
    """Redirects."""

    def test_same_host(self) -> None:
        """On the same host it is followed, and the credential goes along (behaviour.md §3)."""
        server = self.server(9000, says(answer(b"", 302, Location="/elsewhere")))
        server.reply = lambda connection, seen: connection.transport.write(
            answer(b"ok") if b"/elsewhere" in seen.line else answer(b"", 302, Location="/elsewhere")
        )
        got = self.answered(endpoint(credential=(b"Authorization", b"Bearer k")), "/health")
        self.assertEqual((got.status, got.body), (200, b"ok"))
        self.assertEqual([seen.fields("Authorization") for seen in server.seen], [["Bearer k"]] * 2)

    def test_other_host(self) -> None:
        """To another host, port or scheme it is not followed: no request goes there (B11)."""
        other = self.server(9001, says(answer(b"secret")))
        for location in ("http://127.0.0.1:9001/", "//127.0.0.1:9001/x", "http://localhost:9000/"):
            server = self.server(9000, says(answer(b"", 301, Location=location)))
            self.assertEqual(self.answered(endpoint()).status, 301)
            self.assertEqual((len(server.seen), other.connections), (1, []))

    def test_loop(self) -> None:
        """After three redirects it is enough (behaviour.md §3)."""
        server = self.server(9000, says(answer(b"there", 302, Location="/")))
        got = self.answered(endpoint())
        self.assertEqual((got.status, got.body, len(server.seen)), (302, b"there", 4))

    def test_no_location(self) -> None:
        """A redirect to nowhere is an answer like any other."""
        self.server(9000, says(answer(b"", 304)))
        self.assertEqual(self.answered(endpoint()).status, 304)

    @settings(deadline=None)
    @given(st.sampled_from(["http", "https"]), st.sampled_from(["h", "H", "g"]), st.integers(0, 65535))
    def test_sameness(self, scheme: str, host: str, port: int) -> None:
        """Two addresses are one host only when scheme, host in any case and port all agree (B11)."""
        same = _same_host("http://h:80/a", f"{scheme}://{host}:{port}/b")
        self.assertEqual(same, scheme == "http" and host in "hH" and port == 80)


class UnansweredTests(AskCase):
    """No answer."""

    def why(self, port: int = 9000, path: str = "/") -> str:
        """Ask in vain, and say why it was in vain."""
        asking = self.ask(endpoint(port), path)
        self.network.wait(0.5)  # Twisted waits for a second address to try
        return str(self.failureResultOf(asking, Unanswered).value)

    def test_refused(self) -> None:
        """A refused connection says so (B12)."""
        self.assertEqual(self.why(9009), "connection refused by 127.0.0.1:9009")
        self.assertQuiet()

    def test_garbage(self) -> None:
        """What is not HTTP is no answer (B12)."""
        self.server(9000, says_and_closes(b"220 ready when you are\r\n\r\n"))
        self.assertEqual(self.why(), "what answers does not speak HTTP")
        self.assertQuiet()

    def test_closed(self) -> None:
        """A connection closed or reset without an answer, or in the middle of one, is no answer (B12)."""
        for play in (
            says_and_closes(b""),
            resets,
            says_and_closes(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"),
        ):
            self.server(9000, play)
            self.assertEqual(self.why(), "the connection was closed without an answer")
            self.assertQuiet()

    def test_time(self) -> None:
        """Whatever takes too long, be it connecting, head or body, ends in time and leaves nothing open (B12)."""
        slow = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"
        for port, play in ((9000, HANGS), (9001, says(slow)), (9002, None)):
            if play is None:
                self.network.unanswered.add(port)
            else:
                self.server(port, play)
            asking = self.ask(endpoint(port))
            self.network.pump(1.9)
            self.assertNoResult(asking)
            self.network.pump(0.2)
            self.assertIn("in time", str(self.failureResultOf(asking, Unanswered).value))
            self.assertQuiet()

    def test_busy(self) -> None:
        """A reactor that comes round too late to read what has long been there blames nobody for it (B12)."""
        server = self.server(9000, HANGS)
        asking = self.ask(endpoint())
        for _ in range(5):
            self.come_round(3.0)
        self.assertNoResult(asking)
        there = server.connections[0].transport
        there.write(answer(b"{}"))
        while there.deliver():
            pass
        self.assertEqual(self.successResultOf(asking).status, 200)
        self.assertQuiet()

    def test_no_time_left(self) -> None:
        """Who has no time left for a second question, as in a busy process, is told just that (B12)."""
        self.server(9000, HANGS)
        self.assertIn("in time", str(self.failureResultOf(self.ask(endpoint(), seconds=-0.5), Unanswered).value))
        self.assertQuiet()

    def test_too_busy(self) -> None:
        """But it does not wait for ever (B12)."""
        self.server(9000, HANGS)
        asking = self.ask(endpoint())
        for _ in range(10):
            self.assertNoResult(asking)
            self.come_round(3.0)
        self.assertIn("in time", str(self.failureResultOf(asking, Unanswered).value))
        self.assertQuiet()

    def come_round(self, seconds: float) -> None:
        """Do what is due after ``seconds``, once, as a reactor does before it reads."""
        self.network.rightNow += seconds
        due = [call for call in self.network.calls if call.getTime() <= self.network.seconds()]
        for call in due:
            self.network.calls.remove(call)
            call.called = 1
            call.func(*call.args, **call.kw)

    def test_cancelled(self) -> None:
        """Whoever gives up asking is told just that, at whatever point it was, and nothing stays open (B21)."""
        slow = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"
        for port, play in ((9000, HANGS), (9001, says(slow)), (9002, None)):
            if play is None:
                self.network.unanswered.add(port)
            else:
                self.server(port, play)
            asking = self.ask(endpoint(port))
            asking.cancel()
            self.failureResultOf(asking, CancelledError)
            self.assertQuiet()

    def test_secrets(self) -> None:
        """What is said of a failure shows neither credential nor query (K33)."""
        there = endpoint(9009, credential=(b"Authorization", b"Bearer k3y"))
        asking = self.ask(there, "/?token=k3y")
        self.network.wait(0.5)
        said = str(self.failureResultOf(asking, Unanswered).value)
        self.assertNotIn("k3y", said)

    def test_forget(self) -> None:
        """An endpoint that is forgotten can be asked again."""
        self.server(9000, says(answer(b"{}")))
        there = endpoint()
        self.answered(there)
        self.asker.forget(there)
        self.asker.forget(there)
        self.assertEqual(self.answered(there).status, 200)
