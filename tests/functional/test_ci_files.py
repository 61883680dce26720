"""What other repositories run: the pre-commit hook, and the steps of the GitHub action."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from unit.policy_tools.accounts import document, statement

ROOT = Path(__file__).parents[2]
PROGRAM = Path(sys.executable).parent / "ssmgate"
WEAK = json.dumps(document(statement()))
GOOD = json.dumps(document(statement(action="s3:GetObject")))


def load(name: str) -> Any:
    return YAML(typ="safe", pure=True).load(ROOT / name)


def run(command: list[str], directory: Path, **more: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "HOME": str(directory), **more}
    return subprocess.run(
        command, env=environ, cwd=directory, capture_output=True, text=True, check=False
    )


def test_hook_lints_given_files(tmp_path: Path) -> None:
    (hook,) = load(".pre-commit-hooks.yaml")
    assert hook["language"] == "python"
    (tmp_path / "policy.json").write_text(WEAK)
    (tmp_path / "other-policy.json").write_text(GOOD)
    program, *words = shlex.split(hook["entry"])
    assert program == PROGRAM.name
    for files, code in ((["policy.json", "other-policy.json"], 3), (["other-policy.json"], 0)):
        assert run([str(PROGRAM), *words, *files], tmp_path).returncode == code


def test_action_installs_from_its_own_checkout() -> None:
    install, lint = load("action.yml")["runs"]["steps"]
    assert '"$GITHUB_ACTION_PATH"' in install["run"]
    for step in (install, lint):
        assert "${{" not in step["run"], "an input in a script is shell code"


INPUTS = {
    "a policy with findings": ("policy.json\n", "low", 3, "::error file=policy.json,line=1,"),
    "only notes fail": ("good.json\n\n  \n", "note", 0, ""),
    "several": ("good.json\npolicy.json", "high", 3, "title=SG002::"),
    "a directory": (".", "low", 3, "SG002"),
    "shell code": ("$(touch owned); `touch owned`", "low", 4, ""),
    "an option": ("--select=SG999", "low", 4, ""),
}


@pytest.mark.parametrize("case", INPUTS)
def test_action_lints_given_paths(case: str, tmp_path: Path) -> None:
    paths, fail_on, code, text = INPUTS[case]
    _, step = load("action.yml")["runs"]["steps"]
    assert set(step["env"]) == {"PATHS", "FAIL_ON"}
    (tmp_path / "policy.json").write_text(WEAK)
    (tmp_path / "good.json").write_text(GOOD)
    programs = tmp_path / "temp" / "ssmgate" / "bin"
    programs.mkdir(parents=True)
    (programs / "ssmgate").symlink_to(PROGRAM)
    environ = {"PATHS": paths, "FAIL_ON": fail_on, "RUNNER_TEMP": str(tmp_path / "temp")}
    bash = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
    ended = run(bash, tmp_path, **environ)
    assert ended.returncode == code, ended.stderr
    assert text in ended.stdout
    assert not (tmp_path / "owned").exists()
