"""A configured backend, as a value."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

FNV_OFFSET = 2166136261
FNV_PRIME = 16777619
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


@frozen(eq=False)
class Endpoint:
    """
    One configured backend.  Compared by identity: two entries may share a server.

    :ivar name: the operator's name for it; unique in a configuration.
    :ivar scheme: ``http`` or ``https``.
    :ivar host: host name or address, without brackets.
    :ivar port: TCP port.
    :ivar base_path: path of the configured URL without a slash at its end; ``""`` for none.
    :ivar type: the type as the operator spells it, in lower case (``lmstudio``, ``openai``, ``auto`` …).
    :ivar profile: canonical name of the profile, ``auto`` until it has been detected.
    :ivar priority: higher is preferred.
    :ivar preserve_path: keep ``base_path`` in front of proxied paths.
    :ivar health_url: absolute URL that a check asks; ``""`` where that depends on what kind of server is found.
    :ivar model_url: absolute URL of the model listing.
    :ivar check_interval: seconds between two checks.
    :ivar check_timeout: seconds that one check may take.
    :ivar head_timeout: seconds until its answer begins; ``0.0`` where the limit of all endpoints holds.
    :ivar head_timeout_given: whether the operator has said so; otherwise kind and model may want more.
    :ivar max_concurrent_requests: requests at once; ``0`` for no limit.
    :ivar max_queue: requests that may wait for it; ``None`` for as many as may wait at all.
    :ivar requests_per_minute: that it is sent at most; ``0`` for no limit.
    :ivar request_burst: how many of them at once.
    :ivar forward_client_auth: whether a client's credentials reach this backend.
    :ivar fields: header fields added to everything sent to it; secrets may be among them.
    :ivar credential: the header field of its ``auth`` block, set last.
    :ivar model_include: globs of models that it may serve; empty for all.
    :ivar model_exclude: globs of models that it may not serve.
    :ivar tls_verify: whether its certificate is checked.
    :ivar tls_ca_file: PEM file of the authorities to trust instead of the system's; ``""`` for those.
    :ivar tags: the operator's labels for people, by name.
    :ivar id: short stable name made from its address (http-api.md §11.1).
    """

    name: str
    scheme: str
    host: str
    port: int
    base_path: str = ""
    type: str = "auto"
    profile: str = "auto"
    priority: int = 100
    preserve_path: bool = False
    health_url: str = ""
    model_url: str = ""
    check_interval: float = 5.0
    check_timeout: float = 2.0
    head_timeout: float = 0.0
    head_timeout_given: bool = False
    max_concurrent_requests: int = 0
    max_queue: int | None = None
    requests_per_minute: int = 0
    request_burst: int = 0
    forward_client_auth: bool = True
    fields: tuple[tuple[bytes, bytes], ...] = field(default=(), repr=False)
    credential: tuple[bytes, bytes] | None = field(default=None, repr=False)
    model_include: tuple[str, ...] = ()
    model_exclude: tuple[str, ...] = ()
    tls_verify: bool = True
    tls_ca_file: str = ""
    tags: Mapping[str, str] = field(factory=dict)
    id: str = ""

    @property
    def authority(self) -> str:
        """``host:port`` as a ``Host`` field has it: brackets for IPv6, no port where it is the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == {"http": 80, "https": 443}[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The address without anything secret: scheme, host, port and path."""
        return f"{self.scheme}://{self.authority}{self.base_path}"

    def at(self, path: str) -> str:
        """Give the URL of a path that we ask; the ``/v1`` at the end of an address is not doubled."""
        doubled = self.base_path.endswith("/v1") and path.startswith("/v1/")
        return self.url + path.removeprefix("/v1" if doubled else "")


def endpoint_id(url: str) -> str:
    """
    Make the short name of an address: FNV-1a over 32 bits, in base 36 (http-api.md §11.1).

    :param url: scheme, host, port and path; nothing secret.
    """
    value = FNV_OFFSET
    for byte in url.encode():
        value = (value ^ byte) * FNV_PRIME & 0xFFFFFFFF
    digits = ""
    while value:
        value, rest = divmod(value, 36)
        digits = DIGITS[rest] + digits
    return digits or "0"
