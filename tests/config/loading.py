"""A test case that loads configurations from text, in a folder of its own."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from olla.config import Config, ConfigError, Loaded, load
from olla.config.endpoints import EndpointConfig

ENDPOINTS = "discovery: {static: {endpoints: [%s]}}"


def forbidden(end: str, usual: Callable[..., Any]) -> Callable[..., Any]:
    """Make a method of ``Path`` that may not touch what ends so; whoever runs the tests may read everything."""

    def method(path: Path, *arguments: Any, **named: Any) -> Any:
        if str(path).endswith(end):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return usual(path, *arguments, **named)

    return method


class LoadingTestCase(SynchronousTestCase):
    """Writes files into an empty folder and loads what is there."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).resolve()
        self.folder.mkdir(parents=True)

    def write(self, name: str, text: str | bytes) -> Path:
        """Write a file below the folder."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def loaded(self, text: str | bytes = "", **environ: str) -> Loaded:
        """Load ``text`` as ``config.yaml``."""
        self.write("config.yaml", text)
        return load(environ=environ, cwd=self.folder)

    def config(self, text: str | bytes = "", **environ: str) -> Config:
        """Return the configuration that ``text`` makes."""
        return self.loaded(text, **environ).config

    def refused(self, text: str | bytes, **environ: str) -> str:
        """Return what is said about ``text``, which must be refused."""
        return str(self.assertRaises(ConfigError, self.loaded, text, **environ))

    def warned(self, text: str, **environ: str) -> str:
        """Return the warnings about ``text``, one a line."""
        return "\n".join(map(str, self.loaded(text, **environ).warnings))

    def endpoint(self, keys: str, **environ: str) -> EndpointConfig:
        """Return the one endpoint with these keys, in flow style."""
        (endpoint,) = self.config(ENDPOINTS % f"{{{keys}}}", **environ).discovery.static.endpoints
        return endpoint

    def refused_endpoint(self, keys: str, **environ: str) -> str:
        """Return what is said about an endpoint with these keys, which must be refused."""
        return self.refused(ENDPOINTS % f"{{{keys}}}", **environ)

    def warned_endpoint(self, keys: str, **environ: str) -> str:
        """Return the warnings about an endpoint with these keys."""
        return self.warned(ENDPOINTS % f"{{{keys}}}", **environ)
