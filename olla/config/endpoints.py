"""One configured backend: the keys as written, and the value that everything else is given."""

# ruff: noqa: RUF009  (the calls are field specifiers of attrs)
from __future__ import annotations

from collections.abc import Mapping

from attrs import Factory, field, frozen

from olla.config.keys import block, key, keys, optional, optional_block, texts_by_name
from olla.config.kinds import DURATION, INTEGER, NOT_NEGATIVE, TEXT, TRUTH, is_glob
from olla.config.secret import Secret


@frozen
class ModelFilter:
    """Globs of model names: which models of an endpoint exist for us."""

    include: tuple[str, ...] = keys(TEXT, (), is_glob)
    exclude: tuple[str, ...] = keys(TEXT, (), is_glob)


@frozen
class Tls:
    """
    How the server's certificate is checked.

    :ivar ca_file: PEM file of the authorities to trust instead of the system's; ``""`` for those.
    :ivar verify: ``False`` takes any certificate.
    """

    ca_file: str = key(TEXT, "")
    verify: bool = key(TRUTH, True)


@frozen
class AuthBlock:
    """The keys of ``auth`` as written."""

    type: str = key(TEXT, "")
    token: str | None = optional(TEXT, hidden=True)
    token_file: str | None = optional(TEXT)
    key: str | None = optional(TEXT, hidden=True)
    key_file: str | None = optional(TEXT)
    header: str | None = optional(TEXT)
    username: str | None = optional(TEXT, hidden=True)
    username_file: str | None = optional(TEXT)
    password: str | None = optional(TEXT, hidden=True)
    password_file: str | None = optional(TEXT)


@frozen
class EndpointBlock:
    """The keys of an endpoint as written; ``None`` where nothing is."""

    url: str | None = optional(TEXT, hidden=True)
    name: str = key(TEXT, "")
    type: str = key(TEXT, "")
    priority: int | None = optional(INTEGER, NOT_NEGATIVE)
    health_check_url: str | None = optional(TEXT, hidden=True)
    model_url: str | None = optional(TEXT, hidden=True)
    check_interval: float | None = optional(DURATION, NOT_NEGATIVE)
    check_timeout: float | None = optional(DURATION, NOT_NEGATIVE)
    preserve_path: bool = key(TRUTH, False)
    model_filter: ModelFilter = block(ModelFilter)
    auth: AuthBlock | None = optional_block(AuthBlock)
    headers: Mapping[str, str] = texts_by_name(hidden=True)
    max_concurrent_requests: int | None = optional(INTEGER, NOT_NEGATIVE)
    max_concurrent: int | None = optional(INTEGER, NOT_NEGATIVE)
    max_queue: int | None = optional(INTEGER, NOT_NEGATIVE)
    requests_per_minute: int | None = optional(INTEGER, NOT_NEGATIVE)
    forward_client_auth: bool | None = optional(TRUTH)
    anthropic: bool | None = optional(TRUTH)
    tags: Mapping[str, str] = texts_by_name()
    tls: Tls = block(Tls)


@frozen
class Header:
    """One header field; its value may be a secret and does not show."""

    name: str
    value: Secret


@frozen
class EndpointConfig:
    """
    One backend, checked and complete.  Times are seconds.

    :ivar name: unique.
    :ivar url: ``http://host:port/path``, nothing secret.
    :ivar type: the configured spelling in lower case, ``auto`` when none.
    :ivar profile: canonical name of the profile; ``auto`` when that is to be detected.
    :ivar health_check_url: absolute.
    :ivar model_url: absolute.
    :ivar health_check_given: the user chose it; otherwise it follows the profile, also a detected one.
    :ivar model_url_given: likewise.
    :ivar response_header_timeout: until the answer begins: what ``proxy`` says, else what the profile says.
    :ivar response_header_timeout_given: it is what ``proxy`` says.
    :ivar auth: what proves who we are, sent last; ``None`` for nothing.
    :ivar headers: sent with everything.
    :ivar max_concurrent_requests: 0 and ``None`` are no limit.
    :ivar max_queue: requests that may wait for it; ``None`` is what ``proxy.queue`` says.
    :ivar requests_per_minute: 0 is no limit.
    :ivar forward_client_auth: whether a client's credentials go there.
    :ivar anthropic: whether it takes Anthropic messages itself; ``None`` what the profile says.
    :ivar tags: labels for people.
    """

    name: str
    url: str
    health_check_url: str
    model_url: str
    type: str = "auto"
    profile: str = "auto"
    priority: int = 100
    health_check_given: bool = False
    model_url_given: bool = False
    check_interval: float = 5.0
    check_timeout: float = 2.0
    response_header_timeout: float = 30.0
    response_header_timeout_given: bool = False
    preserve_path: bool = False
    model_filter: ModelFilter = Factory(ModelFilter)
    auth: Header | None = None
    headers: tuple[Header, ...] = ()
    max_concurrent_requests: int | None = None
    max_queue: int | None = None
    requests_per_minute: int = 0
    forward_client_auth: bool = True
    anthropic: bool | None = None
    tags: Mapping[str, str] = field(factory=dict)
    tls: Tls = Factory(Tls)
