"""Which kinds of backend there are: the shipped profiles, overridden and joined by those of a folder."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from importlib import resources
from pathlib import Path

from attrs import Factory, define, evolve, frozen

from olla.config import units
from olla.config.keys import read_block
from olla.config.profile_schema import IGNORED, ProfileBlock, normalised
from olla.config.proxy import ProfileFilter
from olla.config.reading import Reading, shown
from olla.config.remarks import ConfigError, Remark
from olla.config.yaml_source import parse
from olla.domain.profile import Profile

FALLBACK = "openai-compatible"  # unknown kinds are treated as this one, so no filter removes it
RESERVED_PREFIXES = ("proxy", "models", "anthropic")
RESERVED_NAMES = (*RESERVED_PREFIXES, "auto")

_PREFIX = re.compile(r"[a-z0-9][a-z0-9._-]*", re.ASCII)


@frozen
class _Found:
    profile: Profile
    source: str


@define
class Catalogue:
    """
    The profiles that could be read, and what there is to say about the others.

    :ivar profiles: in the order of their names.
    :ivar faults: what stops the start: prefixes that cannot be routes, or that two profiles claim.
    :ivar warnings: files that are skipped, keys and calculations that have no effect.
    """

    profiles: tuple[Profile, ...] = ()
    faults: list[Remark] = Factory(list)
    warnings: list[Remark] = Factory(list)


def load_profiles(folder: Path | None) -> Catalogue:
    """
    Read the shipped profiles and those of a folder and its subfolders.

    A file with the name of a shipped profile replaces all of it.

    :param folder: ``None``, or one that is not there, adds nothing.
    """
    catalogue = Catalogue()
    found = dict(_read_all(_shipped(), catalogue))
    usual = [one.profile.metrics for one in found.values()]
    own: dict[str, _Found] = {}
    for name, one in _read_all(_files(folder, catalogue), catalogue) if folder else ():
        if name in own:
            said = f'profile "{name}" is also in {own[name].source}; this one is used'
            catalogue.warnings.append(Remark("name", said, one.source))
        known = one.profile.metrics in usual or not one.profile.metrics.enabled
        own[name] = evolve(one, profile=evolve(one.profile, metrics=evolve(one.profile.metrics, usual=known)))
    found |= own
    catalogue.profiles = tuple(found[name].profile for name in sorted(found))
    catalogue.faults += _prefix_faults(found.values())
    return catalogue


def canonical(type_text: str, profiles: Iterable[Profile]) -> str:
    """
    Return the name of the profile that a type, in any spelling, or a prefix stands for.

    :return: ``auto`` for ``auto`` and the empty text; ``""`` when no profile has that name or prefix.
    """
    wanted = normalised(type_text)
    if wanted in ("", "auto"):
        return "auto"
    profiles = tuple(profiles)
    for profile in profiles:
        if profile.name == wanted:
            return profile.name
    for profile in profiles:
        if wanted in map(normalised, profile.prefixes):
            return profile.name
    return ""


def filtered(profiles: Iterable[Profile], wanted: ProfileFilter) -> tuple[Profile, ...]:
    """Return the profiles that the filter leaves; the fallback always stays."""
    return tuple(p for p in profiles if p.name == FALLBACK or units.admits(wanted.include, wanted.exclude, p.name))


def _shipped() -> Iterator[tuple[str, bytes]]:
    folder = resources.files("olla.config") / "profiles"
    for file in sorted(folder.iterdir(), key=lambda f: f.name):
        if file.name.endswith(".yaml"):
            yield file.name, file.read_bytes()


def _files(folder: Path, catalogue: Catalogue) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        try:
            if path.suffix.lower() in (".yaml", ".yml") and path.is_file():
                yield str(path), path.read_bytes()
        except OSError as error:
            catalogue.warnings.append(_skipped(Remark("", f"cannot be read: {error.strerror}", str(path))))


def _read_all(files: Iterable[tuple[str, bytes]], catalogue: Catalogue) -> Iterator[tuple[str, _Found]]:
    for source, data in files:
        profile = _read(source, data, catalogue)
        if profile is not None:
            yield profile.name, _Found(profile, source)


def _read(source: str, data: bytes, catalogue: Catalogue) -> Profile | None:
    reading = Reading(source, ignored=IGNORED)
    try:
        written = read_block(ProfileBlock, parse(data, source), "", reading)
    except ConfigError as error:
        catalogue.warnings += [_skipped(fault) for fault in error.faults]
        return None
    if not written.name.strip():
        reading.fault("name", "is missing")
    if reading.faults:
        catalogue.warnings += [_skipped(fault) for fault in reading.faults]
        return None
    for path, said in written.metrics.extraction.broken():
        reading.warn(f"metrics.extraction.{path}", f"{said}; this metric is left out")
    catalogue.warnings += [*reading.unknown(), *reading.warnings]
    return written.value()


def _skipped(fault: Remark) -> Remark:
    return Remark(fault.path, f"{fault.message}; this profile is skipped", fault.source, fault.line)


def _prefix_faults(found: Collection[_Found]) -> Iterator[Remark]:
    claimed: dict[str, _Found] = {}
    for one in found:
        name = one.profile.name
        written = [("routing.prefixes", prefix, RESERVED_PREFIXES) for prefix in one.profile.prefixes]
        for key, prefix, reserved in (*written, ("name", name, RESERVED_NAMES)):  # a name is a prefix as well
            said = _refusal(prefix, reserved)
            other = claimed.setdefault(normalised(prefix), one)
            if not said and other is not one:
                said = f"is also claimed by profile {other.profile.name} ({other.source})"
            if said:
                yield Remark(key, f"{shown(prefix)} {said}", one.source)


def _refusal(prefix: str, reserved: Collection[str]) -> str:
    if prefix in reserved:
        return f"is reserved; {', '.join(reserved)} cannot be prefixes"
    if not _PREFIX.fullmatch(prefix):
        return "cannot be a prefix: only a-z, 0-9, dot, _ and - can stand in one, the first a letter or digit"
    return ""
