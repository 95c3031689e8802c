"""Tests of :mod:`olla.crew.places`."""

from __future__ import annotations

from tempfile import TemporaryFile

from twisted.trial.unittest import SynchronousTestCase

from olla.crew.places import Places, room_for


class PlacesTests(SynchronousTestCase):
    """Counts in shared memory."""

    def test_shared(self) -> None:
        """What one worker writes the others read at once; its own count is not among the others'."""
        with TemporaryFile() as file:
            file.truncate(room_for(3))
            first, second = Places.of(file.fileno(), 3), Places.of(file.fileno(), 3)
        first.put(1, 7)
        second.put(2, 5)
        self.assertEqual([first.others(number) for number in (1, 2, 3)], [5, 7, 12])
        second.put(1, 0)
        self.assertEqual(first.others(2), 0)
