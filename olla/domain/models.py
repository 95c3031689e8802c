"""Models as a backend lists them."""

from __future__ import annotations

from attrs import frozen


@frozen
class ListedModel:
    """
    One model in one endpoint's listing.  What the backend did not say is empty, ``0`` or ``None``.

    :ivar name: the name under which that backend takes it.
    :ivar type: ``llm``, ``vlm``, ``embeddings`` or ``""``.
    :ivar size: bytes on disk.
    :ivar parameters: how many parameters, counted.
    :ivar parameter_size: the same as the backend writes it, ``7B``.
    :ivar context: tokens that fit into its window.
    :ivar modified: RFC 3339 time at which it was last changed, as listed.
    :ivar state: ``loaded``, ``not-loaded`` … in the backend's own word.
    :ivar missing: whether the backend says that it would have to download it first.
    :ivar extra: anything else that a listing in the same dialect shows (``checkpoint``, ``recipe``, ``root`` …).
    """

    name: str
    type: str = ""
    size: int = 0
    digest: str = ""
    family: str = ""
    families: tuple[str, ...] = ()
    format: str = ""
    parameters: int = 0
    parameter_size: str = ""
    quantization: str = ""
    publisher: str = ""
    parent: str = ""
    context: int = 0
    modified: str = ""
    created: int = 0
    state: str = ""
    description: str = ""
    capabilities: tuple[str, ...] = ()
    missing: bool = False
    extra: tuple[tuple[str, str | int | float | bool], ...] = ()

    @property
    def cold(self) -> bool:
        """Whether the backend says that it would have to load it before it can answer."""
        return self.missing or self.state == "not-loaded"
