"""The repository contains source files only: no downloads, archives, logs or editor files."""

from __future__ import annotations

import os
import subprocess
from fnmatch import fnmatch
from pathlib import Path

import pytest

from fakes.needs import require

ROOT = Path(__file__).parents[2]
LARGEST = 200_000  # bytes
# Files that may be larger, each with the reason.
LARGE: frozenset[str] = frozenset()
UNWANTED = (
    "*.whl", "*.tar", "*.tar.*", "*.tgz", "*.zip", "*.gz", "*.xz", "*.bz2", "*.deb", "*.rpm",
    "*.jar", "*.so", "*.o", "*.a", "*.pyc", "*.log", "*.orig", "*.rej", "*.swp", "*.swo", "*~",
    ".DS_Store", ".coverage", "core",
)  # fmt: skip


def problem(path: Path, name: str) -> str:
    """Return why the file at `path` should not be tracked as `name`; empty if it may be."""
    if any(fnmatch(path.name, pattern) for pattern in UNWANTED):
        return f"{name}: this kind of file should not be tracked"
    content = path.read_bytes()
    if len(content) > LARGEST and name not in LARGE:
        return f"{name}: {len(content)} bytes, more than {LARGEST}"
    return f"{name}: a binary file" if b"\0" in content else ""


def tracked() -> list[str]:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(
        # The checkout may belong to another user, as in a container.
        [require("git"), "-c", f"safe.directory={ROOT}", "ls-files", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [name for name in listed.stdout.split("\0") if name]


def test_tracks_small_source_files_only() -> None:
    names = tracked()
    files = [(ROOT / name, name) for name in names if os.path.isfile(ROOT / name)]

    assert "README.md" in names
    assert [reason for path, name in files if (reason := problem(path, name))] == []


def test_large_files_listed_are_tracked() -> None:
    assert set(tracked()) >= LARGE


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("tool-1.0-py3-none-any.whl", b"x"),
        ("src/data.tar.gz", b"x"),
        ("run.log", b"x"),
        ("gate.py.orig", b"x"),
        (".gate.py.swp", b"x"),
        ("data.txt", b"x" * (LARGEST + 1)),
        ("program", b"\x7fELF\0"),
    ],
)
def test_rejects_downloads_and_leftovers(name: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / Path(name).name
    path.write_bytes(content)

    assert problem(path, name).startswith(f"{name}: ")
    assert problem(Path(__file__), "tests/unit/test_tracked_files.py") == ""
