"""Time limits together with an earlier alarm, and the signals that are held during a session
start.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ssmgate.gate.system import takeover
from ssmgate.gate.system.signals import (
    HeldSignals,
    Interrupted,
    TimeLimitExceeded,
    held,
    time_limit,
)


@pytest.fixture(autouse=True)
def _keep_timer_of_pytest() -> Iterator[None]:
    """Save and restore the timer and the dispositions that pytest-timeout uses."""
    left, interval = signal.setitimer(signal.ITIMER_REAL, 0)
    before = {number: signal.getsignal(number) for number in takeover.ENDING}
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number, disposition in before.items():
        signal.signal(number, disposition)
    signal.setitimer(signal.ITIMER_REAL, left, interval)


def wait_for(condition: Any) -> None:
    """Wait until a signal handler makes `condition` true, at most 10 s."""
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.001)


def wait_forever() -> None:
    wait_for(lambda: False)


@pytest.fixture
def rings() -> list[int]:
    """Return each SIGALRM that the handler received which was installed before any limit."""
    rings: list[int] = []
    signal.signal(signal.SIGALRM, lambda number, _frame: rings.append(number))
    return rings


# The alarm that was set before.


def test_earlier_alarm_keeps_its_remaining_time(rings: list[int]) -> None:
    handler = signal.getsignal(signal.SIGALRM)
    signal.setitimer(signal.ITIMER_REAL, 50, 7)

    with time_limit(20):
        time.sleep(0.02)
        inside, _ = signal.getitimer(signal.ITIMER_REAL)

    left, interval = signal.setitimer(signal.ITIMER_REAL, 0)
    assert inside <= 20 - 0.02
    assert 20 < left <= 50 - 0.02
    assert interval == 7
    assert signal.getsignal(signal.SIGALRM) is handler
    assert rings == []


def test_leaves_no_alarm_without_earlier_alarm(rings: list[int]) -> None:
    with time_limit(20):
        pass

    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_earlier_alarm_rings_and_limit_still_holds(rings: list[int]) -> None:
    signal.setitimer(signal.ITIMER_REAL, 0.02)

    with pytest.raises(TimeLimitExceeded), time_limit(0.1):
        wait_forever()

    assert len(rings) == 1
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_repeating_earlier_alarm_goes_on(rings: list[int]) -> None:
    signal.setitimer(signal.ITIMER_REAL, 0.01, 0.02)

    with time_limit(20):
        wait_for(lambda: len(rings) >= 3)

    wait_for(lambda: len(rings) >= 5)
    assert signal.setitimer(signal.ITIMER_REAL, 0)[1] == pytest.approx(0.02)


def test_handler_may_set_another_alarm(rings: list[int]) -> None:
    def ring_again(number: int, _frame: object) -> None:
        rings.append(number)
        if len(rings) < 3:
            signal.setitimer(signal.ITIMER_REAL, 0.01)

    signal.signal(signal.SIGALRM, ring_again)
    signal.setitimer(signal.ITIMER_REAL, 0.01)

    with time_limit(20):
        wait_for(lambda: len(rings) == 3)

    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_blocked_alarm_rings_afterwards(rings: list[int]) -> None:
    signal.setitimer(signal.ITIMER_REAL, 0.02)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
    try:
        with time_limit(20):
            time.sleep(0.05)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})

    wait_for(lambda: rings)
    assert rings == [signal.SIGALRM]


def test_signal_of_another_process_is_not_limit(rings: list[int]) -> None:
    with time_limit(20):
        os.kill(os.getpid(), signal.SIGALRM)
        wait_for(lambda: rings)
        assert 0 < signal.getitimer(signal.ITIMER_REAL)[0] <= 20


def test_ignored_alarm_stays_without_effect() -> None:
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    signal.setitimer(signal.ITIMER_REAL, 0.01)

    with pytest.raises(TimeLimitExceeded), time_limit(0.05):
        wait_forever()

    assert signal.getsignal(signal.SIGALRM) is signal.SIG_IGN


def test_limit_that_ends_as_it_rings_raises_nothing(rings: list[int]) -> None:
    """The signal has arrived and its handler has not run yet."""
    limit = time_limit(20)
    with limit:
        inside = signal.getsignal(signal.SIGALRM)
    assert callable(inside)
    inside.__self__._until = 0  # type: ignore[attr-defined]

    inside(signal.SIGALRM, None)

    assert rings == []


@pytest.mark.parametrize(
    ("alarm", "expected"),
    [
        pytest.param("signal.setitimer(0, 0.05)", -signal.SIGALRM, id="its alarm"),
        pytest.param("os.kill(os.getpid(), signal.SIGALRM)", -signal.SIGALRM, id="kill"),
        pytest.param("pass", 7, id="the limit alone"),
    ],
)
def test_process_without_handler_ends_by_alarm(alarm: str, expected: int) -> None:
    code = (
        "import os, signal, time\n"
        "from ssmgate.gate.system.signals import TimeLimitExceeded, time_limit\n"
        "try:\n"
        "    with time_limit(0.3):\n"
        f"        {alarm}\n"
        "        time.sleep(10)\n"
        "except TimeLimitExceeded:\n"
        "    os._exit(7)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], check=False)

    assert ended.returncode == expected


# Limits within limits.


def test_inner_limit_rings_first_and_outer_keeps_rest() -> None:
    with time_limit(20):
        with pytest.raises(TimeLimitExceeded), time_limit(0.2):
            wait_forever()
        left, _ = signal.getitimer(signal.ITIMER_REAL)
        assert 0 < left < 20 - 0.1  # the kernel rounds a timer's remaining time up, by milliseconds


def test_outer_limit_rings_inside_inner() -> None:
    reached = []

    def inner() -> None:
        with time_limit(20):
            wait_forever()
        reached.append("after the inner block")

    with pytest.raises(TimeLimitExceeded), time_limit(0.02):
        inner()

    assert reached == []
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_outer_limit_is_not_taken_for_inner() -> None:
    guarded = []

    def inner() -> None:
        try:
            with time_limit(20):
                wait_forever()
        except TimeLimitExceeded:
            guarded.append("as the inner one's")
        wait_forever()

    with pytest.raises(TimeLimitExceeded), time_limit(0.02):
        inner()

    assert guarded == ["as the inner one's"]
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_all_of_three_limits_ring() -> None:
    def rings_after(within: Callable[[], object], seconds: float) -> None:
        def block() -> None:
            within()
            wait_forever()

        with pytest.raises(TimeLimitExceeded), time_limit(seconds):
            block()

    rings_after(lambda: rings_after(lambda: rings_after(lambda: None, 0.03), 0.06), 0.09)

    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


# What is held.

LINUX = {
    "HUP", "INT", "QUIT", "TRAP", "ABRT", "USR1", "USR2", "ALRM", "TERM", "STKFLT", "XCPU",
    "VTALRM", "PROF", "IO", "PWR", "SYS",
}  # fmt: skip


@pytest.mark.skipif(sys.platform != "linux", reason="the names are those of Linux")
def test_holds_each_terminating_signal() -> None:
    names = {getattr(signal, f"SIG{name}") for name in LINUX}
    real_time = set(range(signal.SIGRTMIN, signal.SIGRTMAX + 1))

    assert set(takeover.ENDING) == names | real_time


def test_leaves_ignored_and_harmless_signals_alone() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, takeover.nothing)

    with held() as window:
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGUSR1)
        window.check()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGUSR1) is takeover.nothing


def test_reports_first_signal() -> None:
    with held() as window:
        os.kill(os.getpid(), signal.SIGUSR2)
        wait_for(lambda: window.number)
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Interrupted) as raised:
            window.check()

    assert raised.value.number == signal.SIGUSR2


def test_restores_dispositions_after_failure() -> None:
    before = {number: signal.getsignal(number) for number in takeover.ENDING}

    def fail(window: HeldSignals) -> None:
        os.kill(os.getpid(), signal.SIGUSR2)
        wait_for(lambda: window.number)
        raise ValueError

    with pytest.raises(Interrupted) as raised, held() as window:
        fail(window)

    assert isinstance(raised.value.__cause__, ValueError)
    assert {number: signal.getsignal(number) for number in takeover.ENDING} == before


# The end of this process.


def test_signal_at_last_check_executes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    executed: list[object] = []
    monkeypatch.setattr(os, "execve", lambda *words: executed.append(words))
    numbers = (*takeover.ENDING, signal.SIGTSTP, signal.SIGPIPE, signal.SIGXFSZ)
    before = {number: signal.getsignal(number) for number in numbers}

    def last_check(window: HeldSignals) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        wait_for(lambda: window.number)
        window.check()

    with pytest.raises(Interrupted) as raised, held() as window:
        takeover.execute("/bin/true", ["true"], {}, lambda: last_check(window))

    assert raised.value.number == signal.SIGTERM
    assert executed == []
    assert {number: signal.getsignal(number) for number in numbers} == before


CORE = """
import os, resource, signal, sys
from ssmgate.gate.system import die
os.chdir(sys.argv[1])
most = resource.getrlimit(resource.RLIMIT_CORE)[1]
resource.setrlimit(resource.RLIMIT_CORE, (most, most))
def dumps(end):
    pid = os.fork()
    if not pid:
        end(signal.SIGABRT)
    status = os.waitpid(pid, 0)[1]
    assert os.WTERMSIG(status) == signal.SIGABRT
    return os.WCOREDUMP(status)
print(int(dumps(lambda number: os.kill(os.getpid(), number))), int(dumps(die.die_of)))
"""


def test_writes_no_core_file(tmp_path: Any) -> None:
    output = subprocess.run(
        [sys.executable, "-c", CORE, tmp_path], capture_output=True, text=True, check=True
    ).stdout.split()

    if output[0] == "0":
        pytest.skip("this system writes no core files")
    assert output == ["1", "0"]
