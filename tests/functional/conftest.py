"""Fixtures that several files of functional tests use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes import sshd


@pytest.fixture
def ssh_server(tmp_path: Path) -> Iterator[sshd.Sshd]:
    directory = tmp_path / "sshd"
    directory.mkdir()
    with sshd.Sshd(directory) as running:
        yield running
