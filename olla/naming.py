"""The rules by which names of models are read, made from ``models.yaml`` and the built-in ones (config.md §11)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import evolve

from olla.catalog.facts import TYPES
from olla.catalog.rules import FamilyPattern, Labels, Rules
from olla.config.model_rules import Capabilities, Extraction, ModelRules, SpecialRules

IMPLIED: Mapping[str, Labels] = {"ultra-long-context": ("ultra-long-context", "long-context")}


def naming_rules(written: ModelRules) -> Rules:
    """
    Give the rules in use: each table that is written takes the place of the built-in one.

    :param written: what ``models.yaml`` says; nothing of it leaves all rules as they are.
    """
    tables: dict[str, Any] = {}
    if written.model_extraction is not None:
        tables |= _of_extraction(written.model_extraction)
    if written.quantization is not None:
        tables["quantizations"] = {text.upper(): short for text, short in written.quantization.mappings.items()}
    if written.capabilities is not None:
        tables |= _of_capabilities(written.capabilities)
    if written.special_rules is not None:
        tables |= _of_special_rules(written.special_rules)
    return evolve(Rules(), **{name: table for name, table in tables.items() if table})


def _of_extraction(written: Extraction) -> dict[str, Any]:
    patterns = (
        FamilyPattern(re.compile(row.pattern, re.IGNORECASE), row.family_group, row.variant_group)
        for row in written.family_patterns
    )
    return {
        "family_patterns": tuple(patterns),
        "architectures": _lowered(written.architecture_mappings),
        "family_aliases": _lowered(written.family_aliases),
        "publishers": _lowered(written.publisher_mappings),
    }


def _of_capabilities(written: Capabilities) -> dict[str, Any]:
    types = {TYPES.get(name.lower(), name.lower()): _labels(given) for name, given in written.type_capabilities.items()}
    names = ((re.compile(row.pattern, re.IGNORECASE), _labels(row.capabilities)) for row in written.name_patterns)
    contexts = sorted(written.context_thresholds.items(), key=lambda row: -row[1])
    return {
        "type_labels": types,
        "name_labels": tuple(names),
        "context_labels": tuple((tokens, _implied(name)) for name, tokens in contexts),
    }


def _of_special_rules(written: SpecialRules) -> dict[str, Any]:
    return {
        "preserved_families": tuple(name.lower() for name in written.preserve_family),
        "generic_names": frozenset(name.lower() for name in written.generic_names),
    }


def _implied(name: str) -> Labels:
    (label,) = _labels([name])
    return IMPLIED.get(label, (label,))


def _labels(written: Iterable[str]) -> Labels:
    return tuple(label.strip().lower().replace("_", "-") for label in written)


def _lowered(written: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in written.items()}
