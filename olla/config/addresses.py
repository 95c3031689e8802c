"""The URLs of an endpoint: checked, joined, and never shown with what is secret in them."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

from attrs import frozen

CREDENTIALS = (
    "must not carry credentials; write http://HOST:PORT and beside it"
    " auth: {type: basic, username: USER, password: PASSWORD}"
)

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_SLASHES = re.compile(r"/{2,}")
_UNFIT = re.compile(r"[\s\x00-\x1f\x7f<>\"{}|\\^`]")


@frozen
class Address:
    """
    An absolute http or https URL.

    :ivar host: without brackets.
    :ivar path: as given, ``""`` for none; never a query.
    """

    scheme: str
    host: str
    port: int
    path: str
    text: str

    @property
    def label(self) -> str:
        """``host:port``, with brackets around an IPv6 address."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def joined(self, path: str) -> str:
        """Return the URL of a path below this one, doubled slashes made one; a ``?`` in it is no query."""
        below = _SLASHES.sub("/", f"{self.path}/{path}").replace("?", "%3F").replace("#", "%23")
        return f"{self._origin}{below}"

    @property
    def _origin(self) -> str:
        return self.text[: len(self.text) - len(self.path)] if self.path else self.text


def address(text: str) -> Address:
    """
    Read the address of an endpoint; a query or fragment is left out.

    :raise ValueError: it is not http or https with a host, or has credentials; the message quotes none of it.
    """
    split, port = _split(text)
    host = split.hostname or ""
    path = split.path
    plain = f"{split.scheme}://{split.netloc}{path}"
    return Address(split.scheme, host, port, path, plain)


def absolute(text: str) -> str:
    """
    Check a URL with a scheme; it may have a query.

    :raise ValueError: as :func:`address`.
    """
    split, _ = _split(text)
    return split.geturl()


def has_scheme(text: str) -> bool:
    """Whether a text is a URL and not a path."""
    return bool(_SCHEME.match(text.strip()))


def has_credentials(text: str) -> bool:
    """Whether something before the path looks like ``user:password@``, parsable or not."""
    start = text.find("//")  # a scheme may be missing
    rest = text[start + 2 :] if start == 0 or text[start - 1 : start] == ":" else text
    return "@" in re.split(r"[/?#]", rest, maxsplit=1)[0]


def _split(text: str) -> tuple[SplitResult, int]:
    text = text.strip()
    if has_credentials(text):
        raise ValueError(CREDENTIALS)
    if _UNFIT.search(text):
        raise ValueError("has a blank or another character that no URL can have")
    try:
        split = urlsplit(text)
        port = split.port
    except ValueError:
        raise ValueError("is not a URL such as http://host:8000") from None
    if split.scheme not in ("http", "https") or not split.hostname:
        raise ValueError("must be http:// or https:// with a host")
    if port == 0:
        raise ValueError("has port 0")
    return split, port or (443 if split.scheme == "https" else 80)
