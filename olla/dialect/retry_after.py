"""How backends say when to come back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timezone
from email.utils import parsedate_to_datetime


def retry_after(value: bytes | str, wall: Callable[[], float]) -> float | None:
    """
    Read ``Retry-After``: seconds, or a date in any of HTTP's three forms (RFC 9110 §10.2.3).

    :param value: of the field, ``""`` when there was none.
    :param wall: gives seconds since 1970; asked for a date alone.
    :return: seconds to wait, perhaps absurdly many; ``None`` for what cannot be read.
    """
    text = (value if isinstance(value, str) else value.decode("latin-1")).strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        date = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=timezone.utc)  # the form of asctime names none, and means this one
    return max(0.0, date.timestamp() - wall())
