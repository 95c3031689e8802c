"""Gets a reply from one of several endpoints: leases, adapts, sends, and goes on to the next where that helps."""

from __future__ import annotations

from collections.abc import Callable, Collection

from attrs import define, frozen

from olla.balance.eligible import Plan
from olla.balance.fleet import Fleet, Lease, Member
from olla.dialect.retry_after import retry_after
from olla.domain.endpoint import Endpoint
from olla.domain.message import Request, first
from olla.domain.requirements import Requirements
from olla.errors import (
    BackendFailed,
    BackendProtocolError,
    BackendTimeout,
    BackendTLSError,
    BadReply,
    BrokenBody,
    ClosedEarly,
    ConnectFailed,
    HeadTimeout,
    Refusal,
    TLSFailed,
    UpstreamFailure,
)
from olla.events import AttemptFailed, Event
from olla.interfaces import IReply, IUpstream
from olla.pending import Pending
from olla.proxy.adapt import Adapter
from olla.proxy.story import Story

IDEMPOTENT = frozenset({b"GET", b"HEAD", b"OPTIONS"})
REPEATABLE = (
    "/embeddings",
    "/embed",
    "/rerank",
    "/tokenize",
    "/detokenize",
    "/moderations",
    "/score",
    "/classify",
)


@frozen
class RetryRules:
    """
    When another endpoint is tried (http-api.md §6.3).

    :ivar enabled: whether at all.
    :ivar on_connection_failure: after a connection that could not be made, or was reset before any answer.
    :ivar max_attempts: endpoints tried for one request; ``0`` for each candidate once.
    :ivar on_status: statuses of a backend after which the next one is asked.
    """

    enabled: bool = True
    on_connection_failure: bool = True
    max_attempts: int = 0
    on_status: Collection[int] = frozenset({429, 503})

    def allow(self, request: Request, path: str, failure: UpstreamFailure) -> bool:
        """
        Say whether ``request`` may go to another endpoint after ``failure``.

        A reset connection means that the backend has not read all of the request (its kernel resets when unread
        bytes are thrown away); a clean close or a silence may mean that a generation is running, so only what
        has no effect is repeated then.
        """
        if isinstance(failure, ConnectFailed) or (isinstance(failure, ClosedEarly) and failure.reset):
            return self.on_connection_failure and not getattr(failure, "answered", False)
        if isinstance(failure, BadReply):
            return False
        return request.method in IDEMPOTENT or path.endswith(REPEATABLE)


