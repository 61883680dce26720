"""Open files that only certain users could have written. The open descriptor is checked."""

from __future__ import annotations

import errno
import os
import stat

from ssmgate.gate.system.trusted_files import InsecurePermissions, insecure, walk

LARGEST = 1 << 16
"""Bytes of a configuration file. A larger one is rejected."""

# Without O_NONBLOCK, opening a FIFO would wait for a writer.
_FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def open_trusted(
    path: str,
    flags: int = os.O_RDONLY,
    *,
    owners: frozenset[int] = frozenset({0}),
    base: str = "/",
    mode: int = 0o600,
) -> int:
    """Open a regular file that only `owners` could have written, and return its descriptor.

    The same is required of every directory from `base` down to the file, and no symbolic link is
    followed. `path` is absolute, below `base`. `mode` is that of a file that `flags` create.

    Raises `InsecurePermissions`; `FileNotFoundError` if the file is missing, also in an insecure
    directory; `OSError` for other errors. Contents are not checked.
    """
    above, _, name = path.rpartition(os.sep)
    directory, problem = _walk(path, above or os.sep, owners, base)
    try:
        file = os.open(name, flags | _FILE, mode, dir_fd=directory)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise InsecurePermissions(path, "is a symbolic link") from None
        raise
    finally:
        os.close(directory)
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
    """Raise unless only `owners` could have written the directory `path`, as `open_trusted`."""
    directory, problem = _walk(path, path, owners, base)
    os.close(directory)
    if problem is not None:
        raise problem


def judge(file: int, path: str, owners: frozenset[int]) -> None:
    """Raise `InsecurePermissions` unless `file` is a regular file that only `owners` can write.

    `file` is a descriptor, `path` is its name for the error.
    """
    known = os.fstat(file)
    if stat.S_ISDIR(known.st_mode):
        raise InsecurePermissions(path, f"cannot be read: {os.strerror(errno.EISDIR)}")
    if not stat.S_ISREG(known.st_mode):
        raise InsecurePermissions(path, "is not a regular file")
    problem = insecure(known, path, owners)
    if problem is not None:
        raise problem


def read(file: int, path: str) -> bytes:
    """Return all of the open `file`, at most `LARGEST` bytes. Closes it.

    Raises `InsecurePermissions` for more.
    """
    with os.fdopen(file, "rb") as opened:
        text = opened.read(LARGEST + 1)
    if len(text) > LARGEST:
        raise InsecurePermissions(path, f"has more than {LARGEST} bytes")
    return text


def _walk(
    path: str, down_to: str, owners: frozenset[int], base: str
) -> tuple[int, InsecurePermissions | None]:
    if not os.path.isabs(path) or os.path.normpath(path) != path:
        raise InsecurePermissions(path, "must be an absolute path without . .. or //")
    return walk(down_to, owners, base=base)
