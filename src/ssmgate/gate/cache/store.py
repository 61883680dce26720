"""The directory of the cache: texts by name, in files that only this user can read or write."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator

from ssmgate.gate.cache.single_flight import SingleFlightLock
from ssmgate.gate.system import private_directory, private_files
from ssmgate.gate.system.trusted_files import InsecurePermissions

DIRECTORY = ".cache/ssmgate/answers"
"""In the home directory."""

_LARGEST = 1 << 16  # bytes of an entry
_DELETED_AFTER = 900.0  # seconds: the greatest `cache.ttl`
LOCK = ".lock"


def youngest(home: str) -> float | None:
    """Return how many seconds ago an entry seems to have been cached below `home`, or None.

    This is not verified: use it only to decide in which order things are done.
    """
    try:
        with os.scandir(os.path.join(home, DIRECTORY)) as entries:
            written = [
                entry.stat(follow_symlinks=False).st_mtime
                for entry in entries
                if not entry.name.endswith(LOCK)
            ]
    except OSError:
        return None
    return time.time() - max(written) if written else None


class DecisionCache:
    """The cache below `home`, an absolute path. Names are file names without a slash.

    `eprint` writes a line to standard error: what this process waits for, and with `warns` a
    warning if another user could write in the directory. If the cache cannot be used for another
    reason, nothing is cached and nothing is printed. The texts' contents are not checked here.
    """

    def __init__(self, home: str, eprint: Callable[[str], object], *, warns: bool = True) -> None:
        self._home, self._eprint, self._warns = home, eprint, warns

    def read(self, name: str) -> str | None:
        """Return the text `name`, None unless only this user can read and write its file."""
        with self.opened() as directory, contextlib.suppress(ValueError):
            file = None if directory is None else private_files.read(directory, name, _LARGEST)
            return None if file is None else file[0].decode()
        return None

    def write(self, name: str, text: str) -> bool:
        """Write `text` as `name`, all or nothing, and delete old texts. Return whether it did."""
        data = text.encode()
        with self.opened(create=True) as directory:
            if directory is not None and len(data) <= _LARGEST:
                private_files.delete(directory, now=time.time(), after=_DELETED_AFTER)
                private_files.write(directory, name, data)
                return True
        return False

    @contextlib.contextmanager
    def single_flight(self, name: str) -> Iterator[SingleFlightLock]:
        """Wait for the lock of `name`, and hold it in the block.

        A block that raises has failed: see `SingleFlightLock.mark_failed`.
        """
        lock = None
        with self.opened(create=True) as directory:
            if directory is not None:
                flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
                lock = os.open(name + LOCK, flags, 0o600, dir_fd=directory)
        flight = SingleFlightLock(lock, self._notify)
        try:
            flight.wait()
            yield flight
        except Exception:
            flight.mark_failed()
            raise
        finally:
            flight.release()

    def _notify(self) -> None:
        if os.isatty(2):
            self._eprint("ssmgate: waiting for another ssmgate process that checks the same access")

    @contextlib.contextmanager
    def opened(self, *, create: bool = False) -> Iterator[int | None]:
        """Open the directory for the block, None if it cannot or must not be used."""
        directory = None
        with contextlib.suppress(OSError):
            try:
                directory = private_directory.open_directory(self._home, DIRECTORY, create=create)
            except InsecurePermissions as why:
                if self._warns:
                    hint = "cache.ttl = 0 turns this off"
                    self._eprint(f"ssmgate: [WARNING]: nothing is cached: {why} ({hint})")
                self._warns = False
        try:
            with contextlib.suppress(OSError):
                yield directory
                return
        finally:
            if directory is not None:
                os.close(directory)
