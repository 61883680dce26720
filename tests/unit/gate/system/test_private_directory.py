"""Directories that only one user can use: how they are opened, created, and rejected."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from ssmgate.gate.system import private_directory
from ssmgate.gate.system.trusted_files import InsecurePermissions


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "a home"
    home.mkdir()
    return home


def test_creates_nothing_unless_requested(home: Path) -> None:
    with pytest.raises(FileNotFoundError):
        private_directory.open_directory(str(home), "a/b")
    assert os.listdir(home) == []


def test_creates_no_last_directory_unless_requested(home: Path) -> None:
    (home / "a").mkdir()
    with pytest.raises(FileNotFoundError):
        private_directory.open_directory(str(home), "a/b")
    assert os.listdir(home / "a") == []


def test_create_accepts_existing_directory(home: Path) -> None:
    for _ in range(2):
        os.close(private_directory.open_directory(str(home), "a/b", create=True))
    assert (home / "a" / "b").stat().st_mode & 0o777 == 0o700


def test_opens_directories_that_another_process_creates_meanwhile(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two session starts in a new home directory create the same directories."""
    mkdir = os.mkdir

    def created_by_both(name: str, mode: int, *, dir_fd: int) -> None:
        mkdir(name, mode, dir_fd=dir_fd)
        mkdir(name, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "mkdir", created_by_both)
    os.close(private_directory.open_directory(str(home), "a/b/c", create=True))
    assert (home / "a/b/c").is_dir()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_accepts_home_below_directories_of_root() -> None:
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        home = Path(directory, "home")
        home.mkdir()
        os.chown(home, 12345, -1)
        os.seteuid(12345)
        try:
            os.close(private_directory.open_directory(str(home), "a/b", create=True))
        finally:
            os.seteuid(0)
        assert (home / "a/b").stat().st_uid == 12345


def test_accepts_private_directory_with_set_group_id_bit(home: Path) -> None:
    """Below a directory with the set-group-ID bit every new one has it too."""
    home.chmod(0o2700)
    os.close(private_directory.open_directory(str(home), "a/b", create=True))
    (home / "a/b").chmod(0o2700)

    os.close(private_directory.open_directory(str(home), "a/b"))
    (home / "a/b").chmod(0o2710)
    with pytest.raises(InsecurePermissions, match="must be owned by"):
        private_directory.open_directory(str(home), "a/b")


def test_module_imports_few_modules() -> None:
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


def insecure_home(home: Path) -> None:
    home.chmod(0o777)


def insecure_parent(home: Path) -> None:
    (home / "a").chmod(0o777)


def linked(home: Path) -> None:
    (home / "a/b").rename(home / "real")
    (home / "a/b").symlink_to(home / "real")


def linked_into_insecure_directory(home: Path) -> None:
    (home / "lax").mkdir()
    (home / "lax").chmod(0o777)
    (home / "a").rename(home / "lax/a")
    (home / "a").symlink_to(home / "lax/a")


def a_file(home: Path) -> None:
    (home / "a/b").rmdir()
    (home / "a/b").write_text("")


def insecure_directory(home: Path) -> None:
    (home / "a/b").chmod(0o705)


def closed_directory(home: Path) -> None:
    (home / "a/b").chmod(0o600)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (insecure_home, r"a home can be written by others \(mode 0777\)"),
        (insecure_parent, r"a can be written by others \(mode 0777\)"),
        (linked, r"a home/a/b is a symbolic link or not a directory"),
        (linked_into_insecure_directory, r"a home/lax can be written by others"),
        (a_file, r"a home/a/b is a symbolic link or not a directory"),
        (
            insecure_directory,
            rf"a/b must be owned by .* mode 0700 \(uid {os.geteuid()}, mode 0705\)",
        ),
        (closed_directory, r"a/b must be owned by"),
    ],
)
def test_rejects_directory_that_others_can_use(
    home: Path, spoil: Callable[[Path], None], words: str
) -> None:
    os.close(private_directory.open_directory(str(home), "a/b", create=True))
    before = set(os.listdir("/dev/fd"))
    spoil(home)
    if spoil is closed_directory and os.geteuid() != 0:
        return  # it cannot be opened at all
    with pytest.raises(InsecurePermissions, match=words):
        os.close(private_directory.open_directory(str(home), "a/b"))
    assert set(os.listdir("/dev/fd")) <= before


def test_follows_links_above_directory(home: Path) -> None:
    (home / "real").mkdir(mode=0o700)
    (home / "a").symlink_to("real")
    home.with_name("link").symlink_to(home)

    os.close(private_directory.open_directory(str(home.with_name("link")), "a/b", create=True))
    assert (home / "real/b").stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give directories away")
def test_rejects_directory_of_another_user(home: Path) -> None:
    os.close(private_directory.open_directory(str(home), "a/b", create=True))
    os.chown(home / "a/b", 12345, -1)
    with pytest.raises(InsecurePermissions, match=r"must be owned by .* \(uid 12345, mode 0700\)"):
        private_directory.open_directory(str(home), "a/b")
    os.chown(home / "a", 12345, -1)
    with pytest.raises(InsecurePermissions, match=r"/a belongs to uid 12345"):
        private_directory.open_directory(str(home), "a/b")


def test_rejects_link_in_home_that_others_can_write(home: Path, tmp_path: Path) -> None:
    """Where it leads is this user's alone, but others could exchange the link."""
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (home / "a").symlink_to(tmp_path / "elsewhere")
    os.close(private_directory.open_directory(str(home), "a/b", create=True))
    home.chmod(0o777)

    with pytest.raises(InsecurePermissions, match="a home can be written by others"):
        private_directory.open_directory(str(home), "a/b")


def test_home_that_is_file_is_error(tmp_path: Path) -> None:
    home = tmp_path / "file"
    home.write_text("")
    home.chmod(0o666)

    with pytest.raises(NotADirectoryError):
        private_directory.open_directory(str(home), "a")
