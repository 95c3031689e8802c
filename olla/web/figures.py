"""
Figures as people read them on our pages.

Dashboards parse these strings, so each is exactly as http-api.md §1.4 has it.
"""

from __future__ import annotations

from datetime import datetime, timezone

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
UNITS = ("B", "KB", "MB", "GB", "TB", "PB")
NEVER = "0001-01-01T00:00:00Z"


def size(count: float) -> str:
    """Give bytes: ``512 B``, ``1.50 KB``."""
    amount, unit = float(count), 0
    while amount >= 1024 and unit < len(UNITS) - 1:
        amount /= 1024
        unit += 1
    return f"{amount:.2f} {UNITS[unit]}" if unit else f"{int(count)} B"


def percent(value: float | None) -> str:
    """Give a percentage: ``0%``, ``99.6%``; ``N/A`` for ``None``."""
    if value is None:
        return "N/A"
    return f"{value:.0f}%" if value in (0, 100) else f"{value:.1f}%"


def milliseconds(seconds: float | None) -> int:
    """Give whole milliseconds, 0 for ``None``."""
    return round((seconds or 0.0) * 1000.0)


def latency(seconds: float | None) -> str:
    """Give a time that something took: ``85ms``, ``1.2s``; ``0ms`` for ``None``."""
    ms = milliseconds(seconds)
    return f"{ms}ms" if ms < 1000 else f"{ms / 1000:.1f}s"


def ago(seconds: float | None) -> str:
    """
    Give an age: ``2s ago``.

    :param seconds: how long ago; ``None`` for ``never``.
    """
    return "never" if seconds is None else f"{_about(max(0.0, seconds))} ago"


def until(seconds: float | None) -> str:
    """
    Give the time to something: ``in 3s``.

    :param seconds: how long; what is due is ``now``, ``None`` is ``unknown``.
    """
    if seconds is None:
        return "unknown"
    return f"in {_about(seconds)}" if seconds > 0 else "now"


def uptime(seconds: float) -> str:
    """Give how long something has been running: ``45s``, ``12m``, ``2h 30m``, ``1d 7h``."""
    if seconds < MINUTE:
        return f"{seconds:.0f}s"
    if seconds < HOUR:
        return f"{seconds / MINUTE:.0f}m"
    if seconds < DAY:
        return f"{int(seconds // HOUR)}h {int(seconds % HOUR // MINUTE)}m"
    return f"{int(seconds // DAY)}d {int(seconds % DAY // HOUR)}h"


def duration(seconds: float) -> str:
    """Give a time to the second, ``2h30m15s``; below one second as short as it goes: ``2.9ms``, ``381.19µs``."""
    if seconds < 1:
        return _short(round(seconds * 1e9))
    whole = int(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    if hours:
        return f"{hours}h{minutes}m{rest}s"
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def ratio(part: int, total: int) -> str:
    """Give ``2/3``."""
    return f"{part}/{total}"


def timestamp(seconds: float) -> str:
    """Give a time as RFC 3339 in UTC, with milliseconds."""
    return f"{datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec='milliseconds')[:-6]}Z"


def _about(seconds: float) -> str:
    if seconds < MINUTE:
        return f"{int(seconds)}s"
    if seconds < HOUR:
        return f"{seconds / MINUTE:.0f}m"
    return f"{seconds / HOUR:.0f}h" if seconds < DAY else f"{seconds / DAY:.0f}d"


def _short(nanoseconds: int) -> str:
    if nanoseconds == 0:
        return "0s"
    if nanoseconds < 1000:
        return f"{nanoseconds}ns"
    amount, unit = (nanoseconds / 1e3, "µs") if nanoseconds < 1e6 else (nanoseconds / 1e6, "ms")
    return f"{amount:.6f}".rstrip("0").rstrip(".") + unit