@define(eq=False)
class Failover:
    """
    Tries endpoints until one answers.

    :ivar adapter: makes the request for one endpoint: target, fields, the model's name there.
    :ivar tell: told of each attempt that failed.
    :ivar clock: seconds, never going back.
    :ivar wall: seconds since 1970, to understand dates of backends.
    """

    fleet: Fleet
    adapter: Adapter
    upstream: IUpstream
    retry: RetryRules
    tell: Callable[[Event], None]
    clock: Callable[[], float]
    wall: Callable[[], float]

    async def obtain(
        self,
        request: Request,
        rest: bytes,
        wanted: Requirements,
        plan: Plan,
        preferred: Member | None,
        story: Story,
    ) -> tuple[Lease, IReply]:
        """
        Get a reply, from the second endpoint if not from the first.

        :param rest: path and query after the route's prefix.
        :param preferred: member that is tried first if it can take the request.
        :param story: notes each attempt.
        :return: the reply whose head has come, and the lease on its endpoint, which the caller releases.
        :raise Refusal: when nobody answers.
        """
        left = plan.candidates
        tried: list[tuple[str, str]] = []
        failed: UpstreamFailure | None = None
        while True:
            try:
                lease = self.fleet.lease(left, wanted, self.clock(), preferred, plan.cold)
                if isinstance(lease, Pending):
                    lease = await self._queue(lease, story)
            except Refusal:
                if failed is not None:
                    raise self._gave_up(failed, tried, request) from None
                raise
            story.attempts += 1
            left = tuple(member for member in left if member is not lease.member)
            endpoint = story.endpoint = lease.endpoint
            story.model = plan.names.get(endpoint.name, wanted.model)
            try:
                outgoing = self.adapter.adapt(request, rest, wanted, lease.member, story.model)
                reply = await self.upstream.send(endpoint, outgoing)
            except UpstreamFailure as failure:
                self.fleet.failed(lease, failure, self.clock())
                lease.release()
                failed = failure
                tried.append((endpoint.name, failure.detail))
                self.note(story, endpoint, failure, len(left))
                if not left or not self._may_go_on(request, wanted, failure, story.attempts):
                    raise self._gave_up(failure, tried, request) from failure
                continue
            except BaseException:
                self.fleet.abandoned(lease)
                lease.release()
                raise
            status = reply.head.status
            again = None
            if status in self.retry.on_status:
                again = retry_after(first(reply.head.fields, b"retry-after") or b"", self.wall)
            self.fleet.answered(lease, status, again, self.clock())
            if status == 404 and wanted.object and request.method == b"GET" and self._has_next(left, story.attempts):
                reply.abort()  # another may have it
                lease.release()
                tried.append((endpoint.name, f"answered {status}"))
                continue
            if status in self.retry.on_status and self.retry.enabled and self._has_next(left, story.attempts):
                reply.abort()
                lease.release()
                tried.append((endpoint.name, f"answered {status}"))
                self.note(story, endpoint, UpstreamFailure(f"answered {status}"), len(left))
                continue
            return lease, reply

    async def _queue(self, waiting: Pending[Lease], story: Story) -> Lease:
        since = self.clock()
        lease = await waiting
        story.queued += self.clock() - since
        return lease

    def _may_go_on(self, request: Request, wanted: Requirements, failure: UpstreamFailure, attempts: int) -> bool:
        if not self.retry.enabled or (self.retry.max_attempts and attempts >= self.retry.max_attempts):
            return False
        return self.retry.allow(request, wanted.path, failure)

    def _has_next(self, left: tuple[Member, ...], attempts: int) -> bool:
        if self.retry.max_attempts and attempts >= self.retry.max_attempts:
            return False
        return self.fleet.any_ready(left, self.clock())

    def note(self, story: Story, endpoint: Endpoint, failure: UpstreamFailure, remaining: int) -> None:
        """
        Tell of an attempt that failed.

        :param remaining: endpoints that may still be tried.
        """
        self.tell(
            AttemptFailed(story.request.id, endpoint, reason_of(failure), failure.detail, story.attempts, remaining)
        )

    def _gave_up(self, last: UpstreamFailure, tried: list[tuple[str, str]], request: Request) -> BackendFailed:
        attempts = tuple(tried)
        if isinstance(last, TLSFailed):
            return BackendTLSError(f"Proxy error: {last.detail}", attempts)
        if isinstance(last, ConnectFailed):
            details = "; ".join(f"{name}: {text}" for name, text in attempts)
            return BackendFailed(f"Proxy error: all endpoints failed with connection errors: {details}", attempts)
        if isinstance(last, HeadTimeout):
            spent = self.clock() - request.received
            return BackendTimeout(f"Proxy error: request timeout after {spent:.1f}s - {last.detail}", attempts)
        return BackendProtocolError(f"Proxy error: {last.detail}", attempts)


def reason_of(failure: UpstreamFailure) -> str:
    """Name the class of a failure as the statistics do: ``connect timeout protocol stream status``."""
    if isinstance(failure, ConnectFailed):
        return "connect"
    if isinstance(failure, HeadTimeout):
        return "timeout"
    if isinstance(failure, BrokenBody):
        return "stream"
    return "protocol" if isinstance(failure, (ClosedEarly, BadReply)) else "status"
