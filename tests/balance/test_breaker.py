"""Tests of :mod:`olla.balance.breaker`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from olla.balance.breaker import Breaker


def opened(now: float = 0.0, trials: int = 1) -> Breaker:
    """Make a breaker that has just opened."""
    breaker = Breaker(5, 30.0, 30.0, trials)
    for _ in range(5):
        breaker.failed(0, now)
    return breaker


class BreakerTests(SynchronousTestCase):
    """Closed, open, half-open and back."""

    def test_threshold(self) -> None:
        """The fifth failure in a row opens, the fourth does not (B24)."""
        breaker = Breaker()
        for _ in range(4):
            breaker.failed(0, 1.0)
        self.assertTrue(breaker.closed)
        breaker.failed(0, 1.0)
        self.assertFalse(breaker.closed)
        self.assertEqual(breaker.state(1.0), "open")

    def test_success_resets(self) -> None:
        """A success between failures starts the count anew (B24)."""
        breaker = Breaker()
        for _ in range(3):
            for _ in range(4):
                breaker.failed(0, 1.0)
            breaker.succeeded(0)
        self.assertTrue(breaker.closed)

    def test_never(self) -> None:
        """With a threshold of 0 nothing opens it."""
        breaker = Breaker(threshold=0)
        for _ in range(100):
            breaker.failed(0, 1.0)
        self.assertTrue(breaker.closed)

    def test_one_trial(self) -> None:
        """After the open time exactly one of fifty callers is let through (B25)."""
        breaker = opened()
        self.assertIsNone(breaker.acquire(29.9))
        tokens = [breaker.acquire(30.0) for _ in range(50)]
        self.assertEqual([token for token in tokens if token is not None], tokens[:1])
        self.assertEqual(breaker.state(30.0), "half-open")

    def test_more_trials(self) -> None:
        """As many trials run at once as the operator allows, and a success of one of them closes."""
        breaker = opened(trials=2)
        tokens = [token for token in [breaker.acquire(30.0) for _ in range(50)] if token is not None]
        self.assertEqual(len(tokens), 2)
        breaker.succeeded(tokens[0])
        breaker.failed(tokens[1], 31.0)
        self.assertTrue(breaker.closed)
        self.assertEqual(breaker.failures, 0)

    def test_trial_succeeds(self) -> None:
        """A trial's success closes and zeroes (B26)."""
        breaker = opened()
        breaker.succeeded(breaker.acquire(30.0) or 0)
        self.assertEqual((breaker.closed, breaker.failures, breaker.state(30.0)), (True, 0, "closed"))

    def test_trial_fails(self) -> None:
        """A trial's failure opens for another 30 seconds (B26)."""
        breaker = opened()
        breaker.failed(breaker.acquire(30.0) or 0, 33.0)
        self.assertFalse(breaker.allows(62.9))
        self.assertTrue(breaker.allows(63.0))

    def test_next_trial(self) -> None:
        """A trial that has failed does not stand in the way of the next one."""
        breaker = Breaker(1, 30.0, 300.0)
        breaker.failed(0, 0.0)
        breaker.failed(breaker.acquire(30.0) or 0, 31.0)
        self.assertIsNotNone(breaker.acquire(61.0))

    def test_trial_forgotten(self) -> None:
        """A trial without a result makes way at once: its client had left (B29)."""
        breaker = opened()
        breaker.forget(breaker.acquire(30.0) or 0)
        self.assertTrue(breaker.allows(30.0))

    def test_lost_trial(self) -> None:
        """A trial that does not report within its time is replaced by one other caller (behaviour.md §5)."""
        breaker = opened()
        breaker.acquire(30.0)
        self.assertEqual(breaker.wait(40.0), 20.0)
        self.assertIsNone(breaker.acquire(59.9))
        self.assertIsNotNone(breaker.acquire(60.0))
        self.assertIsNone(breaker.acquire(60.0))

    def test_superseded(self) -> None:
        """The late success of a trial that was given up does not close what its replacement opened (B27)."""
        breaker = opened()
        lost = breaker.acquire(30.0) or 0
        replacement = breaker.acquire(60.0) or 0
        breaker.succeeded(lost)
        self.assertFalse(breaker.closed)
        breaker.failed(replacement, 61.0)
        breaker.succeeded(lost)
        self.assertFalse(breaker.closed)

    def test_from_before(self) -> None:
        """Results of requests sent before it opened change nothing while it is open."""
        breaker = opened()
        breaker.succeeded(0)
        breaker.failed(0, 20.0)
        self.assertFalse(breaker.closed)
        self.assertTrue(breaker.allows(30.0))

    def test_cuts_together(self) -> None:
        """Answers cut within one second are one failure; later ones are further failures (R44)."""
        breaker = Breaker(3)
        for now in (5.0, 5.0, 5.4, 5.9):
            breaker.cut(0, now)
        self.assertEqual(breaker.failures, 1)
        for now in (6.0, 6.5, 6.9):
            breaker.cut(0, now)
        self.assertEqual((breaker.failures, breaker.closed), (2, True))
        breaker.cut(0, 7.0)
        self.assertFalse(breaker.closed)

    def test_cut_trial(self) -> None:
        """A trial that is cut opens for another full time, whatever was cut at that moment (B26)."""
        breaker = Breaker(1, 30.0)
        breaker.cut(0, 0.0)
        breaker.cut(breaker.acquire(30.0) or 0, 30.1)
        self.assertEqual(breaker.wait(30.1), 30.0)

    def test_try_again(self) -> None:
        """When an outage is over the next caller is the trial, and only it (R44)."""
        breaker = opened()
        breaker.try_again(3.0)
        self.assertEqual(breaker.state(3.0), "half-open")
        token = breaker.acquire(3.0) or 0
        self.assertTrue(token)
        self.assertIsNone(breaker.acquire(3.0))
        breaker.failed(token, 4.0)
        self.assertFalse(breaker.allows(33.9))

    def test_try_again_while_closed(self) -> None:
        """Where nothing is refused, that changes nothing."""
        breaker = Breaker(2)
        breaker.failed(0, 1.0)
        breaker.try_again(2.0)
        breaker.failed(0, 3.0)
        self.assertEqual(breaker.wait(3.0), 30.0)

    def test_wait(self) -> None:
        """The wait is the rest of the open time (http-api.md §8.3)."""
        breaker = opened(100.0)
        self.assertEqual(breaker.wait(110.0), 20.0)
        self.assertEqual(Breaker().wait(110.0), 0.0)

    @given(st.lists(st.tuples(st.sampled_from(["acquire", "ok", "bad", "gone"]), st.floats(0, 40))))
    def test_never_stuck(self, steps: list[tuple[str, float]]) -> None:
        """Whatever happens, at most one trial runs, and after both time limits somebody is let through."""
        breaker, now, tokens = Breaker(2, 30.0, 30.0), 0.0, [0]
        for step, passed in steps:
            now += passed
            if step == "acquire":
                token = breaker.acquire(now)
                self.assertEqual(token == 0, breaker.closed)
                if token is not None:
                    tokens.append(token)
                if not breaker.closed:
                    self.assertIsNone(breaker.acquire(now))
            elif step == "ok":
                breaker.succeeded(tokens[-1])
            elif step == "bad":
                breaker.failed(tokens[-1], now)
            else:
                breaker.forget(tokens[-1])
        self.assertTrue(breaker.allows(now + 60.0))
