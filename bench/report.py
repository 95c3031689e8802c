"""Tables of what was measured, for the terminal and for ``docs/performance.rst``."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from statistics import median
from textwrap import dedent

from attrs import frozen

from bench.measure import Measured
from bench.scenarios import GOALS, Figure, Goal, Scenario
from bench.targets import Target

REFERENCE = "nginx"
SHAPES = ("olla", "olla-lean", "sherpa")


@frozen
class Results:
    """
    Everything that was measured.

    :ivar rounds: by scenario and target, what each round found; ``None`` where a round failed.
    :ivar skipped: by target, why it was not measured.
    """

    scenarios: Sequence[Scenario]
    targets: Sequence[Target]
    rounds: Mapping[str, Mapping[str, Sequence[Measured | None]]]
    skipped: Mapping[str, str]

    def middle(self, scenario: str, target: str, key: str) -> float | None:
        """Give the median over the rounds."""
        found = [one[key] for one in self._of(scenario, target) if one is not None and key in one]
        return median(found) if found else None

    def beside(self, scenario: str, target: str, key: str, other: str) -> list[tuple[float, float]]:
        """Give a figure and that of another target, for each round in which nothing went wrong with either."""
        pairs = zip(self._of(scenario, target), self._of(scenario, other), strict=False)
        return [(a[key], b[key]) for a, b in pairs if a and b and a.get(key) and b.get(key)]

    def errors(self, scenario: str, target: str) -> int:
        """Count the answers that were wrong, and the rounds that failed."""
        return sum(1 if one is None else int(one["errors"]) for one in self._of(scenario, target))

    def _of(self, scenario: str, target: str) -> Sequence[Measured | None]:
        return self.rounds.get(scenario, {}).get(target, ())


def tables(results: Results) -> str:
    """Give one table for each scenario."""
    return "\n".join(_scenario(results, one) for one in results.scenarios)


def goals(results: Results) -> str:
    """Give a table of the goals, each with what was measured; ``""`` when none was measured."""
    rows = [
        [goal.what, *(_held_against(results, goal, shape) for shape in SHAPES)]
        for goal in GOALS
        if any(results.middle(goal.scenario, shape, goal.key) is not None for shape in SHAPES)
    ]
    return table(["measured (goal)", *SHAPES], rows) if rows else ""


def page(results: Results) -> str:
    """Give all of ``docs/performance.rst``."""
    return "\n".join(
        [
            _heading("Performance", "="),
            INTRODUCTION,
            _machine(results),
            *([_heading("Goals", "-"), GOALS_MEAN, goals(results)] if goals(results) else []),
            _heading("Figures", "-"),
            tables(results),
        ]
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lay out a table that is reStructuredText, and is readable as it is."""
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    rule = "  ".join("=" * width for width in widths)
    laid = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([rule, laid[0], rule, *laid[1:], rule, ""])


def _scenario(results: Results, scenario: Scenario) -> str:
    ratios = scenario.figure.ratio and REFERENCE in results.rounds.get(scenario.name, {})
    figures = (scenario.figure, *scenario.others)
    head = ["target", *(figure.unit for figure in figures), *([f"/ {REFERENCE}"] if ratios else []), "errors"]
    rows = []
    for name in results.rounds.get(scenario.name, {}):
        cells = [_shown(results.middle(scenario.name, name, figure.key), figure) for figure in figures]
        ratio = [_ratio(results.beside(scenario.name, name, scenario.figure.key, REFERENCE))] if ratios else []
        rows.append([name, *cells, *ratio, str(results.errors(scenario.name, name))])
    lines = [
        _heading(f"``{scenario.name}``", "~"),
        scenario.what,
        "",
        f"``{scenario.arguments}``",
        "",
        table(head, rows),
    ]
    return "\n".join(lines)


def _shown(value: float | None, figure: Figure) -> str:
    return "–" if value is None else f"{value:,.{figure.digits}f}"


def _ratio(pairs: Sequence[tuple[float, float]]) -> str:
    if not pairs:
        return "–"
    each = sorted(own / other for own, other in pairs)
    spread = f" ({each[0]:.2f} to {each[-1]:.2f})" if len(each) > 1 else ""
    return f"{median(each):.2f}{spread}"


def _held_against(results: Results, goal: Goal, shape: str) -> str:
    pairs = results.beside(goal.scenario, shape, goal.key, goal.beside or shape)
    if not pairs or results.errors(goal.scenario, shape):
        return f"– ({goal.least[shape]:g})"
    found = median(goal.of(own, other) for own, other in pairs)
    return f"{found:.2f} ({goal.least[shape]:g}) {'met' if found <= goal.least[shape] else 'missed'}"


def _machine(results: Results) -> str:
    cpu = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            cpu = line.partition(":")[2].strip()
            break
    counts = {len(one) for each in results.rounds.values() for one in each.values()}
    rounds = max(counts, default=0)
    said = [
        f":Measured: {datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC, {rounds} round{'s' if rounds != 1 else ''}"
        f"{' at most' if len(counts) > 1 else ''}",
        f":Machine: {cpu}, {os.cpu_count()} cores, {platform.system()} {platform.release()} {platform.machine()},"
        f" load {os.getloadavg()[2]:.2f} over the last 15 minutes",
        *(f":{target.name}: {target.version}" for target in results.targets if target.version),
        *(f":{name}: skipped, {why}" for name, why in results.skipped.items()),
        "",
    ]
    return "\n".join(said)


def _heading(text: str, line: str) -> str:
    return f"{text}\n{line * len(text)}\n"


INTRODUCTION = dedent("""\
    Made by ``make bench``, which runs each target by itself on one core, with simulator and clients on another, all on
    loopback.  ``make bench ROUNDS=5 SCENARIOS=req32,s200 ONLY=nginx,olla-lean`` runs a part of it;
    ``bench/scenarios.py`` has all scenarios.

    ``olla`` is ``engine: olla`` on Twisted's epoll reactor, ``olla-lean`` the same on ``--reactor olla``, ``sherpa``
    is ``engine: sherpa``.  ``direct`` is the simulator without a proxy.  CPU is the time that the proxy's processes
    were on a core, from ``/proc/PID/task/*/schedstat``; figures are medians over the rounds, and */ nginx* heads the
    median of the ratios to nginx in the same round, with the least and the greatest.  Machines differ in what a system
    call costs, so trust ratios, and of these nothing finer than a tenth.  nginx and haproxy do less: they read no body
    for its model, choose by no model, and count nothing.  A target with errors has measured nothing; each token's
    order and each stream's end are checked.
""")

GOALS_MEAN = dedent("""\
    What was measured, and in brackets what it should be at most.  CPU is beside nginx in the same round, a first
    token's delay beside ``direct``, growth is that of the resident memory.
""")
