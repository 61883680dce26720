"""Open a directory that only this user can change.

Imports only modules that are loaded already: it is used at the very beginning of a start.
"""

from __future__ import annotations

import errno
import os
import stat

from ssmgate.gate.system.trusted_files import InsecurePermissions, walk

__all__ = ["InsecurePermissions", "open_directory"]


def open_directory(home: str, below: str, *, create: bool = False) -> int:
    """Return a descriptor of the directory at the relative path `below` in `home`.

    It belongs to this user, with mode 0700, and only this user and root can replace it or a
    directory above it. It must not be a symbolic link; `home`, an absolute path, and directories
    between may be. `create` makes missing directories.

    Raises `InsecurePermissions`, or `OSError` if it is missing or cannot be opened, also for an
    insecure `home` that this user cannot enter.
    """
    os.stat(os.path.join(home, os.curdir))
    user = os.geteuid()
    path = os.path.join(home, below)
    above, name = os.path.split(path)
    parent, problem = walk(
        above, frozenset({0, user}), follow=True, create=create, allow_sticky=True
    )
    try:
        if problem is not None:
            raise problem
        if create:
            try:  # noqa: SIM105 - contextlib takes longer to import than all of this
                os.mkdir(name, 0o700, dir_fd=parent)
            except FileExistsError:
                pass
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        directory = os.open(name, flags, dir_fd=parent)
    except OSError as error:
        if error.errno in (errno.ENOTDIR, errno.ELOOP):
            raise InsecurePermissions(path, "is a symbolic link or not a directory") from None
        raise
    finally:
        os.close(parent)
    known = os.fstat(directory)
    # Not the set-group-ID bit: a directory inherits it from the one above.
    if known.st_uid != user or known.st_mode & 0o777 != 0o700:
        os.close(directory)
        owner, mode = known.st_uid, stat.S_IMODE(known.st_mode)
        why = f"must be owned by uid {user} with mode 0700 (uid {owner}, mode {mode:04o})"
        raise InsecurePermissions(path, why)
    return directory
