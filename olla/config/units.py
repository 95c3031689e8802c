"""
How values are written: durations, sizes, whole numbers, truth, lists and globs (config.md §1).

Each function takes text and returns the value, or raises :class:`ValueError` with what is wrong with the
text; the message quotes nothing, the caller knows what may be shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
KIB = 1024

_DURATION_GROUP = r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)"
_DURATION = re.compile(rf"[+-]?(?:{_DURATION_GROUP})+", re.ASCII)
_GROUPS = re.compile(_DURATION_GROUP, re.ASCII)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)", re.ASCII)
_SIZE = re.compile(r"(\d[\d_]*(?:\.\d*)?|\.\d+) ?([kmgtp]?)(i?b)?", re.ASCII | re.IGNORECASE)
_WHOLE = re.compile(r"[+-]?(?:0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|0[0-7_]*|[1-9][0-9_]*)", re.ASCII)
_FLOAT = re.compile(r"[+-]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)

_TRUE = ("true", "True", "TRUE")
_FALSE = ("false", "False", "FALSE")
_YES = ("yes", "Yes", "YES", "on", "On", "ON", "y", "Y")
_NO = ("no", "No", "NO", "off", "Off", "OFF", "n", "N")
_VARIABLE_TRUE = ("1", "t", "T", *_TRUE)
_VARIABLE_FALSE = ("0", "f", "F", *_FALSE)

LARGEST = 2**63 - 1  # as large as the numbers of whoever else reads the same file


def duration(text: str) -> float:
    """
    Read a duration such as ``1h30m``, ``500ms``, ``1.5s`` or a bare ``0``.

    :return: seconds; negative ones too, which is for the key to refuse.
    """
    if not _DURATION.fullmatch(text):
        if _NUMBER.fullmatch(text):
            if float(text) == 0:
                return 0.0
            raise ValueError("has no unit; add a unit, as in 30s or 5m")
        raise ValueError("is not a duration such as 30s, 1h30m or 500ms")
    seconds = sum(float(number) * SECONDS[unit] for number, unit in _GROUPS.findall(text))
    if seconds > LARGEST / 1e9:
        raise ValueError("is longer than 292 years")
    return -seconds if text.startswith("-") else seconds


def size(text: str) -> int:
    """
    Read a number of bytes such as ``100MB``, ``1.5 GiB`` or ``1_048_576``; 1 KB is 1024.

    :return: bytes, rounded down.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None or ((match[3] or "").lower() == "ib" and not match[2]):
        raise ValueError("is not a size such as 104857600, 64KB or 1.5GiB")
    number = match[1].replace("_", "")
    factor = KIB ** " kmgtp".index(match[2].lower() or " ")
    count = int(float(number) * factor) if "." in number else int(number) * factor
    if count == 0 and float(number) > 0:
        raise ValueError("is less than one byte")
    if count > LARGEST:
        raise ValueError("is too large")
    return count


def size_or_number(text: str) -> int:
    """Read a size as :func:`size` does, or any number that :func:`integer` reads, negative ones included."""
    return integer(text) if _WHOLE.fullmatch(text) or _FLOAT.fullmatch(text) else size(text)


def integer(text: str) -> int:
    """Read a whole number: ``40_114``, ``0x9CB2``, ``0o17``, ``017``, ``0b1``, ``4.0114e4``."""
    if _WHOLE.fullmatch(text) and any(c in "0123456789abcdefABCDEF" for c in text[-1:]):
        number = _whole(text)
    elif _FLOAT.fullmatch(text):
        value = float(text.replace("_", ""))
        if value != value // 1 or abs(value) > 2**53:
            raise ValueError("is not a whole number")
        number = int(value)
    else:
        raise ValueError("is not a whole number")
    if not -LARGEST <= number <= LARGEST:
        raise ValueError("is too large")
    return number


def _whole(text: str) -> int:
    sign = -1 if text.startswith("-") else 1
    digits = text.lstrip("+-").replace("_", "")
    if len(digits) > 1 and digits[0] == "0" and digits[1].isdigit():
        return sign * int(digits, 8)
    return sign * int(digits[:66], 0)


def plain_integer(text: str) -> int:
    """Read a whole number as variables have it: decimal digits and a sign, nothing else."""
    if not re.fullmatch(r"[+-]?\d{1,19}", text, re.ASCII):
        raise ValueError("is not a whole number")
    return int(text)


def decimal(text: str) -> float:
    """Read a number with or without a fraction."""
    if not _FLOAT.fullmatch(text):
        raise ValueError("is not a number")
    return float(text.replace("_", ""))


def truth(text: str, quoted: bool = False) -> bool:
    """
    Read true or false as the file has it.

    :param quoted: the text stood in quotes, where only ``yes``, ``no``, ``on``, ``off``, ``y``, ``n`` count.
    """
    if text in _YES or (text in _TRUE and not quoted):
        return True
    if text in _NO or (text in _FALSE and not quoted):
        return False
    raise ValueError("is neither true nor false")


def variable_truth(text: str) -> bool:
    """Read true or false as a variable has it: ``1``, ``t``, ``true``, ``0``, ``f``, ``false``."""
    if text in _VARIABLE_TRUE:
        return True
    if text in _VARIABLE_FALSE:
        return False
    raise ValueError("is neither true nor false (1, t, true, 0, f, false)")


def comma_list(text: str) -> tuple[str, ...]:
    """Split at commas; blanks around and empty parts vanish."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def glob(text: str) -> str:
    """Check a glob: ``*`` alone, at the start, at the end, or at both (behaviour.md §14)."""
    if not text.strip():
        raise ValueError("is blank")
    inner = text[1:-1] if len(text) > 1 else ""
    if "*" in inner or text == "**":
        raise ValueError("may have * only as its first and last character")
    return text


def matches(pattern: str, name: str) -> bool:
    """Whether a glob that :func:`glob` let pass fits ``name``, in any case."""
    pattern, name = pattern.lower(), name.lower()
    wanted = pattern.strip("*")
    if pattern == "*":
        return True
    if pattern.startswith("*"):
        return wanted in name if pattern.endswith("*") else name.endswith(wanted)
    return name.startswith(wanted) if pattern.endswith("*") else name == wanted


def admits(include: Iterable[str], exclude: Iterable[str], name: str) -> bool:
    """Whether a pair of glob lists lets ``name`` through: an empty ``include`` is all, ``exclude`` wins."""
    include = tuple(include)
    included = not include or any(matches(pattern, name) for pattern in include)
    return included and not any(matches(pattern, name) for pattern in exclude)
