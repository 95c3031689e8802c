"""Makes the request that one endpoint gets out of the one that the client sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from attrs import define, evolve, field

from olla.balance.member import Member
from olla.dialect.fields import EndpointFields
from olla.dialect.inflate import repacked
from olla.dialect.measures import Measures
from olla.dialect.rewrite import rename, rename_target
from olla.dialect.target import backend_target
from olla.domain.endpoint import Endpoint
from olla.domain.memo import Memo
from olla.domain.message import Outgoing, Request
from olla.domain.profile import Profile
from olla.domain.requirements import Requirements

UNKNOWN = Profile(name="auto")
FRAMED = frozenset({b"POST", b"PUT", b"PATCH"})


@define(eq=False)
class Adapter:
    """
    Adapts requests; keeps for each endpoint what is the same in all of them.

    :ivar profiles: by canonical name.
    :ivar trusted: whether what a peer says of the clients behind it is believed.
    :ivar version: ours, as in ``Via``.
    :ivar measures: what the profiles that say so extract from replies, by canonical name.
    """

    profiles: Mapping[str, Profile]
    trusted: Callable[[str], bool]
    version: str
    measures: Mapping[str, Measures]
    _shaping: dict[Endpoint, EndpointFields] = field(init=False, factory=dict)
    _patience: Memo[tuple[str, str], float] = field(init=False, factory=Memo)

    def of(self, endpoint: Endpoint) -> EndpointFields:
        """Give what is added to and taken from what goes to ``endpoint`` and comes from it."""
        shaping = self._shaping.get(endpoint)
        if shaping is None:
            shaping = self._shaping[endpoint] = EndpointFields(endpoint, self.version)
        return shaping

    def detected(self, member: Member) -> None:
        """Show clients the type that ``member`` was found to be."""
        self._shaping[member.endpoint] = EndpointFields(evolve(member.endpoint, profile=member.profile), self.version)

    def replace(self, profiles: Mapping[str, Profile], members: Iterable[Member]) -> None:
        """Know other profiles from now on, and forget what was made by the ones before."""
        self.profiles = profiles
        self._shaping.clear()
        self._patience.clear()
        for member in members:
            if member.profile != member.endpoint.profile:
                self.detected(member)

    def forget(self, endpoint: Endpoint) -> None:
        """Drop what is kept for an endpoint that is configured no more."""
        self._shaping.pop(endpoint, None)

    def adapt(self, request: Request, rest: bytes, wanted: Requirements, member: Member, model: str) -> Outgoing:
        """
        Make the request.

        :param rest: path and query after the route's prefix, as the client wrote them.
        :param model: the endpoint's own name of the model; ``""`` without one.
        :raise Refusal: when another model cannot be named in a compressed body.
        """
        body = request.body
        if model != wanted.model and wanted.model:
            packed = request.get(b"content-encoding")
            if packed is None:
                body = rename(body, wanted, model)
            else:
                body = repacked(body, packed, lambda whole: rename(whole, wanted, model))
            rest = rename_target(rest, wanted, model)
        shaping = self.of(member.endpoint)
        blocks, fields = shaping.to_backend(request, model, self.trusted(request.peer))
        framed = request.has_body or request.method in FRAMED
        target, patience = self._target(request, rest, member, shaping), self._patience_with(member, model)
        return Outgoing(request.method, target, fields, body, framed, blocks, patience)

    def _patience_with(self, member: Member, model: str) -> float:
        """Give the time that the kind of a server and the size of a model want, where the operator names none."""
        if member.endpoint.head_timeout_given:
            return 0.0
        key = member.profile, model
        patience = self._patience.get(key)
        if patience is None:
            profile = self.profiles.get(member.profile)
            found = profile.patience(model) if profile is not None else 0.0
            patience = self._patience.keep(key, found, len(model))
        return patience

    def _target(self, request: Request, rest: bytes, member: Member, shaping: EndpointFields) -> bytes:
        """Make the target; ``rest`` is nearly always what the head of the request says."""
        key = (shaping, "target")  # there is another one once the endpoint's kind, or what is known of it, changes
        made = request.made.get(key)
        if made is None or made[0] != rest:
            target = backend_target(member.endpoint, self.profiles.get(member.profile, UNKNOWN), rest)
            made = request.made[key] = (rest, target)
        return made[1]  # type: ignore[no-any-return]  # two lines above it was bytes
