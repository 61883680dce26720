"""Fixtures that several files of functional tests use."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import deb
from fakes import sshd
from fakes.debian import shared
from fakes.needs import REASON, require


def release_of(package: Path) -> deb.Release:
    """Return the release of Debian for which the package was built."""
    (release,) = (r for r in deb.RELEASES.values() if f"~deb{r.number}_" in package.name)
    return release


@pytest.fixture(scope="module", params=deb.RELEASES)
def package(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the package for a release of Debian: built once, or that of DEB_PACKAGES."""
    if not request.config.getoption("full"):
        pytest.skip("builds packages: --full")
    require("dpkg-deb")
    release = deb.RELEASES[request.param]
    if given := os.environ.get("DEB_PACKAGES"):
        (built,) = Path(given).glob(f"*~deb{release.number}_all.deb")
        return built
    if deb.python(release.python) is None:
        pytest.skip(f"{REASON}python{release.python}")
    with shared(tmp_path_factory, f"deb{request.param}") as directory:
        if not directory.exists():
            words = [sys.executable, deb.__file__, "-d", directory, request.param]
            subprocess.run(words, check=True)
        (built,) = directory.glob("*.deb")
    return built


@pytest.fixture
def ssh_server(tmp_path: Path) -> Iterator[sshd.Sshd]:
    directory = tmp_path / "sshd"
    directory.mkdir()
    with sshd.Sshd(directory) as running:
        yield running
