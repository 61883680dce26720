"""How a changed file is recognised."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ssmgate.gate.system.file_state import file_state


def overwrite(path: Path) -> None:
    before = path.stat()
    path.write_text("other")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace(path: Path) -> None:
    path.with_name("new").write_text("first")
    path.with_name("new").replace(path)


@pytest.mark.parametrize(
    "change", [overwrite, replace, Path.unlink, lambda path: path.write_text("longer text")]
)
def test_changed_file_has_another_state(tmp_path: Path, change: Callable[[Path], object]) -> None:
    path = tmp_path / "file"
    path.write_text("first")
    before = file_state(str(path))

    assert before == file_state(str(path))
    change(path)
    assert file_state(str(path)) != before


@pytest.mark.parametrize("path", ["/does/not/exist", "a\0b"])
def test_missing_file_has_no_state(path: str) -> None:
    assert file_state(path) is None
