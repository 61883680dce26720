"""Texts that are kept for seconds, in a folder that nobody else can write."""

from __future__ import annotations

import contextlib
import os
import stat
import time

FOLDER = ".cache/ssmgate"
"""Below the home folder."""

_LARGEST = 1 << 20
_FORGOTTEN_AFTER = 3600.0


def read(home: str, name: str, max_age: float) -> str | None:
    """The text that was kept as `name` within the last `max_age` seconds, or None.

    None too where the folder or the file belongs to somebody else or can be written by others,
    or is a link. `name` is a file's name without a slash. Parents of the folder are not examined:
    who can exchange it cannot give the new one to this user.
    """
    with contextlib.suppress(OSError, ValueError), _Folder(home) as folder:
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
        with os.fdopen(file, "rb") as opened:
            known = os.fstat(file)
            age = time.time() - known.st_mtime
            if stat.S_ISREG(known.st_mode) and _ours(known) and 0 <= age <= max_age:
                return opened.read(_LARGEST).decode()
    return None


def keep(home: str, name: str, text: str) -> None:
    """Keep `text` as `name`, readable by this user alone; forget texts of the same kind.

    The kind of a name is what comes before its first dot. Whatever stands in the way, nothing
    is kept and nothing is said: a cache may always be empty.
    """
    with contextlib.suppress(OSError), _Folder(home, create=True) as folder:
        _forget(folder, name.partition(".")[0])
        new = f"{name}.{os.getpid()}"
        file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=folder)
        try:
            with os.fdopen(file, "w") as opened:
                opened.write(text)
            os.rename(new, name, src_dir_fd=folder, dst_dir_fd=folder)
        except OSError:
            os.unlink(new, dir_fd=folder)


class _Folder:
    """The folder's descriptor. Raises OSError if it is not this user's alone to write."""

    def __init__(self, home: str, *, create: bool = False) -> None:
        self._path = os.path.join(home, FOLDER)
        self._create = create

    def __enter__(self) -> int:
        if self._create:
            os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                os.mkdir(self._path, 0o700)
        self._folder = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        if not _ours(os.fstat(self._folder)):
            os.close(self._folder)
            raise PermissionError(self._path)
        return self._folder

    def __exit__(self, *_: object) -> None:
        os.close(self._folder)


def _ours(known: os.stat_result) -> bool:
    return known.st_uid == os.geteuid() and not known.st_mode & 0o022


def _forget(folder: int, kind: str) -> None:
    for name in os.listdir(folder):
        if name.startswith(f"{kind}."):
            with contextlib.suppress(OSError):
                known = os.stat(name, dir_fd=folder, follow_symlinks=False)
                if time.time() - known.st_mtime > _FORGOTTEN_AFTER:
                    os.unlink(name, dir_fd=folder)
