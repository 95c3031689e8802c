"""Small formulas over named figures, as profiles write them: compiled once, and unable to do anything else."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping

from attrs import field, frozen

Value = float | int | str | bool | None
Names = Mapping[str, Value]
Run = Callable[[Names], Value]

LONGEST = 500
CONSTANTS: Mapping[str, Value] = {"null": None, "true": True, "false": False}
LEVELS: tuple[Mapping[str, Callable[[Value, Value], Value]], ...] = (  # what binds least comes first
    {"==": operator.eq, "!=": operator.ne},
    {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge},  # type: ignore[dict-item]  # see _two
    {"+": operator.add, "-": operator.sub},  # type: ignore[dict-item]
    {"*": operator.mul, "/": operator.truediv},  # type: ignore[dict-item]
)
EQUALITY = LEVELS[0]

_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d{1,3})?)|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<text>'[^']*'|\"[^\"]*\")|(?P<sign>&&|\|\||[<>=!]=|[-+*/<>!?:()]))",
    re.ASCII,
)


@frozen
class Formula:
    """
    A formula such as ``spent_ms > 0 ? tokens * 1000.0 / spent_ms : null``.

    It knows numbers, texts, ``null``, ``true``, ``false``, names, ``+ - * /``, comparisons, ``&&``, ``||``, ``!``,
    ``?:`` and ``len(…)``.

    :ivar text: as written.
    :ivar names: every name in it.
    """

    text: str
    names: frozenset[str] = field(eq=False)
    _run: Run = field(eq=False, repr=False)

    @classmethod
    def parse(cls, text: str) -> Formula:
        """
        Compile a formula.

        :raise ValueError: when it is none, in words that go on from it.
        """
        if len(text) > LONGEST:
            raise ValueError(f"is longer than {LONGEST} characters")
        try:
            return _Parser(text).formula()
        except RecursionError:
            raise ValueError("is nested too deeply") from None

    def __reduce__(self) -> tuple[Callable[[str], Formula], tuple[str]]:
        """Travel to another process as text."""
        return _parse, (self.text,)

    def value(self, names: Names) -> Value:
        """
        Calculate it.

        :param names: what is known; a name that is not in it is ``null``.
        :return: ``None`` for ``null``, and for what cannot be calculated, such as a division by zero.
        """
        try:
            return self._run(names)
        except (TypeError, ArithmeticError):
            return None


def _parse(text: str) -> Formula:
    """Be found by pickle, which Twisted keeps from finding methods of classes."""
    return Formula.parse(text)


class _Parser:
    """Turns one text into functions, from the operator that binds least to the one that binds most."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._names: set[str] = set()
        self._tokens = list(_tokens(text))
        self._next = 0

    def formula(self) -> Formula:
        run = self._choice()
        if self._next < len(self._tokens):
            raise ValueError(f"is not understood at {self._tokens[self._next][1]}")
        return Formula(self._text, frozenset(self._names), run)

    def _choice(self) -> Run:
        condition = self._any()
        if not self._takes("?"):
            return condition
        yes = self._choice()
        self._expect(":")
        no = self._choice()
        return lambda names: yes(names) if condition(names) else no(names)

    def _any(self) -> Run:
        left = self._all()
        while self._takes("||"):
            left = _either(left, self._all())
        return left

    def _all(self) -> Run:
        left = self._level(0)
        while self._takes("&&"):
            left = _both(left, self._level(0))
        return left

    def _level(self, number: int) -> Run:
        if number == len(LEVELS):
            return self._signed()
        left, signs = self._level(number + 1), LEVELS[number]
        while self._next < len(self._tokens) and self._tokens[self._next][1] in signs:
            left = _two(signs is EQUALITY, signs[self._take()[1]], left, self._level(number + 1))
        return left

    def _signed(self) -> Run:
        if self._takes("!"):
            inner = self._signed()
            return lambda names: not inner(names)
        if self._takes("-"):
            inner = self._signed()
            return lambda names: -inner(names)  # type: ignore[operator]  # a text fails as a TypeError, as it should
        return self._single()

    def _single(self) -> Run:
        kind, token = self._take()
        if token == "(":
            return self._closed()
        if kind == "number":
            number = float(token) if set(token) & set(".eE") else int(token)
            return lambda names: number
        if kind == "text":
            return lambda names: token[1:-1]
        if kind != "name":
            raise ValueError(f"is not understood at {token}")
        if token == "len":
            self._expect("(")
            inner = self._closed()
            return lambda names: len(inner(names))  # type: ignore[arg-type]  # likewise
        if token in CONSTANTS:
            return lambda names: CONSTANTS[token]
        self._names.add(token)
        return lambda names: names.get(token)

    def _closed(self) -> Run:
        inner = self._choice()
        self._expect(")")
        return inner

    def _take(self) -> tuple[str, str]:
        if self._next == len(self._tokens):
            raise ValueError("ends too early")
        self._next += 1
        return self._tokens[self._next - 1]

    def _takes(self, sign: str) -> bool:
        if self._next == len(self._tokens) or self._tokens[self._next] != ("sign", sign):
            return False
        self._next += 1
        return True

    def _expect(self, sign: str) -> None:
        if not self._takes(sign):
            raise ValueError(f"lacks a {sign}")


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    text = text.rstrip()
    place = 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None or match.lastgroup is None:
            raise ValueError(f"is not understood at {text[place:].strip()[:20]}")
        yield match.lastgroup, match[match.lastgroup]
        place = match.end()


def _two(on_anything: bool, calculate: Callable[[Value, Value], Value], left: Run, right: Run) -> Run:
    def run(names: Names) -> Value:
        one, other = left(names), right(names)
        if not on_anything and (isinstance(one, str) or isinstance(other, str)):
            raise TypeError("texts are compared, and nothing else")
        return calculate(one, other)

    return run


def _either(left: Run, right: Run) -> Run:
    return lambda names: left(names) or right(names)


def _both(left: Run, right: Run) -> Run:
    return lambda names: left(names) and right(names)
