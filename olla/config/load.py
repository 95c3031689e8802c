"""From defaults, one file and the environment to one configuration, or every fault at once (config.md §2)."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Final, cast

from attrs import evolve, frozen

from olla.config.checks import Checks, ListenFault, unchecked
from olla.config.files import find
from olla.config.keys import read_block
from olla.config.model_rules import FoundRules, find_rules
from olla.config.profiles import Catalogue, filtered, load_profiles
from olla.config.reading import Reading
from olla.config.remarks import ConfigError, Remark
from olla.config.resolve import EndpointResolver
from olla.config.schema import Config, StaticBlock, StaticConfig
from olla.config.server import LIMITERS
from olla.config.yaml_source import Node, parse

SELECTORS: Final = ("least-connections", "priority", "round-robin")
PROFILE_FOLDER = "config/profiles"
OTHER_VARIABLES: Final = (  # read outside the tree of keys
    "OLLA_CONFIG_FILE",
    "OLLA_CONFIG_DIR",
    "OLLA_ENABLE_PROFILER",
    "OLLA_SHOW_VERSION",
    "OLLA_LOG_LEVEL",
    "OLLA_PRETTY_LOGS",
    "OLLA_FILE_OUTPUT",
    "OLLA_LOG_DIR",
    "OLLA_LOG_SIZE_MB",
    "OLLA_LOG_MAX_BACKUPS",
    "OLLA_LOG_MAX_AGE_DAYS",
    "OLLA_THEME",
    "OLLA_FORCE_COLORS",
)
CLIENT_VARIABLES: Final = (
    "OLLA_URL",
    "OLLA_BASE_URL",
    "OLLA_HOST",
    "OLLA_PORT",
)  # scripts that talk to us set them
MISPLACED: Mapping[str, str] = {
    "endpoints": "is not used: it belongs under discovery.static",
    "server.rate_limits.per_endpoint": "has no effect",
}
UNUSED_IN_ENDPOINT: Mapping[str, str] = {
    "enabled": "unknown key, has no effect: it does not disable the endpoint",
    "weight": "unknown key, has no effect; see priority",
}


@frozen
class Loaded:
    """
    A configuration and where it comes from.

    :ivar source: the file as it was named; ``""`` when there is none.
    :ivar warnings: what probably is not as it was meant, unknown keys and profile files included.
    :ivar notes: what is worth saying once.
    """

    config: Config
    source: str = ""
    warnings: tuple[Remark, ...] = ()
    notes: tuple[Remark, ...] = ()


@frozen
class Examined:
    """
    A configuration with everything there is to say about it, usable or not.

    :ivar faults: what stops the start.
    :ivar warnings: without those on unknown keys and on profiles.
    :ivar unknown: keys that nothing reads.
    :ivar catalogue: the profiles, with their own faults and warnings.
    :ivar rules: those for names of models, with their own warnings.
    """

    config: Config
    source: str
    faults: tuple[Remark, ...]
    warnings: tuple[Remark, ...]
    unknown: tuple[Remark, ...]
    notes: tuple[Remark, ...]
    catalogue: Catalogue
    rules: FoundRules


def load(
    path: str = "",
    *,
    environ: Mapping[str, str],
    cwd: Path,
    selectors: Collection[str] = SELECTORS,
    limiters: Collection[str] = LIMITERS,
    listen_fault: ListenFault = unchecked,
) -> Loaded:
    """
    Load and check the whole configuration; call it again to read everything anew, secret files included.

    :param path: the file named on the command line; ``""`` searches.
    :param environ: variables that override keys or are named in ``${…}``.
    :param cwd: where relative paths start.
    :param selectors: names that ``proxy.load_balancer`` may have.
    :param limiters: names that ``server.rate_limits.limiters`` may have.
    :param listen_fault: says what is wrong with one of ``server.listen``.
    :raise ConfigError: with every fault that was found.
    """
    found = examine(path, environ=environ, cwd=cwd, selectors=selectors, limiters=limiters, listen_fault=listen_fault)
    if faults := [*found.faults, *found.catalogue.faults]:
        raise ConfigError(faults)
    warnings = (*found.unknown, *found.warnings, *found.catalogue.warnings, *found.rules.warnings)
    chosen = (
        (Remark("", "has the rules for names of models", found.rules.source, note=True),) if found.rules.source else ()
    )
    return Loaded(found.config, found.source, warnings, (*found.notes, *chosen))


def examine(
    path: str = "",
    *,
    environ: Mapping[str, str],
    cwd: Path,
    selectors: Collection[str] = SELECTORS,
    limiters: Collection[str] = LIMITERS,
    listen_fault: ListenFault = unchecked,
) -> Examined:
    """Do all that :func:`load` does, and return what it found instead of raising it."""
    source, root, faults = _read(path, environ, cwd)
    reading = Reading(source, environ, faults=faults)
    config = read_block(Config, root, "", reading)
    catalogue = load_profiles(_profile_folder(config.profiles.dir, cwd, reading))
    rules = find_rules(environ, cwd)
    config = evolve(_complete(config, catalogue, cwd, reading), model_rules=rules.rules)
    Checks(reading, selectors, limiters, listen_fault, cwd).run(config)
    unknown = _unknown(reading)
    reading.warnings += _unknown_variables(reading, environ)
    return Examined(
        config,
        source,
        faults=_ordered(reading.labelled(reading.faults)),
        warnings=reading.labelled(reading.warnings),
        unknown=reading.labelled(unknown),
        notes=tuple(reading.notes),
        catalogue=catalogue,
        rules=rules,
    )


def _read(path: str, environ: Mapping[str, str], cwd: Path) -> tuple[str, Node | None, list[Remark]]:
    source = ""
    try:
        found = find(path, environ, cwd)
        if found is None:
            return "", None, []
        source = found.path
        return source, parse(found.data, source), []
    except ConfigError as error:
        return source, None, list(error.faults)


def _profile_folder(written: str, cwd: Path, reading: Reading) -> Path:
    folder = cwd / (written or PROFILE_FOLDER)
    if written and not folder.is_dir():
        reading.fault("profiles.dir", f"{written} is not a folder")
    return folder


def _complete(config: Config, catalogue: Catalogue, cwd: Path, reading: Reading) -> Config:
    kept = filtered(catalogue.profiles, config.proxy.profile_filter)
    removed = [p for p in catalogue.profiles if p not in kept]
    resolver = EndpointResolver(reading, config.proxy, kept, removed, cwd)
    written = cast(StaticBlock, config.discovery.static)  # what its key reads, until this line
    endpoints = StaticConfig(resolver.resolve(written.endpoints))
    return evolve(
        config,
        discovery=evolve(config.discovery, static=endpoints),
        profiles=evolve(config.profiles, known=kept, disabled=tuple(removed)),
        model_registry=evolve(config.model_registry, enable_unifier=_unifies(config, reading)),
    )


def _unifies(config: Config, reading: Reading) -> bool:
    registry = config.model_registry
    if reading.given("model_registry.enable_unifier"):
        return registry.enable_unifier
    return registry.unification.enabled


def _unknown(reading: Reading) -> tuple[Remark, ...]:
    remarks = []
    for remark in reading.unknown():
        block, _, key = remark.path.rpartition(".")
        said = MISPLACED.get(remark.path)
        if block.startswith("discovery.static.endpoints[") and block.endswith("]"):
            said = UNUSED_IN_ENDPOINT.get(key)
        if block == "dashboard" and key in ("allowed_cidrs", "allowed_hosts"):
            reading.fault(remark.path, "belongs under dashboard.access_policy", remark.line)
        else:
            remarks.append(evolve(remark, message=said or remark.message))
    return tuple(remarks)


def _unknown_variables(reading: Reading, environ: Mapping[str, str]) -> Iterable[Remark]:
    known = reading.variables.union(OTHER_VARIABLES, CLIENT_VARIABLES)
    for name in sorted(environ):
        if name.startswith("OLLA_") and name not in known:
            near = difflib.get_close_matches(name, known, 1, 0.8)
            yield Remark("", "unknown variable, has no effect" + "".join(f"; is {n} meant?" for n in near), name)


def _ordered(faults: Iterable[Remark]) -> tuple[Remark, ...]:
    return tuple(sorted(dict.fromkeys(faults), key=lambda fault: (fault.source, fault.line)))
