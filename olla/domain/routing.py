"""Where a request may go, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from attrs import Factory, field, frozen

ROUTED: Literal["routed"] = "routed"
FALLBACK: Literal["fallback"] = "fallback"
REJECTED: Literal["rejected"] = "rejected"


@frozen
class Decision:
    """
    What model routing said of one request; the headers, the log line and the statistics all show this.

    :ivar strategy: ``strict``, ``optimistic``, ``discovery`` or ``alias``.
    :ivar action: ``routed``, ``fallback`` or ``rejected``.
    :ivar reason: token of http-api.md §7.4, or the sentence of an alias.
    :ivar status: of a rejection, 404 or 503; 0 otherwise.
    :ivar made: what has been made of it, by the model's name at the backend.
    """

    strategy: str
    action: Literal["routed", "fallback", "rejected"]
    reason: str
    status: int = 0
    made: dict[str, Any] = field(init=False, factory=dict, eq=False, repr=False)


@frozen
class Located:
    """
    Which endpoints list a model, and under which name each takes it.

    :ivar names: endpoint name to the backend's own name of the model.
    :ivar alias: the configured alias that the request named; ``""`` when it named a model.
    :ivar known: whether any endpoint has ever listed it, be it down now.
    :ivar cold: names of the endpoints that say that they would have to load it first.
    :ivar target: the first model that an alias stands for of which nobody lists any; ``""`` otherwise.
    :ivar unaliased: where the model is that the alias's own name stands for, too; ``None`` when there is none.
    """

    names: Mapping[str, str] = Factory(dict)
    alias: str = ""
    known: bool = False
    cold: frozenset[str] = frozenset()
    target: str = ""
    unaliased: Located | None = None


@frozen
class Scope:
    """
    The endpoints that a route may use.

    :ivar prefix: the route's path without a slash at its end, ``/olla/openai``.
    :ivar label: what messages call it: the raw prefix, ``lm-studio`` for all three of LM Studio's, ``""`` for
        the universal route.
    :ivar profiles: canonical profile names of endpoints that belong to it; ``None`` for all.
    """

    prefix: str
    label: str = ""
    profiles: frozenset[str] | None = None
