"""The selectors that come with Olla, registered as a stranger's would be."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

from attrs import frozen
from twisted.plugin import IPlugin
from zope.interface import implementer

from olla.balance.least_connections import LeastConnections
from olla.balance.priority import Priority
from olla.balance.round_robin import RoundRobin
from olla.interfaces import ISelector, ISelectorFactory


@implementer(IPlugin, ISelectorFactory)
@frozen
class SelectorFactory:
    """
    Makes selectors that no setting concerns.

    :ivar name: what selects it.
    :ivar new: makes one.
    """

    name: str
    new: Callable[[], ISelector]

    def make(self, settings: Mapping[str, Any]) -> ISelector:
        """Make one."""
        return self.new()


least_connections = SelectorFactory("least-connections", LeastConnections)
round_robin = SelectorFactory("round-robin", RoundRobin)
priority = SelectorFactory("priority", lambda: Priority(random.random))
