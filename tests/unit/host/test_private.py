"""Files in a folder that is one user's alone: read, kept whole or not at all, forgotten."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ssmgate.host import private
from ssmgate.host.trusted import Untrusted


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "a home"
    home.mkdir()
    return home


@pytest.fixture
def folder(home: Path) -> Iterator[int]:
    folder = private.open_folder(str(home), "a/b", create=True)
    yield folder
    os.close(folder)


def test_what_is_kept_is_read(folder: int, home: Path) -> None:
    before = time.time()
    private.keep(folder, "name", b"text")

    text, written = private.read(folder, "name", 4) or (b"", 0.0)
    assert text == b"text"
    # The file system's clock may lag a tick behind.
    assert before - 1 <= written <= time.time()
    assert private.read(folder, "name", 3) is None
    assert private.read(folder, "other", 4) is None
    assert (home / "a/b/name").stat().st_mode & 0o7777 == 0o600


def test_without_create_nothing_is_made(home: Path) -> None:
    with pytest.raises(FileNotFoundError):
        private.open_folder(str(home), "a/b")
    assert os.listdir(home) == []


def test_a_folder_that_inherits_its_group_is_one_users_alone(home: Path) -> None:
    """Below a folder with the set-group-ID bit every new one has it too."""
    home.chmod(0o2700)
    os.close(private.open_folder(str(home), "a/b", create=True))
    (home / "a/b").chmod(0o2700)

    os.close(private.open_folder(str(home), "a/b"))
    (home / "a/b").chmod(0o2710)
    with pytest.raises(Untrusted, match="is not this user's alone"):
        private.open_folder(str(home), "a/b")


def test_what_cannot_be_written_leaves_the_old(
    folder: int, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private.keep(folder, "name", b"old")

    def full(*_: object, **__: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(private.os, "rename", full)
    with pytest.raises(OSError, match="no space"):
        private.keep(folder, "name", b"new")
    assert os.listdir(home / "a/b") == ["name"]
    assert private.read(folder, "name", 9) == (b"old", (home / "a/b/name").stat().st_mtime)


def test_what_is_forgotten(folder: int, home: Path) -> None:
    for name, age in (("a.new", 0), ("a.old", 100), ("a.future", -100), ("b.old", 100)):
        private.keep(folder, name, b"")
        os.utime(home / "a/b" / name, (1000 - age, 1000 - age))
    (home / "a/b/a.folder").mkdir()

    assert sorted(private.forget(folder, "a.", now=1000, after=50)) == ["a.future", "a.old"]
    assert sorted(private.forget(folder)) == ["a.new", "b.old"]
    assert os.listdir(home / "a/b") == ["a.folder"]


def test_it_imports_next_to_nothing() -> None:
    # Some releases of Python 3.13 load errno themselves.
    code = (
        "import errno, os, stat, sys; before = set(sys.modules)\n"
        "import ssmgate.host.private\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    ended = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.split() == [
        "__future__", "ssmgate", "ssmgate.host", "ssmgate.host.private", "ssmgate.host.trusted",
    ]  # fmt: skip
