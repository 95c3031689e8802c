"""All limiters in a row, as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from attrs import define, field

from olla.interfaces import ILimiter, IVerdict
from olla.limits.rate import ADMITTED, ClientVerdict, Fields, Verdict

COMPLAIN_EVERY = 60.0
T = TypeVar("T")


@define(eq=False)
class Gate:
    """
    Asks each limiter in the configured order, and lets through what none refuses.

    A limiter that raises, a stranger's perhaps, has no say in that request (behaviour.md B123).

    :ivar limiters: with the names under which they are configured.
    """

    limiters: Sequence[tuple[str, ILimiter]]
    _failed: Callable[[str, Exception], None]  # told of a limiter's fault, at most once a minute of each
    _complained: dict[str, float] = field(init=False, factory=dict)

    def admit(self, client: str, kind: str, now: float) -> Verdict | ClientVerdict:
        """
        Ask for one request; what the limiters before the one that refuses have taken goes back to them.

        :param client: the client's address.
        :param kind: ``proxy`` or ``health``.
        :param now: seconds on a clock that never goes back.
        :return: a verdict whose fields are to be read at once.
        """
        spoken: tuple[IVerdict, ...] = ()
        mute: tuple[str, ...] = ()
        for name, limiter in self.limiters:
            try:
                verdict = limiter.admit(client, kind, now)
                allowed = verdict.allowed
            except Exception as error:  # a stranger's code may raise anything
                self._complain(name, error, now)
                mute += (name,)
                continue
            if verdict is not ADMITTED:
                spoken += (verdict,)
            if not allowed:
                self._give_back(name, mute, client, kind, now)
                wait = self._guarded(name, now, partial(_wait, verdict), 1)
                return Verdict(False, wait, self._fields(spoken, now), name)
        if not spoken:
            return ADMITTED
        if len(spoken) == 1 and type(spoken[0]) is ClientVerdict:
            return spoken[0]
        return Verdict(True, 0, self._fields(spoken, now))

    def sweep(self, now: float) -> None:
        """Let every limiter forget the clients that it has not seen for long."""
        for name, limiter in self.limiters:
            self._guarded(name, now, partial(limiter.sweep, now), None)

    def _give_back(self, refuser: str, mute: Sequence[str], client: str, kind: str, now: float) -> None:
        for name, limiter in self.limiters:
            if name == refuser:
                return
            if name not in mute:
                self._guarded(name, now, partial(limiter.give_back, client, kind, now), None)

    def _fields(self, spoken: Sequence[IVerdict], now: float) -> Fields:
        fields: Fields = ()
        for verdict in spoken:
            fields += self._guarded("fields", now, partial(_told, verdict), fields[:0])
        return fields

    def _guarded(self, name: str, now: float, ask: Callable[[], T], otherwise: T) -> T:
        try:
            return ask()
        except Exception as error:  # a stranger's code may raise anything
            self._complain(name, error, now)
            return otherwise

    def _complain(self, name: str, error: Exception, now: float) -> None:
        if now - self._complained.get(name, -COMPLAIN_EVERY) >= COMPLAIN_EVERY:
            self._complained[name] = now
            self._failed(name, error)


def _wait(verdict: IVerdict) -> int:
    return max(1, int(verdict.retry_after))


def _told(verdict: IVerdict) -> Fields:
    return tuple(verdict.fields)
