"""Files that only their owner could have written: judged on the descriptor that is read."""

from __future__ import annotations

import errno
import os
import stat
import sys

# There /etc is a link.
SYSTEM_FILE = f"{'/private' if sys.platform == 'darwin' else ''}/etc/ssmgate/config.toml"
"""What an administrator says, and may lock."""

LARGEST = 1 << 16
"""Bytes of a configuration file. A bigger one is no configuration."""

# O_PATH needs no permission to list the folder. Not on every system.
_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Without O_NONBLOCK the opening of a FIFO would wait for a writer.
_FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class InsecurePermissions(Exception):
    """Somebody else could have written `path`, or put it there; `why` is one clause."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path} {why}")
        self.path = path
        self.why = why


def open_trusted(
    path: str,
    flags: int = os.O_RDONLY,
    *,
    owners: frozenset[int] = frozenset({0}),
    base: str = "/",
    mode: int = 0o600,
) -> int:
    """Open a regular file that only `owners` could have written, and return its descriptor.

    Every folder from `base` down to the file is opened in the one before, without following
    links, and belongs to one of `owners`, with nobody else allowed to write: whoever else can
    exchange none of them in between. `path` is absolute, below `base`. A POSIX access list that
    lets others write shows in the group's bits.

    Raises `InsecurePermissions`; `FileNotFoundError` where there is no such file, whatever its
    folders are like; `OSError` for what else the system says. Contents are not looked at.
    """
    above, _, name = path.rpartition(os.sep)
    folder, problem = _walk(path, above, owners, base)
    try:
        file = os.open(name, flags | _FILE, mode, dir_fd=folder)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise InsecurePermissions(path, "is a symbolic link") from None
        raise
    finally:
        os.close(folder)
    try:
        judge(file, path, owners)
    except BaseException:
        os.close(file)
        raise
    if problem is not None:
        os.close(file)
        raise problem
    return file


def require_trusted_directory(
    path: str, owners: frozenset[int] = frozenset({0}), *, base: str = "/"
) -> None:
    """Raise unless `path` is a folder that only `owners` could have made, as `open_trusted`."""
    folder, problem = _walk(path, path, owners, base)
    os.close(folder)
    if problem is not None:
        raise problem


def judge(file: int, path: str, owners: frozenset[int]) -> None:
    """Raise `InsecurePermissions` unless `file` is a regular file that only `owners` can write.

    `path` is its name for the error. The group's own members may write where the group is this
    process's and the owner this user: distributions make a group for each user.
    """
    known = os.fstat(file)
    if stat.S_ISDIR(known.st_mode):
        raise InsecurePermissions(path, f"cannot be read: {os.strerror(errno.EISDIR)}")
    if not stat.S_ISREG(known.st_mode):
        raise InsecurePermissions(path, "is not a regular file")
    problem = _problem(known, path, owners)
    if problem is not None:
        raise problem


def read(file: int, path: str) -> bytes:
    """All of the open `file`, at most `LARGEST` bytes. Raises `InsecurePermissions` for more."""
    with os.fdopen(file, "rb") as opened:
        text = opened.read(LARGEST + 1)
    if len(text) > LARGEST:
        raise InsecurePermissions(path, f"has more than {LARGEST} bytes")
    return text


def _walk(
    path: str, down_to: str, owners: frozenset[int], base: str
) -> tuple[int, InsecurePermissions | None]:
    """The descriptor of `down_to`, and what is wrong with it or a folder above it."""
    if not os.path.isabs(path) or os.path.normpath(path) != path:
        raise InsecurePermissions(path, "is not an absolute path without detours")
    within = os.path.relpath(down_to or os.sep, base)
    at = base
    folder = os.open(base, _FOLDER)
    problem = _problem(os.fstat(folder), at, owners)
    for name in within.split(os.sep) if within != os.curdir else ():
        at = os.path.join(at, name)
        try:
            inner = _open_folder(name, folder, at)
        finally:
            os.close(folder)
        folder = inner
        problem = problem or _problem(os.fstat(folder), at, owners)
    return folder, problem


def _open_folder(name: str, folder: int, path: str) -> int:
    try:
        return os.open(name, _FOLDER, dir_fd=folder)
    except OSError as error:
        if error.errno not in (errno.ENOTDIR, errno.ELOOP):
            raise
        known = os.stat(name, dir_fd=folder, follow_symlinks=False)
        link = stat.S_ISLNK(known.st_mode)
        raise InsecurePermissions(
            path, "is a symbolic link" if link else "is not a folder"
        ) from None


def _problem(
    known: os.stat_result, path: str, owners: frozenset[int]
) -> InsecurePermissions | None:
    if known.st_uid not in owners:
        return InsecurePermissions(path, f"belongs to uid {known.st_uid}")
    own_group = known.st_uid == os.geteuid() != 0 and known.st_gid == os.getegid()
    if known.st_mode & (0o002 if own_group else 0o022):
        return InsecurePermissions(
            path, f"can be written by others (mode {stat.S_IMODE(known.st_mode):04o})"
        )
    return None
