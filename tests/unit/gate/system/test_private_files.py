"""Files in a private directory: read, written whole or not at all, deleted."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ssmgate.gate.system import private_directory, private_files


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "a home"
    home.mkdir()
    return home


@pytest.fixture
def directory(home: Path) -> Iterator[int]:
    directory = private_directory.open_directory(str(home), "a/b", create=True)
    yield directory
    os.close(directory)


def test_reads_file_as_written(directory: int, home: Path) -> None:
    before = time.time()
    private_files.write(directory, "name", b"text")

    text, written = private_files.read(directory, "name", 4) or (b"", 0.0)
    assert text == b"text"
    # The file system's clock may lag a tick behind.
    assert before - 1 <= written <= time.time()
    assert private_files.read(directory, "name", 3) is None
    assert private_files.read(directory, "other", 4) is None
    assert (home / "a/b/name").stat().st_mode & 0o7777 == 0o600


def test_failed_write_leaves_old_file(
    directory: int, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private_files.write(directory, "name", b"old")

    def full(*_: object, **__: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(private_files.os, "rename", full)
    with pytest.raises(OSError, match="no space"):
        private_files.write(directory, "name", b"new")
    assert os.listdir(home / "a/b") == ["name"]
    assert private_files.read(directory, "name", 9) == (
        b"old",
        (home / "a/b/name").stat().st_mtime,
    )


def test_deletes_old_files_by_prefix(directory: int, home: Path) -> None:
    for name, age in (("a.new", 0), ("a.old", 100), ("a.future", -100), ("b.old", 100)):
        private_files.write(directory, name, b"")
        os.utime(home / "a/b" / name, (1000 - age, 1000 - age))
    (home / "a/b/a.directory").mkdir()

    assert sorted(private_files.delete(directory, "a.", now=1000, after=50)) == [
        "a.future",
        "a.old",
    ]
    assert sorted(private_files.delete(directory)) == ["a.new", "b.old"]
    assert os.listdir(home / "a/b") == ["a.directory"]


@pytest.mark.parametrize("bits", [0o004, 0o002, 0o001, 0o040, 0o020, 0o010])
def test_does_not_read_file_that_others_may_use(directory: int, home: Path, bits: int) -> None:
    private_files.write(directory, "name", b"text")
    assert private_files.read(directory, "name", 9) is not None
    (home / "a/b/name").chmod(0o600 | bits)
    assert private_files.read(directory, "name", 9) is None


def test_does_not_read_file_of_another_user(
    directory: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    private_files.write(directory, "name", b"text")
    monkeypatch.setattr(private_files.os, "geteuid", lambda: 12345)
    assert private_files.read(directory, "name", 9) is None


def test_reads_only_regular_files(directory: int, home: Path) -> None:
    private_files.write(directory, "name", b"text")
    (home / "a/b/link").symlink_to("name")
    os.mkfifo(home / "a/b/fifo", 0o600)
    (home / "a/b/directory").mkdir(mode=0o600)
    before = set(os.listdir("/dev/fd"))

    assert private_files.read(directory, "link", 9) is None
    assert private_files.read(directory, "fifo", 9) is None
    assert private_files.read(directory, "directory", 9999) is None
    assert private_files.read(directory, "name", 4) is not None
    assert set(os.listdir("/dev/fd")) <= before


def test_unfinished_file_never_replaces_another(
    directory: int, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(private_files.os, "urandom", lambda count: b"\1" * count)
    (home / "a/b/elsewhere").write_text("old")
    (home / f"a/b/name.{'01' * 8}.new").symlink_to("elsewhere")

    with pytest.raises(FileExistsError):
        private_files.write(directory, "name", b"text")
    assert (home / "a/b/elsewhere").read_text() == "old"


def test_deletes_within_bounds(directory: int, home: Path) -> None:
    for name, written in (("old", 949), ("at the bound", 950), ("ahead", 1051), ("new", 1000)):
        private_files.write(directory, name, b"")
        os.utime(home / "a/b" / name, (written, written))

    assert sorted(private_files.delete(directory, now=1000, after=50)) == ["ahead", "old"]
    assert sorted(private_files.delete(directory, "n")) == ["new"]
    private_files.write(directory, "of no time", b"")
    os.utime(home / "a/b/of no time", (0, 0))
    assert sorted(private_files.delete(directory)) == ["at the bound", "of no time"]


def test_deletes_dangling_link(directory: int, home: Path) -> None:
    (home / "a/b/link").symlink_to("nowhere")

    assert private_files.delete(directory) == ["link"]


def test_unreadable_file_is_absent(directory: int, monkeypatch: pytest.MonkeyPatch) -> None:
    private_files.write(directory, "name", b"text")
    fdopen = os.fdopen

    def broken(file: int, mode: str) -> object:
        opened = fdopen(file, mode, buffering=0)
        os.dup2(directory, file)  # a directory: reading it fails
        return opened

    with monkeypatch.context() as patched:
        patched.setattr(private_files.os, "fdopen", broken)
        assert private_files.read(directory, "name", 9) is None
