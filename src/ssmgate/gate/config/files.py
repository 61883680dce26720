"""Parse ssmgate's configuration files, and describe what is wrong with one.

Loaded only if there is one, or an SSMGATE_… environment variable is set.
"""

from __future__ import annotations

import errno
import os
from typing import Any

from ssmgate.gate.decision.errors import ConfigurationProblem
from ssmgate.gate.system.trusted_files import InsecurePermissions

# The errors of looking up a path if this uid cannot reach its last component. ESTALE and the
# following are from unavailable network and FUSE file systems. An I/O error is not included: the
# file may exist.
_UNREACHABLE = frozenset(
    {
        *(errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENAMETOOLONG),
        *(errno.ESTALE, errno.ENOTCONN, errno.ENODEV, errno.ENXIO, errno.EHOSTDOWN),
    }
)

_USABLE = (
    "make it a regular file that belongs to you, that you can read and others cannot write; or"
    " remove it"
)


def system_problem(path: str, error: InsecurePermissions | OSError) -> ConfigurationProblem:
    """Return the problem for the system's file at `path`, which could not be opened or read."""
    if isinstance(error, InsecurePermissions):
        return ConfigurationProblem(
            f"{path}: not trusted: {error}",
            hints=("it and its directories must belong to root and be writable by root only",),
        )
    return ConfigurationProblem(f"{path}: {error.strerror}")


def user_problem(path: str, error: InsecurePermissions | OSError) -> ConfigurationProblem | None:
    """Return the same for the user's file, None if this uid cannot reach it."""
    if isinstance(error, InsecurePermissions):
        return ConfigurationProblem(f"{path}: not trusted: {error}", hints=(_USABLE,))
    if not _is_reached(path):
        return None
    return ConfigurationProblem(f"{path}: {error.strerror}", hints=(_USABLE,))


def _is_reached(path: str) -> bool:
    """Return whether this uid can reach `path`, and a file or link exists there."""
    try:
        os.lstat(path)
    except OSError as error:
        return error.errno not in _UNREACHABLE
    return True


def parse_toml(text: bytes, path: str) -> dict[str, Any]:
    """Return the table in the text of a file. Raises `ConfigurationProblem`."""
    # Imported only here: with environment variables alone no file is parsed.
    import tomllib

    try:
        return tomllib.loads(text.decode())
    except ValueError as error:  # TOML, or UTF-8
        raise ConfigurationProblem(f"{path}: {error}", hints=("correct or remove it",)) from error
    except RecursionError:
        raise ConfigurationProblem(f"{path}: nested too deeply") from None
