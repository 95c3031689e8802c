"""Tests of :mod:`olla.domain.memo`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from olla.domain.memo import LONGEST, MOST, Memo


class MemoTests(SynchronousTestCase):
    """What is kept."""

    def test_bounds(self) -> None:
        """Nothing is kept of a long question, and no more answers than there is room for (R56)."""
        memo: Memo[str, int] = Memo()
        self.assertEqual(memo.keep("x" * LONGEST, 1, LONGEST), 1)
        self.assertEqual(memo.keep("y", 2, LONGEST + 1), 2)
        self.assertEqual(memo, {"x" * LONGEST: 1})
        for number in range(MOST):
            memo.keep(str(number), number, 4)
        self.assertLess(len(memo), MOST)
        self.assertEqual(memo[str(MOST - 1)], MOST - 1)
