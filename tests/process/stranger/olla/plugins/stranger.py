"""A selector and a limiter as somebody else would write them, in a package that is not Olla's."""

from attrs import define, frozen
from twisted.plugin import IPlugin
from zope.interface import implementer

from olla.interfaces import ILimiter, ILimiterFactory, ISelector, ISelectorFactory, IVerdict


@implementer(ISelector)
class AlwaysLast:
    """Takes the last candidate."""

    def select(self, candidates, wanted):
        return candidates[-1]


@implementer(IPlugin, ISelectorFactory)
class LastFactory:
    name = "always-last"

    def make(self, settings):
        return AlwaysLast()


@implementer(IVerdict)
@frozen
class Verdict:
    allowed: bool
    retry_after: int = 0
    fields: tuple = ()


@implementer(ILimiter)
@define
class OnlyThree:
    """Lets three requests through, and no more."""

    left: int = 3

    def admit(self, client, kind, now):
        if kind == "health":
            return Verdict(True)
        self.left -= 1
        return Verdict(self.left >= 0, 0 if self.left >= 0 else 60)

    def give_back(self, client, kind, now):
        self.left += 1

    def sweep(self, now):
        pass


@implementer(IPlugin, ILimiterFactory)
class ThreeFactory:
    name = "only-three"

    def make(self, settings):
        return OnlyThree()


last = LastFactory()
three = ThreeFactory()
