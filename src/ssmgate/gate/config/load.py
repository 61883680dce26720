"""ssmgate's configuration: two files and the environment, the later one over the earlier.

What the system file locks, the later ones may only tighten.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Any

from ssmgate.gate.config.schema import KEYS, TABLES, VARIABLES, Key, LockedKeyError
from ssmgate.gate.decision.errors import ConfigurationProblem
from ssmgate.gate.decision.frozen import frozen
from ssmgate.gate.decision.question import ContextEntry, configured_context
from ssmgate.gate.decision.restrictions import Restrictions
from ssmgate.gate.system import SYSTEM_FILE, trusted_open
from ssmgate.gate.system.trusted_files import InsecurePermissions

USER_FILE = ".config/ssmgate/config.toml"

# What lookup of a path ends with where this uid cannot get to its last component. ESTALE and the
# rest are those of network and FUSE file systems that are gone. An I/O error is not among them: the
# file may be there.
_UNREACHABLE = frozenset(
    {
        *(errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENAMETOOLONG),
        *(errno.ESTALE, errno.ENOTCONN, errno.ENODEV, errno.ENXIO, errno.EHOSTDOWN),
    }
)

EVERY_KEY = "*"
"""In `locked`: all keys, those of later versions among them."""


@frozen
class ConfigSource:
    """Where the system file is, and who may own it: root, in the folders from the top."""

    path: str = SYSTEM_FILE
    base: str = "/"
    owner: int = 0


@frozen
class Checker:
    """Who asks IAM instead of the caller. With both, the role is assumed with the profile.

    The principal that is simulated stays the caller's own.
    """

    profile: str | None = None
    role_arn: str | None = None


@frozen
class Records:
    """Where decisions are recorded. `syslog` is true for the system's own socket, or a path.

    `required`: without a record there is no session.
    """

    file: str | None = None
    syslog: bool | str = False
    required: bool = False


@frozen
class Login:
    """What `ssmgate login` goes by. `options` are those that a user may type beyond the usual."""

    aws_config_file: str | None = None
    aws_credentials_file: str | None = None
    home: str = "/var/empty"
    profile: str | None = None
    options: tuple[str, ...] = ()


@frozen
class Config:
    """The keys of the configuration.

    `context` is what it adds to every question. `pass_credentials`: whether the plugin gets
    the very credentials that were checked, instead of finding its own. `plugin_path` is None
    where PATH is searched, and so is `aws_path`, the real AWS CLI's. Without
    `allow_wildcard_grants`, some statement that allows the document must not allow a document
    that cannot exist as well. `cache_ttl` is for how many seconds an answer of IAM's is used
    again. `daemon` is "off", "on", or "auto" where a start leaves one behind. `locked` has the
    names of the locked keys. `allowed_endpoints` are origins, `scheme://host:port`, that AWS may be
    asked at although keys are locked and they are not AWS's own.
    """

    permissive: bool = False
    allow_wildcard_grants: bool = True
    aws_path: str | None = None
    checker: Checker | None = None
    context: tuple[ContextEntry, ...] = field(default=())
    pass_credentials: bool = False
    plugin_path: str | None = None
    rules: Restrictions = field(default=Restrictions())
    records: Records = field(default=Records())
    cache_ttl: int = 60
    daemon: str = "on"
    login: Login = field(default=Login())
    locked: frozenset[str] = field(default=frozenset())
    allowed_endpoints: tuple[str, ...] = ()


@frozen
class Setting:
    """A key's value and where it comes from: files and variables, the last one at the end.

    No `origins` means that it is the default.
    """

    value: Any
    origins: tuple[str, ...] = ()


def load(environ: Mapping[str, str], system: ConfigSource | None = None) -> Config:
    """Read the system file, the user's file below `HOME`, and the SSMGATE_… variables.

    A file that does not exist says nothing, and so does a user's file that this uid cannot reach:
    `HOME` may be another user's, or no directory at all. A `HOME` that is not absolute names none.
    Raises `ConfigurationProblem` for a file that cannot
    be read or that somebody else could have written, an unknown key or variable, a value of the
    wrong type, and what would relax a locked key: a rule that is not understood must not be
    passed over.
    """
    return made(*settings(environ, system))


def settings(
    environ: Mapping[str, str], system: ConfigSource | None = None
) -> tuple[dict[str, Setting], frozenset[str]]:
    """Every key with its value and origins, and the names of the locked ones. Raises as `load`."""
    system = system or ConfigSource()
    found = {key.name: Setting(key.default) for key in KEYS.values()}
    first = _flat(_system(system), system.path)
    locked = _locked(first.pop("locked", (system.path, [])))
    _lay(found, first, {})
    home = environ.get("HOME")
    user_file = os.path.join(home, USER_FILE) if home else ""
    locks = dict.fromkeys(locked, system.path)
    for tier in (_flat(_user(user_file), user_file), _from_variables(environ)):
        for name, (origin, _value) in tier.items():
            if name == "locked" or (name in KEYS and KEYS[name].text is None):
                raise ConfigurationProblem(f"{origin}: {name} can only be set in {system.path}")
        _lay(found, tier, locks)
    return found, locked


def check(path: str) -> tuple[dict[str, Setting], frozenset[str]]:
    """Read one file as the system file, whoever owns it. Raises `ConfigurationProblem`."""
    try:
        with open(path, "rb") as file:
            text = file.read(trusted_open.LARGEST + 1)
    except OSError as error:
        raise ConfigurationProblem(f"{path}: {error.strerror}") from error
    if len(text) > trusted_open.LARGEST:
        raise ConfigurationProblem(f"{path} has more than {trusted_open.LARGEST} bytes")
    tier = _flat(_toml(text, path), path)
    locked = _locked(tier.pop("locked", (path, [])))
    found = {key.name: Setting(key.default) for key in KEYS.values()}
    _lay(found, tier, {})
    return found, locked


def made(found: Mapping[str, Setting], locked: frozenset[str]) -> Config:
    """The `Config` of settings."""
    value = {name: setting.value for name, setting in found.items()}
    profile, role_arn = value["checker.profile"], value["checker.role_arn"]
    return Config(
        permissive=value["mode"] == "permissive",
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
        records=Records(value["record.file"], value["record.syslog"], value["record.required"]),
        login=Login(
            value["login.aws_config_file"],
            value["login.aws_credentials_file"],
            value["login.home"],
            value["login.profile"],
            value["login.options"],
        ),
        locked=locked,
        allowed_endpoints=value["aws.allowed_endpoints"],
    )


# One tier: the keys that it has, each with the name of its origin and its raw value.
_Tier = dict[str, tuple[str, Any]]


def _flat(table: Mapping[str, Any], origin: str) -> _Tier:
    tier: _Tier = {}
    for name, value in table.items():
        if name in TABLES and isinstance(value, dict):
            tier |= {f"{name}.{inner}": (origin, item) for inner, item in value.items()}
        else:
            tier[name] = (origin, value)
    return tier


def _from_variables(environ: Mapping[str, str]) -> _Tier:
    tier: _Tier = {}
    for variable, text in environ.items():
        if not variable.startswith("SSMGATE_"):
            continue
        key = VARIABLES.get(variable)
        if key is None or key.text is None:
            raise ConfigurationProblem(
                f"unknown variable {variable}",
                hints=(f"the variables are {', '.join(VARIABLES)}",),
            )
        try:
            tier[key.name] = (variable, key.text(text))
        except ValueError as error:
            raise ConfigurationProblem(f"{variable}: {key.name} {error}") from error
    return tier


def _lay(found: dict[str, Setting], tier: _Tier, locks: Mapping[str, str]) -> None:
    """Lay `tier` over `found`. `locks` are locked keys with the file that locks them."""
    for name, (origin, raw) in tier.items():
        key = KEYS.get(name)
        if key is None:
            raise ConfigurationProblem(
                f"{origin}: unknown key {name!r}", hints=(f"the keys are {', '.join(KEYS)}",)
            )
        value = _read(key, raw, origin)
        above = found[name]
        lock = locks.get(name)
        try:
            merged = (key.merge if lock is None else key.tighten)(above.value, value)
        except LockedKeyError:
            raise ConfigurationProblem(
                f"{origin}: {name} is locked by {lock}, and this would relax it"
            ) from None
        found[name] = Setting(merged, (*above.origins, origin))


def _read(key: Key, raw: Any, origin: str) -> Any:
    try:
        return key.read(raw)
    except ValueError as error:
        words = str(error)
        raise ConfigurationProblem(
            f"{origin}: {key.name}{'' if words.startswith('.') else ' '}{words}"
        ) from error


def _locked(said: tuple[str, Any]) -> frozenset[str]:
    origin, names = said
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ConfigurationProblem(f"{origin}: locked is a list of keys")
    for name in names:
        if name not in KEYS and name != EVERY_KEY:
            raise ConfigurationProblem(
                f"{origin}: locked has an unknown key {name!r}",
                hints=(f"the keys are {', '.join(KEYS)}, and {EVERY_KEY!r} for all",),
            )
    return frozenset(KEYS if EVERY_KEY in names else names)


def _system(system: ConfigSource) -> dict[str, Any]:
    try:
        file = trusted_open.open_trusted(
            system.path, owners=frozenset({0, system.owner}), base=system.base
        )
        return _toml(trusted_open.read(file, system.path), system.path)
    except FileNotFoundError:
        return {}
    except InsecurePermissions as error:
        raise ConfigurationProblem(
            f"{system.path}: not trusted: {error}",
            hints=("it and its folders have to be root's, and writable by root alone",),
        ) from error
    except OSError as error:
        raise ConfigurationProblem(f"{system.path}: {error.strerror}") from error


def _user(path: str) -> dict[str, Any]:
    if not os.path.isabs(path):
        return {}
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            trusted_open.judge(file, path, frozenset({0, os.geteuid()}))
        except InsecurePermissions:
            os.close(file)
            raise
        return _toml(trusted_open.read(file, path), path)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except InsecurePermissions as error:
        raise ConfigurationProblem(f"{path}: not trusted: {error}", hints=(_USABLE,)) from error
    except OSError as error:
        if not _is_reached(path):
            return {}
        raise ConfigurationProblem(f"{path}: {error.strerror}", hints=(_USABLE,)) from error


_USABLE = (
    "make it a regular file that belongs to you, that you can read and others cannot write; or"
    " remove it"
)


def _is_reached(path: str) -> bool:
    """Whether there is something at `path`, a link perhaps, that this uid can look at."""
    try:
        os.lstat(path)
    except OSError as error:
        return error.errno not in _UNREACHABLE
    return True


def _toml(text: bytes, path: str) -> dict[str, Any]:
    # Most machines have neither file, and the import costs as much as the reading.
    import tomllib

    try:
        return tomllib.loads(text.decode())
    except ValueError as error:  # TOML, or UTF-8
        raise ConfigurationProblem(f"{path}: {error}") from error
    except RecursionError:
        raise ConfigurationProblem(f"{path}: is nested too deeply") from None


def lines(found: Mapping[str, Setting], locked: frozenset[str]) -> Iterator[str]:
    """Each key as a line of TOML, its origins behind `#`."""
    for name, setting in found.items():
        origins = ", then ".join(setting.origins) or "default"
        yield f"{name} = {_shown(setting.value)}  # {origins}{', locked' * (name in locked)}"


def _shown(value: Any) -> str:
    import json

    if isinstance(value, tuple) and len(value) == 1 and isinstance(value[0], tuple):
        value = value[0]
    return "unset" if value in (None, ()) else json.dumps(value)
