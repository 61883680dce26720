"""Signals and the clock: the handover's window, and a limit on how long a check may take."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from ssmgate.gate.decision.errors import ControlFlow
from ssmgate.gate.system import takeover

INTERRUPT = signal.SIGINT

# Seconds. A timer of 0 would be none, one may ring a little early, and a limit whose exception was
# caught inside its block rings again.
_AT_ONCE = 1e-6
_EARLY = 1e-3
_AGAIN = 0.1


class Interrupted(ControlFlow):
    """A held signal came."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class TimeLimitExceeded(ControlFlow):
    """The time for a block is up."""


class HeldSignals:
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
def held() -> Iterator[HeldSignals]:
    """Hold every signal that would end this process, so that no session is left without a plugin.

    `takeover.hold` says which they are. Outside the main thread nothing is held: Python lets no
    other thread install handlers. If the block fails and a signal came, `Interrupted` is raised
    from the failure.
    """
    window = HeldSignals()
    main = threading.current_thread() is threading.main_thread()
    before = takeover.hold(window.note) if main else {}
    try:
        yield window
    except Exception as error:
        if window.came is not None:
            raise Interrupted(window.came) from error
        raise
    finally:
        takeover.restore(before)


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise `TimeLimitExceeded` in the main thread if the block takes longer than `seconds`.

    Connect and read time-outs bound a silence, not an answer that comes byte by byte.
    Outside the main thread there is no limit.

    Limits nest, and an alarm that was set before (`perl -e 'alarm 3; exec …'`) stays in force: what
    is due first rings first. Afterwards the earlier timer has what is left of its time, or rings at
    once.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    limit = _Limit(seconds)
    try:
        try:
            limit.begin()
            yield
        finally:
            # It may ring just before this. What it raises then does not keep `end` from running.
            limit.is_over = True
    finally:
        limit.end()


class _Limit:
    """The one timer of a process, shared by a time limit and an alarm that was set before it."""

    def __init__(self, seconds: float) -> None:
        self.is_over = False
        self._until = time.monotonic() + seconds
        self._handler = signal.getsignal(signal.SIGALRM)
        # When the earlier alarm is due, and the seconds from one ring of it to the next.
        self._due: float | None = None
        self._interval = 0.0

    def begin(self) -> None:
        self._take()
        signal.signal(signal.SIGALRM, self._ring)
        self._arm()

    def end(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        if self._handler is not None:  # None: installed by code that is not Python
            signal.signal(signal.SIGALRM, self._handler)
        self._give_back()

    def _take(self) -> None:
        """Stop the timer, and note when it would have rung."""
        left, self._interval = signal.setitimer(signal.ITIMER_REAL, 0)
        self._due = time.monotonic() + left if left else None

    def _give_back(self) -> None:
        """Set the timer as it would be without this limit."""
        left = 0.0 if self._due is None else max(self._due - time.monotonic(), _AT_ONCE)
        signal.setitimer(signal.ITIMER_REAL, left, self._interval)

    def _arm(self) -> None:
        due = self._until if self._due is None else min(self._until, self._due)
        signal.setitimer(signal.ITIMER_REAL, max(due - time.monotonic(), _AT_ONCE))

    def _ring(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic() + _EARLY
        if self._due is not None and self._due <= now:
            self._due = now + self._interval if self._interval else None
        elif self._until <= now:
            if self.is_over:
                return
            # Whoever guards a block inside may take this for the end of a limit of its own.
            signal.setitimer(signal.ITIMER_REAL, _AGAIN)
            raise TimeLimitExceeded
        # The earlier alarm, or a signal that another process sent.
        self._pass_on(number, frame)
        if not self.is_over:
            self._arm()

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        """Do what SIGALRM would do without this limit."""
        if self._handler in (signal.SIG_DFL, None):
            from ssmgate.gate.system import die

            die.die_of(number)
        if not callable(self._handler):
            return  # ignored
        self._give_back()
        try:
            self._handler(number, frame)
        finally:
            self._take()  # the handler may have set another alarm
