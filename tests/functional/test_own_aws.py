"""The AWS CLI v1 that is installed with ssmgate is not taken for the `aws` of the user."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import FAKES, Machine, needs

SHIM = FAKES.parent.parent / "bin" / "aws"
PACKAGE = "lib/python3.11/site-packages/ssmgate"
SHELLS = [pytest.param(name, marks=needs(name)) for name in ("dash", "bash", "busybox", "zsh")]


def program(path: Path, says: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho {says}\n")
    path.chmod(0o755)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return an environment with ssmgate, the AWS CLI and the programs of the user.

    `links` contains a link to the environment's aws, `linked` is a link to its bin.
    """
    program(tmp_path / "venv/bin/aws", "v1")
    (tmp_path / "venv" / PACKAGE / "shims").mkdir(parents=True)
    shutil.copy(SHIM, tmp_path / "venv" / PACKAGE / "shims")
    program(tmp_path / "user/aws", "own")
    # AWS CLI v2 as its installer leaves it, over the script.
    (tmp_path / "v2/bin").mkdir(parents=True)
    (tmp_path / "v2/bin/aws").symlink_to(shutil.which("true") or "")
    (tmp_path / "v2" / PACKAGE / "shims").mkdir(parents=True)
    shutil.copy(SHIM, tmp_path / "v2" / PACKAGE / "shims")
    (tmp_path / "links").mkdir()
    (tmp_path / "links/aws").symlink_to("../venv/bin/aws")
    (tmp_path / "linked").symlink_to("venv/bin")
    # A link that the user made to the shim.
    (tmp_path / "shim").mkdir()
    (tmp_path / "shim/aws").symlink_to(f"../venv/{PACKAGE}/shims/aws")
    (tmp_path / "home").mkdir(exist_ok=True)
    return tmp_path


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("called", "path", "says"),
    [
        ("venv", "venv/bin user", "own"),
        ("venv", "links linked venv/bin user", "own"),
        ("venv", "user venv/bin", "own"),
        ("venv", "venv/bin", "v1"),
        ("venv", "links", "v1"),
        ("link", "venv/bin user", "own"),
        ("link", "venv/bin", "v1"),
        # Another environment's is nothing special.
        ("v2", "venv/bin user", "v1"),
        ("v2", "v2/bin user", ""),
    ],
)
def test_prefers_other_aws_on_path(
    shell: str, called: str, path: str, says: str, home: Path
) -> None:
    shim = home / "shim/aws" if called == "link" else home / called / PACKAGE / "shims/aws"
    directories = [str(home / name) for name in path.split()]
    # Each shell as where it is the system's /bin/sh: by that name.
    (home / "sh").symlink_to(shutil.which(shell) or "")

    ended = subprocess.run(
        [str(home / "sh"), str(shim), "s3", "ls"],
        env={
            "PATH": os.pathsep.join([str(shim.parent), *directories, "/usr/bin", "/bin"]),
            "HOME": str(home / "home"),
            # What a script could take for its own.
            "last": "/bin/false",
            "first": "#!",
            "file": str(home / "venv/bin/aws"),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (ended.returncode, ended.stdout.strip(), ended.stderr) == (0, says, "")


def test_runs_configured_aws(home: Path) -> None:
    shim = home / "venv" / PACKAGE / "shims/aws"
    own = str(home / "venv/bin/aws")
    ended = subprocess.run(
        ["/bin/sh", str(shim), "s3"],
        env={"PATH": f"{home}/user", "HOME": str(home / "home"), "SSMGATE_AWS_PATH": own},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ended.stdout == "v1\n"


@pytest.mark.parametrize(
    ("path", "configured", "in_force", "lines"),
    [
        (
            "SHIMS venv/bin user",
            None,
            True,
            ["active: aws is @/SHIMS/aws", "the real aws: @/user/aws"],
        ),
        (
            "SHIMS links",
            None,
            True,
            [
                "the real aws: @/links/aws",
                "warning: that is the AWS CLI v1 that was installed with ssmgate, not your own",
            ],
        ),
        ("SHIMS", None, True, ["the real aws: there is none on PATH"]),
        ("SHIMS venv/bin", "user/aws", True, ["the real aws: @/user/aws"]),
        (
            "venv/bin user",
            None,
            False,
            [
                "not active: aws is @/venv/bin/aws",
                "warning: that is the AWS CLI v1 that was installed with ssmgate, not your own",
            ],
        ),
        ("user venv/bin", None, False, ["not active: aws is @/user/aws"]),
    ],
)
def test_check_names_real_aws(
    path: str,
    configured: str | None,
    in_force: bool,
    lines: list[str],
    home: Path,
    machine: Machine,
) -> None:
    """`init --check` assumes that ssmgate is installed in this environment."""
    shims = home / "venv" / PACKAGE / "shims"
    code = (
        "import sys; sys.executable = sys.argv[0] = sys.argv.pop(1)\n"
        "import ssmgate.commands.init as init\n"
        "init.data_directory = lambda name, _: sys.argv[1] if name == 'shims' else '/'\n"
        "init.init(['bash', '--check'])"
    )
    directories = [str(shims) if name == "SHIMS" else str(home / name) for name in path.split()]
    if configured:
        file = machine.home / ".config/ssmgate/config.toml"
        file.parent.mkdir(parents=True)
        file.write_text(f'[aws]\npath = "{home / configured}"\n')

    ended = subprocess.run(
        [sys.executable, "-c", code, str(home / "venv/bin/python"), str(shims)],
        env=machine.variables(PATH=os.pathsep.join(directories)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    output = ended.stdout.replace(str(shims), "@/SHIMS").replace(str(home), "@")
    assert (ended.returncode, ended.stderr) == (0 if in_force else 3, "")
    assert [line for line in output.splitlines() if line in lines] == lines
    assert ("warning: " in output) == any(line.startswith("warning: ") for line in lines)
