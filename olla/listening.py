"""The Twisted endpoint strings of ``server.listen``: whether one can be meant, and why it could not be opened."""

from __future__ import annotations

from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError

from olla.crew.sockets import unshared


class CannotOpen(Exception):
    """Nothing can be heard at an endpoint string."""

    def __init__(self, text: str, error: BaseException) -> None:
        super().__init__(f"{text}: {why(error)}")


def fault(text: str, shared: bool) -> str:
    """
    Say what is wrong with an endpoint string, as far as can be seen without a socket.

    :param shared: whether several processes accept there.
    :return: ``""`` when nothing is.
    """
    if shared and unshared([text]):
        return "cannot be shared by several workers; use tcp, tcp6, ssl, unix or haproxy"
    try:
        serverFromString(None, text)
    except Exception as error:  # whatever the kind of endpoint, perhaps a stranger's, makes of its text
        return f"is no endpoint string that can be used: {why(error)}"
    return ""


def why(error: BaseException) -> str:
    """Say in a few words why something could not be opened."""
    if isinstance(error, CannotListenError):
        error = error.socketError
    if not isinstance(error, OSError) or not error.strerror:
        return str(error) or type(error).__name__
    file = error.filename2 or error.filename  # a lock is a link, and its second name the file's
    return f"{error.strerror}: {file}" if isinstance(file, str) else error.strerror
