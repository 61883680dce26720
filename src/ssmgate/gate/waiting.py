"""Show at a terminal what a wait of more than a second is for, and erase it afterwards.

It is one line on standard error. Off a terminal nothing is shown. Loaded only at a terminal.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
from collections.abc import Iterator

from ssmgate.gate import printer
from ssmgate.gate.decision import printable

SECONDS = 1.0
"""After how long a wait is shown."""

_ERASE = b"\r\x1b[K"
_LOCK_SECONDS = 0.1


class _Line:
    """The line at a terminal. Only the main thread begins and ends a wait."""

    def __init__(self, terminal: int) -> None:
        self.off = False
        self._terminal = terminal
        self._timer: threading.Timer | None = None
        self._lock = threading.RLock()
        self._shown = False

    def begin(self, what: str) -> None:
        """Show `what` in a second, unless `end` is called before."""
        self.end()
        timer = threading.Timer(SECONDS, lambda: self._show(timer, what))
        timer.daemon = True
        self._timer = timer  # first: on a busy machine its time is up before `start` returns
        # Signals are for the main thread, which may be waiting for an answer from AWS.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            timer.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def end(self) -> None:
        """End the wait, and erase the line if it was shown. May be called without a wait."""
        timer, self._timer = self._timer, None
        if timer is None and not self._shown:
            return
        if timer is not None:
            timer.cancel()
        # The other thread has the lock while a terminal that is stopped takes no output.
        if self._lock.acquire(timeout=_LOCK_SECONDS):
            try:
                if self._shown:
                    self._shown = False
                    self._write(_ERASE)
            finally:
                self._lock.release()

    def _show(self, timer: threading.Timer, what: str) -> None:
        with self._lock:
            if self._timer is timer:
                self._shown = True
                line = printable.line(f"ssmgate: waiting for {what}")
                # A line that wraps could not be erased.
                self._write(line[: self._columns() - 1].encode("ascii", "replace"))

    def _columns(self) -> int:
        try:
            return os.get_terminal_size(self._terminal).columns or 80
        except OSError:
            return 80

    def _write(self, text: bytes) -> None:
        with contextlib.suppress(OSError):
            os.write(self._terminal, text)


_line = _Line(2)


def begin(what: str) -> None:
    """Begin to wait for `what`. A wait that has not ended is replaced.

    Does nothing outside the main thread, and with --debug, whose log goes to standard error too.
    """
    main = threading.current_thread() is threading.main_thread()
    debug = logging.getLogger("botocore").isEnabledFor(logging.DEBUG)
    if main and os.isatty(2) and not debug and not _line.off:
        printer.erase = _line.end
        _line.begin(what)


def turn_off() -> None:
    """Show no waits in this process, as with --quiet."""
    _line.off = True


def end() -> None:
    """End the wait, and erase its line."""
    _line.end()


@contextlib.contextmanager
def notice(what: str) -> Iterator[None]:
    """Wait for `what` while the block runs."""
    begin(what)
    try:
        yield
    finally:
        end()
