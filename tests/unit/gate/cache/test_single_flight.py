"""Of many processes that need the same decision, one simulates at a time."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from fakes.waiting import count_lock_owners, until
from ssmgate.gate.cache import single_flight
from ssmgate.gate.cache.store import DecisionCache


def simulate(home: str, calls: str, seconds: float, allow: bool | None, started: str) -> None:
    directory = DecisionCache(home, print)
    Path(started, str(os.getpid())).touch()
    if directory.read("a"):  # as `authorize` does: this process may begin after the first ended
        return
    with contextlib.suppress(RuntimeError), directory.single_flight("a") as flight:
        if flight.waited and directory.read("a"):
            return
        with open(calls, "a") as file:
            file.write(f"{os.getpid()}\n")
        time.sleep(seconds)
        if allow is None:
            raise RuntimeError
        if allow:
            directory.write("a", "text")
        else:
            flight.mark_failed()


class Crowd:
    """Processes that need the same decision at once."""

    def __init__(self, home: Path, count: int, *, seconds: float, allow: bool | None) -> None:
        self.calls = home / "calls"
        self.started = home / "started"
        self.started.mkdir()
        arguments = (str(home), str(self.calls), seconds, allow, str(self.started))
        context = multiprocessing.get_context("fork")
        self.processes = [context.Process(target=simulate, args=arguments) for _ in range(count)]
        for process in self.processes:
            process.start()

    def wait_for_leader(self) -> int:
        """Return the process that simulates first, once all of them wait."""
        until(lambda: len(os.listdir(self.started)) == len(self.processes) and self.calls.exists())
        until(lambda: count_lock_owners(self.calls.parent) == len(self.processes))
        return int(self.calls.read_text().split()[0])

    def end(self) -> int:
        """Return how many processes simulated."""
        for process in self.processes:
            process.join(30)
        return len(self.calls.read_text().split())


def test_one_process_simulates_for_all(home: Path) -> None:
    assert Crowd(home, 8, seconds=0.5, allow=True).end() == 1


def test_another_process_simulates_after_leader_is_killed(home: Path) -> None:
    crowd = Crowd(home, 6, seconds=2, allow=True)
    os.kill(crowd.wait_for_leader(), 9)

    assert crowd.end() == 2


@pytest.mark.parametrize("allow", [False, None], ids=["denied", "an error"])
def test_all_processes_simulate_after_leader_gets_no_allow(home: Path, allow: bool | None) -> None:
    crowd = Crowd(home, 6, seconds=2, allow=allow)
    crowd.wait_for_leader()

    assert crowd.end() == 6


def test_waits_for_stopped_leader_no_longer_than_limit(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(single_flight, "WAIT_SECONDS", 1)
    crowd = Crowd(home, 4, seconds=0.5, allow=True)
    leader = crowd.wait_for_leader()
    os.kill(leader, signal.SIGSTOP)
    try:
        for process in crowd.processes:
            if process.pid != leader:
                process.join(30)
                assert process.exitcode == 0
    finally:
        os.kill(leader, signal.SIGCONT)
    # Each of the three simulates, unless another one has cached its allow already.
    assert 2 <= crowd.end() <= 4
