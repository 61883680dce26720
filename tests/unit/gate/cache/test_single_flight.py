"""Of many processes that need the same decision, one simulates at a time."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from fakes.waiting import count_lock_owners, seconds, until
from ssmgate.gate.cache import single_flight
from ssmgate.gate.cache.store import DecisionCache


def simulate(home: str, calls: str, allow: bool | None, all_wait: str) -> None:
    directory = DecisionCache(home, print)
    if directory.read("a"):  # as `authorize` does
        return
    with contextlib.suppress(RuntimeError), directory.single_flight("a") as flight:
        if flight.waited and directory.read("a"):
            return
        with open(calls, "a") as file:
            file.write(f"{os.getpid()}\n")
        until(lambda: os.path.exists(all_wait))
        if allow is None:
            raise RuntimeError
        if allow:
            directory.write("a", "text")
        else:
            flight.mark_failed()


class Crowd:
    """Processes that need the same decision at once. The leader has it when `end` is called."""

    def __init__(self, home: Path, count: int, *, allow: bool | None) -> None:
        self.calls = home / "calls"
        self.all_wait = home / "all wait"
        arguments = (str(home), str(self.calls), allow, str(self.all_wait))
        context = multiprocessing.get_context("fork")
        self.processes = [context.Process(target=simulate, args=arguments) for _ in range(count)]
        for process in self.processes:
            process.start()

    def wait_for_leader(self) -> int:
        """Return the process that simulates first, once all others wait for it."""
        until(lambda: count_lock_owners(self.calls.parent) == len(self.processes))
        until(lambda: self.calls.exists() and self.calls.read_text().endswith("\n"))
        return int(self.calls.read_text().split()[0])

    def end(self) -> int:
        """Let the leader go on, and return how many processes simulated in the end."""
        self.all_wait.touch()
        for process in self.processes:
            process.join(seconds(30))
            assert process.exitcode is not None
        return len(self.calls.read_text().split())


def test_one_process_simulates_for_all(home: Path) -> None:
    crowd = Crowd(home, 8, allow=True)
    crowd.wait_for_leader()

    assert crowd.end() == 1


def test_another_process_simulates_after_leader_is_killed(home: Path) -> None:
    crowd = Crowd(home, 6, allow=True)
    os.kill(crowd.wait_for_leader(), 9)

    assert crowd.end() == 2


@pytest.mark.parametrize("allow", [False, None], ids=["denied", "an error"])
def test_all_processes_simulate_after_leader_gets_no_allow(home: Path, allow: bool | None) -> None:
    crowd = Crowd(home, 6, allow=allow)
    crowd.wait_for_leader()

    assert crowd.end() == 6


def test_waits_for_stopped_leader_no_longer_than_limit(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(single_flight, "WAIT_SECONDS", 1)
    crowd = Crowd(home, 4, allow=True)
    leader = crowd.wait_for_leader()
    os.kill(leader, signal.SIGSTOP)
    crowd.all_wait.touch()
    try:
        for process in crowd.processes:
            if process.pid != leader:
                process.join(seconds(30))
                assert process.exitcode == 0
    finally:
        os.kill(leader, signal.SIGCONT)
    # Each of the three simulates, unless another one has cached its allow already.
    assert 2 <= crowd.end() <= 4
