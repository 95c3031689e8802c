"""The limiters that come with Olla, registered as a stranger's would be."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from attrs import frozen
from twisted.plugin import IPlugin
from zope.interface import implementer

from olla.domain.bucket import Bucket
from olla.interfaces import ILimiter, ILimiterFactory
from olla.limits.rate import Everybody, PerClient, Unlimited


@implementer(IPlugin, ILimiterFactory)
@frozen
class PerClientFactory:
    """
    Makes limiters with a bucket for each client.

    :ivar name: what selects it.
    :ivar kind: the kind of request that it limits.
    :ivar rate_key: which setting has the requests a minute.
    :ivar wall: seconds since 1970.
    """

    name: str
    kind: str
    rate_key: str
    wall: Callable[[], float]

    def make(self, settings: Mapping[str, Any]) -> ILimiter:
        """Make one; it lets everybody through when the rate is 0 or less."""
        rate = settings[self.rate_key]
        if rate <= 0:
            return Unlimited()
        return PerClient(self.kind, rate, max(1, settings["burst_size"]), self.wall)


@implementer(IPlugin, ILimiterFactory)
@frozen
class EverybodyFactory:
    """
    Makes the limiter that all proxied requests share.

    :ivar name: what selects it.
    """

    name: str

    def make(self, settings: Mapping[str, Any]) -> ILimiter:
        """
        Make one; it lets everybody through when the rate is 0 or less.

        Without ``global_burst_size`` it lets five seconds' worth through at once, so that fifty clients who begin
        together are not refused at a thousandth of what they may send.
        """
        rate = settings["global_requests_per_minute"]
        if rate <= 0:
            return Unlimited()
        burst = settings.get("global_burst_size") or max(settings["burst_size"], math.ceil(rate / 60 * 5), 1)
        return Everybody("proxy", Bucket(rate / 60, burst))


per_ip = PerClientFactory("per-ip", "proxy", "per_ip_requests_per_minute", time.time)
health = PerClientFactory("health", "health", "health_requests_per_minute", time.time)
everybody = EverybodyFactory("global")
