"""Bodies of requests are kept in memory when small and in a file when not."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from olla.domain.message import Segment
from olla.wire.body import SPOOL_ABOVE, Intake


class IntakeTests(SynchronousTestCase):
    """Gathering."""

    def test_any_cut(self) -> None:
        """However a body is cut, it comes out whole, and what follows it is handed back (R12)."""

        @settings(max_examples=100, deadline=None)
        @given(st.lists(st.binary(max_size=20), max_size=6), st.binary(max_size=9))
        def same(pieces: list[bytes], rest: bytes) -> None:
            whole = b"".join(pieces)
            intake = Intake(len(whole))
            for piece in pieces:
                self.assertEqual(intake.add(piece), b"")
            self.assertEqual((intake.left, intake.add(rest)), (0, rest))
            self.assertEqual((intake.body().whole(), intake.body().size), (whole, len(whole)))

        same()

    def test_file(self) -> None:
        """A body above 1 MiB is kept in a file that has no name, and can be read more than once."""
        data = bytes(range(256)) * (SPOOL_ABOVE // 256 + 1)
        intake = Intake(len(data))
        for at in range(0, len(data), 65536):
            intake.add(data[at : at + 65536])
        body = intake.body()
        (part,) = body.parts
        assert isinstance(part, Segment)
        self.addCleanup(part.file.close)
        self.assertEqual((b"".join(body.pieces()), body.whole()), (data, data))

    def test_memory(self) -> None:
        """A body of 1 MiB is kept in memory."""
        intake = Intake(SPOOL_ABOVE)
        intake.add(bytes(SPOOL_ABOVE))
        self.assertEqual(intake.body().parts, (bytes(SPOOL_ABOVE),))
