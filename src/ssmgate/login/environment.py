"""Check that a login depends only on root's files, and make its environment."""

from __future__ import annotations

import importlib.util
import os
import pwd
import re
import sys
from collections.abc import Mapping

import ssmgate
from ssmgate.gate.config.load import Config
from ssmgate.gate.config.schema import USER_PLACEHOLDER
from ssmgate.gate.decision.errors import ConfigurationProblem
from ssmgate.gate.system import SYSTEM_FILE, trusted_open
from ssmgate.gate.system.trusted_files import InsecurePermissions

_TRUSTED = ("TERM", "LANG", "SSH_CONNECTION")
_PLAIN = re.compile(r"[a-zA-Z0-9._:/@%+ \-]{0,200}\Z")
_USER_NAME = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_.\-]{0,63}\Z")
_PATH = "/usr/bin:/bin"


def trusted(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the few environment variables that a login keeps, if they have plain characters."""
    return {name: environ[name] for name in _TRUSTED if _PLAIN.match(environ.get(name, "\0"))}


def require_root_owned(config: Config) -> None:
    """Raise `ConfigurationProblem` unless only root could have written what this login uses.

    That is the interpreter and the packages, the plugin, the AWS files, and HOME, which has to be
    empty. The contents of the files are not checked.
    """
    if not config.locked:
        raise _problem(
            "the system's configuration locks no keys",
            f'put locked = ["*"] in {SYSTEM_FILE}',
        )
    if not sys.flags.isolated:
        raise _problem(
            "the login was not started by bin/ssmgate-login", "use root's copy of it, unchanged"
        )
    login = config.login
    aws_files = [f for f in (login.aws_config_file, _credentials_file(config)) if f]
    if not aws_files:
        raise _problem(
            "no AWS configuration is set",
            f"set login.aws_config_file or login.aws_credentials_file in {SYSTEM_FILE}",
        )
    if config.plugin_path is None:
        raise _problem("plugin.path is not set", f"set it in {SYSTEM_FILE}: PATH is not searched")
    for path in (*_programs(), config.plugin_path, *aws_files):
        _require_trusted(path)
    _require_empty_home(login.home)


def environment(config: Config, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the whole environment of the session, with root's AWS files.

    The metadata service is turned off: it would provide the host's own credentials.
    """
    variables = {
        **trusted(environ),
        "HOME": config.login.home,
        "PATH": _PATH,
        "AWS_CONFIG_FILE": config.login.aws_config_file or os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": _credentials_file(config) or os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    if profile := config.login.profile:
        variables["AWS_PROFILE"] = _for_user(profile)
    return variables


def _credentials_file(config: Config) -> str | None:
    path = config.login.aws_credentials_file
    return None if path is None else _for_user(path)


def _for_user(text: str) -> str:
    """Return `text` with the name of the unix user in place of `{user}`."""
    return text.replace(USER_PLACEHOLDER, _user()) if USER_PLACEHOLDER in text else text


def _user() -> str:
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = ""
    if not _USER_NAME.match(name):
        raise _problem(f"the unix user has no name that a profile could have: {name!r}", "useradd")
    return name


def _programs() -> list[str]:
    awscli = importlib.util.find_spec("awscli")
    paths = [ssmgate.__file__, awscli and awscli.origin, os.path.realpath(sys.executable)]
    if sys.prefix != sys.base_prefix:
        paths.append(os.path.join(sys.prefix, "pyvenv.cfg"))
    return [path or "" for path in paths]


def _require_trusted(path: str) -> None:
    try:
        os.close(trusted_open.open_trusted(path))
    except InsecurePermissions as error:
        raise _problem(
            f"not trusted: {error}",
            "it and its directories must belong to root and be writable by root only",
        ) from error
    except OSError as error:
        raise _problem(f"{path}: {error.strerror}", "every login needs it") from error


def _require_empty_home(path: str) -> None:
    try:
        trusted_open.require_trusted_directory(path)
        empty = not os.listdir(path)
    except InsecurePermissions as error:
        raise _problem(f"login.home is not trusted: {error}", "create it as root") from error
    except OSError as error:
        raise _problem(f"login.home, {path}: {error.strerror}", "create it as root") from error
    if not empty:
        raise _problem(
            f"login.home, {path}, is not empty", "set it to an empty directory that belongs to root"
        )


def _problem(what: str, hint: str) -> ConfigurationProblem:
    return ConfigurationProblem(f"refused: {what}", hints=(hint,))
