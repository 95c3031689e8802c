"""Faults that the demonstration engines play on request."""

from __future__ import annotations

from attrs import define

NONE, REFUSE, HANG, CUT, BUSY, SLOW = MODES = ("none", "refuse", "hang", "cut", "busy", "slow")
FIELD = "x-demo-fault"
SIGN = "!"


@define
class Faults:
    """
    What goes wrong, settable while an engine runs.

    :ivar mode: ``none``; ``refuse`` (connections are reset as they come, kept ones at their next request),
        ``hang`` (no answer ever), ``cut`` (the answer breaks off), ``busy`` (status 503), or ``slow`` (takes ten
        times as long).
    :ivar count: requests that it still applies to; ``None`` for all.
    :ivar after: tokens that come before a cut.
    :ivar everywhere: whether ``GET`` and ``HEAD``, which is to say checks and listings, meet it too; they always
        meet ``refuse``.
    """

    mode: str = NONE
    count: int | None = None
    after: int = 3
    everywhere: bool = False

    def refuses(self) -> bool:
        """Say whether the connection that has just come is refused."""
        return self.mode == REFUSE and self._take()

    def next(self, inference: bool) -> str:
        """
        Say what happens to the request that has just come.

        :param inference: whether it is neither check nor listing.
        """
        met = inference or self.everywhere or self.mode == REFUSE
        return self.mode if met and self.mode != NONE and self._take() else NONE

    def _take(self) -> bool:
        if self.count is None:
            return True
        if self.count <= 0:
            return False
        self.count -= 1
        return True


def asked_for(field: str, question: str) -> str | None:
    """
    Give the fault that a request asks for itself.

    :param field: its header ``X-Demo-Fault``; ``""`` without one.
    :param question: its last message, the whole of which may be ``!cut`` (or ``!hang``, ``!busy`` …).
    :return: ``None`` when it asks for none.
    """
    if field in MODES:
        return field
    word = question.strip()
    return word[len(SIGN) :] if word.startswith(SIGN) and word[len(SIGN) :] in MODES else None
