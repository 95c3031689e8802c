"""What a client may send, and how long it may take."""

from __future__ import annotations

from attrs import frozen

FLUSH = 30.0
LONGEST_FLUSH = 1800.0


@frozen
class Sizes:
    """
    Limits; ``0`` for none.

    :ivar head: bytes of request line and fields.
    :ivar body: bytes of a body.
    :ivar head_seconds: from the connection, or the first byte of a further request, to the end of the head.
    :ivar body_seconds: from there to the end of the body.
    :ivar idle_seconds: a connection may stay open between two requests.
    :ivar answer_seconds: the whole answer may take.
    """

    head: int = 1 << 20
    body: int = 100 << 20
    head_seconds: float = 10.0
    body_seconds: float = 30.0
    idle_seconds: float = 30.0
    answer_seconds: float = 0.0

    def flush_seconds(self, *, slow: bool) -> float:
        """
        Say how long a client may take for what was written to it when its connection is closed.

        :param slow: whether it is behind with reading: then it is waited for as in the middle of an answer.
        """
        return (self.answer_seconds or LONGEST_FLUSH) if slow else FLUSH
