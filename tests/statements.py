"""What Olla promises (``statements.txt``), and which tests say that they prove it; run, it lists what none does."""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from attrs import frozen

HERE = Path(__file__).parent
LIST = HERE / "statements.txt"
KINDS = "CKBPR"
TIDY = "python -m tests.statements --tidy"
REASONS = ("later", "untested", "elsewhere")
LINE = re.compile(rf"([{KINDS}]\d+) +(.*?)(?:  \[(\w+): (.+)\])?")
CITED = re.compile(rf"\b([{KINDS}])(\d{{1,3}})(?:\s*[-–]\s*([{KINDS}]?)(\d{{1,3}}))?\b")


@frozen
class Statement:
    """
    One promise.

    :ivar promise: in few words.
    :ivar reason: why no test need cite it, one of ``REASONS``; ``""`` when one must.
    :ivar detail: more on that reason.
    """

    number: str
    promise: str
    reason: str = ""
    detail: str = ""


def promised(text: str) -> dict[str, Statement]:
    """
    Read a list of statements, by number.

    :raise ValueError: for a line that is none, or a number that is there already.
    """
    found: dict[str, Statement] = {}
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        match = LINE.fullmatch(line)
        if match is None or match[1] in found or (match[3] and match[3] not in REASONS):
            raise ValueError(line)
        found[match[1]] = Statement(match[1], match[2], match[3] or "", match[4] or "")
    return found


def cited(docstring: str) -> Iterator[str]:
    """Give the numbers in a docstring; ``C1-C3`` and ``C1–3`` are three."""
    for kind, first, other, last in CITED.findall(docstring):
        if last and other in ("", kind):
            yield from (f"{kind}{number}" for number in range(int(first), int(last) + 1))
        else:
            yield f"{kind}{first}"
            if last:
                yield f"{other}{last}"


def citations(files: Iterable[Path]) -> dict[str, list[str]]:
    """Give the numbers cited in docstrings of Python files, each with the places of the form ``file:line``."""
    found: dict[str, list[str]] = {}
    for path in sorted(files):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                for number in cited(ast.get_docstring(node) or ""):
                    place = f"{path.relative_to(HERE.parent)}:{getattr(node, 'lineno', 1)}"
                    found.setdefault(number, []).append(place)
    return found


def everything() -> tuple[dict[str, Statement], dict[str, list[str]]]:
    """Give the statements of this project, and where each is cited."""
    return promised(LIST.read_text("utf-8")), citations(HERE.rglob("*.py"))


def problems(statements: Mapping[str, Statement], places: Mapping[str, list[str]]) -> list[str]:
    """Say what does not fit: what is cited and not there, promised and not cited, or excused and cited."""
    unknown = (
        f"{number} is cited at {where[0]} and is none" for number, where in places.items() if number not in statements
    )
    open_ = (
        f"{one.number} is proved by no test: {one.promise}"
        for one in statements.values()
        if not one.reason and one.number not in places
    )
    stale = (
        f"{one.number} is cited at {places[one.number][0]} and excused as {one.reason}: {TIDY}"
        for one in statements.values()
        if one.reason and one.number in places
    )
    return [*unknown, *open_, *stale]


def tidied(text: str, places: Mapping[str, list[str]]) -> str:
    """Take the excuse away from every line of a list whose number is cited."""
    kept = []
    for line in text.splitlines():
        match = LINE.fullmatch(line)
        kept.append(line[: match.end(2)] if match is not None and match[1] in places else line)
    return "\n".join(kept) + "\n"


def main() -> None:
    """List what no test cites, what is wrong beside that, and sums; ``--tidy`` takes outdated excuses away first."""
    statements, places = everything()
    if sys.argv[1:] == ["--tidy"]:
        LIST.write_text(tidied(LIST.read_text("utf-8"), places), "utf-8")
        statements, places = everything()
    for one in statements.values():
        if one.number not in places:
            print(f"{one.number:5}{one.promise}  [{one.reason or 'MISSING'}{one.detail and ': '}{one.detail}]")
    cited_ones = {number: statements[number] for number in places if number in statements}
    for problem in problems(cited_ones, places):
        print(problem)
    for kind in KINDS:
        all_ = [one for one in statements.values() if one.number.startswith(kind)]
        counts = Counter("cited" if one.number in places else one.reason or "missing" for one in all_)
        print(f"{kind}: {len(all_)} statements, " + ", ".join(f"{count} {name}" for name, count in counts.items()))


if __name__ == "__main__":
    main()
