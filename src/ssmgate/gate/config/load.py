"""Load ssmgate's configuration: the system file, the user's file, environment variables.

Each overrides the ones before. Keys that the system file locks can only be tightened.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from ssmgate.gate.decision.frozen import frozen
from ssmgate.gate.decision.question import ContextEntry
from ssmgate.gate.decision.restrictions import Restrictions
from ssmgate.gate.system import SYSTEM_FILE, trusted_open
from ssmgate.gate.system.trusted_files import InsecurePermissions

USER_FILE = ".config/ssmgate/config.toml"


@frozen
class ConfigSource:
    """The path of the system file, and the owner of it and of its directories below `base`."""

    path: str = SYSTEM_FILE
    base: str = "/"
    owner: int = 0


@frozen
class Checker:
    """The credentials to call IAM with instead of the caller's.

    With both, the role is assumed with the profile. The simulated principal is always the caller.
    """

    profile: str | None = None
    role_arn: str | None = None


@frozen
class Records:
    """Where decisions are recorded. `syslog` is true for the system's socket, or a socket's path.

    `required`: a session that cannot be recorded is not started. `parameters`: whether records
    contain the session's parameters, "all", their "names" or "none". `chain`: each line of `file`
    contains the hash of the one before. `syslog_format` is "auto", "journald", "rfc3164" or
    "rfc5424".
    """

    file: str | None = None
    syslog: bool | str = False
    required: bool = False
    parameters: str = "all"
    chain: bool = False
    syslog_format: str = "auto"


@frozen
class Login:
    """The settings of `ssmgate login`. `options` are those allowed besides the usual ones."""

    aws_config_file: str | None = None
    aws_credentials_file: str | None = None
    home: str = "/var/empty"
    profile: str | None = None
    options: tuple[str, ...] = ()
    confine_plugin: bool = True


@frozen
class Config:
    """The keys of the configuration.

    `on_unknown` is "deny", or "service" to leave the check to AWS where IAM cannot be asked.
    `context` are entries added to every question. `pass_credentials`: whether the plugin gets the
    credentials that were checked instead of finding its own. `plugin_path` is None if PATH is
    searched, and so is `aws_path`, the real AWS CLI's. Without `allow_wildcard_grants`, some
    statement that allows the document must not also allow a document that cannot exist.
    `cache_ttl` is the TTL of cached decisions in seconds. `daemon` is "off", "on", or "auto" if
    starts spawn a daemon. `locked` has the names of the locked keys. `allowed_endpoints` are
    origins, `scheme://host:port`, that are allowed besides AWS's own while keys are locked.
    """

    permissive: bool = False
    on_unknown: str = "deny"
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
    """Return the configuration from both files and the SSMGATE_… environment variables.

    The user's file is below `HOME`. A missing file is ignored, and so is a user's file that this
    uid cannot reach: `HOME` may be another user's, missing, or not absolute.
    Raises `ConfigurationProblem` for a file that cannot be read or that another user could have
    written, an unknown key or variable, a value of the wrong type, and a value that would relax a
    locked key: an invalid rule must not be ignored.
    """
    system = system or ConfigSource()
    first = read_system(system)
    path = user_path(environ)
    user = read_user(path) if not first else None
    if not first and not user and not any(name.startswith("SSMGATE_") for name in environ):
        return Config()
    # Imported only here, as most machines have no configuration.
    from ssmgate.gate.config import merge

    user = read_user(path) if user is None else user
    return merge.made(*merge.merged(environ, system, first, user))


def user_path(environ: Mapping[str, str]) -> str:
    """Return the path of the user's file, empty without a home directory."""
    home = environ.get("HOME")
    return os.path.join(home, USER_FILE) if home else ""


def read_system(system: ConfigSource) -> dict[str, Any]:
    """Return the table in the system file, empty if it is missing. Raises as `load`."""
    try:
        file = trusted_open.open_trusted(
            system.path, owners=frozenset({0, system.owner}), base=system.base
        )
        return _table(file, system.path)
    except FileNotFoundError:
        return {}
    except (InsecurePermissions, OSError) as error:
        from ssmgate.gate.config import files

        raise files.system_problem(system.path, error) from error


def read_user(path: str) -> dict[str, Any]:
    """Return the table in the user's file, empty if it cannot be reached. Raises as `load`."""
    if not os.path.isabs(path):
        return {}
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            trusted_open.judge(file, path, frozenset({0, os.geteuid()}))
        except InsecurePermissions:
            os.close(file)
            raise
        return _table(file, path)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (InsecurePermissions, OSError) as error:
        from ssmgate.gate.config import files

        if problem := files.user_problem(path, error):
            raise problem from error
        return {}


def _table(file: int, path: str) -> dict[str, Any]:
    # Imported only here: most machines have neither file.
    from ssmgate.gate.config import files

    return files.parse_toml(trusted_open.read(file, path), path)
