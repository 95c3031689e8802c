"""How long we wait for a backend."""

from __future__ import annotations

from attrs import frozen


@frozen
class Patience:
    """
    The limits of one exchange with a backend, in seconds; ``0.0`` for no limit.

    :ivar connect: for a connection.
    :ivar handshake: for TLS on it.
    :ivar head: from the request's end to the head of the reply.
    :ivar silence: between two pieces of the body.
    :ivar total: from the request's start to the last byte.
    """

    connect: float = 60.0
    handshake: float = 10.0
    head: float = 30.0
    silence: float = 600.0
    total: float = 900.0
