"""Read, atomically write and delete files in a directory that only this user can change."""

from __future__ import annotations

import os
import stat

UNFINISHED = ".new"
"""The suffix of files that `write` has not finished."""

# Without O_NONBLOCK, opening a FIFO would wait for a writer.
_OPEN = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def read(directory: int, name: str, most: int) -> tuple[bytes, float] | None:
    """Return the contents of the file `name` in an open directory, and when it was written.

    The time is in seconds of the wall clock. None unless it is a regular file of at most `most`
    bytes that only this user can read or write; None also if it cannot be read.
    """
    try:
        file = os.open(name, os.O_RDONLY | _OPEN, dir_fd=directory)
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


def write(directory: int, name: str, text: bytes) -> None:
    """Replace the contents of the file `name` in an open directory with `text`, atomically.

    Raises `OSError` if it cannot be written; the file is unchanged then.
    """
    new = f"{name}.{os.urandom(8).hex()}{UNFINISHED}"
    file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _OPEN, 0o600, dir_fd=directory)
    try:
        with os.fdopen(file, "wb") as opened:
            opened.write(text)
        os.rename(new, name, src_dir_fd=directory, dst_dir_fd=directory)
    except BaseException:
        os.unlink(new, dir_fd=directory)
        raise


def delete(directory: int, prefix: str = "", *, now: float = 0, after: float = -1) -> list[str]:
    """Delete the files in an open directory whose names begin with `prefix`; return their names.

    With `after`, only those written more than `after` seconds before `now` are deleted, or as many
    after it, as the clock may have been set.
    """
    deleted = []
    for name in os.listdir(directory):
        if name.startswith(prefix):
            try:
                written = os.stat(name, dir_fd=directory, follow_symlinks=False).st_mtime
                if abs(now - written) > after:
                    os.unlink(name, dir_fd=directory)
                    deleted.append(name)
            except OSError:  # a directory, or another process was first
                pass
    return deleted
