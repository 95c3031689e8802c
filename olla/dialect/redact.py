"""Makes what clients write fit to be logged."""

from __future__ import annotations

from urllib.parse import unquote_plus

SECRET = frozenset({"api_key", "token", "access_token", "key", "password", "secret", "auth"})
REDACTED = "[REDACTED]"


def redact(query: bytes) -> str:
    """
    Give a query as it may be logged: values of ``api_key``, ``token`` and the like replaced, in any spelling.

    :param query: as the client wrote it, without its question mark.
    """
    if query.find(b"=") < 0:
        return printable(query.decode("utf-8", "replace"))
    shown = []
    for pair in query.decode("utf-8", "replace").split("&"):
        name, equals, _ = pair.partition("=")
        secret = equals and unquote_plus(name).strip().lower() in SECRET
        shown.append(f"{name}={REDACTED}" if secret else pair)
    return printable("&".join(shown))


def printable(text: str) -> str:
    """Escape whatever could end a line of a log, or colour, hide or reorder what a terminal shows."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
