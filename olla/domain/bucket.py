"""A token bucket: so many at once, so many a second."""

from __future__ import annotations

from attrs import Factory, define, field


@define(eq=False)
class Bucket:
    """
    Lets through ``rate`` requests a second, and ``burst`` at once.

    :ivar rate: tokens gained per second, more than 0.
    :ivar burst: tokens the full bucket holds, at least 1.
    :ivar used: seconds, as given with the last call.
    :ivar tokens: how many there were then, parts of one included.
    """

    rate: float
    burst: float
    used: float = field(init=False, default=0.0)
    tokens: float = field(init=False, default=Factory(lambda self: self.burst, takes_self=True))

    def take(self, now: float) -> float:
        """
        Take one token, if there is one.

        :param now: seconds, never less than in the call before.
        :return: seconds until a token will be there; ``0.0`` when taken.
        """
        tokens = self.tokens + (now - self.used) * self.rate
        if tokens > self.burst:  # min() costs four times as much, for each request
            tokens = self.burst
        self.used = now
        if tokens < 1.0:
            self.tokens = tokens
            return (1.0 - tokens) / self.rate
        self.tokens = tokens - 1.0
        return 0.0

    def wait(self, now: float) -> float:
        """Give the seconds until a token will be there, and take none; ``0.0`` when one is."""
        tokens = min(self.burst, self.tokens + (now - self.used) * self.rate)
        return max(0.0, (1.0 - tokens) / self.rate)

    def put_back(self) -> None:
        """Return the token taken last."""
        self.tokens = min(self.burst, self.tokens + 1.0)
