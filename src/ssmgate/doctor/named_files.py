"""Check the files and directories that a configuration names."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from ssmgate.gate.config.load import Config
from ssmgate.gate.config.schema import USER_PLACEHOLDER


def unusable(config: Config) -> Iterator[tuple[str, str]]:
    """Yield each key of `config` whose file or directory cannot be used, and why, as one clause.

    Owners and permissions are not checked: other users than that of this process may have to read
    the file, and whether it is trusted depends on what it is used for.
    """
    login, records = config.login, config.records
    for key, path, check in (
        ("plugin.path", config.plugin_path, _program),
        ("aws.path", config.aws_path, _program),
        ("login.aws_config_file", login.aws_config_file, _file),
        ("login.aws_credentials_file", login.aws_credentials_file, _file),
        ("record.file", records.file, _record),
        ("record.syslog", _socket_path(records.syslog), _socket),
    ):
        if path is not None and (why := check(path)):
            yield key, why
    if (login.aws_config_file or login.aws_credentials_file) and (why := _directory(login.home)):
        yield "login.home", why


def _socket_path(syslog: bool | str) -> str | None:
    return syslog if isinstance(syslog, str) else None


def _kind(path: str) -> int | str:
    """Return the file type of `path`, or why it cannot be determined."""
    try:
        return stat.S_IFMT(os.stat(path).st_mode)
    except FileNotFoundError:
        return f"{path} does not exist"
    except OSError as error:
        return f"{path}: {error.strerror}"


def _program(path: str) -> str:
    kind = _kind(path)
    if isinstance(kind, str):
        return kind
    if kind != stat.S_IFREG:
        return f"{path} is not a file"
    return "" if os.access(path, os.X_OK) else f"{path} is not executable"


def _file(path: str) -> str:
    if USER_PLACEHOLDER in path:  # one for each person
        # `{user}` may also be the name of its directory.
        return _directory(os.path.dirname(path.partition(USER_PLACEHOLDER)[0] + "."))
    kind = _kind(path)
    if isinstance(kind, str):
        return kind
    return "" if kind == stat.S_IFREG else f"{path} is not a file"


def _directory(path: str) -> str:
    kind = _kind(path)
    if isinstance(kind, str):
        return kind
    return "" if kind == stat.S_IFDIR else f"{path} is not a directory"


def _record(path: str) -> str:
    return _directory(os.path.dirname(path))


def _socket(path: str) -> str:
    kind = _kind(path)
    if isinstance(kind, str):
        return kind
    return "" if kind == stat.S_IFSOCK else f"{path} is not a socket"
