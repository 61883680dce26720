"""Files that only their owner could have written: which ones, and what is wrong with others."""

from __future__ import annotations

import grp
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ssmgate.gate.system import SYSTEM_FILE, groups, trusted_open
from ssmgate.gate.system.trusted_files import InsecurePermissions, insecure
from ssmgate.gate.system.trusted_open import (
    LARGEST,
    judge,
    open_trusted,
    require_trusted_directory,
)

ME = frozenset({os.geteuid()})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a" / "b" / "file"
    path.parent.mkdir(parents=True)
    path.write_text("text")
    return path


def opened(path: Path, base: Path) -> str:
    file = open_trusted(str(path), owners=ME, base=str(base))
    return trusted_open.read(file, str(path)).decode()


def rejection(path: Path | str, base: Path) -> str:
    with pytest.raises(InsecurePermissions) as caught:
        os.close(open_trusted(str(path), owners=ME, base=str(base)))
    assert str(caught.value) == f"{caught.value.path} {caught.value.why}"
    return f"{os.path.relpath(caught.value.path, base)} {caught.value.why}"


def rejection_of_directory(path: Path, base: Path) -> str:
    with pytest.raises(InsecurePermissions) as caught:
        require_trusted_directory(str(path), ME, base=str(base))
    return f"{os.path.relpath(caught.value.path, base)} {caught.value.why}"


USER, GROUP, OTHERS = 1000, 1000, 50
MEMBERS = {0: 0, GROUP: USER, 7: None}
"""The only member of each group, None for groups with several or without any."""


@pytest.mark.parametrize(
    ("mode", "uid", "gid", "owners", "problem"),
    [
        pytest.param(0o644, 0, 0, {0}, "", id="root's"),
        pytest.param(0o600, USER, GROUP, {0}, "belongs to uid 1000", id="not root's"),
        pytest.param(0o600, USER, GROUP, {0, USER}, "", id="the user's where that may be"),
        pytest.param(0o600, 1001, 1001, {0, USER}, "belongs to uid 1001", id="another user's"),
        pytest.param(0o755, USER, 7, {USER}, "", id="others may read and search"),
        pytest.param(0o646, USER, GROUP, {USER}, "0646", id="all may write"),
        pytest.param(0o777, USER, GROUP, {USER}, "0777", id="all and the own group may write"),
        pytest.param(0o664, USER, GROUP, {0, USER}, "", id="a group without other members"),
        pytest.param(0o664, USER, 7, {0, USER}, "0664", id="a group with other members"),
        pytest.param(0o664, USER, 0, {0, USER}, "0664", id="a group of another user's alone"),
        pytest.param(0o664, 1001, GROUP, {1001}, "0664", id="another owner, the user's group"),
        pytest.param(0o664, 0, GROUP, {0}, "0664", id="root's, for a user's group"),
        pytest.param(0o664, 0, GROUP, {0, USER}, "0664", id="root's, for the own group"),
        pytest.param(0o664, 0, 0, {0}, "0664", id="root has no group of its own"),
        pytest.param(0o1777, 0, 0, {0, USER}, "1777", id="sticky"),
        pytest.param(0o4755, 0, 0, {0}, "", id="other bits"),
    ],
)
def test_only_owners_may_write(
    monkeypatch: pytest.MonkeyPatch, mode: int, uid: int, gid: int, owners: set[int], problem: str
) -> None:
    monkeypatch.setattr(groups, "only_member", MEMBERS.__getitem__)
    known: Any = SimpleNamespace(st_mode=stat.S_IFREG | mode, st_uid=uid, st_gid=gid)
    words = f"can be written by others (mode {problem})" if problem.isdigit() else problem

    found = insecure(known, "/x", frozenset(owners))
    assert str(found or "") == (f"/x {words}" if problem else "")


