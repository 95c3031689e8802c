"""The report of ``--validate-config``: all that a start checks without the network (config.md §12)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from olla.config.checks import ListenFault, unchecked
from olla.config.load import SELECTORS, Examined, examine
from olla.config.profiles import FALLBACK
from olla.config.remarks import Remark
from olla.config.server import LIMITERS

TITLE = "Olla configuration check"
RULE = "=" * 30


def validate(
    path: str = "",
    *,
    environ: Mapping[str, str],
    cwd: Path,
    selectors: Collection[str] = SELECTORS,
    limiters: Collection[str] = LIMITERS,
    listen_fault: ListenFault = unchecked,
) -> tuple[str, int]:
    """
    Check the main file, the model rules and the profiles as a start would; takes what ``load`` takes.

    Warnings about the main file skip nothing, so they are notes here, as unknown keys are.

    :return: the report, and the exit code: 1 when anything failed or a file was skipped.
    """
    found = examine(path, environ=environ, cwd=cwd, selectors=selectors, limiters=limiters, listen_fault=listen_fault)
    rules, profiles = found.rules, found.catalogue
    total = len(profiles.profiles)
    where = found.source or "(none found, using built-in defaults)"
    named = sum(profile.name != FALLBACK for profile in profiles.profiles)
    parts = [
        ("config.yaml", f"loaded from {where}" if found.source else where, found.faults, ()),
        ("models.yaml", rules.source or "using embedded defaults", (), rules.warnings),
        (
            "profiles",
            f"{total} profile(s) loaded ({named} listed, and the fallback {FALLBACK})",
            profiles.faults,
            profiles.warnings,
        ),
    ]
    good = not any(faults or warnings for _, _, faults, warnings in parts)
    lines = [TITLE, RULE, *(line for part in parts for line in _part(*part)), *_notes(found), ""]
    lines.append(f"Result: {'PASS - ready to start' if good else 'FAIL - see above'}")
    return "\n".join(lines) + "\n", 0 if good else 1


def _part(name: str, detail: str, faults: Sequence[Remark], warnings: Sequence[Remark]) -> Iterator[str]:
    state = "FAIL" if faults else "WARN" if warnings else "OK"
    issues = [*faults, *warnings]
    count = f" ({len(issues)} issue(s))" if issues else ""
    yield f"{f'[{state}]':<6} {name:<12} {detail}{count}"
    yield from (f"         - {issue}" for issue in issues)


def _notes(found: Examined) -> Iterable[str]:
    return (f"[NOTE] {remark}" for remark in (*found.unknown, *found.warnings, *found.notes))
