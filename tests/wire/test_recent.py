"""A head that is known is the same head, but for its length; and what nobody sends any more is forgotten."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from olla.wire.recent import LARGEST, LIFETIME, MOST, UNTOLD, Recent, apart
from tests.wire.payloads import REPLIES, get
from tests.wire.test_head import outcome_of_reply

LINES = st.sampled_from(
    [
        *(
            b"Content-Length: 5",
            b"content-length: 17",
            b"Content-Length: 05",
            b"CONTENT-LENGTH: 5",
            b"Content-Length:5",
        ),
        *(b"X-Content-Length: 5", b"X: Content-Length: 5", b"Content-Length: ", b"Content-Length: 5 ", b"A: 1"),
        *(b"Content-Length: +5", b"Content-Length: 5, 5", b"Content-Length:  5", b"Content-Length: 9999999999999999"),
    ]
)
HEADS = st.lists(LINES, max_size=4).map(lambda lines: get(*lines))


class ApartTests(SynchronousTestCase):
    """The figure, and the rest."""

    def test_apart(self) -> None:
        """The figure is taken out where it stands plainly, in both usual spellings."""
        for name in (b"Content-Length", b"content-length"):
            self.assertEqual(apart(get(name + b": 12", b"A: b")), (get(name + b": ", b"A: b"), 12))

    def test_unusual(self) -> None:
        """A head without the field, or with an unusual spelling, is a key as it is (R2, R3)."""
        for line in (b"A: b", b"CONTENT-LENGTH: 5", b"Content-Length:5", b"X-Content-Length: 5"):
            self.assertEqual(apart(get(line)), (get(line), UNTOLD))

    def test_no_figure(self) -> None:
        """What is not plainly a figure is never looked up, so that it is read strictly each time (R3)."""
        for value in (b"", b"+5", b"-5", b"5, 5", b"5 ", b" 5", b"0x5", b"5_0", b"\xb2", b"9" * 16):
            self.assertEqual(apart(get(b"Content-Length: " + value)), (b"", UNTOLD))

    def test_same_rest(self) -> None:
        """Two heads with the same rest differ in the one figure and in nothing else (R1–R3)."""

        @settings(max_examples=2000, deadline=None)
        @given(HEADS, HEADS)
        def differ_in_the_figure(one: bytes, other: bytes) -> None:
            (rest, figure), (other_rest, other_figure) = apart(one), apart(other)
            if rest and rest == other_rest:
                self.assertEqual(figure < 0, other_figure < 0)
                self.assertEqual(one.count(b"\r\n"), other.count(b"\r\n"))
                changed = [
                    pair for pair in zip(one.split(b"\r\n"), other.split(b"\r\n"), strict=True) if pair[0] != pair[1]
                ]
                self.assertLessEqual(len(changed), 1)
                for pair in changed:
                    self.assertEqual({line.lower().partition(b": ")[0] for line in pair}, {b"content-length"})

        differ_in_the_figure()


class RecentTests(SynchronousTestCase):
    """What is remembered, and for how long."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.recent: Recent[int] = Recent(self.clock.seconds)

    def pass_time(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.advance(seconds)
        self.recent.sweep(self.clock.seconds())

    def test_used(self) -> None:
        """What is asked for stays, what is not is gone after two lifetimes."""
        self.recent.put(b"used", 1)
        self.recent.put(b"unused", 2)
        for _ in range(3):
            self.pass_time(LIFETIME)
            self.assertEqual(self.recent.get(b"used"), 1)
        self.assertIsNone(self.recent.get(b"unused"))
        self.assertEqual(len(self.recent), 1)

    def test_bounds(self) -> None:
        """However many heads come, no more than two generations are kept, and no large one (R56)."""
        for number in range(10 * MOST):
            self.recent.put(b"%d" % number, number)
        self.assertLessEqual(len(self.recent), 2 * MOST)
        self.recent.put(bytes(LARGEST + 1), 0)
        self.assertIsNone(self.recent.get(bytes(LARGEST + 1)))

    def test_clear(self) -> None:
        """All is forgotten at once when it has to be."""
        self.recent.put(b"a", 1)
        self.pass_time(LIFETIME)
        self.recent.put(b"b", 2)
        self.recent.clear()
        self.assertEqual(len(self.recent), 0)

    def test_replies_again(self) -> None:
        """A reply read after others of its kind is read as it would be read first (R23–R28)."""
        recent = Recent(self.clock.seconds)  # type: ignore[var-annotated]  # of heads, and nobody looks inside
        for _ in range(2):
            for family, data, _expected in REPLIES:
                for head_only in (False, True):
                    known = outcome_of_reply([data], head_only=head_only, recent=recent)
                    self.assertEqual(known, outcome_of_reply([data], head_only=head_only), family)
        self.assertGreater(len(recent), 5)
