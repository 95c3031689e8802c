"""
Decides which header fields a backend sees of a request, and a client of a reply.

One pass over the fields with one look into a table for each; the table and all constant fields are made once for
each endpoint.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from urllib.parse import quote

from olla.domain.endpoint import Endpoint
from olla.domain.memo import Memo
from olla.domain.message import Block, Fields, Head, Request
from olla.domain.routing import Decision


class Action(Enum):
    """What becomes of a field."""

    KEEP = "goes on as it is"
    DROP = "does not go on"
    NAMES = "Connection: names others that do not go on"
    VIA = "gets our own appended"
    FORWARDED_FOR = "gets the peer appended, from a trusted peer"
    FROM_TRUSTED = "goes on from a trusted peer"
    INSTEAD = "goes on from a trusted peer, else gets a value of ours"
    HOST = "names us, and is told to the backend under another name"
    RENAME = "goes on under another name"
    ECHO = "goes on unless we send our own"


KEEP, DROP, NAMES, VIA = Action.KEEP, Action.DROP, Action.NAMES, Action.VIA
FORWARDED_FOR, FROM_TRUSTED, INSTEAD, HOST = (
    Action.FORWARDED_FOR,
    Action.FROM_TRUSTED,
    Action.INSTEAD,
    Action.HOST,
)
RENAME, ECHO = Action.RENAME, Action.ECHO

CREDENTIALS = frozenset({b"authorization", b"x-api-key", b"api-key", b"x-auth-token"})
"""What a client shows to a backend."""

FRAMING = frozenset({b"content-length", b"transfer-encoding", b"connection"})

HOP_BY_HOP: dict[bytes, Action] = {
    b"connection": NAMES,
    b"keep-alive": DROP,
    b"proxy-authenticate": DROP,
    b"proxy-authorization": DROP,
    b"proxy-connection": DROP,
    b"te": DROP,
    b"trailer": DROP,
    b"transfer-encoding": DROP,
    b"content-length": DROP,
    b"upgrade": DROP,
    b"via": VIA,
}

REQUEST: dict[bytes, Action] = {
    **HOP_BY_HOP,
    b"host": HOST,
    b"cookie": DROP,
    b"expect": DROP,
    b"x-proxied-by": DROP,
    b"x-model": DROP,
    b"x-request-id": DROP,
    b"x-forwarded-for": FORWARDED_FOR,
    b"x-real-ip": INSTEAD,
    b"x-forwarded-proto": INSTEAD,
    b"x-forwarded-host": INSTEAD,
    b"forwarded": FROM_TRUSTED,
    b"x-forwarded-port": FROM_TRUSTED,
    b"x-forwarded-prefix": FROM_TRUSTED,
    b"x-forwarded-server": FROM_TRUSTED,
    b"x-forwarded-ssl": FROM_TRUSTED,
}

REPLY: dict[bytes, Action] = {
    **HOP_BY_HOP,
    **dict.fromkeys(CREDENTIALS, DROP),
    b"set-cookie": DROP,
    b"x-served-by": DROP,
    b"x-request-id": ECHO,
    # the usual ones, so that they need not be compared with the prefixes below
    b"content-type": KEEP,
    b"content-encoding": KEEP,
    b"cache-control": KEEP,
    b"date": KEEP,
    b"server": KEEP,
    b"vary": KEEP,
    b"etag": KEEP,
    b"retry-after": KEEP,
}

OURS = b"x-olla-"
CORS = b"access-control-"
LIMITS = b"x-ratelimit-"
PREFIXES = (OURS, CORS, LIMITS)

OWN = frozenset(
    {b"via", b"x-proxied-by", b"x-model", b"x-request-id", b"x-real-ip"}
    | {b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host"}
)

LONGEST = 256
REAL_IP, PROTO, FORWARDED_HOST = b"x-real-ip", b"x-forwarded-proto", b"x-forwarded-host"


def value(text: str) -> bytes:
    """
    Make a text fit to stand in a header field: UTF-8, whatever is not printable percent-encoded, 256 characters.

    Names of models come out of bodies and may hold anything, line feeds too.
    """
    if text.isascii() and text.isprintable() and len(text) <= LONGEST:
        return text.encode()
    return "".join(c if c.isprintable() else quote(c, errors="replace") for c in text[:LONGEST]).encode()


class EndpointFields:
    """What is added to and taken from everything that goes to one endpoint and comes from it."""

    def __init__(self, endpoint: Endpoint, version: str) -> None:
        """
        Prepare.

        :param version: of this program, as ``Via`` shows it.
        """
        added = [*endpoint.fields]
        if endpoint.credential is not None:
            name = endpoint.credential[0].lower()
            added = [pair for pair in added if pair[0].lower() != name] + [endpoint.credential]
        added = [pair for pair in added if pair[0].lower() not in FRAMING]
        hosts = [pair[1] for pair in added if pair[0].lower() == b"host"]
        names = {pair[0].lower() for pair in added}
        self._host = (b"Host", hosts[-1] if hosts else endpoint.authority.encode())
        self._last = tuple(pair for pair in added if pair[0].lower() != b"host")
        self._instead_of_ours = names & OWN
        self._request = {**REQUEST, **dict.fromkeys(names - OWN - {b"host"}, DROP)}
        if endpoint.credential is not None or not endpoint.forward_client_auth:
            self._request.update(dict.fromkeys(CREDENTIALS, DROP))
        self._reply = {**REPLY, **{name: DROP for name in names if REPLY.get(name) is not KEEP}}
        self._clients: Memo[tuple[str, str, str], Block] = Memo()
        self._via = f"1.1 olla/{version}".encode()
        self._via_field = (b"Via", self._via)
        self._proxied_by = (b"X-Proxied-By", f"Olla/{version}".encode())
        kind = endpoint.profile if endpoint.type == "auto" else endpoint.type
        self._names = (
            (b"X-Olla-Endpoint", value(endpoint.name)),
            (b"X-Olla-Backend-Type", value(kind)),
            (b"X-Served-By", f"Olla/{version}".encode()),
        )

    def to_backend(self, request: Request, model: str, trusted: bool) -> tuple[tuple[Block, ...], Fields]:
        """
        Make the fields of a request to the endpoint, framing excepted.

        :param model: name of the model that is sent; ``""`` without.
        :param trusted: whether what the peer says of clients behind it is believed.
        :return: what is the same for each request with this head, ``Host`` first, and for this client and model; and
            the rest.
        :raise ValueError: when one of them could not be sent as one line.
        """
        fields = [] if b"x-request-id" in self._instead_of_ours else [(b"X-Request-ID", request.id.encode())]
        if trusted:
            seen: dict[bytes, bytes] = {}
            constant = Block(self._constant(request, seen, trusted))
            return (constant, Block(self._told(request, model, seen))), fields
        made = (self, "TLS") if request.secure else self
        block: Block | None = request.made.get(made)
        if block is None:
            block = request.made[made] = Block(self._constant(request, {}, trusted))
        key = (request.peer, request.client, model)
        told = self._clients.get(key)
        if told is None:
            told = self._clients.keep(key, Block(self._told(request, model, {})), len(model))
        return (block, told), fields

    def _told(self, request: Request, model: str, seen: Mapping[bytes, bytes]) -> Fields:
        """
        Make what tells of the client and of the model.

        :param seen: what a trusted peer has told of the client.
        """
        peer, before = request.peer.encode(), seen.get(b"x-forwarded-for")
        fields = [
            (b"X-Forwarded-For", before + b", " + peer if before else peer),
            (b"X-Real-IP", seen.get(REAL_IP) or request.client.encode()),
        ]
        if model:
            fields.append((b"X-Model", value(model)))
        return self._ours(fields)

    def _ours(self, fields: Fields) -> Fields:
        """Leave out those that the operator has set."""
        if not self._instead_of_ours:
            return fields
        return [pair for pair in fields if pair[0].lower() not in self._instead_of_ours]

    def _constant(self, request: Request, seen: dict[bytes, bytes], trusted: bool) -> Fields:
        """
        Make what depends on the head alone.

        :param seen: gets the fields, by name in lower case, that do not go on as they are.
        """
        fields: Fields = []
        keep = fields.append
        action_of = self._request.get
        for pair in request.fields:
            name = pair[0].lower()
            action = action_of(name, KEEP)
            if action is KEEP or (action is FROM_TRUSTED and trusted):
                keep(pair)
            elif action is not DROP:
                seen[name] = seen[name] + b", " + pair[1] if name in seen else pair[1]
        named = names_in(seen[b"connection"]) if b"connection" in seen else frozenset()
        if named:
            fields = [pair for pair in fields if pair[0].lower() not in named]
            for name in named & seen.keys():
                del seen[name]
        via = seen.get(b"via")
        host = (seen.get(FORWARDED_HOST) if trusted else None) or seen.get(b"host")
        fields.append((b"Via", via + b", " + self._via) if via else self._via_field)
        fields.append(self._proxied_by)
        scheme = b"https" if request.secure else b"http"
        fields.append((b"X-Forwarded-Proto", (seen.get(PROTO) if trusted else None) or scheme))
        if host:
            fields.append((b"X-Forwarded-Host", host))
        return [self._host, *self._ours(fields), *self._last]

    def to_client(self, head: Head, cors: bool, echo: bool) -> Block:
        """
        Make the fields of the endpoint's reply that a client may see, with ``Via`` and what tells of the endpoint.

        :param head: as the backend sent it.
        :param cors: whether we send ``Access-Control-*`` ourselves.
        :param echo: whether we send ``X-Request-ID`` ourselves.
        :raise ValueError: when one of them could not be sent as one line.
        """
        key = (self, cors, echo)
        block: Block | None = head.made.get(key)
        if block is None:
            block = head.made[key] = Block(self._shown(head.fields, cors, echo))
        return block

    def about(self) -> Fields:
        """Give what tells of the endpoint, and ``Via``, without a reply."""
        return [self._via_field, *self._names]

    def _shown(self, fields: Fields, cors: bool, echo: bool) -> Fields:
        kept: Fields = []
        keep = kept.append
        action_of = self._reply.get
        via = named = b""
        for pair in fields:
            name = pair[0].lower()
            action = action_of(name)
            if action is KEEP:
                keep(pair)
            elif action is None:
                if not name.startswith(PREFIXES) or (name.startswith(CORS) and not cors):
                    keep(pair)
                elif name.startswith(LIMITS):
                    keep((b"X-Upstream-RateLimit-" + pair[0][len(LIMITS) :], pair[1]))
            elif action is VIA:
                via += pair[1] + b", "
            elif action is NAMES:
                named += pair[1] + b","
            elif action is ECHO and not echo:
                keep(pair)
        if named:
            gone = names_in(named)
            kept = [pair for pair in kept if pair[0].lower() not in gone]
        kept.append((b"Via", via + self._via) if via else self._via_field)
        kept += self._names
        return kept


def names_in(connection: bytes) -> frozenset[bytes]:
    """Give the names of fields that a ``Connection`` field holds, in lower case."""
    lowered = connection.lower()
    if lowered in (b"keep-alive", b"close"):
        return frozenset()
    return frozenset(name.strip() for name in lowered.split(b",")) - {b"close", b"keep-alive", b""}


def told(decision: Decision | None, model: str) -> Block:
    """
    Make the fields that explain a proxied response by model and decision (http-api.md §4.2).

    :param model: name sent to the backend; ``""`` without.
    """
    block: Block | None = decision.made.get(model) if decision is not None else None
    if block is None:
        fields = [(b"X-Olla-Model", value(model))] if model else []
        if decision is not None:
            fields.append((b"X-Olla-Routing-Strategy", decision.strategy.encode()))
            fields.append((b"X-Olla-Routing-Decision", decision.action.encode()))
            if decision.reason:
                fields.append((b"X-Olla-Routing-Reason", value(decision.reason)))
        block = Block(fields)
        if decision is not None:
            decision.made[model] = block
    return block


def spent(elapsed: float, attempts: int) -> Fields:
    """
    Make the fields that tell what a proxied response has cost so far (http-api.md §4.2).

    :param elapsed: seconds from the request's receipt until now.
    :param attempts: endpoints tried.
    """
    fields = [(b"X-Olla-Response-Time", b"%dms" % (elapsed * 1000))]
    if attempts > 1:
        fields.append((b"X-Olla-Attempts", b"%d" % attempts))
    return fields
