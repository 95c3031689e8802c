"""Names that the configuration gives to other names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from attrs import frozen


@frozen
class Alias:
    """
    One name for several models.

    :ivar name: as configured.
    :ivar targets: the models, in order of preference.
    """

    name: str
    targets: tuple[str, ...]


class Aliases:
    """The configured aliases, found whatever the letter case; a target is never looked up as an alias again."""

    def __init__(self, configured: Mapping[str, Sequence[str]]) -> None:
        self._exact = {name: Alias(name, tuple(targets)) for name, targets in configured.items()}
        self._lowered: dict[str, Alias] = {}
        for alias in self._exact.values():
            self._lowered.setdefault(alias.name.lower(), alias)

    def __iter__(self) -> Iterator[Alias]:
        return iter(self._exact.values())

    def find(self, model: str) -> Alias | None:
        """Give the alias of that name: in the same letter case if there is one, else in any."""
        return self._exact.get(model) or self._lowered.get(model.lower())
