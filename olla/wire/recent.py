"""
What was read in heads of late: most clients, and most backends, send the same head again and again.

Such heads differ in one figure, that of ``Content-Length``, so it is set apart; all that strict reading finds out is
then found out once.  What is kept is bounded in number, size and time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, TypeVar

V = TypeVar("V")

MOST = 256
LARGEST = 4096
LIFETIME = 60.0
SPELLINGS = (b"\r\nContent-Length: ", b"\r\ncontent-length: ")
SKIP = len(SPELLINGS[0])
LONGEST_FIGURE = 15
UNTOLD: Final = -1


class Recent(Generic[V]):
    """
    Values by the heads that they were made of.

    There are two generations: what the older one has is taken over when it is asked for, and what nobody asks for
    is forgotten with it, after two minutes at most.
    """

    __slots__ = ("_clock", "_old", "_since", "_young")

    def __init__(self, clock: Callable[[], float]) -> None:
        """
        Begin with nothing.

        :param clock: seconds, never going back.
        """
        self._clock = clock
        self._since = clock()
        self._young: dict[bytes, V] = {}
        self._old: dict[bytes, V] = {}

    def __len__(self) -> int:
        return len(self._young.keys() | self._old.keys())

    def get(self, key: bytes) -> V | None:
        """Give the value of ``key``, as :func:`apart` makes it."""
        value = self._young.get(key)
        if value is None:
            value = self._old.get(key)
            if value is not None:
                self.put(key, value)
        return value

    def put(self, key: bytes, value: V) -> None:
        """Keep a value, unless its head is a large one."""
        if len(key) <= LARGEST:
            if len(self._young) >= MOST:
                self._age()
            self._young[key] = value

    def sweep(self, now: float) -> None:
        """Forget what has not been asked for; to be called a few times a second."""
        if now - self._since >= LIFETIME:
            self._age()

    def clear(self) -> None:
        """Forget everything: what was made of a head would be something else now."""
        self._young, self._old = {}, {}

    def _age(self) -> None:
        self._young, self._old = {}, self._young
        self._since = self._clock()


def apart(head: bytes) -> tuple[bytes, int]:
    """
    Set the figure of ``Content-Length`` apart from the rest of a head.

    Two heads with the same rest are the same but for that figure: it stood behind the first occurrence of the same
    text, so that nothing else of theirs can differ.

    :param head: whole, its grammar not yet checked.
    :return: the rest and the figure; the whole head and :data:`UNTOLD` when the field is not there, or is spelled in
        an unusual way; nothing and :data:`UNTOLD` when what is there is not plainly a figure.
    """
    at = head.find(SPELLINGS[0])
    if at < 0:
        at = head.find(SPELLINGS[1])
        if at < 0:
            return head, UNTOLD
    at += SKIP
    end = head.find(b"\r", at)
    figure = head[at:end]
    if not figure.isdigit() or len(figure) > LONGEST_FIGURE:
        return b"", UNTOLD
    return head[:at] + head[end:], int(figure)
