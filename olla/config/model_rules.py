"""
``models.yaml``: rules for families, quantisation and capabilities of models, as written (config.md §11).

A section that the file leaves out is ``None``, and the built-in rules hold for it.
"""

# ruff: noqa: RUF009  (the calls are field specifiers of attrs)

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from attrs import frozen

from olla.config.keys import (
    blocks,
    key,
    keys,
    lists_by_name,
    optional_block,
    read_block,
    texts_by_name,
    values_by_name,
)
from olla.config.kinds import INTEGER, NOT_NEGATIVE, TEXT
from olla.config.reading import Reading
from olla.config.remarks import ConfigError, Remark
from olla.config.yaml_source import parse

CANDIDATES = (
    "models.yaml",
    "config/models.yaml",
    "config-base/models.yaml",
    "../config/models.yaml",
    "../../config/models.yaml",
)
FOLDER_VARIABLE = "OLLA_CONFIG_DIR"
NOT_THERE = (FileNotFoundError, NotADirectoryError)


def is_expression(text: str) -> None:
    """Refuse what is no regular expression."""
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"is not a regular expression: {error.msg}") from None


@frozen
class FamilyPattern:
    """
    A regular expression on lower-case names.

    :ivar family_group: number of the group with the family.
    :ivar variant_group: number of the group with the variant; 0 for none.
    """

    pattern: str = key(TEXT, "", is_expression)
    description: str = key(TEXT, "")
    family_group: int = key(INTEGER, 1, NOT_NEGATIVE)
    variant_group: int = key(INTEGER, 0, NOT_NEGATIVE)


@frozen
class Extraction:
    """How family and publisher are read off a name."""

    family_patterns: tuple[FamilyPattern, ...] = blocks(FamilyPattern)
    architecture_mappings: Mapping[str, str] = texts_by_name()
    family_aliases: Mapping[str, str] = texts_by_name()
    publisher_mappings: Mapping[str, str] = texts_by_name()


@frozen
class Quantization:
    """What a backend's spelling of a quantisation means."""

    mappings: Mapping[str, str] = texts_by_name()


@frozen
class NamePattern:
    """A regular expression on names, and the capabilities that a model so named has."""

    pattern: str = key(TEXT, "", is_expression)
    capabilities: tuple[str, ...] = keys(TEXT, ())


@frozen
class Capabilities:
    """Which capabilities follow from type, name and context; thresholds are tokens."""

    type_capabilities: Mapping[str, tuple[str, ...]] = lists_by_name()
    context_thresholds: Mapping[str, int] = values_by_name(INTEGER, 0)
    name_patterns: tuple[NamePattern, ...] = blocks(NamePattern)


@frozen
class SpecialRules:
    """Families that stay whole, and names that say nothing."""

    preserve_family: tuple[str, ...] = keys(TEXT, ())
    generic_names: tuple[str, ...] = keys(TEXT, ())


@frozen
class ModelRules:
    """A whole ``models.yaml``; ``None`` for what it leaves out."""

    version: str = key(TEXT, "")
    model_extraction: Extraction | None = optional_block(Extraction)
    quantization: Quantization | None = optional_block(Quantization)
    capabilities: Capabilities | None = optional_block(Capabilities)
    special_rules: SpecialRules | None = optional_block(SpecialRules)


@frozen
class FoundRules:
    """
    The rules in use.

    :ivar source: the file; ``""`` when none is usable and the built-in rules hold alone.
    :ivar warnings: files that are skipped, and keys that have no effect.
    """

    rules: ModelRules
    source: str = ""
    warnings: tuple[Remark, ...] = ()


def find_rules(environ: Mapping[str, str], cwd: Path) -> FoundRules:
    """
    Read the first usable ``models.yaml``.

    A candidate that cannot be read or used is skipped with a warning, and the next one is tried.
    """
    folder = environ.get(FOLDER_VARIABLE, "")
    warnings: list[Remark] = []
    for candidate in (*CANDIDATES, *([f"{folder}/models.yaml"] if folder else [])):
        try:
            rules, said = _read(cwd / candidate, candidate)
        except NOT_THERE:
            continue
        except ConfigError as error:
            skipped = (Remark(f.path, f"{f.message}; this file is skipped", f.source, f.line) for f in error.faults)
            warnings += skipped
        else:
            return FoundRules(rules, candidate, (*warnings, *said))
    return FoundRules(ModelRules(), "", tuple(warnings))


def _read(path: Path, source: str) -> tuple[ModelRules, list[Remark]]:
    """
    Read one file.

    :raise FileNotFoundError, NotADirectoryError: it is not there.
    :raise ConfigError: it cannot be used.
    """
    try:
        root = parse(path.read_bytes(), source)
    except NOT_THERE:
        raise
    except OSError as error:
        raise ConfigError([Remark("", f"cannot be read: {error.strerror}", source)]) from None
    if root is None:
        raise ConfigError([Remark("", "holds nothing", source)])
    reading = Reading(source)
    rules = read_block(ModelRules, root, "", reading)
    _check_groups(rules, reading)
    if reading.faults:
        raise ConfigError(reading.faults)
    return rules, [*reading.unknown(), *reading.warnings]


def _check_groups(rules: ModelRules, reading: Reading) -> None:
    """Refuse what names a group that its expression does not have."""
    patterns = rules.model_extraction.family_patterns if rules.model_extraction is not None else ()
    for index, row in enumerate(patterns):
        path, groups = f"model_extraction.family_patterns[{index}]", re.compile(row.pattern).groups
        for name in ("family_group", "variant_group"):
            if getattr(row, name) > groups:
                reading.fault(
                    f"{path}.{name}", f"{getattr(row, name)} is more than the groups of the pattern, {groups}"
                )