@pytest.mark.parametrize(
    ("mode", "uid", "problem"),
    [
        (0o1777, 0, ""),
        (0o1777, USER, ""),
        (0o1775, USER, ""),
        (0o1777, 7, "belongs to uid 7"),
        (0o777, 0, "can be written by others (mode 0777)"),
    ],
)
def test_sticky_bit_permits_other_writers_above_file(mode: int, uid: int, problem: str) -> None:
    known: Any = SimpleNamespace(st_mode=stat.S_IFDIR | mode, st_uid=uid, st_gid=7)
    found = insecure(known, "/x", frozenset({0, USER}), allow_sticky=True)
    assert (found.why if found else "") == problem


@pytest.mark.parametrize(
    ("listed", "primary", "only"),
    [
        pytest.param([], ["alice"], 1, id="a group for each user"),
        pytest.param(["alice"], ["alice"], 1, id="which lists its user too"),
        pytest.param(["alice"], [], 1, id="or lists its user alone"),
        pytest.param(["bob"], ["alice"], None, id="another listed member"),
        pytest.param([], ["alice", "bob"], None, id="another member by the primary group"),
        pytest.param([], [], None, id="no member"),
        pytest.param(["unknown-user"], ["alice"], None, id="a member that is not a user"),
        pytest.param(None, ["alice"], None, id="no such group"),
    ],
)
def test_finds_only_member_of_group(
    monkeypatch: pytest.MonkeyPatch,
    listed: list[str] | None,
    primary: list[str],
    only: int | None,
) -> None:
    users = {
        name: SimpleNamespace(pw_uid=uid, pw_gid=100 if name in primary else 99)
        for uid, name in enumerate(("root", "alice", "bob"))
    }
    found = {} if listed is None else {100: SimpleNamespace(gr_mem=listed)}
    monkeypatch.setattr(groups, "grp", SimpleNamespace(getgrgid=found.__getitem__))
    monkeypatch.setattr(
        groups,
        "pwd",
        SimpleNamespace(getpwnam=users.__getitem__, getpwall=lambda: list(users.values())),
    )
    assert groups.only_member(100) == only


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_rejects_group_writable_file_with_real_groups(tmp_path: Path) -> None:
    """Without a fake: the file of a user whom no system has, and of a group with members."""
    file = tmp_path / "file"
    file.touch()
    for gid in (54321, grp.getgrnam("adm").gr_gid):
        os.chown(file, 54321, gid)
        file.chmod(0o660)
        found = insecure(os.stat(file), "x", frozenset({54321}))
        assert found is not None


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (stat.S_IFDIR, "/x cannot be read: Is a directory"),
        (stat.S_IFIFO, "/x is not a regular file"),
        (stat.S_IFCHR, "/x is not a regular file"),
    ],
)
def test_rejects_files_that_are_not_regular(
    monkeypatch: pytest.MonkeyPatch, kind: int, words: str
) -> None:
    known = SimpleNamespace(st_mode=kind | 0o600, st_uid=0, st_gid=0)
    monkeypatch.setattr(
        trusted_open, "os", SimpleNamespace(fstat=lambda _file: known, strerror=os.strerror)
    )
    with pytest.raises(InsecurePermissions) as caught:
        judge(0, "/x", frozenset({0}))
    assert str(caught.value) == words


def test_opens_file_that_only_owner_can_write(path: Path, tmp_path: Path) -> None:
    assert opened(path, tmp_path) == "text"
    require_trusted_directory(str(path.parent), ME, base=str(tmp_path))
    require_trusted_directory(str(tmp_path), ME, base=str(tmp_path))


def insecure_base(path: Path) -> None:
    path.parents[2].chmod(0o777)


def insecure_above(path: Path) -> None:
    path.parents[1].chmod(0o777)


def insecure_directory(path: Path) -> None:
    path.parent.chmod(0o777)


def insecure_directories(path: Path) -> None:
    insecure_above(path)
    insecure_directory(path)


def link_above(path: Path) -> None:
    path.parents[1].rename(path.parents[2] / "real")
    path.parents[1].symlink_to("real")


def link_directory(path: Path) -> None:
    path.parent.rename(path.parents[1] / "real")
    path.parent.symlink_to("real")


