"""Files in a folder that is one user's alone: read, kept whole or not at all, forgotten."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from ssmgate.gate.system import private_directory
from ssmgate.gate.system.trusted_files import InsecurePermissions


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "a home"
    home.mkdir()
    return home


@pytest.fixture
def folder(home: Path) -> Iterator[int]:
    folder = private_directory.open_directory(str(home), "a/b", create=True)
    yield folder
    os.close(folder)


def test_what_is_kept_is_read(folder: int, home: Path) -> None:
    before = time.time()
    private_directory.keep(folder, "name", b"text")

    text, written = private_directory.read(folder, "name", 4) or (b"", 0.0)
    assert text == b"text"
    # The file system's clock may lag a tick behind.
    assert before - 1 <= written <= time.time()
    assert private_directory.read(folder, "name", 3) is None
    assert private_directory.read(folder, "other", 4) is None
    assert (home / "a/b/name").stat().st_mode & 0o7777 == 0o600


def test_without_create_nothing_is_made(home: Path) -> None:
    with pytest.raises(FileNotFoundError):
        private_directory.open_directory(str(home), "a/b")
    assert os.listdir(home) == []


def test_a_folder_that_inherits_its_group_is_one_users_alone(home: Path) -> None:
    """Below a folder with the set-group-ID bit every new one has it too."""
    home.chmod(0o2700)
    os.close(private_directory.open_directory(str(home), "a/b", create=True))
    (home / "a/b").chmod(0o2700)

    os.close(private_directory.open_directory(str(home), "a/b"))
    (home / "a/b").chmod(0o2710)
    with pytest.raises(InsecurePermissions, match="is not this user's alone"):
        private_directory.open_directory(str(home), "a/b")


def test_what_cannot_be_written_leaves_the_old(
    folder: int, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private_directory.keep(folder, "name", b"old")

    def full(*_: object, **__: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(private_directory.os, "rename", full)
    with pytest.raises(OSError, match="no space"):
        private_directory.keep(folder, "name", b"new")
    assert os.listdir(home / "a/b") == ["name"]
    assert private_directory.read(folder, "name", 9) == (
        b"old",
        (home / "a/b/name").stat().st_mtime,
    )


def test_what_is_forgotten(folder: int, home: Path) -> None:
    for name, age in (("a.new", 0), ("a.old", 100), ("a.future", -100), ("b.old", 100)):
        private_directory.keep(folder, name, b"")
        os.utime(home / "a/b" / name, (1000 - age, 1000 - age))
    (home / "a/b/a.folder").mkdir()

    assert sorted(private_directory.forget(folder, "a.", now=1000, after=50)) == [
        "a.future",
        "a.old",
    ]
    assert sorted(private_directory.forget(folder)) == ["a.new", "b.old"]
    assert os.listdir(home / "a/b") == ["a.folder"]


def test_it_imports_next_to_nothing() -> None:
    # Some releases of Python 3.13 load errno themselves.
    code = (
        "import errno, os, stat, sys; before = set(sys.modules)\n"
        "import ssmgate.gate.system.private_directory\n"
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
        "__future__", "ssmgate", "ssmgate.gate", "ssmgate.gate.system",
        "ssmgate.gate.system.private_directory", "ssmgate.gate.system.trusted_files",
    ]  # fmt: skip


USER, GROUP = 1000, 1000
DIRECTORY = stat.S_IFDIR


@pytest.mark.parametrize(
    ("of_a", "of_b", "euid", "problem"),
    [
        pytest.param((0o755, 0, 0), (0o700, USER, GROUP), USER, "", id="root's, then the user's"),
        pytest.param((0o755, 0, 0), (0o775, USER, GROUP), USER, "", id="own group may write"),
        pytest.param((0o755, 0, 0), (0o777, USER, GROUP), USER, "/a/b can", id="all may write"),
        pytest.param((0o755, 0, 0), (0o775, USER, 7), USER, "/a/b can", id="another group may"),
        pytest.param((0o755, 0, 0), (0o775, 0, GROUP), 0, "/a/b can", id="root has no own group"),
        pytest.param((0o755, 0, 0), (0o755, 0, 0), 0, "", id="root's, for root"),
        pytest.param((0o1777, 0, 0), (0o700, USER, GROUP), USER, "", id="below a sticky one"),
        pytest.param((0o755, 0, 0), (0o1777, USER, 7), USER, "", id="a sticky one"),
        pytest.param((0o755, 7, 0), (0o700, USER, GROUP), USER, "/a belongs to", id="another's"),
        pytest.param((0o1777, 7, 0), (0o700, USER, GROUP), USER, "/a belongs", id="and sticky"),
        pytest.param((0o777, 0, 0), (0o700, USER, GROUP), USER, "/a can", id="a lax one above"),
        pytest.param((0o757, 0, 0), (0o700, USER, GROUP), USER, "/a can be written by others (mode"
                     " 0757)", id="its mode is shown"),
    ],
)  # fmt: skip
def test_directories_that_others_could_exchange(
    monkeypatch: pytest.MonkeyPatch,
    of_a: tuple[int, int, int],
    of_b: tuple[int, int, int],
    euid: int,
    problem: str,
) -> None:
    known = {"/": (0o755, 0, 0), "/a": of_a, "/a/b": of_b}

    def stat_of(path: str) -> SimpleNamespace:
        mode, uid, gid = known[path]
        return SimpleNamespace(st_mode=DIRECTORY | mode, st_uid=uid, st_gid=gid)

    system = SimpleNamespace(
        stat=stat_of, geteuid=lambda: euid, getegid=lambda: GROUP, path=os.path
    )
    monkeypatch.setattr(private_directory, "os", system)
    if not problem:
        private_directory._hold_parents("/a/b")
        return
    with pytest.raises(InsecurePermissions) as caught:
        private_directory._hold_parents("/a/b")
    assert str(caught.value).startswith(problem)


def lax_home(home: Path) -> None:
    home.chmod(0o777)


def lax_parent(home: Path) -> None:
    (home / "a").chmod(0o777)


def linked(home: Path) -> None:
    (home / "a/b").rename(home / "real")
    (home / "a/b").symlink_to(home / "real")


def linked_into_a_lax_one(home: Path) -> None:
    (home / "lax").mkdir()
    (home / "lax").chmod(0o777)
    (home / "a").rename(home / "lax/a")
    (home / "a").symlink_to(home / "lax/a")


def a_file(home: Path) -> None:
    (home / "a/b").rmdir()
    (home / "a/b").write_text("")


def lax_directory(home: Path) -> None:
    (home / "a/b").chmod(0o705)


def closed_directory(home: Path) -> None:
    (home / "a/b").chmod(0o600)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lax_home, r"a home can be written by others \(mode 0777\)"),
        (lax_parent, r"a can be written by others \(mode 0777\)"),
        (linked, r"a home/a/b is no folder, or a link to one"),
        (linked_into_a_lax_one, r"a home/lax can be written by others"),
        (a_file, r"a home/a/b is no folder, or a link to one"),
        (lax_directory, rf"a/b is not this user's alone \(uid {os.geteuid()}, mode 0705\)"),
        (closed_directory, r"a/b is not this user's alone"),
    ],
)
def test_directory_that_is_not_one_users_alone(
    home: Path, spoil: Callable[[Path], None], words: str
) -> None:
    os.close(private_directory.open_directory(str(home), "a/b", create=True))
    before = os.listdir("/dev/fd")
    spoil(home)
    if spoil is closed_directory and os.geteuid() != 0:
        return  # it cannot be opened at all
    with pytest.raises(InsecurePermissions, match=words):
        os.close(private_directory.open_directory(str(home), "a/b"))
    assert os.listdir("/dev/fd") == before


def test_linked_home_and_linked_parent_are_followed(home: Path) -> None:
    (home / "real").mkdir(mode=0o700)
    (home / "a").symlink_to("real")
    home.with_name("link").symlink_to(home)

    os.close(private_directory.open_directory(str(home.with_name("link")), "a/b", create=True))
    assert (home / "real/b").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("bits", [0o004, 0o002, 0o001, 0o040, 0o020, 0o010])
def test_file_that_others_may_use_is_not_read(folder: int, home: Path, bits: int) -> None:
    private_directory.keep(folder, "name", b"text")
    assert private_directory.read(folder, "name", 9) is not None
    (home / "a/b/name").chmod(0o600 | bits)
    assert private_directory.read(folder, "name", 9) is None


def test_file_of_another_user_is_not_read(folder: int, monkeypatch: pytest.MonkeyPatch) -> None:
    private_directory.keep(folder, "name", b"text")
    monkeypatch.setattr(private_directory.os, "geteuid", lambda: 12345)
    assert private_directory.read(folder, "name", 9) is None


def test_what_is_no_file_is_not_read(folder: int, home: Path) -> None:
    private_directory.keep(folder, "name", b"text")
    (home / "a/b/link").symlink_to("name")
    os.mkfifo(home / "a/b/fifo", 0o600)
    (home / "a/b/directory").mkdir(mode=0o600)
    before = os.listdir("/dev/fd")

    assert private_directory.read(folder, "link", 9) is None
    assert private_directory.read(folder, "fifo", 9) is None
    assert private_directory.read(folder, "directory", 9999) is None
    assert private_directory.read(folder, "name", 4) is not None
    assert os.listdir("/dev/fd") == before


def test_unfinished_file_never_replaces_another(
    folder: int, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(private_directory.os, "urandom", lambda count: b"\1" * count)
    (home / "a/b/elsewhere").write_text("old")
    (home / f"a/b/name.{'01' * 8}.new").symlink_to("elsewhere")

    with pytest.raises(FileExistsError):
        private_directory.keep(folder, "name", b"text")
    assert (home / "a/b/elsewhere").read_text() == "old"


def test_bounds_of_what_is_forgotten(folder: int, home: Path) -> None:
    for name, written in (("old", 949), ("at the bound", 950), ("ahead", 1051), ("new", 1000)):
        private_directory.keep(folder, name, b"")
        os.utime(home / "a/b" / name, (written, written))

    assert sorted(private_directory.forget(folder, now=1000, after=50)) == ["ahead", "old"]
    assert sorted(private_directory.forget(folder, "n")) == ["new"]
    private_directory.keep(folder, "of no time", b"")
    os.utime(home / "a/b/of no time", (0, 0))
    assert sorted(private_directory.forget(folder)) == ["at the bound", "of no time"]


def test_directory_of_another_user(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.close(private_directory.open_directory(str(home), "a/b", create=True))
    fstat = os.fstat
    with monkeypatch.context() as patched:
        patched.setattr(
            private_directory.os,
            "fstat",
            lambda f: SimpleNamespace(st_uid=7, st_mode=fstat(f).st_mode),
        )
        with pytest.raises(
            InsecurePermissions, match=r"is not this user's alone \(uid 7, mode 0700\)"
        ):
            private_directory.open_directory(str(home), "a/b")


def test_link_in_a_home_that_others_could_write(home: Path, tmp_path: Path) -> None:
    """Where it leads is this user's alone, but others could exchange the link."""
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (home / "a").symlink_to(tmp_path / "elsewhere")
    os.close(private_directory.open_directory(str(home), "a/b", create=True))
    home.chmod(0o777)

    with pytest.raises(InsecurePermissions, match="a home can be written by others"):
        private_directory.open_directory(str(home), "a/b")


def test_link_that_leads_nowhere_is_forgotten(folder: int, home: Path) -> None:
    (home / "a/b/link").symlink_to("nowhere")

    assert private_directory.forget(folder) == ["link"]


def test_file_that_cannot_be_read(folder: int, monkeypatch: pytest.MonkeyPatch) -> None:
    private_directory.keep(folder, "name", b"text")
    fdopen = os.fdopen

    def broken(file: int, mode: str) -> object:
        opened = fdopen(file, mode, buffering=0)
        os.dup2(folder, file)  # a directory: reading it fails
        return opened

    with monkeypatch.context() as patched:
        patched.setattr(private_directory.os, "fdopen", broken)
        assert private_directory.read(folder, "name", 9) is None


def test_home_that_cannot_be_entered_is_an_error_whoever_could_write_it(tmp_path: Path) -> None:
    home = tmp_path / "file"
    home.write_text("")
    home.chmod(0o666)

    with pytest.raises(NotADirectoryError):
        private_directory.open_directory(str(home), "a")
