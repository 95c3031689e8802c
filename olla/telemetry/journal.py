"""What changes, as lines of the log: health, models, attempts that failed, clients that ask too often."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from attrs import define, field
from twisted.logger import Logger

from olla.events import AttemptFailed, HealthChanged, Limited, ListingFailed, ModelsListed, StillUnwell

ROUTABLE = frozenset({"healthy", "busy", "warming"})
REMIND_FROM, REMIND_EVERY = 6, 5
QUIET = 1.0
MOST_CLIENTS = 10_000


@define(eq=False)
class Journal:
    """Writes lines about changes, each once, when it happens (behaviour.md §1, §4)."""

    _clock: Callable[[], float]  # seconds that never go back
    _listed: dict[str, frozenset[str]] = field(init=False, factory=dict)
    _warned: dict[str, float] = field(init=False, factory=dict)
    _log: ClassVar[Logger] = Logger()

    def health_changed(self, event: HealthChanged) -> None:
        """Tell of an endpoint's new state."""
        endpoint, before, after = event.endpoint, event.before, event.after
        facts = {"endpoint": endpoint.name, "url": endpoint.url, "status": after}
        if event.error:
            facts["error"] = event.error
        if before == "unknown":
            if after == "healthy":
                self._log.info("Endpoint initial status:", **facts)
            elif after == "offline":
                self._log.warn("Endpoint discovered offline:", next_check_s=round(event.next_check, 1), **facts)
            else:
                self._log.warn("Endpoint initial status:", next_check_s=round(event.next_check, 1), **facts)
        elif after in ROUTABLE and before not in ROUTABLE:
            self._log.info("Endpoint recovered:", was=before, **facts)
        elif after == "healthy":
            self._log.info("Endpoint status changed:", was=before, **facts)
        else:
            self._log.warn(
                "Endpoint status changed:",
                was=before,
                consecutive_failures=event.failures,
                next_check_s=round(event.next_check, 1),
                **facts,
            )

    def still_unwell(self, event: StillUnwell) -> None:
        """Remind of a bad state that lasts: at the sixth failure, and at every fifth after it."""
        if event.failures >= REMIND_FROM and (event.failures - REMIND_FROM) % REMIND_EVERY == 0:
            self._log.warn(
                "Endpoint still having issues:",
                endpoint=event.endpoint.name,
                url=event.endpoint.url,
                status=event.status,
                error=event.error,
                consecutive_failures=event.failures,
            )

    def models_listed(self, event: ModelsListed) -> None:
        """Tell how many models an endpoint has; at debug when they are the same as before."""
        name, models = event.endpoint.name, frozenset(model.name for model in event.models)
        known = self._listed.get(name)
        self._listed[name] = models
        write = self._log.debug if known == models else self._log.info
        write("Models listed", endpoint=name, models=len(event.models))

    def listing_failed(self, event: ListingFailed) -> None:
        """Tell that a listing could not be read."""
        self._log.warn(
            "Model discovery failed",
            endpoint=event.endpoint.name,
            error=event.error,
            consecutive_failures=event.failures,
            next_try_s=event.next_try,
        )

    def attempt_failed(self, event: AttemptFailed) -> None:
        """Tell that an endpoint was tried in vain, and whether another is left to try."""
        self._log.warn(
            "Connection failed to endpoint, marking as unhealthy" if event.reason == "connect" else "Attempt failed",
            request_id=event.id,
            endpoint=event.endpoint.name,
            reason=event.reason,
            error=event.error,
            attempt=event.attempt,
            remaining_endpoints=event.remaining,
        )

    def limited(self, event: Limited) -> None:
        """Tell that a client asks too often, at most once a second of each."""
        now = self._clock()
        if now - self._warned.get(event.client, -QUIET) < QUIET:
            return
        if len(self._warned) >= MOST_CLIENTS:
            self._warned.clear()
        self._warned[event.client] = now
        self._log.warn(
            "Rate limit exceeded",
            client_ip=event.client,
            limiter=event.limiter,
            retry_after_s=event.retry_after,
        )
