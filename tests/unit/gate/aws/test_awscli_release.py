"""What a start says about an awscli that it cannot use."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from ssmgate.gate.system import awscli_release, supported

ROOT = Path(__file__).parents[4]
BOUND = "(supported: awscli >=1.46.3,<1.47)"
INSTALL = "hint: {} -m pip install 'awscli>=1.46.3,<1.47'"

RELEASE = "import awscli; awscli.__version__ = '{}'"
RENAMED = (
    "from importlib import metadata; metadata.version = lambda name: '1.46.9';"
    " import awscli; awscli.__version__ = '1.46.9'; import ssmgate.gate.aws;"
    " from awscli import clidriver; del clidriver.{}"
)
FAULTS = {
    "missing": (
        "sys.modules['awscli'] = None",
        f"the Python package awscli is not installed {BOUND}",
        INSTALL,
    ),
    "older": (RELEASE.format("1.46.2"), f"awscli 1.46.2 is not supported {BOUND}", INSTALL),
    "newer": (RELEASE.format("1.47.0"), f"awscli 1.47.0 is not supported {BOUND}", INSTALL),
    "of the next version": (
        RELEASE.format("2.36.7"),
        f"awscli 2.36.7 is not supported {BOUND}",
        INSTALL,
    ),
    "without botocore": (
        "import awscli; awscli.__version__ = '1.45.64'; import botocore",
        f"awscli 1.45.64 is not supported {BOUND}",
        INSTALL,
    ),
    "renamed method": (
        RENAMED.format("CLIDriver._get_argument_table"),
        "awscli 1.46.9 cannot be used: ",
        "hint: {} -m pip install awscli==1.46.3",
    ),
    "renamed class": (
        RENAMED.format("ServiceOperation"),
        "awscli 1.46.9 cannot be used: cannot import name 'ServiceOperation'",
        "hint: {} -m pip install awscli==1.46.3",
    ),
}


def start(prepare: str, **environ: str) -> subprocess.CompletedProcess[str]:
    code = (
        f"import sys; {prepare}; sys.argv = ['ssmgate', 'start-session', '--target', 'i-1'];"
        " from ssmgate.__main__ import ssmgate; ssmgate()"
    )
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "SSMGATE_DAEMON": "off", **environ},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", FAULTS)
def test_names_bound_and_command(name: str) -> None:
    prepare, message, hint = FAULTS[name]

    ended = start(prepare)

    assert ended.returncode == 253, ended.stderr
    assert ended.stderr.startswith(f"\nssmgate: [ERROR]: {message}")
    assert BOUND in ended.stderr
    assert ended.stderr.endswith(f"ssmgate: {hint.format(sys.executable)}\n")


def test_rejects_other_botocore_that_was_imported_first(tmp_path: Path) -> None:
    (tmp_path / "botocore").mkdir()
    (tmp_path / "botocore" / "__init__.py").write_text("")

    ended = start("import botocore", PYTHONPATH=str(tmp_path))

    assert ended.returncode == 253
    assert f"botocore was imported before awscli, from {tmp_path}/botocore" in ended.stderr
    assert BOUND in ended.stderr


def test_does_not_blame_tested_release() -> None:
    assert awscli_release.blamed(AttributeError("_create_parser")) is None


def test_bound_is_that_of_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert f"awscli{awscli_release.BOUND}" in project["dependencies"]
    assert "awscli>={},<{}".format(*supported.AWSCLI) in project["dependencies"]
