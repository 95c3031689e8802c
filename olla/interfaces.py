"""The few places where a stranger's code may plug in, and the seams between our own parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zope.interface import Attribute, Interface

from olla.domain.endpoint import Endpoint
from olla.domain.message import Head, Outgoing, Request
from olla.domain.requirements import Requirements
from olla.pending import Pending

# For strangers: selectors and limiters -------------------------------------------------------------------------


class ICandidate(Interface):
    """An endpoint as a selector sees it; nothing here may be changed by it."""

    endpoint: Endpoint = Attribute("the configured endpoint")
    in_flight: int = Attribute("requests that it works on now")
    capacity: int = Attribute("requests that it may work on at once; 0 for no limit")
    size: int = Attribute("the same, or what it says that it works on at once; 0 for unknown")
    weight: float = Attribute("1.0 healthy, 0.3 busy, 0.1 warming")


class ISelector(Interface):
    """Decides which endpoint takes the next attempt."""

    def select(candidates: Sequence[ICandidate], wanted: Requirements) -> ICandidate | None:
        """
        Choose.

        :param candidates: endpoints able to serve now, in configured order, never empty.  Never mutated.
        :param wanted: what the request asks for.
        :return: one of ``candidates``, or ``None`` to let the first one have it.
        """


class IPreference(ISelector):
    """
    A selector that has reasons of its own, and to which several candidates may be as good.

    Of these the ones come first that have the model loaded, where endpoints say so.  A selector that takes turns,
    or is not to be meddled with, does not provide this.
    """

    def equals(candidates: Sequence[ICandidate]) -> Sequence[ICandidate]:
        """
        Give the best candidates, between which nothing but chance or a turn decides.

        It must go by how busy they are: otherwise one that has loaded the model gets all of the requests for it.

        :param candidates: as for ``select``.
        :return: some of ``candidates``.
        """


class ISelectorFactory(Interface):
    """A plugin that makes selectors; found by ``twisted.plugin`` in ``olla.plugins``."""

    name: str = Attribute("the text that ``proxy.load_balancer`` selects it by")

    def make(settings: Mapping[str, Any]) -> ISelector:
        """
        Make one; called once at the start.

        :param settings: the ``proxy`` block of the configuration as plain values.
        """


class IVerdict(Interface):
    """What a limiter says of one request."""

    allowed: bool = Attribute("whether it may go on")
    retry_after: int = Attribute("whole seconds until one will be let through; 0 when allowed")
    fields: Sequence[tuple[bytes, bytes]] = Attribute("header fields for the response, allowed or not")


class ILimiter(Interface):
    """Decides who is let in."""

    def admit(client: str, kind: str, now: float) -> IVerdict:
        """
        Ask for one request.

        :param client: the client's address (an IPv6 client stands for its /64).
        :param kind: ``proxy`` for everything under ``/olla/``, ``health`` for pages of ours.
        :param now: seconds on a clock that never goes back.
        """

    def give_back(client: str, kind: str, now: float) -> None:
        """Undo the last admission of this client: another limiter has refused the request."""

    def sweep(now: float) -> None:
        """Forget clients not seen for ten minutes; called every ``cleanup_interval`` seconds."""


class ILimiterFactory(Interface):
    """A plugin that makes limiters; found by ``twisted.plugin`` in ``olla.plugins``."""

    name: str = Attribute("the text in ``server.rate_limits.limiters`` that selects it")

    def make(settings: Mapping[str, Any]) -> ILimiter:
        """
        Make one; called once at the start and on a reload.

        :param settings: the ``server.rate_limits`` block of the configuration as plain values.
        """


# Between our own parts -----------------------------------------------------------------------------------------


class IPaced(Interface):
    """What can be told to hold its bytes back: Twisted's push producer without its stopping."""

    def pauseProducing() -> None:
        """Deliver nothing until told to go on."""

    def resumeProducing() -> None:
        """Go on."""


class IExchange(Interface):
    """
    The client's side of one request and its response, on either engine.

    ``respond`` once, then ``write`` any number of times, then ``finish`` or ``abort``.  After the client has gone
    all of them do nothing.
    """

    request: Request = Attribute("what was asked")
    surface: str = Attribute("proxy, models, internal or anthropic: how errors look and how it is counted")
    responded: bool = Attribute("whether the head has been given")

    def respond(head: Head) -> None:
        """
        Give the head; framing is added here.  It may wait for the first ``write``, ``flush`` or ``finish``.

        :param head: complete but for framing and ``Connection``.  With ``head.length`` of ``None`` the body is
            chunked, or ended by closing for an HTTP/1.0 client.  For ``HEAD``, 204 and 304 no body is sent.
        """

    def write(data: bytes) -> None:
        """Send a piece of the body, at once."""

    def write_last(data: bytes) -> None:
        """Send the last piece of the body; ``finish`` follows at once, so it may leave together with the body's end."""

    def flush() -> None:
        """Send what waits."""

    def finish() -> None:
        """The body is whole.  With fewer bytes than ``head.length`` said this aborts instead."""

    def abort() -> None:
        """The body will never be whole: cut the connection so that the client can see it."""

    def pace(source: IPaced | None) -> None:
        """
        Name what to pause while the client is slow; ``None`` takes it back.

        A source that is paused when it is taken back is resumed first.
        """


class IReply(Interface):
    """A backend's answer: its head is here, its body has yet to be relayed."""

    head: Head = Attribute("as the backend sent it, framing and hop-by-hop fields removed")
    copied: int = Attribute("bytes of the body relayed so far")
    first_at: float = Attribute("seconds on the reactor's clock of the first byte of the body; 0.0 before")

    def relay(exchange: IExchange, tap: Any) -> Pending[None]:
        """
        Copy the body, no faster than the client reads it.

        :param tap: called with each piece after it has been written, to look at and not to keep; or ``None``.
        :return: fires at the end of the whole body (``exchange.finish`` is the caller's); fails with
            :exc:`olla.errors.BrokenBody` when the body ended before its end, whereupon the caller aborts.
            Cancelling hangs up on the backend.
        """

    def gather(limit: int) -> Pending[bytes]:
        """Read a body that is not relayed, whole; more than ``limit`` bytes fail with ``BrokenBody``."""

    def abort() -> None:
        """Do without the body: hang up on the backend."""


class IUpstream(Interface):
    """The way to the backends."""

    def send(endpoint: Endpoint, outgoing: Outgoing) -> Pending[IReply]:
        """
        Send one request.

        :return: fires when the head of the reply has come, be its status what it may; fails with an
            :exc:`olla.errors.UpstreamFailure`.  Cancelling hangs up on the backend.
        """
