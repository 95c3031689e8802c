"""When an endpoint is checked again (behaviour.md §4)."""

from __future__ import annotations

LONGEST_WAIT = 60.0
LARGEST_MULTIPLIER = 12
UNTOLD_SUPPRESSION = 30.0
LONGEST_SUPPRESSION = 3600.0


def wait_after_failure(interval: float, multiplier: int) -> float:
    """
    Give the seconds until an endpoint that failed is checked again.

    :param interval: seconds between checks of a healthy one; an interval above a minute is never cut down to one.
    :param multiplier: 1 after the first failure in a row, then as :func:`raised` has it.
    """
    return min(interval * multiplier, max(LONGEST_WAIT, interval))


def raised(multiplier: int) -> int:
    """Give the multiplier after one more failure: 1, 2, 4, 8, 12, 12 …"""
    return min(multiplier * 2, LARGEST_MULTIPLIER)


def jittered(wait: float, jitter: float) -> float:
    """
    Vary a wait, so that endpoints which failed together are not asked together.

    :param jitter: the part of the wait to add, such as -0.1 … 0.1.
    """
    return wait * (1.0 + jitter)


def suppression(retry_after: float | None) -> float:
    """
    Give the seconds for which an endpoint that answered 429 is not asked.

    A backend that names an absurd time is asked after an hour all the same.

    :param retry_after: seconds that it asked for; ``None`` when it did not say.
    """
    if retry_after is None:
        return UNTOLD_SUPPRESSION
    return min(max(retry_after, 0.0), LONGEST_SUPPRESSION)
