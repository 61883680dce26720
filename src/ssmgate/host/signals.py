"""Signals and the clock: the handover's window, and a limit on how long a check may take."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from ssmgate.host import takeover

INTERRUPT = signal.SIGINT


class Interrupted(BaseException):
    """A held signal came. No Exception, so that nothing on the way takes it for a failure."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class OutOfTime(BaseException):
    """The time for the check is up. No Exception: botocore would wrap it and try again."""


class Window:
    """What came while signals were held."""

    def __init__(self) -> None:
        self.came: int | None = None

    def note(self, number: int, _frame: object) -> None:
        """The handler: remember the first signal, do nothing."""
        self.came = self.came or number

    def check(self) -> None:
        """Raise `Interrupted` for the first signal that came."""
        if self.came is not None:
            raise Interrupted(self.came)


@contextmanager
def held() -> Iterator[Window]:
    """Hold every signal that would end this process, so that no session is left without a plugin.

    `takeover.hold` says which they are. Outside the main thread nothing is held: Python lets no
    other thread install handlers. If the block fails and a signal came, `Interrupted` is raised
    from the failure.
    """
    window = Window()
    main = threading.current_thread() is threading.main_thread()
    before = takeover.hold(window.note) if main else {}
    try:
        yield window
    except Exception as error:
        if window.came is not None:
            raise Interrupted(window.came) from error
        raise
    finally:
        takeover.put_back(before)


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise `OutOfTime` in the main thread if the block takes longer than `seconds`.

    Connect and read time-outs bound a silence, not an answer that comes byte by byte.
    Outside the main thread there is no limit.
    """

    def ring(_number: int, _frame: FrameType | None) -> None:
        raise OutOfTime

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        # Before exec, too: a timer outlives it.
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
