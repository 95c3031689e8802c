"""Figures as text, exactly as dashboards parse them (http-api.md §1.4)."""

from __future__ import annotations

from datetime import datetime, timezone

UNITS = ("B", "KB", "MB", "GB", "TB", "PB")


def size_text(size: int) -> str:
    """Write a number of bytes: ``512 B``, ``3.81 GB``."""
    if size < 1024:
        return f"{size} B"
    power = min((size.bit_length() - 1) // 10, len(UNITS) - 1)
    return f"{size / 1024**power:.2f} {UNITS[power]}"


def ago_text(seconds: float | None) -> str:
    """Write how long ago something was: ``2s ago``, ``5m ago``, ``3h ago``, ``2d ago``; ``never`` for ``None``."""
    if seconds is None:
        return "never"
    seconds = max(seconds, 0.0)
    if seconds < 60:
        return f"{int(seconds)}s ago"
    if seconds < 3600:
        return f"{_rounded(seconds / 60)}m ago"
    if seconds < 86400:
        return f"{_rounded(seconds / 3600)}h ago"
    return f"{_rounded(seconds / 86400)}d ago"


def time_text(wall: float) -> str:
    """Write a time in RFC 3339, whole seconds, UTC."""
    return datetime.fromtimestamp(int(wall), timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _rounded(value: float) -> int:
    return int(value + 0.5)
