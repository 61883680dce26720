"""A folder that is one user's alone, and the files in it.

No imports but the system's: it stands at the very beginning of a start.
"""

from __future__ import annotations

import os
import stat

from ssmgate.gate.system.trusted_files import InsecurePermissions

UNFINISHED = ".new"
"""How the names of files end that `keep` has not finished."""

# Without O_NONBLOCK the opening of a FIFO would wait for a writer.
_OPEN = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def open_directory(home: str, below: str, *, create: bool = False) -> int:
    """The descriptor of a folder below `home`, an absolute path, at the relative path `below`.

    It is this user's, with mode 0700, and nobody else can exchange it or a folder above it. It may
    be no link; `home` and the folders between may be. `create` makes what is missing.

    Raises `InsecurePermissions`, or `OSError` where it is missing or cannot be opened. A `home`
    that this user cannot enter is such a case, whoever could write there.
    """
    above = os.path.realpath(home)
    os.stat(os.path.join(above, os.curdir))
    _hold_parents(above)
    for name in below.split("/"):
        above = os.path.join(above, name)
        if create:
            try:  # noqa: SIM105 - contextlib takes longer to import than all of this
                os.mkdir(above, 0o700)
            except FileExistsError:
                pass
    path = os.path.join(os.path.realpath(os.path.dirname(above)), os.path.basename(above))
    _hold_parents(os.path.dirname(path))
    try:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except NotADirectoryError:
        raise InsecurePermissions(path, "is no folder, or a link to one") from None
    known = os.fstat(folder)
    # Not the set-group-ID bit: a folder inherits it from the one above.
    if known.st_uid != os.geteuid() or known.st_mode & 0o777 != 0o700:
        os.close(folder)
        owner, mode = known.st_uid, stat.S_IMODE(known.st_mode)
        raise InsecurePermissions(path, f"is not this user's alone (uid {owner}, mode {mode:04o})")
    return folder


def read(folder: int, name: str, most: int) -> tuple[bytes, float] | None:
    """What the file `name` in an opened folder holds, and when that was written (wall clock).

    None unless it is a regular file of at most `most` bytes that nobody but this user can read or
    write; None too where it cannot be read.
    """
    try:
        file = os.open(name, os.O_RDONLY | _OPEN, dir_fd=folder)
    except OSError:
        return None
    known = os.fstat(file)
    ours = known.st_uid == os.geteuid() and not known.st_mode & 0o077
    if not (ours and stat.S_ISREG(known.st_mode) and known.st_size <= most):
        os.close(file)
        return None
    with os.fdopen(file, "rb") as opened:
        try:
            return opened.read(most), known.st_mtime
        except OSError:
            return None


def keep(folder: int, name: str, text: bytes) -> None:
    """Make `text` all that the file `name` in an opened folder holds, or leave it as it was.

    Raises `OSError` where it cannot be written.
    """
    new = f"{name}.{os.urandom(8).hex()}{UNFINISHED}"
    file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _OPEN, 0o600, dir_fd=folder)
    try:
        with os.fdopen(file, "wb") as opened:
            opened.write(text)
        os.rename(new, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        os.unlink(new, dir_fd=folder)
        raise


def forget(folder: int, beginning: str = "", *, now: float = 0, after: float = -1) -> list[str]:
    """Delete the files in an opened folder that begin so, and return their names.

    With `after` only those that were written more than so many seconds before `now`, or so many
    after it, as the clock may have been set.
    """
    gone = []
    for name in os.listdir(folder):
        if name.startswith(beginning):
            try:
                written = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime
                if abs(now - written) > after:
                    os.unlink(name, dir_fd=folder)
                    gone.append(name)
            except OSError:  # a folder, or another process was first
                pass
    return gone


def _hold_parents(path: str) -> None:
    """Raise `InsecurePermissions` if another user could exchange `path` or a folder above it.

    Of a folder with the sticky bit, as /tmp, only the owner can move what is in it.
    """
    while True:
        known = os.stat(path)
        others = 0o002 if known.st_gid == os.getegid() and os.geteuid() != 0 else 0o022
        if known.st_uid not in (0, os.geteuid()):
            raise InsecurePermissions(path, f"belongs to uid {known.st_uid}")
        if known.st_mode & others and not known.st_mode & stat.S_ISVTX:
            mode = stat.S_IMODE(known.st_mode)
            raise InsecurePermissions(path, f"can be written by others (mode {mode:04o})")
        if path == (path := os.path.dirname(path)):
            return