def file_above(path: Path) -> None:
    path.parents[1].rename(path.parents[2] / "real")
    path.parents[1].write_text("")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (insecure_base, ". can be written by others (mode 0777)"),
        (insecure_above, "a can be written by others (mode 0777)"),
        (insecure_directory, "a/b can be written by others (mode 0777)"),
        (insecure_directories, "a can be written by others (mode 0777)"),
        (link_above, "a is a symbolic link"),
        (link_directory, "a/b is a symbolic link"),
        (file_above, "a is not a directory"),
    ],
)
def test_rejects_directory_that_others_can_exchange(
    path: Path, tmp_path: Path, spoil: Callable[[Path], None], words: str
) -> None:
    spoil(path)

    assert rejection(path, tmp_path) == words
    assert rejection_of_directory(path.parent, tmp_path) == words


def test_does_not_follow_link(path: Path, tmp_path: Path) -> None:
    (path.parent / "link").symlink_to("file")
    assert rejection(path.parent / "link", tmp_path) == "a/b/link is a symbolic link"


def test_rejects_file_that_others_can_write(path: Path, tmp_path: Path) -> None:
    path.chmod(0o666)
    assert rejection(path, tmp_path) == "a/b/file can be written by others (mode 0666)"


def test_does_not_wait_for_fifo(path: Path, tmp_path: Path) -> None:
    os.mkfifo(path.parent / "fifo", 0o600)
    assert rejection(path.parent / "fifo", tmp_path) == "a/b/fifo is not a regular file"


def test_missing_file_is_not_found_in_insecure_directory(path: Path, tmp_path: Path) -> None:
    insecure_directory(path)
    for missing in (path.parent / "none", path.parents[1] / "none" / "file"):
        with pytest.raises(FileNotFoundError):
            open_trusted(str(missing), owners=ME, base=str(tmp_path))
    with pytest.raises(FileNotFoundError):
        open_trusted("/no-such-file-of-ssmgate", owners=frozenset(), base="/")


@pytest.mark.parametrize("detour", ["a/file", "./a", "{}/a/../a/b/file", "{}//a/b/file"])
def test_rejects_path_with_detours(path: Path, tmp_path: Path, detour: str) -> None:
    with pytest.raises(InsecurePermissions, match="must be an absolute path without"):
        open_trusted(detour.format(tmp_path), owners=ME, base=str(tmp_path))


def test_new_file_is_private_by_default(path: Path, tmp_path: Path) -> None:
    new = path.with_name("new")
    flags = os.O_CREAT | os.O_WRONLY
    before = os.umask(0)
    try:
        os.close(open_trusted(str(new), flags, owners=ME, base=str(tmp_path)))
        os.close(open_trusted(f"{new}2", flags, owners=ME, base=str(tmp_path), mode=0o640))
    finally:
        os.umask(before)
    assert new.stat().st_mode & 0o7777 == 0o600
    assert new.with_name("new2").stat().st_mode & 0o7777 == 0o640


def test_trusts_root_by_default() -> None:
    os.close(open_trusted(os.path.realpath("/etc/passwd")))
    require_trusted_directory(os.path.realpath("/etc"))
    system = "/private" if sys.platform == "darwin" else ""
    assert f"{system}/etc/ssmgate/config.toml" == SYSTEM_FILE


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_trusts_no_other_user_by_default(path: Path, tmp_path: Path) -> None:
    os.chown(path, 12345, -1)
    with pytest.raises(InsecurePermissions, match="belongs to uid 12345"):
        open_trusted(str(path), base=str(tmp_path))
    os.chown(path.parent, 12345, -1)
    with pytest.raises(InsecurePermissions, match="belongs to uid 12345"):
        require_trusted_directory(str(path.parent), base=str(tmp_path))


@pytest.mark.parametrize(("size", "whole"), [(0, True), (LARGEST, True), (LARGEST + 1, False)])
def test_rejects_configuration_above_64_kib(
    path: Path, tmp_path: Path, size: int, whole: bool
) -> None:
    assert LARGEST == 65536
    path.write_bytes(b"x" * size)
    if whole:
        assert opened(path, tmp_path) == "x" * size
    else:
        with pytest.raises(InsecurePermissions, match="file has more than 65536 bytes"):
            opened(path, tmp_path)
