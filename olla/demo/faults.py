"""Faults that the demonstration engines play on request."""

from __future__ import annotations

from attrs import define

MODES = ("none", "refuse", "hang", "cut", "busy", "slow")
ASKED = {f"!{mode}": mode for mode in MODES[2:]}


@define
class Faults:
    """
    What goes wrong, settable while an engine runs.

    A single request can ask for one too: by a user message of just ``!hang``, ``!cut``, ``!busy`` or ``!slow``.

    :ivar mode: ``none``; ``refuse`` (the connection is reset), ``hang`` (no answer ever), ``cut`` (the answer
        breaks off), ``busy`` (status 503) or ``slow`` (ten times slower).
    :ivar count: requests that it still applies to; ``None`` for all.
    :ivar after: tokens that come before a cut.
    """

    mode: str = "none"
    count: int | None = None
    after: int = 3

    def next(self, question: str = "") -> str:
        """Say what happens to the request that has just come."""
        asked = ASKED.get(question.strip())
        if asked is not None:
            return asked
        if self.mode == "none" or self.count == 0:
            return "none"
        if self.count is not None:
            self.count -= 1
        return self.mode
