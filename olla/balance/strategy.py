"""What model routing says of a request: the reason tokens of http-api.md §7.4."""

from __future__ import annotations

from enum import Enum

from attrs import frozen

from olla.domain.routing import FALLBACK, REJECTED, ROUTED, Decision, Located

SUFFIXES = {"none": "no_fallback", "compatible_only": "compatible_only"}


class Refreshed(Enum):
    """
    How a refresh of the listings went.

    ``DONE``: they are as new as can be.  ``FAILED``: it took too long, or none could be read.
    ``BROKEN``: it could not even be tried.
    """

    DONE = "done"
    FAILED = "failed"
    BROKEN = "broken"


@frozen
class Strategy:
    """
    What to do with a request that names a model.

    :ivar type: ``strict``, ``optimistic`` or ``discovery``.
    :ivar fallback: what serves a model that no endpoint at hand has: ``none``, ``compatible_only`` or ``all``;
        ``strict`` does not look at it.
    :ivar refresh: whether ``discovery`` lists models anew before it gives up.
    :ivar models_known: whether models are listed at all; if not, requests are routed by type and path alone.
    """

    type: str = "strict"
    fallback: str = "compatible_only"
    refresh: bool = False
    models_known: bool = True

    @property
    def refreshes(self) -> bool:
        """Whether a miss is a reason to list models anew."""
        return self.refresh and self.type == "discovery"

    def found(self, located: Located, count: int, refreshed: Refreshed | None) -> Decision:
        """
        Decide on a model that is at hand.

        :param count: endpoints that have it.
        :param refreshed: ``None`` when there was no refresh.
        """
        if located.alias:
            return Decision("alias", ROUTED, f'alias "{located.alias}" resolved to {count} endpoint(s)')
        if refreshed is not None:
            return Decision(self.type, ROUTED, "model_found_after_refresh")
        discovery = self.type == "discovery"
        return Decision(self.type, ROUTED, "model_found_no_refresh" if discovery else "model_found")

    def missed(self, located: Located, routable: bool, refreshed: Refreshed | None) -> Decision:
        """
        Decide on a model that is not.

        :param routable: whether any endpoint could take the request, were it not for the model.
        """
        if self.type == "discovery":
            return self._missed_by_discovery(located, routable, refreshed)
        if self.type == "optimistic" and self.fallback == "all" and routable:
            return self._fallback("all_healthy_fallback" if located.names else "model_not_found_fallback")
        if not located.names:
            return self._reject("model_not_found", 404)
        if self.type == "optimistic" and self.fallback != "all":
            return self._reject(f"model_unavailable_{SUFFIXES[self.fallback]}", 503)
        return self._reject("model_unavailable", 503)

    def _missed_by_discovery(self, located: Located, routable: bool, refreshed: Refreshed | None) -> Decision:
        missing = 503 if located.known or located.names else 404
        if not self.refresh:
            return self._reject("model_unavailable_no_refresh", missing)
        if refreshed is Refreshed.BROKEN:
            return self._fallback("discovery_error_fallback")
        if not routable:
            return self._reject("no_healthy_after_discovery", 503)
        if refreshed is Refreshed.FAILED:
            if self.fallback == "all":
                return self._fallback("discovery_failed_all_fallback")
            return self._reject(f"discovery_failed_{SUFFIXES[self.fallback]}", 503)
        if self.fallback == "all":
            return self._fallback("all_healthy_after_discovery")
        return self._reject("model_unavailable_after_discovery", missing)

    def _fallback(self, reason: str) -> Decision:
        return Decision(self.type, FALLBACK, reason)

    def _reject(self, reason: str, status: int) -> Decision:
        return Decision(self.type, REJECTED, reason, status)
