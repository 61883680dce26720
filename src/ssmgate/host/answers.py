"""A private folder of answers that are kept for seconds, and turns at asking.

Whoever can write here as this user holds the user's credentials, and needs no cache to use them
as they like: the texts are not sealed against that. Nobody else may be able to write here, which
is looked at each time.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import stat
import time
from collections.abc import Callable, Iterator

from ssmgate.core.kept import Moment
from ssmgate.host import private
from ssmgate.host.trusted import Untrusted

FOLDER = ".cache/ssmgate/answers"
"""Below the home folder."""

WAIT_SECONDS = 15.0
"""How long one of many waits for the one that asks. Then it asks too."""

_LARGEST = 1 << 16
_FORGOTTEN_AFTER = 900.0
_POLL_SECONDS = 0.02
_OPEN = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_BOOT_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def now() -> Moment:
    """This moment."""
    return Moment(time.time(), time.clock_gettime(_BOOT_CLOCK))


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
        with self._opened() as folder:
            return None if folder is None else _read(folder, name)

    def keep(self, name: str, text: str) -> None:
        """Keep `text` as `name`, all or nothing, and forget what is old."""
        with self._opened(create=True) as folder:
            if folder is None:
                return
            _forget(folder, _FORGOTTEN_AFTER)
            new = f"{name}.{os.urandom(8).hex()}.new"
            file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _OPEN, 0o600, dir_fd=folder)
            try:
                with os.fdopen(file, "w") as opened:
                    opened.write(text)
                os.rename(new, name, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                os.unlink(new, dir_fd=folder)
                raise

    @contextlib.contextmanager
    def turn(self, name: str) -> Iterator[Turn]:
        """Wait for the turn to ask what is kept as `name`. One process at a time has it.

        A block that fails has asked in vain.
        """
        lock = None
        with self._opened(create=True) as folder:
            if folder is not None:
                flags = os.O_RDWR | os.O_CREAT | _OPEN
                lock = os.open(f"{name}.lock", flags, 0o600, dir_fd=folder)
        turn = Turn(lock)
        try:
            turn.wait()
            yield turn
        except Exception:
            turn.in_vain()
            raise
        finally:
            turn.leave()

    def texts(self) -> Iterator[str]:
        """Everything that is kept."""
        with self._opened() as folder:
            if folder is not None:
                for name in sorted(os.listdir(folder)):
                    if not name.endswith((".lock", ".new")):
                        yield _read(folder, name) or ""

    def clear(self) -> None:
        """Forget everything."""
        with self._opened() as folder:
            if folder is not None:
                _forget(folder, 0)

    @contextlib.contextmanager
    def _opened(self, *, create: bool = False) -> Iterator[int | None]:
        """The folder's descriptor, None where it cannot or may not be used."""
        folder = None
        with contextlib.suppress(OSError):
            try:
                folder = private.open_folder(self._home, FOLDER, create=create)
            except Untrusted as why:
                self._tell(f"ssmgate: [WARNING]: nothing is cached: {why}")
                self._tell = lambda _: None
        try:
            with contextlib.suppress(OSError):
                yield folder
                return
        finally:
            if folder is not None:
                os.close(folder)


class Turn:
    """A turn at asking. `waited`: somebody else had it first, and may have kept the answer."""

    def __init__(self, lock: int | None) -> None:
        self._lock = lock
        self.waited = False

    def wait(self) -> None:
        """Return when it is this process's turn, or `WAIT_SECONDS` are over.

        The system ends a turn with its process. Where the one before got no answer that could be
        kept, all who waited go on at once, as each has to ask.
        """
        began = now().boot
        while self._lock is not None:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                self.waited = True
            except OSError:  # a file system that has no locks
                self.leave()
                break
            if now().boot - began > WAIT_SECONDS:
                self.leave()
            else:
                time.sleep(_POLL_SECONDS * (0.5 + random.random()))  # noqa: S311
        if self._lock is not None and self.waited and _stamp(self._lock) >= began:
            self.leave()

    def in_vain(self) -> None:
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


def _read(folder: int, name: str) -> str | None:
    try:
        file = os.open(name, os.O_RDONLY | _OPEN, dir_fd=folder)
    except OSError:
        return None
    with os.fdopen(file, "rb") as opened:
        known = os.fstat(file)
        ours = known.st_uid == os.geteuid() and not known.st_mode & 0o077
        if not (ours and stat.S_ISREG(known.st_mode) and known.st_size <= _LARGEST):
            return None
        try:
            return opened.read(_LARGEST).decode()
        except (OSError, ValueError):
            return None


def _forget(folder: int, seconds: float) -> None:
    for name in os.listdir(folder):
        with contextlib.suppress(OSError):
            known = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if not seconds or abs(time.time() - known.st_mtime) > seconds:
                os.unlink(name, dir_fd=folder)
