"""What is counted of requests that came in another dialect than the backends' own (http-api.md §11.8)."""

from __future__ import annotations

from collections import defaultdict

from attrs import define, field

from olla.events import Finished
from olla.telemetry.tally import Tally


@define(eq=False)
class TranslatorFigures:
    """
    Counts of one translator; a request that was refused before it was sent counts as failed, and as a translation.

    :ivar passthrough: requests that a backend took in the client's own dialect.
    :ivar translation: all others.
    :ivar streaming: requests for a stream, among both.
    :ivar fallbacks: translations of what could have been passed through, by why it was not.
    """

    passthrough: Tally = field(init=False, factory=Tally)
    translation: Tally = field(init=False, factory=Tally)
    streaming: int = field(init=False, default=0)
    fallbacks: defaultdict[str, int] = field(init=False, factory=lambda: defaultdict(int))

    def add(self, event: Finished, now: float) -> None:
        """Count a request that is over; one that its client abandoned tells nothing."""
        if event.outcome == "cancelled":
            return
        if event.stream:
            self.streaming += 1
        if event.outcome == "success":
            self.translation.success(event.duration, event.bytes_out, now)
        else:
            self.translation.failure(event.bytes_out, now)
