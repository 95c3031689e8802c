"""``python -m bench``: measure, print the tables, and write the page.  ``make bench`` does it all."""

from __future__ import annotations

import argparse
import json
import resource
import sys
from pathlib import Path

from bench.measure import Bench, Failed, Measured
from bench.report import REFERENCE, SHAPES, Results, goals, page, tables
from bench.scenarios import SCENARIOS, SMOKE, USUAL, Scenario
from bench.targets import Target, all_of_them

SPARE = 200  # descriptors of a proxy beside its connections


def main() -> int:
    """Do what the command line says; gives the exit status: 1 when Olla made an error."""
    options = _options().parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    scenarios = SMOKE if options.smoke else _scenarios(options.scenarios or USUAL, most)
    targets, skipped = _targets(options)
    bench = Bench(options.programs.resolve())
    rounds: dict[str, dict[str, list[Measured | None]]] = {}
    with bench.simulator():
        for scenario in scenarios:
            for number in range(options.rounds):
                found = rounds.setdefault(scenario.name, {})
                found.setdefault("direct", []).append(bench.load(scenario, bench.direct))
                for target in targets:
                    if not (scenario.heavy and target.light):
                        found.setdefault(target.name, []).append(_once(bench, scenario, target, number + 1))
    if options.out is not None:
        options.out.write_text(json.dumps(rounds, indent=1), encoding="utf-8")
    for earlier in options.also:
        rounds = {**json.loads(earlier.read_text(encoding="utf-8")), **rounds}
        scenarios = [one for one in SCENARIOS.values() if one.name in rounds]
    results = Results(scenarios, targets, rounds, skipped)
    if not options.smoke:
        print(f"\n{tables(results)}\n{goals(results)}")
    if options.page:
        Path(options.page).write_text(page(results), encoding="utf-8")
    return int(any(results.errors(one.name, shape) for one in scenarios for shape in SHAPES))


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--programs", type=Path, required=True, help="folder of llmsim and llmload")
    parser.add_argument("--peers", type=Path, default=Path(".venv-real"), help="environment with aiohttp and LiteLLM")
    parser.add_argument("--rounds", type=int, default=3, help="each measures every target once")
    parser.add_argument("--scenarios", default="", help=f"of {','.join(SCENARIOS)}")
    parser.add_argument("--only", default="", help="targets, separated by commas; all without")
    parser.add_argument("--page", default="", help="where the page is written")
    parser.add_argument("--out", type=Path, help="where each round's figures are written, as JSON")
    parser.add_argument(
        "--also",
        type=Path,
        action="append",
        default=[],
        metavar="OUT",
        help="an earlier --out of this machine, for scenarios that are not measured now",
    )
    parser.add_argument("--smoke", action="store_true", help="see in seconds that all of it runs; figures mean nothing")
    return parser


def _scenarios(names: str, most: int) -> list[Scenario]:
    """Give the scenarios of these names that the limit of open files permits."""
    unknown = set(names.split(",")) - SCENARIOS.keys()
    if unknown:
        sys.exit(f"bench: no scenario {', '.join(sorted(unknown))}; there are {', '.join(SCENARIOS)}")
    wanted = [SCENARIOS[name] for name in names.split(",")]
    fitting = [one for one in wanted if 2 * one.connections + SPARE <= most]
    for one in wanted:
        if one not in fitting:
            _say(f"{one.name}: skipped, needs {2 * one.connections + SPARE} open files and may have {most}")
    return fitting


def _targets(options: argparse.Namespace) -> tuple[list[Target], dict[str, str]]:
    """Give the targets to measure, and why others are not."""
    every = all_of_them(options.peers.absolute())
    usual = ",".join((REFERENCE, *SHAPES) if options.smoke else (target.name for target in every))
    names = (options.only or usual).split(",")
    unknown = set(names) - {target.name for target in every}
    if unknown:
        sys.exit(f"bench: no target {', '.join(sorted(unknown))}; there are {', '.join(one.name for one in every)}")
    chosen = [target for target in every if target.name in names]
    skipped = {target.name: target.missing for target in chosen if target.missing}
    for name, why in skipped.items():
        _say(f"{name}: skipped, {why}")
    return [target for target in chosen if not target.missing], skipped


def _once(bench: Bench, scenario: Scenario, target: Target, number: int) -> Measured | None:
    """Measure one target once; a failure is told, and loses nothing but this round."""
    try:
        found = bench.measure(scenario, target)
    except Failed as failure:
        _say(f"{scenario.name} {number} {target.name}: {failure}")
        return None
    figure = scenario.figure
    counted = f"{found[figure.key]:.{figure.digits}f}" if figure.key in found else "nothing for"
    _say(f"{scenario.name} {number} {target.name}: {counted} {figure.unit}, {found['errors']:.0f} errors")
    return found


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
