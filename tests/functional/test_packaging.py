"""What is built and installed: the shim as executable data, and no `aws` among the programs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from conftest import FAKES, TARGET, Machine
from fakes.scripted_aws import evaluation

ROOT = FAKES.parent.parent


def run(*words: str | Path, cwd: Path) -> None:
    ended = subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


HATCHLING = (sys.executable, "-m", "hatchling", "build", "-d")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the unpacked sdist."""
    directory = tmp_path_factory.mktemp("source")
    run(*HATCHLING, directory, "-t", "sdist", cwd=ROOT)
    (sdist,) = directory.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        # Python 3.11 has the filter since 3.11.4.
        archive.extractall(
            directory, **{"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        )
    (unpacked,) = (path for path in directory.iterdir() if path.is_dir())
    return unpacked


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel, built from the sdist as a user would, not from this checkout."""
    directory = tmp_path_factory.mktemp("built")
    run(*HATCHLING, directory, "-t", "wheel", cwd=source)
    (built,) = directory.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def prefix(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel there; awscli comes from this environment."""
    directory = tmp_path_factory.mktemp("installed")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "install")
    run(
        *pip,
        "--no-deps",
        "--no-index",
        "--ignore-installed",
        f"--prefix={directory}",
        wheel,
        cwd=ROOT,
    )
    return directory


def test_builds_have_same_bytes_at_another_time(source: Path, wheel: Path, tmp_path: Path) -> None:
    """So that everyone can compare a release with its source."""
    (sdist,) = source.parent.glob("*.tar.gz")
    for path in source.rglob("*"):
        os.utime(path, (1_700_000_000, 1_700_000_000))

    run(*HATCHLING, tmp_path, "-t", "wheel", "-t", "sdist", cwd=source)

    for first in (wheel, sdist):
        assert (tmp_path / first.name).read_bytes() == first.read_bytes()


def test_wheel_has_no_program_called_aws(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (entry_points,) = (n for n in names if n.endswith("entry_points.txt"))
        scripts = archive.read(entry_points).decode()

    assert [name for name in names if name.endswith("/aws")] == ["ssmgate/shims/aws"]
    assert "aws =" not in scripts


def test_wheel_has_man_pages_where_man_looks(prefix: Path) -> None:
    for page in (ROOT / "docs" / "reference" / "man").iterdir():
        installed = prefix / "share" / "man" / f"man{page.suffix[1:]}" / page.name

        assert installed.read_bytes() == page.read_bytes()


def test_each_program_runs_without_extras(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("entry_points.txt"))
        scripts = archive.read(name).decode()

    assert "ssmgate.__main__:ssmgate\n" in scripts
    assert "sandbox" not in scripts


def test_same_source_is_same_sdist_and_wheel(source: Path, wheel: Path, tmp_path: Path) -> None:
    """Time, directory and umask of the build have no effect."""
    copy = tmp_path / "elsewhere"
    shutil.copytree(source, copy)
    for path in copy.rglob("*"):
        os.utime(path, (10**9, 10**9))
        if path.is_file():
            path.chmod(0o700 if os.access(path, os.X_OK) else 0o600)
    run(*HATCHLING, tmp_path, cwd=copy)

    (sdist,) = source.parent.glob("*.tar.gz")
    for built in (sdist, wheel):
        assert (tmp_path / built.name).read_bytes() == built.read_bytes(), built.name


def test_installed_shim_finds_its_program(prefix: Path, machine: Machine) -> None:
    (shim,) = prefix.glob("lib/python*/site-packages/ssmgate/shims/aws")
    fakes = machine.home / "real"
    fakes.mkdir()
    shutil.copy(FAKES / "real" / "aws", fakes)
    environ = machine.variables(
        PATH=f"{shim.parent}:{fakes}:{FAKES}:/usr/bin:/bin",
        PYTHONPATH=str(shim.parent.parent.parent),
        FAKE_AWS=str(machine.home),
    )

    def aws(*words: str) -> int:
        # It is found by its name only if it is still executable.
        return subprocess.run(
            ["env", "aws", *words], env=environ, capture_output=True, timeout=60, check=False
        ).returncode

    assert os.path.exists(prefix / "bin" / "ssmgate")
    assert not os.path.exists(prefix / "bin" / "aws")
    assert aws("s3", "ls") == 0
    assert (machine.home / "argv").read_text() == "s3\0ls\0"
    machine.aws.script("SimulatePrincipalPolicy", evaluation("implicitDeny"))
    assert aws("ssm", "start-session", "--target", TARGET) == 254
    machine.aws.script("SimulatePrincipalPolicy", evaluation())
    assert aws("ssm", "start-session", "--target", TARGET) == 0
    assert machine.plugin.started


def test_sdist_has_files_for_its_tests(source: Path) -> None:
    """It has all files of git, so that no list of files can be wrong; a small part of the suite
    runs.
    """
    listing = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if (ROOT / ".git").exists():
        left_out = [name for name in listing.stdout.splitlines() if not (source / name).exists()]
        assert left_out == []
    ended = subprocess.run(
        [
            sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist",
            "--way", "cold", "--patience", "4",
            "tests/unit/gate/decision/test_frozen.py", "tests/unit/test_sampling.py",
            "tests/unit/gate/config/test_load.py", "tests/functional/test_start.py",
            "tests/functional/test_guides.py::test_each_block_of_guides_has_known_language",
        ],
        cwd=source, env={**os.environ, "PYTHONPATH": str(source / "src")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert " passed" in ended.stdout
