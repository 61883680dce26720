"""Landlock: what a process gives up, in a process of its own."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ssmgate.login import landlock, privileges

pytestmark = pytest.mark.skipif(not landlock.version(), reason="this kernel has no Landlock")


def restricted(rules: list[tuple[str, int]], attempt: Callable[[], object]) -> int:
    """Return 0, or the error number of `attempt` in a process with these rules."""
    pid = os.fork()
    if pid == 0:
        status = 0
        try:
            privileges.give_up()
            landlock.restrict(rules)
            attempt()
        except OSError as error:
            status = error.errno or 255
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.parametrize(
    ("rights", "status"),
    [
        (0, errno.EACCES),
        (landlock.WRITE_FILE, errno.EACCES),
        (landlock.READ_DIR, errno.EACCES),
        (landlock.READ_FILE, 0),
        (landlock.READ_FILE | landlock.READ_DIR | landlock.EXECUTE, 0),
    ],
)
@pytest.mark.parametrize("above", [True, False])
def test_file_needs_rule(tmp_path: Path, rights: int, status: int, above: bool) -> None:
    """Of its own, or of a directory above."""
    path = tmp_path / "file"
    path.write_text("x")
    rules = [(str(tmp_path if above else path), rights)] if rights & ~landlock.READ_DIR else []

    assert restricted(rules, path.read_text) == status


def test_missing_path_is_skipped(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    rules = [(str(tmp_path / name), landlock.READ_FILE) for name in ("none", "file")]

    assert restricted(rules, (tmp_path / "file").read_text) == 0


def test_rule_is_about_file_behind_symbolic_link(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to("file")

    rules = [(str(tmp_path / "link"), landlock.READ_FILE)]

    assert restricted(rules, (tmp_path / "file").read_text) == 0


def test_file_that_replaces_another_has_no_rule(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "new").write_text("x")
    rules = [(str(tmp_path / "file"), landlock.READ_FILE)]

    def replaced() -> None:
        (tmp_path / "file").read_text()
        os.write(ask, b"x")
        os.read(done, 1)
        (tmp_path / "file").read_text()

    asked, ask = os.pipe()
    done, finish = os.pipe()
    pid = os.fork()
    if pid == 0:
        os._exit(restricted(rules, replaced))
    os.read(asked, 1)
    (tmp_path / "new").replace(tmp_path / "file")
    os.write(finish, b"x")
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    for descriptor in (asked, ask, done, finish):
        os.close(descriptor)

    assert status == errno.EACCES


def test_open_descriptor_is_not_restricted(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with open(tmp_path / "file") as file:
        assert restricted([], file.read) == 0
