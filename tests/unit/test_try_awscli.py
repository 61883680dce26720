"""`make awscli`: what it changes in its copy of the source tree."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import try_awscli
from ssmgate.gate.system import supported


@pytest.mark.parametrize(
    ("release", "bound"),
    [
        ("1.45.64", ("1.45.64", supported.AWSCLI[1])),
        ("1.99.2", (supported.AWSCLI[0], "1.100")),
        (supported.AWSCLI[0], supported.AWSCLI),
    ],
)
def test_bound_of_copy_includes_release(
    release: str, bound: tuple[str, str], tmp_path: Path
) -> None:
    for name in try_awscli.BOUND:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(try_awscli.ROOT / name, tmp_path / name)

    try_awscli._widen(tmp_path, release)

    for name, form in try_awscli.BOUND.items():
        assert form.format(*bound) in (tmp_path / name).read_text()
