"""Tests of :mod:`olla.limits.gate`."""

from __future__ import annotations

from attrs import Factory, define
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from olla.domain.bucket import Bucket
from olla.interfaces import ILimiter, IVerdict
from olla.limits.gate import Gate
from olla.limits.rate import Everybody, PerClient, Unlimited, Verdict


@implementer(ILimiter)
@define
class Broken:
    """A stranger's limiter with a fault."""

    given_back: list[str] = Factory(list)

    def admit(self, client: str, kind: str, now: float) -> IVerdict:
        """Fail."""
        raise KeyError(client)

    def give_back(self, client: str, kind: str, now: float) -> None:
        """Note it."""
        self.given_back.append(client)

    def sweep(self, now: float) -> None:
        """Fail."""
        raise KeyError(now)


@implementer(ILimiter)
@define
class Chatty:
    """A stranger's limiter with fields of its own."""

    def admit(self, client: str, kind: str, now: float) -> IVerdict:
        """Let it through."""
        return Verdict(fields=((b"X-Chatty", b"yes"),))

    def give_back(self, client: str, kind: str, now: float) -> None:
        """Do nothing."""

    def sweep(self, now: float) -> None:
        """Do nothing."""


class GateTests(SynchronousTestCase):
    """Several limiters as one."""

    def setUp(self) -> None:
        """Hear of faults."""
        self.faults: list[tuple[str, str]] = []

    def gate(self, *limiters: tuple[str, ILimiter]) -> Gate:
        """Put limiters in a row."""
        return Gate(limiters, lambda name, error: self.faults.append((name, repr(error))))

    def test_give_back(self) -> None:
        """When the global bucket refuses, the client's token goes back and the fields say so (§9.2)."""
        client = PerClient("proxy", 6, 3, lambda: 0.0)
        gate = self.gate(("per-ip", client), ("global", Everybody("proxy", Bucket(0.01, 1))))
        self.assertEqual(dict(gate.admit("a", "proxy", 0.0).fields)[b"X-RateLimit-Remaining"], b"2")
        for _ in range(5):
            verdict = gate.admit("a", "proxy", 0.0)
            self.assertEqual((verdict.allowed, verdict.retry_after, verdict.limiter), (False, 100, "global"))
            self.assertEqual(dict(verdict.fields)[b"X-RateLimit-Remaining"], b"2")

    def test_first_refusal_counts(self) -> None:
        """A client that is refused by its own bucket takes no global token (behaviour.md §19)."""
        everybody = Everybody("proxy", Bucket(0.01, 2))
        gate = self.gate(("per-ip", PerClient("proxy", 1, 1, lambda: 0.0)), ("global", everybody))
        allowed = [gate.admit(client, "proxy", 0.0).allowed for client in ("a", "a", "a", "b", "c")]
        self.assertEqual(allowed, [True, False, False, True, False])

    def test_global_alone(self) -> None:
        """Without a limit for each client the global one still holds, and no field is shown (B120)."""
        gate = self.gate(("per-ip", Unlimited()), ("global", Everybody("proxy", Bucket(1.0, 1))))
        self.assertEqual(gate.admit("a", "proxy", 0.0).fields, ())
        self.assertFalse(gate.admit("a", "proxy", 0.0).allowed)

    def test_fault_lets_through(self) -> None:
        """A limiter that raises lets the request through and is complained of once a minute (B123)."""
        broken = Broken()
        gate = self.gate(("broken", broken), ("per-ip", PerClient("proxy", 1, 1, lambda: 0.0)))
        allowed = [gate.admit("a", "proxy", now).allowed for now in (0.0, 1.0, 2.0)]
        self.assertEqual(allowed, [True, False, False])
        self.assertEqual(self.faults, [("broken", "KeyError('a')")])
        self.assertEqual(broken.given_back, [], "nothing was taken from it")
        gate.admit("b", "proxy", 60.0)
        self.assertEqual(len(self.faults), 2)

    def test_fault_in_sweep(self) -> None:
        """A limiter that cannot sweep does not keep the next one from it (B123)."""
        client = PerClient("proxy", 1, 1, lambda: 0.0)
        client.admit("a", "proxy", 0.0)
        self.gate(("broken", Broken()), ("per-ip", client)).sweep(700.0)
        self.assertEqual((len(client), len(self.faults)), (0, 1))

    def test_all_fields(self) -> None:
        """The fields of all limiters are shown, in their order."""
        gate = self.gate(("chatty", Chatty()), ("per-ip", PerClient("proxy", 1, 1, lambda: 0.0)))
        names = [name for name, _ in gate.admit("a", "proxy", 0.0).fields]
        self.assertEqual(names[:2], [b"X-Chatty", b"X-RateLimit-Limit"])
