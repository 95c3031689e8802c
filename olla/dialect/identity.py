"""Gives each request the id under which everything about it is logged."""

from __future__ import annotations

import os
import re
from collections.abc import Callable

BREEDS = (
    *("huacaya", "suri", "vicuna", "alpaca", "guanaco", "woolly", "silky", "fluffy"),
    *("curly", "shaggy", "noble", "gentle", "swift", "steady", "proud"),
)
VERBS = (
    *("grazing", "trekking", "humming", "spitting", "prancing", "carrying", "leading", "following"),
    *("resting", "alerting", "browsing", "foraging", "wandering", "galloping", "ambling"),
)
PREFIXES = tuple(f"{breed}-{verb}-" for breed in BREEDS for verb in VERBS)
ACCEPTED = re.compile(rb"[\x21-\x7e]{1,128}")
SIZE = 7
BATCH = 256


class Identities:
    """
    Takes the client's id when it is fit to be used, and makes one when it is not.

    Random bytes are fetched for 256 ids at a time: a system call for each would cost more than the rest of it.
    """

    def __init__(self, entropy: Callable[[int], bytes] = os.urandom) -> None:
        """
        Begin without any random bytes.

        :param entropy: gives as many bytes as asked for that nobody can guess.
        """
        self._entropy = entropy
        self._random = b""
        self._hex = ""
        self._at = 0

    def identify(self, given: bytes | None) -> tuple[str, bool]:
        """
        Name a request.

        :param given: value of its first ``X-Request-ID``.
        :return: the id, and whether it is the given one.
        """
        if given is not None and ACCEPTED.fullmatch(given):
            return given.decode("ascii"), True
        return self.make(), False

    def make(self) -> str:
        """Make an id: two words and twelve random hexadecimal digits."""
        at = self._at
        if at == len(self._random):
            self._random = self._entropy(SIZE * BATCH)
            self._hex = self._random.hex()
            at = 0
        self._at = at + SIZE
        # the first byte chooses the words, which are there for the eye; the other six make the id unique
        return PREFIXES[self._random[at] % len(PREFIXES)] + self._hex[2 * at + 2 : 2 * at + 2 * SIZE]
