"""The directory of the cache: what is stored there, and who could have written it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ssmgate.gate.cache import inspect
from ssmgate.gate.cache.store import DIRECTORY, DecisionCache, youngest


def test_nothing_is_kept_at_first(directory: DecisionCache, home: Path, told: list[object]) -> None:
    assert directory.read("a") is None
    assert (os.listdir(home), told) == ([], [])


def test_what_was_kept(directory: DecisionCache, home: Path, told: list[object]) -> None:
    before = os.umask(0)
    try:
        directory.write("a", "text")
    finally:
        os.umask(before)

    assert directory.read("a") == "text"
    assert (home / DIRECTORY).stat().st_mode & 0o7777 == 0o700
    assert (home / DIRECTORY / "a").stat().st_mode & 0o7777 == 0o600
    assert list(inspect.texts(directory)) == ["text"]
    assert told == []


def lax_directory(home: Path) -> None:
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
        lax_directory, sticky_directory, writable_parent, writable_home, link, a_file,
        pytest.param(foreign_directory, marks=ROOT), pytest.param(foreign_parent, marks=ROOT),
    ],
)  # fmt: skip
def test_a_directory_that_is_not_ours_alone(
    directory: DecisionCache, home: Path, told: list[object], spoil: Callable[[Path], None]
) -> None:
    directory.write("a", "text")
    spoil(home)

    assert directory.read("a") is None
    directory.write("a", "new")
    with directory.single_flight("a"):
        pass
    assert len(told) == 1
    assert str(told[0]).startswith("ssmgate: [WARNING]: nothing is cached: ")


def test_a_sticky_parent_is_allowed(home: Path, told: list[object]) -> None:
    home.chmod(0o1777)
    inner = home / "user"
    inner.mkdir(mode=0o700)
    directory = DecisionCache(str(inner), told.append)
    directory.write("a", "text")

    assert (directory.read("a"), told) == ("text", [])


def test_a_linked_cache_directory_is_followed(
    home: Path, directory: DecisionCache, told: list[object]
) -> None:
    (home / "scratch").mkdir(mode=0o700)
    (home / ".cache").symlink_to(home / "scratch")
    directory.write("a", "text")

    assert (directory.read("a"), told) == ("text", [])


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
def test_a_file_that_is_none_of_ours_is_ignored(
    directory: DecisionCache, home: Path, told: list[object], spoil: Callable[[Path], None]
) -> None:
    directory.write("a", "text")
    spoil(home / DIRECTORY / "a")

    assert directory.read("a") is None
    directory.write("a", "new")
    assert (directory.read("a"), told) == ("new", [])


def test_where_nothing_can_be_kept_nothing_is_said(told: list[object]) -> None:
    directory = DecisionCache("/proc/no-home", told.append)
    directory.write("a", "text")

    with directory.single_flight("a") as flight:
        assert not flight.waited
    assert (directory.read("a"), told) == (None, [])


def test_what_is_old_is_forgotten(directory: DecisionCache, home: Path) -> None:
    directory.write("old", "text")
    long_ago = time.time() - 1000
    os.utime(home / DIRECTORY / "old", (long_ago, long_ago))
    directory.write("new", "text")

    assert os.listdir(home / DIRECTORY) == ["new"]
    with directory.single_flight("new"):
        pass
    assert inspect.clear(directory) == 1
    assert os.listdir(home / DIRECTORY) == []


def test_what_cannot_be_kept_is_told(directory: DecisionCache, home: Path) -> None:
    assert directory.write("a", "text") is True
    assert directory.write("a", "x" * 70_000) is False
    assert directory.read("a") == "text"
    (home / DIRECTORY).chmod(0o755)
    assert directory.write("a", "new") is False


def test_youngest_is_the_entry_that_was_written_last(directory: DecisionCache, home: Path) -> None:
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


def test_lock_and_link_are_not_the_youngest_entry(directory: DecisionCache, home: Path) -> None:
    with directory.single_flight("a"):
        pass
    assert youngest(str(home)) is None
    (home / DIRECTORY / "link").symlink_to(home / "nowhere")
    assert youngest(str(home)) is not None
