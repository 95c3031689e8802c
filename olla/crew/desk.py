"""A worker's side of the way to its owner: asks, waits, and hears what has changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import Factory, define, field

from olla import errors
from olla.crew.link import Link, workers_end
from olla.crew.messages import Answer, Ask, FromOwner, Message, Question, Refused, Withdraw
from olla.pending import Pending

PATIENCE = 5.0
ALONE = "The proxy is stopping"
SILENT = "The first process does not answer"


@define(eq=False)
class _Asked:
    pending: Pending[Any]
    until: float


@define(eq=False)
class Desk:
    """
    Asks the owner.

    :ivar clock: seconds that never go back.
    :ivar news: told what the owner says unasked.
    :ivar left: told that the owner is gone.
    """

    clock: Callable[[], float]
    news: Callable[[FromOwner], None]
    left: Callable[[], None]
    link: Link[FromOwner] = field(
        init=False, default=Factory(lambda self: workers_end(self._heard, self._lost), takes_self=True)
    )
    _asked: dict[int, _Asked] = field(init=False, factory=dict)
    _last: int = field(init=False, default=0)

    def ask(self, question: Question, patience: float = PATIENCE) -> Pending[Any]:
        """
        Ask.

        :param patience: seconds after which nobody waits for the answer any more.
        :return: fires with the answer of that question; fails with the :exc:`~olla.errors.Refusal` that is the
            answer, with :exc:`~olla.errors.NoEndpoints` when there is none in time, and with
            :exc:`~olla.errors.Draining` when there is no owner any more.
        """
        if not self.link.open:
            return Pending.failed(errors.Draining(ALONE))
        self._last += 1
        number = self._last
        pending: Pending[Any] = Pending(lambda: self._withdraw(number))
        self._asked[number] = _Asked(pending, self.clock() + patience)
        self.link.say(Ask(number, question))
        return pending

    def number(self) -> int:
        """Give the number of the question that was asked last."""
        return self._last

    def say(self, message: Message) -> None:
        """Tell the owner."""
        self.link.say(message)

    def sweep(self, now: float) -> None:
        """Give up what has waited too long; to be called a few times a second."""
        for number in [number for number, asked in self._asked.items() if now >= asked.until]:
            late = self._asked.pop(number)
            self.link.say(Withdraw(number))
            late.pending.fail(errors.NoEndpoints(SILENT, 1))

    def _withdraw(self, number: int) -> None:
        if self._asked.pop(number, None) is not None:
            self.link.say(Withdraw(number))

    def _heard(self, message: FromOwner) -> None:
        if not isinstance(message, Answer):
            self.news(message)
            return
        asked = self._asked.pop(message.number, None)
        if asked is None:
            return  # withdrawn, and the owner will hear so
        result = message.result
        if isinstance(result, Refused):
            asked.pending.fail(refusal_of(result))
        else:
            asked.pending.fire(result)

    def _lost(self) -> None:
        asked, self._asked = self._asked, {}
        for one in asked.values():
            one.pending.fail(errors.Draining(ALONE))
        self.left()


def refusal_of(told: Refused) -> errors.Refusal:
    """Give the refusal that the owner has put into words."""
    kind: type[Any] = getattr(errors, told.kind)
    refusal: errors.Refusal = kind(told.message) if told.wait is None else kind(told.message, wait=told.wait)
    return refusal


def then(pending: Pending[Any], make: Callable[[Any], Any], cancel: Callable[[], None]) -> Pending[Any]:
    """
    Give what ``make`` makes of a result that is waited for.

    :param make: may raise what the one who waits will see.
    :param cancel: called when nobody waits any more.
    """
    made: Pending[Any] = Pending(cancel)

    def over() -> None:
        try:
            value = make(pending.result())
        except Exception as error:  # whatever it is, it is for the one who waits
            made.fail(error)
        else:
            made.fire(value)

    if pending.done:
        over()
    else:
        pending.when_done(over)
    return made
