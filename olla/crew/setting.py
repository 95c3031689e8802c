"""What a worker is given at its birth, before it can hear anything."""

from __future__ import annotations

import pickle
import socket
from typing import Any

from attrs import frozen

LINK = 3
FIRST_PORT = 4
LENGTH = 4


@frozen
class Setting:
    """
    What a worker starts with.  It comes from its parent, so it may be pickled.

    :ivar number: which one it is: 1, 2 …
    :ivar size: how many there are.
    :ivar config: of the whole, as the parent has it now: a file may have changed since.
    :ivar secret: from which all make the keys of sessions.
    :ivar ports: how many listening sockets it inherits, from descriptor 4 on; descriptor 3 leads to the owner.
    :ivar places: descriptor of the memory in which all count their clients.
    """

    number: int
    size: int
    config: Any
    secret: bytes
    ports: int
    places: int


def packed(setting: Setting) -> bytes:
    """Give what :func:`received` understands, without its length."""
    return pickle.dumps(setting)


def received(descriptor: int = LINK) -> Setting:
    """
    Wait for the setting; nothing after it is read.

    :raise EOFError: when the parent has gone.
    """
    with socket.socket(fileno=descriptor) as link:
        link.setblocking(True)
        try:
            size = int.from_bytes(_exactly(link, LENGTH), "big")
            setting: Setting = pickle.loads(_exactly(link, size))
        finally:
            link.setblocking(False)
            link.detach()
    return setting


def _exactly(link: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = link.recv(size - len(data))
        if not more:
            raise EOFError("the first process has gone")
        data += more
    return data
