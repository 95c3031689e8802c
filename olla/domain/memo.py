"""What was found out before, kept as long as there is room."""

from __future__ import annotations

from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")

MOST = 4096
LONGEST = 256


class Memo(dict[K, V]):
    """
    Answers by question, bounded in number and in the length of the questions.

    Clients think up many of the questions (paths with ids in them, names of models), and there is no end to them.
    When it is full everything is forgotten: what is asked for again and again is soon there again.
    """

    __slots__ = ()

    def keep(self, question: K, answer: V, length: int) -> V:
        """
        Keep an answer, unless its question is a long one.

        :param length: characters of what a client has chosen of the question.
        :return: the answer.
        """
        if length <= LONGEST:
            if len(self) >= MOST:
                self.clear()
            self[question] = answer
        return answer
