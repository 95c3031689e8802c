"""Which path means what under ``/olla/``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from attrs import define, evolve, field, frozen

from olla.dialect.target import Target, read_target
from olla.domain.memo import Memo
from olla.domain.profile import Profile
from olla.domain.routing import Scope
from olla.errors import (
    BadRequest,
    MethodNotAllowed,
    NotSupported,
    ProviderDisabled,
    Refusal,
    RouteNotFound,
    UnknownProvider,
)

ROOT = "/olla"
UNIVERSAL = "proxy"
RESERVED = frozenset({"proxy", "models", "anthropic"})
READING = frozenset({b"GET", b"HEAD"})
OLLAMA = frozenset({"ollama"})
MANAGEMENT = frozenset({"/api/pull", "/api/push", "/api/create", "/api/copy", "/api/delete"})
UNMANAGED = "model management operations not supported by proxy"
LIST, UNLISTED = "/api/list", "running models list not supported in multi-instance proxy"
RUNNING = "/api/ps"
OPENAI_MODELS = "/v1/models"
NEVER_PROXIED = frozenset({b"CONNECT", b"TRACE"})
PROXIED = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"


@frozen
class Listing:
    """
    A page of model names that we answer ourselves.

    :ivar profiles: whose models it lists; ``None`` for those of every OpenAI-style backend.
    :ivar format: name of its shape (http-api.md §13.3).
    :ivar id: the one model asked for; ``""`` for all.
    """

    profiles: frozenset[str] | None
    format: str
    id: str = ""


@frozen
class Route:
    """
    What a path stands for.

    :ivar scope: the endpoints that may serve it.
    :ivar rest: path for the backend as the client escaped it, with the query.
    :ivar path: the same decoded and without the query, for looking things up.
    :ivar listing: the page of ours at this path, for ``GET`` and ``HEAD``.
    :ivar running: whether the page of ours at this path gathers what all endpoints have in memory.
    :ivar managing: whether it changes one endpoint, which the client has to name.
    """

    scope: Scope
    rest: bytes
    path: str
    listing: Listing | None = None
    running: bool = False
    managing: bool = False

    def is_page(self, method: bytes) -> bool:
        """Say whether a page of ours answers."""
        return (self.listing is not None or self.running) and method in READING


@define
class Routes:
    """
    Finds the route of a target.

    :ivar profiles: all profiles in use, by canonical name.
    :ivar disabled: prefixes of profiles that the configuration takes out.
    :ivar management: whether clients may change the models of an Ollama that they name.
    """

    profiles: Mapping[str, Profile]
    disabled: frozenset[str] = frozenset()
    management: bool = False
    _scopes: dict[str, Scope] = field(init=False, factory=dict)
    _listings: dict[tuple[str, str], Listing] = field(init=False, factory=dict)
    _remembered: Memo[bytes, Route] = field(init=False, factory=Memo, repr=False)

    def __attrs_post_init__(self) -> None:
        self._arrange()

    def replace(self, profiles: Mapping[str, Profile], disabled: frozenset[str]) -> None:
        """Have the routes of other profiles from now on."""
        self.profiles, self.disabled = profiles, disabled
        for kept in (self._scopes, self._listings, self._remembered):
            kept.clear()
        self._arrange()

    def _arrange(self) -> None:
        compatible = frozenset(name for name, profile in self.profiles.items() if profile.openai_compatible)
        self._scopes[UNIVERSAL] = Scope(f"{ROOT}/{UNIVERSAL}")
        self._listings[UNIVERSAL, OPENAI_MODELS] = Listing(compatible, "openai")
        for profile in self.profiles.values():
            members = compatible if profile.name == "openai-compatible" else frozenset({profile.name})
            for prefix in _spellings(profile):
                label = "lm-studio" if profile.name == "lm-studio" else prefix
                self._scopes.setdefault(prefix, Scope(f"{ROOT}/{prefix}", label, members))
                for path, shape in profile.listing_paths:
                    self._listings[prefix, path] = Listing(members, shape)

    def find(self, target: bytes) -> Route:
        """
        Find the route of ``target``.

        :param target: path and query in origin form, as received; the path lies under ``/olla/``.
        :raise RouteNotFound, UnknownProvider, ProviderDisabled, BadRequest: when there is none.
        """
        raw, mark, query = target.partition(b"#")[0].partition(b"?")
        found = self._remembered.get(raw)
        if found is None:
            # An error is made anew each time: one that is kept keeps all that it went through.
            found = self._remembered.keep(raw, self._find(raw), len(raw))
        return evolve(found, rest=found.rest + mark + query) if mark else found

    @property
    def prefixes(self) -> Sequence[str]:
        """Paths that backends stand behind, in the order of their profiles."""
        return [f"{ROOT}/{prefix}" for prefix in self._scopes]

    @property
    def listings(self) -> Mapping[str, str]:
        """Paths of the listings of models under these, each with the name of its shape."""
        return {f"{ROOT}/{prefix}{path}": listing.format for (prefix, path), listing in self._listings.items()}

    @property
    def running(self) -> Sequence[str]:
        """Paths under these that tell what models are in memory."""
        return [scope.prefix + RUNNING for scope in self._scopes.values() if scope.profiles == OLLAMA]

    def is_proxied(self, method: bytes, target: bytes) -> bool:
        """Say whether a backend answers this; with ``False`` it is a page of ours, or nothing."""
        try:
            route = self.find(target)
        except Refusal:
            return False
        if route.is_page(method) and (route.running or not asks_backend(target)):
            return False
        return not self.unsupported(method, route)

    def unsupported(self, method: bytes, route: Route) -> NotSupported | MethodNotAllowed | None:
        """
        Give the refusal of what cannot be spread over several backends (http-api.md §2.4), or must not go to any.

        An answer to ``TRACE`` would show a client what we send to an endpoint, credentials included; one to
        ``CONNECT`` has no end (RFC 9110 §9.3.6, §9.3.8).
        """
        if method in NEVER_PROXIED:
            return MethodNotAllowed(f"Method {method.decode()} not allowed", allow=PROXIED)
        if route.managing and not self.management:
            return NotSupported(UNMANAGED)
        if route.path == LIST and route.scope.profiles == OLLAMA:
            return NotSupported(UNLISTED)
        return None

    def _find(self, raw: bytes) -> Route:
        target = read_target(raw)
        if target is None:
            raise BadRequest("Malformed request")
        segments = target.path.split("/", 3)
        if len(segments) < 3 or segments[1] != "olla" or not segments[2]:
            raise RouteNotFound(f"No route for {target.path or raw.decode('latin-1')}")
        name = segments[2]
        prefix = name if name in self._scopes else name.lower().replace("_", "-")
        scope = self._scopes.get(prefix)
        if scope is None:
            raise self._unknown(name, prefix, target)
        rest = "/" + (segments[3] if len(segments) > 3 else "")
        ollama = scope.profiles == OLLAMA
        return Route(
            scope,
            target.rest(f"{ROOT}/{name}"),
            rest,
            self._listing(prefix, rest),
            ollama and rest == RUNNING,
            ollama and rest in MANAGEMENT,
        )

    def _unknown(self, name: str, prefix: str, target: Target) -> Refusal:
        if not self.disabled.isdisjoint((name, prefix)):
            return ProviderDisabled(f"Provider {name} is disabled")
        if name in RESERVED:
            return RouteNotFound(f"No route for {target.path}")
        return UnknownProvider(f"Unknown provider: {name}")

    def _listing(self, prefix: str, rest: str) -> Listing | None:
        listing = self._listings.get((prefix, rest))
        if listing is not None:
            return listing
        if rest == "/models":
            return self._listings.get((prefix, OPENAI_MODELS))  # a client may leave /v1 out
        before, _, id = rest.partition("/models/")
        path = f"{before}/models" if before else OPENAI_MODELS
        whole = self._listings.get((prefix, path)) if path.endswith(OPENAI_MODELS) else None
        if whole is None or not id or self._is_native(rest, whole):
            return None
        return Listing(whole.profiles, whole.format, id)

    def _is_native(self, path: str, listing: Listing) -> bool:
        """Say whether backends have a page of their own at a path that looks like a model's."""
        return any(path in self.profiles[name].paths for name in listing.profiles or ())


def asks_backend(target: bytes) -> bool:
    """Say whether a client wants a backend's own listing, with all that only that one says (http-api.md §14)."""
    return b"proxy=true" in target.partition(b"?")[2].split(b"&")


def _spellings(profile: Profile) -> Iterable[str]:
    """Give every prefix of a profile, and its name, with ``_`` for ``-`` as well."""
    for name in dict.fromkeys((*profile.prefixes, profile.name)):
        yield name
        if "-" in name:
            yield name.replace("-", "_")
