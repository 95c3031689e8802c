"""Where in a JSON document a value stands."""

from __future__ import annotations

import re

from attrs import field, frozen

_STEP = re.compile(r"\.?([A-Za-z_][\w-]*)|\[(\d{1,4})\]|\[(?:'([^']*)'|\"([^\"]*)\")\]", re.ASCII)


@frozen
class JsonPath:
    """
    A path such as ``$.choices[0].finish_reason``, ``a.b`` or ``a['b']``.

    :ivar text: as written.
    """

    text: str
    _steps: tuple[str | int, ...] = field(eq=False, repr=False)

    @classmethod
    def parse(cls, text: str) -> JsonPath:
        """
        Read a path.

        :raise ValueError: when it is none, in words that go on from it.
        """
        written = text.strip().removeprefix("$")
        steps: list[str | int] = []
        place = 0
        while place < len(written):
            match = _STEP.match(written, place)
            if match is None:
                raise ValueError(f"is not understood at {written[place:][:20]}")
            steps.append(int(match[2]) if match[2] else match[1] or match[3] or match[4] or "")
            place = match.end()
        if not steps:
            raise ValueError("leads nowhere")
        return cls(text, tuple(steps))

    def find(self, document: object) -> object:
        """Give what stands there; ``None`` when nothing does."""
        for step in self._steps:
            if isinstance(step, str):
                document = document.get(step) if isinstance(document, dict) else None
            else:
                document = document[step] if isinstance(document, list) and step < len(document) else None
        return document
