"""The directory of the cache: what is stored there, and who could have written it."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ssmgate.gate.cache import inspect, single_flight
from ssmgate.gate.cache.store import DIRECTORY, DecisionCache, youngest
from ssmgate.gate.system import private_files


@pytest.fixture(autouse=True)
def _no_descriptor_stays() -> Iterator[None]:
    before = set(os.listdir("/dev/fd"))
    yield
    assert set(os.listdir("/dev/fd")) <= before


def test_new_cache_is_empty_and_creates_no_directory(
    directory: DecisionCache, home: Path, warnings: list[object]
) -> None:
    assert directory.read("a") is None
    assert (os.listdir(home), warnings) == ([], [])


def test_reads_text_as_written_to_private_file(
    directory: DecisionCache, home: Path, warnings: list[object]
) -> None:
    before = os.umask(0)
    try:
        directory.write("a", "text")
    finally:
        os.umask(before)

    assert directory.read("a") == "text"
    assert (home / DIRECTORY).stat().st_mode & 0o7777 == 0o700
    assert (home / DIRECTORY / "a").stat().st_mode & 0o7777 == 0o600
    assert list(inspect.texts(directory)) == ["text"]
    assert warnings == []


def insecure_directory(home: Path) -> None:
    (home / DIRECTORY).chmod(0o755)


def sticky_directory(home: Path) -> None:
    (home / DIRECTORY).chmod(0o1777)


def writable_parent(home: Path) -> None:
    (home / ".cache").chmod(0o777)


def writable_home(home: Path) -> None:
    home.chmod(0o777)


def link(home: Path) -> None:
    (home / DIRECTORY).rename(home / "elsewhere")
    (home / DIRECTORY).symlink_to(home / "elsewhere")


def a_file(home: Path) -> None:
    (home / DIRECTORY).rename(home / "elsewhere")
    (home / DIRECTORY).write_text("")


def foreign_directory(home: Path) -> None:
    os.chown(home / DIRECTORY, 12345, 12345)


def foreign_parent(home: Path) -> None:
    os.chown(home / ".cache", 12345, 12345)


ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.mark.parametrize(
    "spoil",
    [
        insecure_directory, sticky_directory, writable_parent, writable_home, link, a_file,
        pytest.param(foreign_directory, marks=ROOT), pytest.param(foreign_parent, marks=ROOT),
    ],
)  # fmt: skip
def test_warns_once_and_skips_directory_that_others_can_write(
    directory: DecisionCache, home: Path, warnings: list[object], spoil: Callable[[Path], None]
) -> None:
    directory.write("a", "text")
    spoil(home)

    assert directory.read("a") is None
    directory.write("a", "new")
    with directory.single_flight("a"):
        pass
    assert len(warnings) == 1
    assert str(warnings[0]).startswith("ssmgate: [WARNING]: nothing is cached: ")


def test_accepts_sticky_directory_above_home(home: Path, warnings: list[object]) -> None:
    home.chmod(0o1777)
    inner = home / "user"
    inner.mkdir(mode=0o700)
    directory = DecisionCache(str(inner), warnings.append)
    directory.write("a", "text")

    assert (directory.read("a"), warnings) == ("text", [])


def test_follows_link_to_private_directory(
    home: Path, directory: DecisionCache, warnings: list[object]
) -> None:
    (home / "scratch").mkdir(mode=0o700)
    (home / ".cache").symlink_to(home / "scratch")
    directory.write("a", "text")

    assert (directory.read("a"), warnings) == ("text", [])


def readable(file: Path) -> None:
    file.chmod(0o644)


def linked(file: Path) -> None:
    file.rename(file.with_name("b"))
    file.symlink_to(file.with_name("b"))


def fifo(file: Path) -> None:
    file.unlink()
    os.mkfifo(file, 0o600)


def big(file: Path) -> None:
    file.write_text("x" * 70_000)


def binary(file: Path) -> None:
    file.write_bytes(b"\xff\xfe")


def foreign(file: Path) -> None:
    os.chown(file, 12345, 12345)


@pytest.mark.parametrize(
    "spoil", [readable, linked, fifo, big, binary, pytest.param(foreign, marks=ROOT)]
)
def test_ignores_and_replaces_untrusted_file(
    directory: DecisionCache, home: Path, warnings: list[object], spoil: Callable[[Path], None]
) -> None:
    directory.write("a", "text")
    spoil(home / DIRECTORY / "a")

    assert directory.read("a") is None
    directory.write("a", "new")
    assert (directory.read("a"), warnings) == ("new", [])


def test_missing_home_disables_cache_without_warning(warnings: list[object]) -> None:
    directory = DecisionCache("/proc/no-home", warnings.append)
    directory.write("a", "text")

    with directory.single_flight("a") as flight:
        assert not flight.waited
    assert (directory.read("a"), warnings) == (None, [])


def test_write_deletes_old_entries_and_clear_deletes_all(
    directory: DecisionCache, home: Path
) -> None:
    directory.write("old", "text")
    long_ago = time.time() - 1000
    os.utime(home / DIRECTORY / "old", (long_ago, long_ago))
    directory.write("new", "text")

    assert os.listdir(home / DIRECTORY) == ["new"]
    with directory.single_flight("new"):
        pass
    assert inspect.clear(directory) == 1
    assert os.listdir(home / DIRECTORY) == []


def test_write_returns_whether_entry_was_stored(directory: DecisionCache, home: Path) -> None:
    assert directory.write("a", "text") is True
    assert directory.write("a", "x" * 70_000) is False
    assert directory.read("a") == "text"
    (home / DIRECTORY).chmod(0o755)
    assert directory.write("a", "new") is False


def test_youngest_is_age_of_last_written_entry(directory: DecisionCache, home: Path) -> None:
    assert youngest(str(home)) is None
    directory.write("a", "text")
    directory.write("b", "text")
    with directory.single_flight("c"):
        pass
    now = time.time()
    for name, age in (("a", 300), ("b", 200), ("c.lock", 100)):
        os.utime(home / DIRECTORY / name, (now - age, now - age))

    found = youngest(str(home))
    assert found is not None
    assert 200 <= found < 300


def test_youngest_ignores_locks(directory: DecisionCache, home: Path) -> None:
    with directory.single_flight("a"):
        pass
    assert youngest(str(home)) is None
    (home / DIRECTORY / "link").symlink_to(home / "nowhere")
    assert youngest(str(home)) is not None


def test_entry_and_lock_have_documented_paths(directory: DecisionCache, home: Path) -> None:
    before = os.umask(0)
    try:
        directory.write("a", "text")
        with directory.single_flight("a"):
            pass
    finally:
        os.umask(before)

    directory = home / ".cache/ssmgate/answers"
    assert sorted(os.listdir(directory)) == ["a", "a.lock"]
    assert (directory / "a.lock").stat().st_mode & 0o7777 == 0o600


@pytest.mark.parametrize(("size", "is_stored"), [(65_536, True), (65_537, False)])
def test_entry_may_have_65536_bytes(
    directory: DecisionCache, home: Path, size: int, is_stored: bool
) -> None:
    assert directory.write("a", "x" * size) is is_stored
    directory.write("a", "")
    (home / DIRECTORY / "a").write_text("x" * size)
    assert (directory.read("a") is not None) is is_stored


def test_deletes_entries_after_15_minutes(directory: DecisionCache, home: Path) -> None:
    for name, age in (("old", 900.5), ("young", 880)):
        directory.write(name, "text")
        then = time.time() - age
        os.utime(home / DIRECTORY / name, (then, then))
    directory.write("new", "text")

    assert sorted(os.listdir(home / DIRECTORY)) == ["new", "young"]


def test_entry_that_cannot_be_written_is_not_cached(
    directory: DecisionCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(private_files, "write", full)
    assert directory.write("a", "text") is False
    assert directory.read("a") is None


def test_releases_lock_and_notes_failure_in_it(directory: DecisionCache, home: Path) -> None:
    lock = home / DIRECTORY / "a.lock"
    with directory.single_flight("a") as flight:
        assert not flight.waited
    assert lock.read_text() == ""
    with pytest.raises(ZeroDivisionError), directory.single_flight("a"):
        raise ZeroDivisionError
    assert float(lock.read_text()) > 0
    with directory.single_flight("a") as flight:
        assert not flight.waited


def test_waits_for_lock_of_same_entry_only(
    directory: DecisionCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(single_flight, "WAIT_SECONDS", 0)
    with directory.single_flight("a"), directory.single_flight("a") as second:
        assert second.waited
    with directory.single_flight("a"), directory.single_flight("b") as other:
        assert not other.waited


def test_does_not_use_current_directory(
    directory: DecisionCache,
    warnings: list[object],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = tmp_path / "place"
    place.mkdir()
    monkeypatch.chdir(place)
    (place / "a").touch(mode=0o600)
    assert DecisionCache("/proc/no-home", warnings.append).read("a") is None
    (place / "a").unlink()
    for cache in (directory, DecisionCache("/proc/no-home", warnings.append)):
        cache.write("a", "text")
        with cache.single_flight("a"):
            cache.read("a")
    assert os.listdir(place) == []


def spoil_lock_link(lock: Path) -> None:
    lock.symlink_to(lock.with_name("elsewhere"))


def spoil_lock_fifo(lock: Path) -> None:
    os.mkfifo(lock, 0o600)


@pytest.mark.parametrize(
    "spoil",
    [
        spoil_lock_link, spoil_lock_fifo, Path.mkdir,
        lambda lock: lock.write_text("inf"), lambda lock: lock.write_text("nan" * 9),
    ],
    ids=["link", "fifo", "directory", "text", "more text"],
)  # fmt: skip
def test_unusable_lock_does_not_prevent_simulation(
    directory: DecisionCache, home: Path, warnings: list[object], spoil: Callable[[Path], None]
) -> None:
    directory.write("a", "text")
    spoil(home / DIRECTORY / "a.lock")
    with directory.single_flight("a") as flight:
        flight.mark_failed()

    assert not flight.waited
    assert warnings == []
    assert not (home / DIRECTORY / "elsewhere").exists()


@pytest.mark.parametrize("terminal", [True, False])
def test_prints_reason_of_wait_at_terminal(
    directory: DecisionCache,
    warnings: list[object],
    monkeypatch: pytest.MonkeyPatch,
    terminal: bool,
) -> None:
    monkeypatch.setattr(single_flight, "WAIT_SECONDS", 0)
    monkeypatch.setattr(single_flight, "NOTICE_SECONDS", 0)
    monkeypatch.setattr(os, "isatty", lambda fd: terminal and fd == 2)
    with directory.single_flight("a"), directory.single_flight("a"):
        pass

    line = "ssmgate: waiting for another ssmgate process that checks the same access"
    assert warnings == [line] * terminal
