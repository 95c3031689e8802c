"""Tests of :mod:`olla.turns`."""

from __future__ import annotations

from collections import deque

from twisted.trial.unittest import SynchronousTestCase

from olla.turns import PART, in_parts


class InPartsTests(SynchronousTestCase):
    """Much work, and others who wait."""

    def test_few(self) -> None:
        """A little is done at once."""
        done: list[int] = []
        self.assertEqual(list(in_parts([1, 2, 3], done.append)), [])
        self.assertEqual(done, [1, 2, 3])

    def test_many(self) -> None:
        """Of much only a part is done before others have their turn."""
        done: list[int] = []
        steps = in_parts(range(2 * PART + 1), done.append)
        for parts in (1, 2):
            next(steps)
            self.assertEqual(len(done), parts * PART)
        deque(steps)
        self.assertEqual(done, list(range(2 * PART + 1)))

    def test_gone_meanwhile(self) -> None:
        """What is gone when its turn comes is left alone."""
        items = set(range(2 * PART))
        done: list[int] = []
        steps = in_parts(items, done.append)
        next(steps)
        items.clear()
        deque(steps)
        self.assertEqual(len(done), PART)
