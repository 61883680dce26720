"""ssmgate's configuration: two files and the environment, the later one over the earlier.

What the system file locks, the later ones may only tighten.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from ssmgate.gate.decision.errors import ConfigurationProblem
from ssmgate.gate.decision.frozen import frozen
from ssmgate.gate.decision.question import ContextEntry
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


@frozen
class ConfigSource:
    """Where the system file is, and who may own it: root, in the directories from the top."""

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


def load(environ: Mapping[str, str], system: ConfigSource | None = None) -> Config:
    """Read the system file, the user's file below `HOME`, and the SSMGATE_… variables.

    A file that does not exist says nothing, and so does a user's file that this uid cannot reach:
    `HOME` may be another user's, or no directory at all. A `HOME` that is not absolute names none.
    Raises `ConfigurationProblem` for a file that cannot
    be read or that somebody else could have written, an unknown key or variable, a value of the
    wrong type, and what would relax a locked key: a rule that is not understood must not be
    passed over.
    """
    system = system or ConfigSource()
    first = read_system(system)
    path = user_path(environ)
    user = read_user(path) if not first else None
    if not first and not user and not any(name.startswith("SSMGATE_") for name in environ):
        return Config()
    # Here, as most machines have no configuration.
    from ssmgate.gate.config import merge

    user = read_user(path) if user is None else user
    return merge.made(*merge.merged(environ, system, first, user))


def user_path(environ: Mapping[str, str]) -> str:
    """Return the path of the user's file, empty without a home directory."""
    home = environ.get("HOME")
    return os.path.join(home, USER_FILE) if home else ""


def read_system(system: ConfigSource) -> dict[str, Any]:
    """Return the table in the system file, empty where there is none. Raises as `load`."""
    try:
        file = trusted_open.open_trusted(
            system.path, owners=frozenset({0, system.owner}), base=system.base
        )
        return parse_toml(trusted_open.read(file, system.path), system.path)
    except FileNotFoundError:
        return {}
    except InsecurePermissions as error:
        raise ConfigurationProblem(
            f"{system.path}: not trusted: {error}",
            hints=("it and its directories have to be root's, and writable by root alone",),
        ) from error
    except OSError as error:
        raise ConfigurationProblem(f"{system.path}: {error.strerror}") from error


def read_user(path: str) -> dict[str, Any]:
    """Return the table in the user's file, empty where it cannot be reached. Raises as `load`."""
    if not os.path.isabs(path):
        return {}
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            trusted_open.judge(file, path, frozenset({0, os.geteuid()}))
        except InsecurePermissions:
            os.close(file)
            raise
        return parse_toml(trusted_open.read(file, path), path)
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


def parse_toml(text: bytes, path: str) -> dict[str, Any]:
    """Parse a file. Raises `ConfigurationProblem`."""
    # Most machines have neither file, and the import costs as much as the reading.
    import tomllib

    try:
        return tomllib.loads(text.decode())
    except ValueError as error:  # TOML, or UTF-8
        raise ConfigurationProblem(f"{path}: {error}") from error
    except RecursionError:
        raise ConfigurationProblem(f"{path}: is nested too deeply") from None
