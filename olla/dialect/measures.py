"""What a profile extracts from a reply, by its own paths and formulas (profiles.md §3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeGuard

import msgspec

from olla.dialect.costs import Fact, Facts
from olla.domain.profile import MetricsExtraction
from olla.domain.usage import Figure, Usage

NANOSECONDS = {
    "prompt_duration_ns": ("prompt_ms", "ttft_ms"),
    "prompt_eval_duration": ("prompt_ms", "ttft_ms"),
    "eval_duration_ns": ("generation_ms",),
    "eval_duration": ("generation_ms",),
    "total_duration_ns": ("total_ms",),
    "load_duration_ns": ("model_load_ms",),
}
TEXTS = frozenset({"model", "finish_reason"})
COUNTS = frozenset({"input_tokens", "output_tokens", "total_tokens", "cached_tokens", "reasoning_tokens"})
OF_USAGE = frozenset(Usage.__struct_fields__) - {"others"}
LONGEST = 200
LARGEST = 2**63
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Measures:
    """
    The paths and formulas of one profile, ready to be used.

    :ivar usual: whether its figures of usage are those that :mod:`olla.dialect.costs` finds by their names, faster.
    :ivar detailed: whether what is no figure of usage is wanted as well, and there is any.
    """

    def __init__(self, extraction: MetricsExtraction, detailed: bool) -> None:
        self._paths = extraction.paths
        self._formulas = extraction.calculations
        self.usual = extraction.usual
        names = {name for name, _ in (*self._paths, *self._formulas)}
        self.detailed = detailed and bool(names - OF_USAGE - set(NANOSECONDS))

    def facts(self, texts: Iterable[bytes]) -> Facts:
        """
        Give what it says of usage, by the names of :class:`~olla.domain.usage.Usage`.

        :param texts: the JSON documents of a reply, the last one first; of each figure the first that is found
            counts.  One that cannot be read is passed over.
        """
        figures = self._figures(texts)
        found: Facts = {}
        for name, targets in NANOSECONDS.items():
            figure = figures.get(name)
            if isinstance(figure, (int, float)):
                found.update(dict.fromkeys(targets, figure / 1e6))
        for name in OF_USAGE & figures.keys():
            fact = _fact(name, figures[name])
            if fact is not None:
                found[name] = fact
        return found

    def others(self, texts: Iterable[bytes]) -> Mapping[str, Figure]:
        """Give everything else that it extracts, by its own names; see :meth:`facts`."""
        figures = self._figures(texts)
        return {name: figures[name] for name in figures if name not in OF_USAGE and name not in NANOSECONDS}

    def _figures(self, texts: Iterable[bytes]) -> dict[str, Figure]:
        figures: dict[str, Figure] = {}
        for document in _documents(texts):
            for name, path in self._paths:
                if name not in figures:
                    value = path.find(document)
                    if _is_figure(value):
                        figures[name] = value[:LONGEST] if isinstance(value, str) else value
        made = {name: formula.value(figures) for name, formula in self._formulas}
        return figures | {name: value for name, value in made.items() if _is_figure(value)}


def _is_figure(value: object) -> TypeGuard[Figure]:
    if isinstance(value, (int, float)):
        return abs(value) < LARGEST  # so not for what is no number either
    return isinstance(value, str)


def _documents(texts: Iterable[bytes]) -> Iterable[object]:
    for text in texts:
        try:
            yield msgspec.json.decode(text)
        except UNREADABLE:
            pass  # [DONE], or what is left of an event


def _fact(name: str, figure: Figure) -> Fact:
    """Bring a figure into the kind that its name asks for; ``None`` when that cannot be."""
    if name in TEXTS:
        return figure if isinstance(figure, str) else None
    if isinstance(figure, (str, bool)):
        return None
    return int(figure) if name in COUNTS else float(figure)
