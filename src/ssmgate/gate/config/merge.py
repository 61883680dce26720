"""Merge the files and environment variables of a configuration, key by key."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from typing import Any

from ssmgate.gate.config import files
from ssmgate.gate.config.load import (
    Checker,
    Config,
    ConfigSource,
    Login,
    Records,
    read_system,
    read_user,
    user_path,
)
from ssmgate.gate.config.schema import KEYS, TABLES, VARIABLES, Key, LockedKeyError
from ssmgate.gate.decision.context import configured_context
from ssmgate.gate.decision.errors import ConfigurationProblem
from ssmgate.gate.decision.frozen import frozen
from ssmgate.gate.decision.restrictions import Restrictions
from ssmgate.gate.system import trusted_open

EVERY_KEY = "*"
"""In `locked`: all keys, including those of later versions."""


@frozen
class Setting:
    """A key's value and its origins: files and environment variables, the last one at the end.

    Without `origins` it is the default.
    """

    value: Any
    origins: tuple[str, ...] = ()


def settings(
    environ: Mapping[str, str], system: ConfigSource | None = None
) -> tuple[dict[str, Setting], frozenset[str]]:
    """Return every key with its value and origins, and the locked keys. Raises as `load`."""
    system = system or ConfigSource()
    return merged(environ, system, read_system(system), read_user(user_path(environ)))


def merged(
    environ: Mapping[str, str],
    system: ConfigSource,
    first: Mapping[str, Any],
    user: Mapping[str, Any],
) -> tuple[dict[str, Setting], frozenset[str]]:
    """Return `settings` from the system file's table `first`, the user's, and the environment."""
    found = {key.name: Setting(key.default) for key in KEYS.values()}
    tier = _flat(first, system.path)
    locked = _locked(tier.pop("locked", (system.path, [])))
    _lay(found, tier, {})
    locks = dict.fromkeys(locked, system.path)
    for tier in (_flat(user, user_path(environ)), _from_variables(environ)):
        for name, (origin, _value) in tier.items():
            if name == "locked" or (name in KEYS and KEYS[name].text is None):
                raise ConfigurationProblem(f"{origin}: {name} can only be set in {system.path}")
        _lay(found, tier, locks)
    return found, locked


def check(path: str) -> tuple[dict[str, Setting], frozenset[str]]:
    """Return `settings` of one file as the system file. Its owner is not checked.

    Raises `ConfigurationProblem`.
    """
    try:
        # A FIFO that nothing writes to would block, and not end.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ConfigurationProblem(f"{path} is not a regular file")
            text = file.read(trusted_open.LARGEST + 1)
    except OSError as error:
        raise ConfigurationProblem(f"{path}: {error.strerror}") from error
    if len(text) > trusted_open.LARGEST:
        raise ConfigurationProblem(f"{path} has more than {trusted_open.LARGEST} bytes")
    tier = _flat(files.parse_toml(text, path), path)
    locked = _locked(tier.pop("locked", (path, [])))
    found = {key.name: Setting(key.default) for key in KEYS.values()}
    _lay(found, tier, {})
    return found, locked


def made(found: Mapping[str, Setting], locked: frozenset[str]) -> Config:
    """Return the `Config` with the settings in `found`."""
    value = {name: setting.value for name, setting in found.items()}
    profile, role_arn = value["checker.profile"], value["checker.role_arn"]
    return Config(
        permissive=value["mode"] == "permissive",
        on_unknown=value["on_unknown"],
        allow_wildcard_grants=value["allow_wildcard_grants"],
        aws_path=value["aws.path"],
        checker=Checker(profile, role_arn) if profile or role_arn else None,
        context=configured_context(value["context"]),
        pass_credentials=value["plugin.pass_credentials"],
        plugin_path=value["plugin.path"],
        rules=Restrictions(
            value["documents.allow"],
            value["documents.deny"],
            value["targets.allow"],
            value["require_reason"],
        ),
        cache_ttl=value["cache.ttl"],
        daemon=value["daemon"],
        records=Records(
            value["record.file"],
            value["record.syslog"],
            value["record.required"],
            value["record.parameters"],
            value["record.chain"],
            value["record.syslog_format"],
        ),
        login=Login(
            value["login.aws_config_file"],
            value["login.aws_credentials_file"],
            value["login.home"],
            value["login.profile"],
            value["login.options"],
            value["login.confine_plugin"],
        ),
        locked=locked,
        allowed_endpoints=value["aws.allowed_endpoints"],
    )


# One file, or the environment: its keys, each with the name of its origin and its raw value.
_Tier = dict[str, tuple[str, Any]]


def _flat(table: Mapping[str, Any], origin: str) -> _Tier:
    tier: _Tier = {}
    for name, value in table.items():
        given = {name: value}
        if name in TABLES and isinstance(value, dict):
            given = {f"{name}.{inner}": item for inner, item in value.items()}
        # "documents.deny" in quotes is a key, beside the one in the table [documents].
        for key, item in given.items():
            if key in tier:
                raise ConfigurationProblem(f"{origin}: duplicate key {key}")
            tier[key] = (origin, item)
    return tier


def _from_variables(environ: Mapping[str, str]) -> _Tier:
    tier: _Tier = {}
    for variable, text in environ.items():
        if not variable.startswith("SSMGATE_"):
            continue
        key = VARIABLES.get(variable)
        if key is None or key.text is None:
            raise ConfigurationProblem(
                f"unknown environment variable {variable}",
                hints=(_similar(variable, VARIABLES),),
            )
        try:
            tier[key.name] = (variable, key.text(text))
        except ValueError as error:
            raise ConfigurationProblem(f"{variable}: {key.name} {error}") from error
        except RecursionError:
            raise ConfigurationProblem(f"{variable}: nested too deeply") from None
    return tier


def _lay(found: dict[str, Setting], tier: _Tier, locks: Mapping[str, str]) -> None:
    """Merge `tier` into `found`. `locks` are locked keys with the file that locks them."""
    for name, (origin, raw) in tier.items():
        key = KEYS.get(name)
        if key is None:
            raise ConfigurationProblem(
                f"{origin}: unknown key {name!r}", hints=(_similar(name, KEYS),)
            )
        value = _read(key, raw, origin)
        above = found[name]
        lock = locks.get(name)
        try:
            merged = (key.merge if lock is None else key.tighten)(above.value, value)
        except LockedKeyError:
            raise ConfigurationProblem(
                f"{origin}: {name} is locked by {lock}: it can only be made stricter"
            ) from None
        found[name] = Setting(merged, (*above.origins, origin))


def _read(key: Key, raw: Any, origin: str) -> Any:
    try:
        return key.read(raw)
    except ValueError as error:
        why = str(error)
        raise ConfigurationProblem(
            f"{origin}: {key.name}{'' if why.startswith('.') else ' '}{why}"
        ) from error


def _locked(setting: tuple[str, Any]) -> frozenset[str]:
    origin, names = setting
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ConfigurationProblem(f"{origin}: locked must be a list of keys")
    for name in names:
        if name not in KEYS and name != EVERY_KEY:
            raise ConfigurationProblem(
                f"{origin}: locked has an unknown key {name!r}",
                hints=(_similar(name, (*KEYS, EVERY_KEY)),),
            )
    return frozenset(KEYS if EVERY_KEY in names else names)


def _similar(name: str, known: Iterable[str]) -> str:
    """Return a hint with the name that was probably meant, or with all that are `known`."""
    from difflib import get_close_matches

    known = list(known)
    # A key without its table is the end of a known one: `ttl` is `cache.ttl`.
    near = [one for one in known if one.endswith(f".{name}")] or get_close_matches(name, known, 1)
    return f"did you mean {near[0]}?" if near else f"one of {', '.join(known)}"
