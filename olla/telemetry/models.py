"""What is counted for each model; how many models are told apart is bounded."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from attrs import define, field

from olla.domain.usage import Usage
from olla.events import Finished
from olla.telemetry.tally import Histogram, Tally, percentile

MOST_MODELS = 50
MOST_CLIENTS = 100
LONGEST_NAME = 256
SAMPLES = 100
HOUR = 3600.0
IDLE = 6 * HOUR
OTHER = "_other"
FIRST_TOKENS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
BETWEEN_TOKENS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


@define(eq=False)
class Mean:
    """A mean that is still growing."""

    _sum: float = 0.0
    _count: int = 0

    def add(self, value: float) -> None:
        """Take one value in."""
        self._sum += value
        self._count += 1

    @property
    def value(self) -> float | None:
        """What it is; ``None`` before the first value."""
        return self._sum / self._count if self._count else None


@define(eq=False)
class ModelFigures:
    """
    Counts of one model, under the name by which the backends know it.

    :ivar samples: seconds of the last successes.
    :ivar hits: requests answered by the first endpoint tried.
    :ivar misses: requests that needed another attempt.
    :ivar fallbacks: requests sent elsewhere because no endpoint that has the model could take them.
    :ivar input_tokens: of all requests, as far as backends told.
    :ivar tokens_per_second: as backends told.
    :ivar ttft: seconds until a stream's first byte.
    :ivar first_tokens: seconds until a stream's first byte, as a client saw them.
    :ivar between_tokens: seconds between the tokens of a stream: its mean, one measurement for each stream whose
        backend told how many tokens there were.
    :ivar by_endpoint: the same requests, apart by endpoint name.
    """

    tally: Tally = field(init=False, factory=Tally)
    samples: deque[float] = field(init=False, factory=lambda: deque(maxlen=SAMPLES))
    hits: int = field(init=False, default=0)
    misses: int = field(init=False, default=0)
    fallbacks: int = field(init=False, default=0)
    input_tokens: int = field(init=False, default=0)
    output_tokens: int = field(init=False, default=0)
    tokens_per_second: Mean = field(init=False, factory=Mean)
    ttft: Mean = field(init=False, factory=Mean)
    first_tokens: Histogram = field(init=False, factory=lambda: Histogram(FIRST_TOKENS))
    between_tokens: Histogram = field(init=False, factory=lambda: Histogram(BETWEEN_TOKENS))
    by_endpoint: dict[str, Tally] = field(init=False, factory=dict)
    _clients: dict[str, float] = field(init=False, factory=dict)

    def add(self, event: Finished, endpoint: str, good: bool, now: float) -> None:
        """Count one request."""
        apart = self.by_endpoint.get(endpoint)
        if apart is None:
            apart = self.by_endpoint[endpoint] = Tally()
        duration, size = event.duration, event.bytes_out
        if good:
            self.tally.success(duration, size, now)
            apart.success(duration, size, now)
            self.samples.append(duration)
            if event.stream and event.first_byte_after:
                self._add_stream(event)
        else:
            self.tally.failure(size, now)
            apart.failure(size, now)
        if event.attempts > 1:
            self.misses += 1
        elif good or event.outcome == "error":
            self.hits += 1
        if event.decision is not None and event.decision.action == "fallback":
            self.fallbacks += 1
        if event.usage is not None:
            self._add_usage(event.usage)
        clients = self._clients
        if event.client in clients or len(clients) < MOST_CLIENTS:
            clients[event.client] = now
        else:
            self._replace_client(event.client, now)

    def unique_clients(self, now: float) -> int:
        """Count the clients of the last hour, at most a hundred."""
        return sum(now - last <= HOUR for last in self._clients.values())

    def slowest(self, percent: int) -> float:
        """Give the seconds within which ``percent`` of the last successes were over (behaviour.md §17)."""
        return percentile(self.samples, percent)

    def fold(self, other: ModelFigures) -> None:
        """Take over the counts of a model that will be forgotten."""
        self.tally.add(other.tally)
        self.hits += other.hits
        self.misses += other.misses
        self.fallbacks += other.fallbacks
        self.input_tokens += other.input_tokens
        self.output_tokens += other.output_tokens
        self.first_tokens.fold(other.first_tokens)
        self.between_tokens.fold(other.between_tokens)
        for endpoint, tally in other.by_endpoint.items():
            self.by_endpoint.setdefault(endpoint, Tally()).add(tally)

    def _add_stream(self, event: Finished) -> None:
        first = event.first_byte_after
        self.ttft.add(first)
        self.first_tokens.add(first)
        tokens = event.usage.output_tokens if event.usage is not None else None
        if tokens is not None and tokens > 1:
            self.between_tokens.add((event.duration - first) / (tokens - 1))

    def _add_usage(self, usage: Usage) -> None:
        self.input_tokens += usage.input_tokens or 0
        self.output_tokens += usage.output_tokens or 0
        if usage.tokens_per_second:
            self.tokens_per_second.add(usage.tokens_per_second)

    def _replace_client(self, client: str, now: float) -> None:
        oldest = min(self._clients, key=self._clients.__getitem__)
        if now - self._clients[oldest] > HOUR:
            del self._clients[oldest]
            self._clients[client] = now


@define(eq=False)
class ModelTable:
    """
    The figures of the first fifty models; those of the rest are counted together.

    :ivar tracked: by the backends' name.
    :ivar other: of all models that are not tracked, or no more.
    """

    _tracked: dict[str, ModelFigures] = field(init=False, factory=dict)
    other: ModelFigures = field(init=False, factory=ModelFigures)

    @property
    def tracked(self) -> Mapping[str, ModelFigures]:
        """The models told apart."""
        return self._tracked

    def of(self, model: str, now: float) -> ModelFigures:
        """Give the figures to which a request for ``model`` belongs."""
        model = model[:LONGEST_NAME]
        figures = self._tracked.get(model)
        if figures is not None:
            return figures
        if len(self._tracked) >= MOST_MODELS:
            self.sweep(now)
            if len(self._tracked) >= MOST_MODELS:
                return self.other
        figures = self._tracked[model] = ModelFigures()
        return figures

    def sweep(self, now: float) -> None:
        """Stop tracking models that nobody has asked for in six hours; their counts go to ``other``."""
        for name in [name for name, one in self._tracked.items() if now - one.tally.last_used > IDLE]:
            self.other.fold(self._tracked.pop(name))
