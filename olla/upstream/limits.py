"""How long we wait for a backend, and how connections to it are set."""

from __future__ import annotations

from attrs import frozen


@frozen
class Patience:
    """
    The limits of one exchange with a backend, in seconds; ``0.0`` for no limit.

    :ivar connect: for a connection.
    :ivar handshake: for TLS on it.
    :ivar head: from the request's end to the head of the reply, at endpoints that say nothing else.
    :ivar silence: between two pieces of the body.
    :ivar total: from the request's start to the last byte.
    """

    connect: float = 60.0
    handshake: float = 10.0
    head: float = 30.0
    silence: float = 600.0
    total: float = 900.0


@frozen
class Sockets:
    """
    How the sockets of connections are set.

    :ivar keep_alive: seconds without a word after which the kernel asks the other end whether it is still there, and
        asks again; ``0.0`` for never.
    :ivar read_size: bytes read at once; ``0`` for what the engine reads.
    """

    keep_alive: float = 0.0
    read_size: int = 0
