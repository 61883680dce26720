"""A private folder of answers that are kept for seconds, and turns at asking.

That nobody else can write there is looked at each time. What the texts say, and whether they are
sealed, is `core.kept`'s.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import time
from collections.abc import Callable, Iterator

from ssmgate.gate.cache.entry import Timestamp
from ssmgate.gate.system import private_directory, private_files
from ssmgate.gate.system.trusted_files import InsecurePermissions

FOLDER = ".cache/ssmgate/answers"
"""Below the home folder."""

WAIT_SECONDS = 30.0
"""How long at most one of many waits for the one that asks. Then it asks too."""

PACE_SECONDS = 0.2
"""How far apart, on average, those go on whom the one that asked could not leave an answer."""

_LARGEST = 1 << 16
_FORGOTTEN_AFTER = 900.0
_POLL_SECONDS = 0.02
_LOCK = ".lock"
_BOOT_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def now() -> Timestamp:
    """This moment."""
    return Timestamp(time.time(), time.clock_gettime(_BOOT_CLOCK))


def machine() -> str:
    """This machine since its last start, where `Timestamp.boot` begins. Homes may be shared."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="utf-8") as file:
            return file.read().strip()
    except (OSError, ValueError):  # no Linux
        return os.uname().nodename


def youngest(home: str) -> float | None:
    """How many seconds ago something seems to have been kept below `home`, None for never.

    A guess, of which nothing may depend but how soon something is done.
    """
    try:
        with os.scandir(os.path.join(home, FOLDER)) as entries:
            made = [
                entry.stat(follow_symlinks=False).st_mtime
                for entry in entries
                if not entry.name.endswith(_LOCK)
            ]
    except OSError:
        return None
    return time.time() - max(made) if made else None


class Folder:
    """The folder below `home`, an absolute path. Names are file names without a slash.

    `tell` gets one line where it is not used because somebody else could write there. Where it
    cannot be used for another reason nothing is kept, and nothing said.
    """

    def __init__(self, home: str, tell: Callable[[str], object]) -> None:
        self._home = home
        self._tell = tell

    def read(self, name: str) -> str | None:
        """What is kept as `name`: a file of this user's that nobody else can read or write."""
        with self._opened() as folder, contextlib.suppress(ValueError):
            found = None if folder is None else private_files.read(folder, name, _LARGEST)
            return None if found is None else found[0].decode()
        return None

    def keep(self, name: str, text: str) -> bool:
        """Keep `text` as `name`, all or nothing, and forget what is old. Whether it is kept."""
        data = text.encode()
        with self._opened(create=True) as folder:
            if folder is not None and len(data) <= _LARGEST:
                private_files.delete(folder, now=time.time(), after=_FORGOTTEN_AFTER)
                private_files.write(folder, name, data)
                return True
        return False

    @contextlib.contextmanager
    def turn(self, name: str) -> Iterator[SingleFlightLock]:
        """Wait for the turn to ask what is kept as `name`. One process at a time has it.

        A block that fails has asked in vain.
        """
        lock = None
        with self._opened(create=True) as folder:
            if folder is not None:
                flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
                lock = os.open(name + _LOCK, flags, 0o600, dir_fd=folder)
        turn = SingleFlightLock(lock)
        try:
            turn.wait()
            yield turn
        except Exception:
            turn.mark_failed()
            raise
        finally:
            turn.leave()

    def texts(self) -> Iterator[str]:
        """Everything that is kept and can be read."""
        with self._opened() as folder:
            for name in sorted(os.listdir(folder)) if folder is not None else ():
                if not name.endswith((_LOCK, private_files.UNFINISHED)):
                    yield self.read(name) or ""

    def clear(self) -> int:
        """Forget everything. How many answers that were."""
        with self._opened() as folder:
            if folder is not None:
                gone = private_files.delete(folder)
                return sum(not name.endswith((_LOCK, private_files.UNFINISHED)) for name in gone)
        return 0

    @contextlib.contextmanager
    def _opened(self, *, create: bool = False) -> Iterator[int | None]:
        """The folder's descriptor, None where it cannot or may not be used."""
        folder = None
        with contextlib.suppress(OSError):
            try:
                folder = private_directory.open_directory(self._home, FOLDER, create=create)
            except InsecurePermissions as why:
                self._tell(f"ssmgate: [WARNING]: nothing is cached: {why}")
                self._tell = lambda _: None
        try:
            with contextlib.suppress(OSError):
                yield folder
                return
        finally:
            if folder is not None:
                os.close(folder)


class SingleFlightLock:
    """A turn at asking. `waited`: somebody else had it first, and may have kept the answer."""

    def __init__(self, lock: int | None) -> None:
        self._lock = lock
        self.waited = False

    def wait(self) -> None:
        """Return when it is this process's turn, or after `WAIT_SECONDS` at most.

        The system ends a turn with its process. Where the one before got no answer that could be
        kept, all who waited have to ask: each goes on a moment after the other, without a turn.
        Those who are tired of waiting are not tired all at once.
        """
        began = now().boot
        patience = WAIT_SECONDS * random.uniform(0.5, 1)  # noqa: S311
        while self._lock is not None:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                self.waited = True
            except OSError:  # a file system that has no locks
                self.leave()
                break
            if now().boot - began > patience:
                self.leave()
            else:
                time.sleep(_POLL_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311
        if self._lock is not None and self.waited and _stamp(self._lock) >= began:
            time.sleep(PACE_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311
            self.leave()

    def mark_failed(self) -> None:
        """Tell those who wait that there will be no kept answer."""
        if self._lock is not None:
            with contextlib.suppress(OSError):
                os.pwrite(self._lock, f"{now().boot:020.6f}".encode(), 0)

    def leave(self) -> None:
        """Give the turn to the next one."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _stamp(lock: int) -> float:
    try:
        return float(os.pread(lock, 20, 0))
    except (OSError, ValueError):
        return 0.0
