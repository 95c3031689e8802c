"""One line for each request, and one for each that went to a backend (http-api.md §17)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from attrs import define

from olla.dialect.costs import provider_fields
from olla.dialect.redact import redact
from olla.domain.usage import Usage
from olla.events import Finished
from olla.telemetry.records import DEBUG, ERROR, INFO, LONGEST, WARN, Form, Note, Record, Value

PROXIED = frozenset({"proxy", "anthropic"})
INTERNAL = "/internal/"
LIMITED = "RATE_LIMIT_EXCEEDED"


class Access(Record):
    """
    The line of the access log.

    :ivar remote_addr: of the peer.
    :ivar client_ip: of the client behind trusted proxies.
    :ivar path: as received.
    :ivar query: with secrets taken out.
    """

    request_id: str
    remote_addr: str
    client_ip: str
    method: str
    path: str
    query: str
    status: int
    request_bytes: int
    response_bytes: int
    duration_ms: float
    user_agent: str
    referer: str
    content_type: str
    accept: str


class Completion(Record, omit_defaults=True):
    """The line of a request that went to a backend, or should have; what is empty is left out."""

    request_id: str
    duration_ms: float
    status: int
    endpoint: str = ""
    model: str = ""
    error: str = ""
    code: str = ""
    total_bytes: int = 0
    attempts: int = 0
    queued_ms: float = 0.0
    routing_strategy: str = ""
    routing_action: str = ""
    routing_reason: str = ""
    sticky_outcome: str = ""
    session_id: str = ""
    total_ms: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    tokens_per_sec: float | None = None
    provider_model: str | None = None
    total_tokens: int | None = None
    ttft_ms: float | None = None
    prompt_ms: float | None = None
    generation_ms: float | None = None
    finish_reason: str | None = None


@define(eq=False)
class RequestLog:
    """
    Writes what is to be told of each request.

    :ivar write: takes lines, none or several at once.
    :ivar stamp: writes a time of the reactor's clock as the lines have it.
    :ivar makers: each makes lines of an event.
    """

    write: Callable[[bytes], None]
    stamp: Callable[[float], str]
    makers: Sequence[Callable[[Finished, str], bytes]]

    def finished(self, event: Finished) -> None:
        """Write the lines."""
        stamp = self.stamp(event.started + event.duration)
        written = b"".join([lines(event, stamp) for lines in self.makers])
        if written:
            self.write(written)


@define(eq=False)
class AccessLog:
    """
    Makes a line for each request, whatever became of it.

    :ivar form: writes it.
    :ivar shown: the levels that are logged.
    """

    form: Form
    shown: Collection[str]

    def lines(self, event: Finished, stamp: str) -> bytes:
        """Make the line; a page of ours that was merely looked at is for ``DEBUG``."""
        path = event.path
        level = DEBUG if path.startswith(INTERNAL) and _merely_looked_at(event) else INFO
        if level not in self.shown:
            return b""
        query, referer = event.query, event.referer
        record = Access(
            stamp,
            level,
            "Request",
            event.id,
            event.peer,
            event.client,
            event.method[:LONGEST],
            path[:LONGEST],
            _without_secrets(query)[:LONGEST] if query else "",
            event.status,
            event.bytes_in,
            event.bytes_out,
            _ms(event.duration),
            event.user_agent[:LONGEST],
            _safe_url(referer)[:LONGEST] if referer else "",
            event.content_type[:LONGEST],
            event.accept[:LONGEST],
        )
        return self.form(record)


@define(eq=False)
class CompletionLog:
    """
    Makes a line of how each proxied request went; the attributes are those of :class:`AccessLog`.

    A request that a limiter refused is not among them: a flood of these would be one of lines.
    """

    form: Form
    shown: Collection[str]

    def lines(self, event: Finished, stamp: str) -> bytes:
        """Make the line, and at ``DEBUG`` one of what the backend measured."""
        if event.surface not in PROXIED or event.outcome == "local" or event.code == LIMITED:
            return b""
        level, message = OUTCOMES.get(event.outcome, FAILED)
        line = self.form(self._completion(event, stamp, level, message)) if level in self.shown else b""
        if DEBUG in self.shown and event.usage is not None:
            line += self.form(Note(stamp, DEBUG, "Provider metrics", provider_facts(event, event.usage)))
        return line

    def _completion(self, event: Finished, stamp: str, level: str, message: str) -> Completion:
        record = Completion(
            stamp,
            level,
            message,
            event.id,
            _ms(event.duration),
            event.status,
            event.endpoint.name if event.endpoint is not None else "",
            event.model[:LONGEST],
            event.error[:LONGEST] if level != ERROR else _why(event)[:LONGEST],
            event.code,
            event.bytes_out,
            event.attempts,
            _ms(event.queued) if event.queued else 0.0,
        )
        if event.decision is not None:
            record.routing_strategy = event.decision.strategy
            record.routing_action = event.decision.action
            record.routing_reason = event.decision.reason[:LONGEST]
        if event.sticky and event.sticky != "disabled":
            record.sticky_outcome = event.sticky
            record.session_id = event.session[:LONGEST]
        if event.usage is not None:
            _add_usage(record, event.usage)
        return record


OUTCOMES = {
    "success": (INFO, "Request completed"),
    "cancelled": (INFO, "Request cancelled"),
    "rejected": (WARN, "Request rejected"),
}
FAILED = (ERROR, "Request failed")


def provider_facts(event: Finished, usage: Usage) -> dict[str, Value]:
    """Give what the backend measured, under the names that dashboards know (http-api.md §17.3)."""
    facts: dict[str, Value] = {
        **usage.others,
        "request_id": event.id,
        "endpoint": event.endpoint.name if event.endpoint is not None else None,
        **provider_fields(usage),
        "provider_model": usage.model[:LONGEST] if usage.model is not None else None,
        "total_tokens": usage.total_tokens,
        "ttft_ms": usage.ttft_ms,
        "prompt_ms": usage.prompt_ms,
        "generation_ms": usage.generation_ms,
        "finish_reason": usage.finish_reason[:LONGEST] if usage.finish_reason is not None else None,
    }
    return {name: value for name, value in facts.items() if value is not None}


def _add_usage(record: Completion, usage: Usage) -> None:
    record.total_ms = usage.total_ms
    record.input_tokens = usage.input_tokens
    record.output_tokens = usage.output_tokens
    record.total_tokens = usage.total_tokens
    if usage.tokens_per_second is not None:
        record.tokens_per_sec = round(usage.tokens_per_second, 1)
    if usage.model is not None:
        record.provider_model = usage.model[:LONGEST]
    record.ttft_ms = usage.ttft_ms
    record.prompt_ms = usage.prompt_ms
    record.generation_ms = usage.generation_ms
    if usage.finish_reason is not None:
        record.finish_reason = usage.finish_reason[:LONGEST]


def _without_secrets(query: str) -> str:
    return redact(query.encode("latin-1", "replace"))


def _safe_url(url: str) -> str:
    address, mark, query = url.partition("?")
    return f"{address}{mark}{_without_secrets(query)}" if mark else url


def _merely_looked_at(event: Finished) -> bool:
    return (200 <= event.status < 300 or event.status == 304) and event.method in ("GET", "HEAD")


def _why(event: Finished) -> str:
    return event.error or f"the backend answered {event.status}"


def _ms(seconds: float) -> float:
    return round(seconds * 1000.0, 3)
