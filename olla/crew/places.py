"""How many clients each worker serves, in memory that all of them share: a burst leaves no time to tell anybody."""

from __future__ import annotations

from mmap import mmap

from attrs import define, field

EACH = 4


def room_for(size: int) -> int:
    """Give the bytes that the memory for so many workers has."""
    return EACH * size


@define(eq=False)
class Places:
    """
    The counts of all workers, whose numbers begin with 1.

    Each writes its own, and the owner that of one that has died.
    """

    _counts: memoryview = field()

    @classmethod
    def of(cls, descriptor: int, size: int) -> Places:
        """
        Share the counts of ``size`` workers.

        :param descriptor: of a file with :func:`room_for` them.
        """
        return cls(memoryview(mmap(descriptor, room_for(size))).cast("I"))

    def put(self, number: int, clients: int) -> None:
        """Let all know how many clients a worker has."""
        self._counts[number - 1] = clients

    def others(self, number: int) -> int:
        """Count the clients of all workers but one."""
        return sum(self._counts) - self._counts[number - 1]
