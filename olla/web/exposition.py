"""
Figures in the text format of Prometheus (version 0.0.4).

Written here and not by ``prometheus_client``: that renames every counter to ``…_total`` and writes whole numbers as
``1.0``, and the names and numbers of http-api.md §12 are what dashboards were made for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, Protocol

from attrs import Factory, define

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"

Labels = Mapping[str, str]
Number = int | float
Kind = Literal["counter", "gauge"]


class Buckets(Protocol):
    """
    A histogram; see :class:`olla.telemetry.tally.Histogram`.

    :ivar bounds: upper bounds, ascending.
    :ivar counts: of each bucket, and last of what is above all.
    """

    @property
    def bounds(self) -> tuple[float, ...]: ...
    @property
    def counts(self) -> list[int]: ...
    @property
    def sum(self) -> float: ...


@define
class Exposition:
    """
    Gathers families of samples, each family in one piece and each series once.

    What has no value has no sample, and what has no sample is not mentioned.
    """

    _lines: list[str] = Factory(list)

    def family(self, name: str, kind: Kind, meaning: str, samples: Iterable[tuple[Labels, Number | None]]) -> None:
        """
        Add a family.

        :param meaning: one line.
        :param samples: labels, in the order in which they are written, and value; of a series that is given twice
            the values are added up in a counter, and the largest counts in a gauge.
        """
        found: dict[str, Number] = {}
        for labels, value in samples:
            if value is not None:
                series = name + _braced(labels)
                before = found.get(series)
                if before is not None:
                    value = before + value if kind == "counter" else max(before, value)
                found[series] = value
        if found:
            self._begin(name, kind, meaning)
            self._lines += [f"{series} {number(value)}" for series, value in found.items()]

    def one(self, name: str, kind: Kind, meaning: str, value: Number | None) -> None:
        """Add a family of a single sample without labels."""
        self.family(name, kind, meaning, [({}, value)])

    def histogram(self, name: str, meaning: str, series: Iterable[tuple[Labels, Buckets]]) -> None:
        """
        Add a family of histograms; those without a measurement are left out.

        :param series: labels, no two of them the same.
        """
        filled = [(labels, buckets) for labels, buckets in series if any(buckets.counts)]
        if not filled:
            return
        self._begin(name, "histogram", meaning)
        for labels, buckets in filled:
            count = 0
            for bound, here in zip((*map(number, buckets.bounds), "+Inf"), buckets.counts, strict=True):
                count += here
                self._lines.append(f"{name}_bucket{_braced({**labels, 'le': bound})} {count}")
            self._lines.append(f"{name}_sum{_braced(labels)} {number(buckets.sum)}")
            self._lines.append(f"{name}_count{_braced(labels)} {count}")

    def text(self) -> bytes:
        """Give all of it."""
        return "".join(line + "\n" for line in self._lines).encode("utf-8", "replace")

    def _begin(self, name: str, kind: str, meaning: str) -> None:
        self._lines += [f"# HELP {name} {meaning}", f"# TYPE {name} {kind}"]


def number(value: Number) -> str:
    """Write a figure: whole ones without a point, others with up to six decimals."""
    return str(value) if isinstance(value, int) else f"{value:.6f}".rstrip("0").rstrip(".")


def _braced(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
