"""What proves to a backend who we are: ``auth`` and ``headers`` of an endpoint (config.md §7)."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from attrs import frozen

from olla.config.endpoints import AuthBlock, Header
from olla.config.secret import Secret

FIELDS: Mapping[str, tuple[str, ...]] = {
    "bearer": ("token",),
    "api_key": ("key",),
    "basic": ("username", "password"),
}
DEFAULT_KEY_HEADER = "X-Api-Key"
OURS: Mapping[str, str] = {  # header fields that no configuration can set, in lower case
    "host": "the host is that of the url",
    **dict.fromkeys(("content-length", "transfer-encoding", "trailer", "expect"), "we frame bodies ourselves"),
    **dict.fromkeys(
        ("connection", "keep-alive", "proxy-connection", "te", "upgrade"), "it belongs to a connection, not a request"
    ),
}

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_FORBIDDEN = re.compile(r"[\r\n\0]")

Fault = Callable[[str, str], None]  # takes the key below the endpoint, and what is wrong


def is_header_name(name: str) -> bool:
    """Whether a text can be the name of a header field."""
    return bool(_TOKEN.fullmatch(name))


class _Incomplete(Exception):
    """A credential has a fault, which has been said."""


@frozen
class Credentials:
    """
    Reads the secrets of one endpoint.

    :ivar folder: where the path of a secret file starts.
    :ivar fault: told of each fault; never with a secret.
    :ivar warn: told of what has no effect.
    """

    folder: Path
    fault: Fault
    warn: Fault

    def auth(self, block: AuthBlock | None) -> Header | None:
        """Return the header field that an ``auth`` block makes; ``None`` without a block or after a fault."""
        if block is None:
            return None
        if block.type not in FIELDS:
            self.fault("auth.type", f"must be one of {', '.join(FIELDS)}")
            return None
        strangers = list(_strangers(block))
        for name in strangers:
            self.fault(f"auth.{name}", f"does not belong to type {block.type}")
        if block.header is not None and block.type != "api_key":
            self.warn("auth.header", f"has no effect with type {block.type}")
        try:
            secrets = [self._secret(block, name) for name in FIELDS[block.type]]
        except _Incomplete:
            return None
        return None if strangers else self._header(block, secrets)

    def _header(self, block: AuthBlock, secrets: list[str]) -> Header | None:
        name, value = "Authorization", secrets[0]
        if block.type == "bearer":
            value = f"Bearer {value}"
        elif block.type == "basic":
            value = "Basic " + base64.b64encode(":".join(secrets).encode()).decode()
        else:
            name = DEFAULT_KEY_HEADER if block.header is None else block.header
        if not is_header_name(name):
            self.fault("auth.header", "is not the name of a header")
            return None
        if name.lower() in OURS:
            self.fault("auth.header", f"cannot carry a key: {OURS[name.lower()]}")
            return None
        return Header(name, Secret(value))

    def headers(self, written: Mapping[str, str], auth: Header | None) -> Iterator[Header]:
        """Return the configured header fields, without the one that ``auth`` sets."""
        for name, value in written.items():
            if not is_header_name(name):
                self.fault("headers", "has a name that is not the name of a header")
            elif _FORBIDDEN.search(value):
                self.fault(f"headers.{name}", "must not hold a line break or NUL")
            elif name.lower() in OURS:
                self.warn(f"headers.{name}", f"has no effect; {OURS[name.lower()]}")
            elif auth is None or name.lower() != auth.name.lower():
                yield Header(name, Secret(value))

    def _secret(self, block: AuthBlock, name: str) -> str:
        inline: str | None = getattr(block, name)
        path: str | None = getattr(block, f"{name}_file")
        if (inline is None) == (path is None):
            said = "both are" if path is not None else "neither is"
            self.fault(f"auth.{name}", f"give either {name} or {name}_file: {said} given")
            raise _Incomplete
        key = name if path is None else f"{name}_file"
        secret = self._content(path, key) if path is not None else inline or ""
        if not secret:
            self.fault(f"auth.{key}", "is empty")
        elif _FORBIDDEN.search(secret):
            self.fault(f"auth.{key}", "must not hold a line break or NUL")
        elif name == "username" and ":" in secret:
            self.fault(f"auth.{key}", "must not hold a colon")
        else:
            return secret
        raise _Incomplete

    def _content(self, path: str, key: str) -> str:
        try:
            return (self.folder / path).read_text("utf-8").strip()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            self.fault(f"auth.{key}", f"cannot read {path}: {reason}")
            raise _Incomplete from None


def _strangers(block: AuthBlock) -> Iterator[str]:
    own = FIELDS[block.type]
    for names in FIELDS.values():
        for name in names:
            for key in (name, f"{name}_file"):
                if name not in own and getattr(block, key) is not None:
                    yield key
