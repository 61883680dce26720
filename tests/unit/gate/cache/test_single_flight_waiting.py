"""How a process waits for the lock: by a clock of the test's own, so that no time passes."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from io import FileIO
from pathlib import Path
from types import SimpleNamespace

import pytest

from ssmgate.gate.cache import single_flight
from ssmgate.gate.cache.entry import Timestamp
from ssmgate.gate.cache.single_flight import SingleFlightLock

BEGAN = 1000.0


class Clock:
    """Seconds since boot, what was slept, and what happens at a time. `drawn`: 0 least, 1 most."""

    def __init__(self) -> None:
        self.boot = BEGAN
        self.slept: list[float] = []
        self.happens: dict[float, Callable[[], object]] = {}
        self.drawn = 0.0
        self.tried = 0

    def now(self) -> Timestamp:
        return Timestamp(0, self.boot)

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.slept.append(seconds)
        self.boot += seconds
        for after in [one for one in self.happens if self.boot >= BEGAN + one]:
            self.happens.pop(after)()

    def flock(self, lock: int, operation: int) -> None:
        self.tried += 1
        assert self.tried < 5000, "it does not end"
        assert operation & fcntl.LOCK_NB, "it may wait for ever"
        fcntl.flock(lock, operation)

    def uniform(self, least: float, most: float) -> float:
        return least + (most - least) * self.drawn


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(single_flight, "now", clock.now)
    monkeypatch.setattr(single_flight, "time", SimpleNamespace(sleep=clock.sleep))
    monkeypatch.setattr(single_flight, "random", SimpleNamespace(uniform=clock.uniform))
    locks = SimpleNamespace(
        LOCK_EX=fcntl.LOCK_EX, LOCK_NB=fcntl.LOCK_NB, flock=lambda *given: clock.flock(*given)
    )
    monkeypatch.setattr(single_flight, "fcntl", locks)
    return clock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.lock"


@pytest.fixture
def leader(path: Path) -> Iterator[FileIO]:
    """Yield a file that has the lock, as another process would."""
    with FileIO(path, "w+") as leader:
        fcntl.flock(leader, fcntl.LOCK_EX)
        yield leader


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


def _free(path: Path) -> bool:
    probe = _open(path)
    try:
        fcntl.flock(probe, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(probe)
    return True


def _nothing() -> None:
    """Be notified."""


def test_takes_free_lock_at_once_and_holds_it_until_release(clock: Clock, path: Path) -> None:
    flight = SingleFlightLock(_open(path), _nothing)

    flight.wait()
    assert (flight.waited, clock.slept, _free(path)) == (False, [], False)
    flight.release()
    assert _free(path)
    flight.release()
    flight.mark_failed()


def test_does_not_wait_without_lock(clock: Clock) -> None:
    flight = SingleFlightLock(None, _nothing)

    flight.wait()
    flight.mark_failed()
    flight.release()
    assert (flight.waited, clock.slept) == (False, [])


@pytest.mark.parametrize(("drawn", "poll"), [(0, 0.01), (1, 0.03)])
def test_takes_lock_when_leader_releases_it(
    clock: Clock, path: Path, leader: FileIO, drawn: float, poll: float
) -> None:
    clock.drawn = drawn
    clock.happens = {1.0: leader.close}
    flight = SingleFlightLock(_open(path), _nothing)

    flight.wait()

    assert flight.waited
    assert not _free(path)
    assert clock.slept == pytest.approx([poll] * len(clock.slept))
    assert clock.boot == pytest.approx(BEGAN + 1, abs=0.03)
    flight.release()


@pytest.mark.parametrize(("drawn", "patience"), [(0, 15.0), (1, 30.0)])
def test_waits_for_leader_no_longer_than_limit(
    clock: Clock, path: Path, leader: FileIO, drawn: float, patience: float
) -> None:
    clock.drawn = drawn
    lock = _open(path)
    flight = SingleFlightLock(lock, _nothing)

    flight.wait()

    assert flight.waited
    assert patience < clock.boot - BEGAN < patience + 0.05
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(lock)


def test_tries_once_more_at_end_of_limit(
    clock: Clock, path: Path, leader: FileIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(single_flight, "WAIT_SECONDS", 1.0)
    clock.drawn = 1
    monkeypatch.setattr(single_flight, "time", SimpleNamespace(sleep=lambda _: clock.sleep(0.5)))

    SingleFlightLock(_open(path), _nothing).wait()

    assert clock.slept == [0.5, 0.5, 0.5]


def test_notifies_once_after_two_seconds(
    clock: Clock, path: Path, leader: FileIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    notified: list[float] = []
    monkeypatch.setattr(single_flight, "time", SimpleNamespace(sleep=lambda _: clock.sleep(0.25)))

    SingleFlightLock(_open(path), lambda: notified.append(clock.boot - BEGAN)).wait()

    assert notified == [2.0]


@pytest.mark.parametrize(
    ("failed", "paced"),
    [(-0.5, False), (0.0, True), (0.5, True)],
    ids=["before it waited", "as it began", "since"],
)
@pytest.mark.parametrize(("drawn", "pace"), [(0, 0.1), (1, 0.3)])
def test_goes_on_without_lock_after_leader_failed(
    clock: Clock, path: Path, leader: FileIO, failed: float, paced: bool, drawn: float, pace: float
) -> None:
    held: list[bool] = []
    clock.drawn = drawn
    clock.boot = BEGAN + failed
    SingleFlightLock(leader.fileno(), _nothing).mark_failed()
    clock.boot = BEGAN

    def end() -> None:
        leader.close()
        clock.happens[clock.boot - BEGAN + 0.1] = lambda: held.append(not _free(path))

    clock.happens = {1.0: end}
    flight = SingleFlightLock(_open(path), _nothing)
    flight.wait()

    assert flight.waited
    assert _free(path) is paced
    assert clock.slept[-1] == pytest.approx(pace if paced else 0.01 + 0.02 * drawn)
    assert held == [True] * paced, "the one before keeps the others from it while it sleeps"
    flight.release()


def test_ignores_failure_from_before_it_waited(clock: Clock, path: Path) -> None:
    lock = _open(path)
    SingleFlightLock(lock, _nothing).mark_failed()
    flight = SingleFlightLock(lock, _nothing)

    flight.wait()

    assert (clock.slept, _free(path)) == ([], False)
    flight.release()


@pytest.mark.parametrize("boot", [0.0, 7.25, 123456.789012, 9e11])
def test_time_of_failure_overwrites_previous_one(clock: Clock, path: Path, boot: float) -> None:
    lock = _open(path)
    path.write_text("9" * 20)
    clock.boot = boot

    SingleFlightLock(lock, _nothing).mark_failed()

    assert len(path.read_text()) == 20
    assert float(path.read_text()) == pytest.approx(boot, abs=1e-6)
    os.close(lock)


@pytest.mark.parametrize("text", ["", "x", "nan", "9" * 20 + "x"])
def test_invalid_time_in_lock_file_counts_as_no_failure(
    clock: Clock, path: Path, leader: FileIO, text: str
) -> None:
    path.write_text(text)
    clock.happens = {1.0: leader.close}
    flight = SingleFlightLock(_open(path), _nothing)

    flight.wait()

    assert _free(path) is text.startswith("9")
    flight.release()


def test_unreadable_time_counts_as_no_failure(path: Path) -> None:
    lock = _open(path)
    unreadable = os.open(path, os.O_WRONLY)

    assert single_flight._failed_at(lock) == single_flight._failed_at(unreadable) == 0
    os.close(lock)
    os.close(unreadable)


def test_ignores_failing_write_of_failure(clock: Clock, path: Path) -> None:
    path.touch()
    flight = SingleFlightLock(os.open(path, os.O_RDONLY), _nothing)

    flight.mark_failed()
    flight.release()
    assert path.read_text() == ""


def test_simulates_without_lock_where_file_system_has_none(
    clock: Clock, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError("No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    lock = _open(path)
    flight = SingleFlightLock(lock, _nothing)

    flight.wait()

    assert (flight.waited, clock.slept) == (False, [])
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(lock)
