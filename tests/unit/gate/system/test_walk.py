"""The way to a directory: which links are followed, what is created, and what is judged."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from ssmgate.gate.system.trusted_files import InsecurePermissions, walk

ME = frozenset({os.geteuid()})
TRUSTED = frozenset({0, os.geteuid()})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a" / "b" / "file"
    path.parent.mkdir(parents=True)
    return path


def links_of(path: Path) -> Path:
    """Return a path to the directory by links: absolute, relative, and with detours."""
    real = path.parents[1]
    (path.parents[2] / "absolute").symlink_to(real)
    (real / "relative").symlink_to("../a/./b/../b")
    return path.parents[2] / "absolute" / "relative"


def test_follows_links_only_if_permitted(path: Path, tmp_path: Path) -> None:
    linked = links_of(path)
    directory, problem = walk(str(linked), TRUSTED, follow=True, allow_sticky=True)
    try:
        assert problem is None
        assert os.path.samestat(os.fstat(directory), path.parent.stat())
    finally:
        os.close(directory)
    with pytest.raises(InsecurePermissions, match="absolute is a symbolic link"):
        walk(str(linked), TRUSTED, allow_sticky=True)


def test_checks_directories_that_links_lead_through(path: Path, tmp_path: Path) -> None:
    """A link to a link: the directory of the second is neither above the first nor the end."""
    between = tmp_path / "between"
    between.mkdir()
    (between / "link").symlink_to(path.parent)
    (tmp_path / "first").symlink_to(between / "link")
    between.chmod(0o777)

    directory, problem = walk(str(tmp_path / "first"), TRUSTED, follow=True, allow_sticky=True)
    os.close(directory)
    assert problem is not None
    assert problem.path == str(between)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_rejects_link_of_another_user(path: Path, tmp_path: Path) -> None:
    """In a sticky directory, such as /tmp, its owner could exchange it at any time."""
    link = tmp_path / "link"
    link.symlink_to(path.parent)
    os.chown(link, 12345, -1, follow_symlinks=False)
    with pytest.raises(InsecurePermissions, match="link belongs to uid 12345"):
        walk(str(link), TRUSTED, follow=True, allow_sticky=True)


def test_circular_links_are_error(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises((InsecurePermissions, OSError)):
        walk(str(tmp_path / "a"), TRUSTED, follow=True, allow_sticky=True)


@pytest.mark.parametrize(("links", "followed"), [(40, True), (41, False)])
def test_follows_40_links_as_linux_does(tmp_path: Path, links: int, followed: bool) -> None:
    (tmp_path / "x").symlink_to(".")
    path = f"{tmp_path}/{'x/' * links}"
    try:
        directory, problem = walk(path, ME, base=str(tmp_path), follow=True)
        os.close(directory)
    except InsecurePermissions as found:
        problem = found
    assert str(problem or "") == ("" if followed else f"{tmp_path}/x is a symbolic link")


def test_names_directory_behind_relative_link_by_path(path: Path, tmp_path: Path) -> None:
    (path.parents[1] / "link").symlink_to("b")
    path.parent.chmod(0o777)

    directory, problem = walk(str(path.parents[1] / "link"), ME, base=str(tmp_path), follow=True)
    os.close(directory)
    assert problem is not None
    assert problem.path == str(path.parent)


def test_unopenable_directory_is_error(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_ = os.open

    def too_many(name: str, *arguments: Any, **known: Any) -> int:
        if name == "b":
            raise OSError(errno.EMFILE, "Too many open files")
        return open_(name, *arguments, **known)

    monkeypatch.setattr(os, "open", too_many)
    with pytest.raises(OSError, match="Too many open files"):
        walk(str(path.parent), ME, base=str(tmp_path))


def test_creates_nothing_unless_requested(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        walk(str(tmp_path / "x"), ME, base=str(tmp_path))
    assert os.listdir(tmp_path) == ["home"]


def test_rejects_sticky_directory_unless_allowed(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    for allowed in ({}, {"allow_sticky": True}):
        directory, problem = walk(str(tmp_path), ME, base=str(tmp_path), **allowed)
        os.close(directory)
        assert (problem is None) is bool(allowed)


def test_creates_missing_directories_in_secure_directory_only(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        directory, problem = walk(
            str(tmp_path / "x" / "y"), TRUSTED, create=True, allow_sticky=True
        )
    finally:
        os.umask(before)
    os.close(directory)
    assert problem is None
    assert (tmp_path / "x").stat().st_mode & 0o7777 == 0o700

    (tmp_path / "x").chmod(0o777)
    with pytest.raises(InsecurePermissions, match="x can be written by others"):
        walk(str(tmp_path / "x" / "z"), TRUSTED, create=True, allow_sticky=True)
    assert os.listdir(tmp_path / "x") == ["y"]


def test_dangling_link_creates_nothing(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError):
        walk(str(tmp_path / "link" / "x"), TRUSTED, follow=True, create=True, allow_sticky=True)
    assert sorted(os.listdir(tmp_path)) == ["home", "link"]
