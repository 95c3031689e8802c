"""Tests of :mod:`olla.proxy.admission`."""

from __future__ import annotations

from attrs import frozen
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from olla.dialect.identity import Identities
from olla.domain.message import Request
from olla.errors import Draining, RateLimited
from olla.events import Event, Limited
from olla.interfaces import IVerdict
from olla.proxy.admission import HEALTH, PROXY, Admission

FIELDS = ((b"X-RateLimit-Limit", b"5"),)


@implementer(IVerdict)
@frozen
class Verdict:
    """What the gate says."""

    allowed: bool = True
    retry_after: int = 0
    fields: tuple[tuple[bytes, bytes], ...] = FIELDS


class AdmissionTests(SynchronousTestCase):
    """Who is let in."""

    def setUp(self) -> None:
        self.told: list[Event] = []
        self.asked: list[tuple[str, str, float]] = []
        self.verdict = Verdict()

        def gate(client: str, kind: str, now: float) -> Verdict:
            self.asked.append((client, kind, now))
            return self.verdict

        self.admission = Admission(
            Identities(lambda size: bytes(size)), lambda peer, request: f"behind {peer}", gate, self.told.append
        )

    def test_identify(self) -> None:
        """A request keeps the id that its client chose; another gets one (http-api.md §3, §9.5)."""
        request = Request(b"GET", b"/", [(b"X-Request-ID", b"abc-1")], peer="192.0.2.1")
        self.admission.identify(request)
        self.assertEqual((request.id, request.id_given, request.client), ("abc-1", True, "behind 192.0.2.1"))
        other = Request(b"GET", b"/", [(b"X-Request-ID", b"not fit")])
        self.admission.identify(other)
        self.assertTrue(other.id)
        self.assertFalse(other.id_given)

    def test_admitted(self) -> None:
        """One that is let in gets the limiter's fields; nobody is told."""
        request = Request(b"GET", b"/", [], client="192.0.2.1")
        self.assertEqual(self.admission.admit(request, PROXY, 5.0), FIELDS)
        self.assertEqual((self.asked, self.told), ([("192.0.2.1", PROXY, 5.0)], []))

    def test_refused(self) -> None:
        """One that is not is told when to return, and it is counted (C62)."""
        self.verdict = Verdict(False, 3)
        with self.assertRaises(RateLimited) as caught:
            self.admission.admit(Request(b"GET", b"/", [], client="192.0.2.1"), HEALTH, 5.0)
        self.assertEqual((caught.exception.retry_after, caught.exception.fields), (3, FIELDS))
        self.assertEqual(self.told, [Limited("192.0.2.1", HEALTH, 3)])

    def test_draining(self) -> None:
        """While the process stops, pages are still shown, and no token is spent on the rest (http-api.md §8.3)."""
        self.admission.closed = True
        request = Request(b"GET", b"/", [])
        self.assertRaises(Draining, self.admission.admit, request, PROXY, 5.0)
        self.assertEqual(self.asked, [])
        self.assertEqual(self.admission.admit(request, HEALTH, 5.0), FIELDS)

    def test_admitted_before_its_body(self) -> None:
        """One that was let in before its body came is not asked for again, and keeps its fields (http-api.md §1.2)."""
        request = Request(b"POST", b"/", [], peer="192.0.2.1")
        self.assertIsNone(self.admission.admit_unread(request, PROXY, 5.0))
        self.verdict = Verdict(False, 3)
        self.assertEqual(list(self.admission.admit(request, PROXY, 9.0)), list(FIELDS))
        self.assertEqual(self.asked, [("behind 192.0.2.1", PROXY, 5.0)])
        self.admission.closed = True
        self.assertRaises(Draining, self.admission.admit, request, PROXY, 9.0)
