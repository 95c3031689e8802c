"""Text that must not be seen."""

from __future__ import annotations

from attrs import field, frozen


@frozen(repr=False, str=False)
class Secret:
    """A credential: shows as ``***`` wherever it is printed, and gives itself away only to ``reveal``."""

    _text: str = field()

    def reveal(self) -> str:
        """Return the text itself, for the one place that sends it."""
        return self._text

    def __repr__(self) -> str:
        return "***"
