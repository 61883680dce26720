"""Hold signals during the handover, and limit how long a block may take."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from ssmgate.gate.decision.errors import ControlFlow
from ssmgate.gate.system import takeover

INTERRUPT = signal.SIGINT

# Seconds. A timer of 0 would be off, one may expire a little early, and a limit whose exception was
# caught inside its block expires again.
_AT_ONCE = 1e-6
_EARLY = 1e-3
_AGAIN = 0.1

# Functions that connect, before a request is written. StartSession is repeated only if there was no
# connection: in these no session exists, unless one is being terminated.
_CONNECTING = {("urllib3.connection", "connect"), ("ssmgate.gate.aws.preconnect", "join_in")}
_TERMINATING = ("ssmgate.gate.aws.start_session", "terminate_session")


class Interrupted(ControlFlow):
    """A held signal arrived."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class TimeLimitExceeded(ControlFlow):
    """The time for a block is up."""


class HeldSignals:
    """The first signal that arrived while signals were held."""

    def __init__(self) -> None:
        self.number: int | None = None

    def note(self, number: int, frame: Any) -> None:
        """Handle a signal: store the first one, and raise `Interrupted` if nothing was sent yet."""
        self.number = self.number or number
        callers = set()
        while frame:
            callers.add((frame.f_globals.get("__name__"), frame.f_code.co_name))
            frame = frame.f_back
        if callers & _CONNECTING and _TERMINATING not in callers:
            self.check()

    def check(self) -> None:
        """Raise `Interrupted` if a signal arrived."""
        if self.number is not None:
            raise Interrupted(self.number)


@contextmanager
def held() -> Iterator[HeldSignals]:
    """Hold every signal that would end this process, so that no session is left without a plugin.

    These are the signals of `takeover.hold`. Outside the main thread nothing is held, as Python
    allows only the main thread to install handlers. If the block fails and a signal arrived,
    `Interrupted` is raised from the failure.
    """
    signals = HeldSignals()
    main = threading.current_thread() is threading.main_thread()
    before = takeover.hold(signals.note) if main else {}
    try:
        yield signals
    except Exception as error:
        if signals.number is not None:
            raise Interrupted(signals.number) from error
        raise
    finally:
        takeover.restore(before)


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise `TimeLimitExceeded` in the main thread if the block takes longer than `seconds`.

    Connect and read time-outs do not limit an answer that arrives byte by byte.
    Outside the main thread there is no limit.

    Limits nest, and an alarm that was set before (`perl -e 'alarm 3; exec …'`) stays active: what
    is due first expires first. Afterwards the earlier timer has its remaining time, or expires at
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
            # It may expire just before this. `end` runs although an exception is raised then.
            limit.is_over = True
    finally:
        limit.end()


class _Limit:
    """The only timer of a process, shared by a time limit and an alarm that was set before it."""

    def __init__(self, seconds: float) -> None:
        self.is_over = False
        self._until = time.monotonic() + seconds
        self._handler = signal.getsignal(signal.SIGALRM)
        # When the earlier alarm is due, and the seconds between its repetitions.
        self._due: float | None = None
        self._interval = 0.0

    def begin(self) -> None:
        """Stop the earlier timer, and start this limit's."""
        self._take()
        signal.signal(signal.SIGALRM, self._ring)
        self._arm()

    def end(self) -> None:
        """Restore the handler and the earlier timer."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        if self._handler is not None:  # None: installed by code that is not Python
            signal.signal(signal.SIGALRM, self._handler)
        self._give_back()

    def _take(self) -> None:
        """Stop the timer, and store when it would have expired."""
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
            # Again, as code in the block may catch this as the end of its own limit.
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
