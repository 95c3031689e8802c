"""Who may see what is meant for operators: by network of the peer, and by ``Host`` (http-api.md §16.1)."""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import IPv4Network, IPv6Network

from attrs import define
from twisted.logger import Logger

from olla.domain.message import Request
from olla.errors import Forbidden
from olla.limits.address import parse

CIDRS, HOSTS = "dashboard.access_policy.allowed_cidrs", "dashboard.access_policy.allowed_hosts"
LONGEST = 200


@define(eq=False)
class Policy:
    """
    Lets requests through.

    :ivar networks: of peers; what proxies say of the clients behind them does not count.
    :ivar hosts: names that ``Host`` may have, in lower case; an address always passes.
    """

    networks: Collection[IPv4Network | IPv6Network]
    hosts: Collection[str]
    _log = Logger()

    def check(self, request: Request) -> None:
        """
        Let ``request`` through, or not.

        :raise Forbidden: when it comes from elsewhere, or means another host.
        """
        host = (request.get(b"host") or b"").decode("latin-1")
        peer = parse(request.peer)
        if peer is None or not any(peer in network for network in self.networks):
            self._refuse("ip not in allowed range", CIDRS, request, host)
        if parse(host) is None and _name(host) not in self.hosts:
            self._refuse("host not accepted", HOSTS, request, host)

    def _refuse(self, why: str, key: str, request: Request, host: str) -> None:
        shown = host[:LONGEST].encode("unicode_escape").decode("ascii")
        self._log.warn("Access refused", reason=why, key=key, ip=request.peer, host=shown)
        told = f"403 forbidden: {why} (ip={request.peer}, host={shown})"
        raise Forbidden(f"{told}. Adjust {HOSTS} (or allowed_cidrs) in your config.")


def _name(host: str) -> str:
    return host.partition(":")[0].rstrip(".").lower()
