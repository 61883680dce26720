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


def ask(home: str, asked: str, seconds: float, answer: bool | None, started: str) -> None:
    directory = DecisionCache(home, print)
    Path(started, str(os.getpid())).touch()
    if directory.read("a"):  # as `authorize` does: this process may begin after the first ended
        return
    with contextlib.suppress(RuntimeError), directory.single_flight("a") as flight:
        if flight.waited and directory.read("a"):
            return
        with open(asked, "a") as file:
            file.write(f"{os.getpid()}\n")
        time.sleep(seconds)
        if answer is None:
            raise RuntimeError
        if answer:
            directory.write("a", "text")
        else:
            flight.mark_failed()


class Crowd:
    """Processes that ask the same at once."""

    def __init__(self, home: Path, count: int, *, seconds: float, answer: bool | None) -> None:
        self.asked = home / "asked"
        self.started = home / "started"
        self.started.mkdir()
        arguments = (str(home), str(self.asked), seconds, answer, str(self.started))
        context = multiprocessing.get_context("fork")
        self.processes = [context.Process(target=ask, args=arguments) for _ in range(count)]
        for process in self.processes:
            process.start()

    def wait_for_leader(self) -> int:
        """The process that asks first, once all of them are there."""
        until(lambda: len(os.listdir(self.started)) == len(self.processes) and self.asked.exists())
        until(lambda: count_lock_owners(self.asked.parent) == len(self.processes))
        return int(self.asked.read_text().split()[0])

    def end(self) -> int:
        """How many asked."""
        for process in self.processes:
            process.join(30)
        return len(self.asked.read_text().split())


def test_one_asks_for_all(home: Path) -> None:
    assert Crowd(home, 8, seconds=0.5, answer=True).end() == 1


def test_when_the_one_that_asks_dies_another_one_asks(home: Path) -> None:
    crowd = Crowd(home, 6, seconds=2, answer=True)
    os.kill(crowd.wait_for_leader(), 9)

    assert crowd.end() == 2


@pytest.mark.parametrize("answer", [False, None], ids=["no", "an error"])
def test_after_a_no_all_have_to_ask(home: Path, answer: bool | None) -> None:
    crowd = Crowd(home, 6, seconds=2, answer=answer)
    crowd.wait_for_leader()

    assert crowd.end() == 6


def test_one_that_is_stopped_is_waited_for_no_longer_than_the_limit(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(single_flight, "WAIT_SECONDS", 1)
    crowd = Crowd(home, 4, seconds=0.5, answer=True)
    leader = crowd.wait_for_leader()
    os.kill(leader, signal.SIGSTOP)
    try:
        for process in crowd.processes:
            if process.pid != leader:
                process.join(30)
                assert process.exitcode == 0
    finally:
        os.kill(leader, signal.SIGCONT)
    # Each of the three asked, unless another one's answer was there already.
    assert 2 <= crowd.end() <= 4
