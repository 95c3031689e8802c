"""Whose request it is: the client's address, behind trusted proxies too (http-api.md §9.5)."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from attrs import define, field

from olla.domain.message import Request

MAPPED = b"\0" * 10 + b"\xff\xff"


def unmapped(host: str) -> str:
    """Give an IPv4-mapped IPv6 address as the IPv4 address that it is; anything else as it is."""
    if host[:7].lower() != "::ffff:":
        return host
    address = parse(host)
    return host if address is None else str(address)


def parse(text: str) -> IPv4Address | IPv6Address | None:
    """
    Read an address as forwarding headers have it: with a port, brackets or quotes, perhaps.

    :return: unmapped, or ``None`` when it is none.
    """
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped


def bucket_key(client: str) -> str | bytes:
    """
    Give what a client is known by to a limiter: a household's /64 for IPv6, the address itself for IPv4.

    :param client: an address; what is none stands for itself.
    """
    if ":" not in client:
        return client
    try:
        packed = socket.inet_pton(socket.AF_INET6, client.partition("%")[0])
    except OSError:
        return client
    return socket.inet_ntop(socket.AF_INET, packed[12:]) if packed[:12] == MAPPED else packed[:8]


def _networks(texts: Iterable[str]) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(text.strip(), strict=False) for text in texts)


@define(eq=False)
class ClientAddress:
    """
    Tells the client's address from the peer's and from what trusted proxies say.

    :ivar trust: whether forwarding headers are looked at at all.
    :ivar networks: where trusted proxies are, ``10.0.0.0/8``; one that cannot be read is a ``ValueError``.
    """

    trust: bool
    networks: tuple[IPv4Network | IPv6Network, ...] = field(converter=_networks)

    def of(self, peer: str, request: Request) -> str:
        """
        Tell it.

        :param peer: address of the other end of the connection, unmapped.
        """
        if not self.trust or not self._trusted(parse(peer)):
            return peer
        forwarded = [
            address for element in _elements(request, b"x-forwarded-for") if (address := parse(element)) is not None
        ]
        for address in reversed(forwarded):
            if not self._trusted(address):
                return str(address)
        real = parse((request.get(b"x-real-ip") or b"").decode("latin-1"))
        if real is not None:
            return str(real)
        return str(forwarded[0]) if forwarded else peer

    def _trusted(self, address: IPv4Address | IPv6Address | None) -> bool:
        return address is not None and any(address in network for network in self.networks)


def _elements(request: Request, name: bytes) -> list[str]:
    values = [value for key, value in request.fields if key.lower() == name]
    return b",".join(values).decode("latin-1").split(",")
