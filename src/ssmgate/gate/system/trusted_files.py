"""Check that only certain users can write a file or directory, and open directories that way.

This is the only such check. It is used for the cache, the daemon's socket, completion,
configuration, records, and the programs of a login.
"""

from __future__ import annotations

import errno
import os
import stat

# O_PATH needs no permission to list the directory. Not on every system.
_DIRECTORY = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MAX_LINKS = 40  # as Linux, path_resolution(7)


class InsecurePermissions(Exception):
    """Another user could have written or created `path`; `why` is one clause."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path} {why}")
        self.path = path
        self.why = why


def insecure(
    known: os.stat_result, path: str, owners: frozenset[int], *, allow_sticky: bool = False
) -> InsecurePermissions | None:
    """Return why users other than `owners` can write the file or directory, None if they cannot.

    It has to belong to one of `owners` (user ids), and only they may write. A group with write
    permission must have no other member than the owner, as in Debian's sshd; for root's files no
    group may write. `allow_sticky` is for a directory whose next entry is checked too: in one with
    the sticky bit, only the owner of an entry can replace it. `path` is for the message.

    An access list (acl(5)) shows in the group's bits; one on a file of the owner's own group is not
    detected. https://sources.debian.org/patches/openssh/latest/user-group-modes.patch/
    """
    if known.st_uid not in owners:
        return InsecurePermissions(path, f"belongs to uid {known.st_uid}")
    others = known.st_mode & 0o022
    if others == 0o020 and known.st_uid != 0:
        # Imported only here, as few files are writable for a group.
        from ssmgate.gate.system import groups

        others = 0 if groups.only_member(known.st_gid) == known.st_uid else others
    if not others or (allow_sticky and known.st_mode & stat.S_ISVTX):
        return None
    mode = stat.S_IMODE(known.st_mode)
    return InsecurePermissions(path, f"can be written by others (mode {mode:04o})")


def walk(
    path: str,
    owners: frozenset[int],
    *,
    base: str = "/",
    follow: bool = False,
    create: bool = False,
    allow_sticky: bool = False,
) -> tuple[int, InsecurePermissions | None]:
    """Open the directory `path`, below `base`, component by component.

    Each is opened in the one before, so that no other user can replace one meanwhile. Returns a
    descriptor, in which files can be opened, and the error for the first insecure directory. With
    `follow`, symbolic links of `owners` are followed, and the directories on their way are checked
    too. `create` makes missing directories (mode 0700). `allow_sticky` as for `insecure`: the
    caller has to check what it opens in the last directory.

    Raises `InsecurePermissions` for another link, for what is not a directory, and if a directory
    would be created in an insecure one; `OSError` for other errors.
    """
    at, links, problem = base, 0, None
    names = _components(path.removeprefix(base))
    directory = os.open(base, _DIRECTORY)
    try:
        while True:
            known = os.fstat(directory)
            problem = problem or insecure(known, at, owners, allow_sticky=allow_sticky)
            if not names:
                return directory, problem
            name = names.pop()
            below = os.path.normpath(os.path.join(at, name))
            try:
                inner = os.open(name, _DIRECTORY, dir_fd=directory)
            except FileNotFoundError:
                if not create:
                    raise
                if problem is not None:
                    raise problem from None
                try:  # noqa: SIM105 - contextlib takes longer to import than all of this
                    os.mkdir(name, 0o700, dir_fd=directory)
                except FileExistsError:  # another process has created it meanwhile
                    pass
                inner = os.open(name, _DIRECTORY, dir_fd=directory)
            except OSError as error:
                if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                    raise
                links += 1
                target = _link(name, directory, below, owners, follow and links <= _MAX_LINKS)
                names += _components(target)
                below = "/" if target[0] == "/" else at
                inner = os.open("/" if target[0] == "/" else ".", _DIRECTORY, dir_fd=directory)
            os.close(directory)
            directory, at = inner, below
    except BaseException:
        os.close(directory)
        raise


def _components(path: str) -> list[str]:
    """Return the names in `path`, the last one first."""
    return [name for name in reversed(path.split("/")) if name not in ("", ".")]


def _link(name: str, directory: int, path: str, owners: frozenset[int], follow: bool) -> str:
    """Return the target of the symbolic link `name`. Raises `InsecurePermissions`."""
    known = os.stat(name, dir_fd=directory, follow_symlinks=False)
    if not stat.S_ISLNK(known.st_mode):
        raise InsecurePermissions(path, "is not a directory")
    if not follow:
        raise InsecurePermissions(path, "is a symbolic link")
    if known.st_uid not in owners:
        raise InsecurePermissions(path, f"belongs to uid {known.st_uid}")
    os.stat(name, dir_fd=directory)  # raises for a dangling link, whose target is not created
    return os.readlink(name, dir_fd=directory)
