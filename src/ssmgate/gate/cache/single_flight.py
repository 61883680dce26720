"""Single flight: of many processes that need the same decision, only one simulates at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import time
from collections.abc import Callable

from ssmgate.gate.cache.entry import now

WAIT_SECONDS = 30.0
"""How long a process waits for the lock at most. Then it simulates without it."""

NOTICE_SECONDS = 2.0
"""After how long a waiting process prints a notice."""

PACE_SECONDS = 0.2
"""How far apart, on average, waiting processes continue after a leader that failed."""

_POLL_SECONDS = 0.02


class SingleFlightLock:
    """The lock of one cache key.

    `lock` is a descriptor of its file, which the instance closes, or None to use no lock.
    `notify` is called once, after `NOTICE_SECONDS` of waiting. `waited`: another process held the
    lock, and may have written the entry.
    """

    def __init__(self, lock: int | None, notify: Callable[[], object]) -> None:
        self._lock = lock
        self._notify = notify
        self.waited = False

    def wait(self) -> None:
        """Wait until this process holds the lock, or should simulate without it.

        The kernel releases the lock of a process that ends. If the leader failed, the waiting
        processes continue one after another. They do not all reach their time limit at the same
        time.
        """
        began, notified = now().boot, False
        patience = WAIT_SECONDS * random.uniform(0.5, 1)  # noqa: S311
        while self._lock is not None:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                self.waited = True
            except OSError:  # a file system without locks
                self.release()
                break
            elapsed = now().boot - began
            if elapsed >= NOTICE_SECONDS and not notified:
                notified = True
                self._notify()
            if elapsed > patience:
                self.release()
            else:
                time.sleep(_POLL_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311
        if self._lock is not None and self.waited and _failed_at(self._lock) >= began:
            time.sleep(PACE_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311
            self.release()

    def mark_failed(self) -> None:
        """Let the waiting processes see that there will be no entry."""
        if self._lock is not None:
            with contextlib.suppress(OSError):
                os.pwrite(self._lock, f"{now().boot:020.6f}".encode(), 0)

    def release(self) -> None:
        """Release the lock, if this process holds it."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _failed_at(lock: int) -> float:
    """Return when a leader failed last, in seconds since boot, 0 if none has."""
    try:
        return float(os.pread(lock, 20, 0))
    except (OSError, ValueError):
        return 0.0
