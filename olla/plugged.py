"""Selectors and limiters that ``twisted.plugin`` finds, ours and strangers' alike."""

from __future__ import annotations

from typing import Any

from twisted.plugin import getPlugins

from olla import plugins
from olla.interfaces import ILimiterFactory, ISelectorFactory


def selector_factories() -> dict[str, ISelectorFactory]:
    """Give what makes selectors, by the name that ``proxy.load_balancer`` takes."""
    return _by_name(getPlugins(ISelectorFactory, plugins))


def limiter_factories() -> dict[str, ILimiterFactory]:
    """Give what makes limiters, by the name that ``server.rate_limits.limiters`` takes."""
    return _by_name(getPlugins(ILimiterFactory, plugins))


def _by_name(found: Any) -> dict[str, Any]:
    """Sort by name; where two have one name, a stranger's stands in for ours."""
    ours_first = sorted(found, key=lambda one: not type(one).__module__.startswith("olla."))
    return {one.name: one for one in ours_first}
