"""Which file is the configuration, and its bytes (config.md §2)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from attrs import frozen

from olla.config.remarks import ConfigError, Remark

CANDIDATES = ("config/config.local.yaml", "config/config.yaml", "config.yaml", "default.yaml")
VARIABLE = "OLLA_CONFIG_FILE"


@frozen
class Source:
    """
    One configuration file.

    :ivar path: as it was named.
    """

    path: str
    data: bytes


def find(option: str, environ: Mapping[str, str], cwd: Path) -> Source | None:
    """
    Read the one configuration file.

    :param option: the path given on the command line; ``""`` for none.
    :return: the file named by option or variable, else the first candidate that can be read, else ``None``.
    :raise ConfigError: a named file cannot be read.
    """
    named = option or environ.get(VARIABLE, "")
    if named:
        data = _content(cwd / named)
        if data is None:
            raise ConfigError([Remark("", f"specified config file not found: {named}")])
        return Source(named, data)
    for candidate in CANDIDATES:
        data = _content(cwd / candidate)
        if data is not None:
            return Source(candidate, data)
    return None


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes() if path.is_file() and os.access(path, os.R_OK) else None
    except OSError:
        return None
