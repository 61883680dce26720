"""The GitHub workflows: pinned actions, the least permissions, and what they run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
USES = re.compile(r"^ *-? *uses: (?P<action>.*)$", re.MULTILINE)
PINNED = re.compile(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")


def jobs(workflow: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = YAML(typ="safe", pure=True).load(workflow)
    assert loaded["permissions"] == {}, "each job lists its own"
    found: dict[str, Any] = loaded["jobs"]
    return found


def test_finds_workflows() -> None:
    assert [workflow.name for workflow in WORKFLOWS] == ["release.yml"]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_to_commits(workflow: Path) -> None:
    actions = [match["action"] for match in USES.finditer(workflow.read_text())]

    assert actions
    assert [action for action in actions if not PINNED.fullmatch(action)] == []


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_scripts_contain_no_expressions(workflow: Path) -> None:
    scripts = [step["run"] for job in jobs(workflow).values() for step in job["steps"]
               if "run" in step]  # fmt: skip

    assert scripts
    assert [script for script in scripts if "${{" in script] == []


def test_only_job_without_scripts_may_sign() -> None:
    found = jobs(ROOT / ".github" / "workflows" / "release.yml")
    writing = {name for name, job in found.items() if "write" in dict(job["permissions"]).values()}

    assert writing == {"attest"}
    assert not any("run" in step for step in found["attest"]["steps"])


def test_release_is_tested_before_it_is_attested() -> None:
    found = jobs(ROOT / ".github" / "workflows" / "release.yml")

    assert any("/.ci/run" in step.get("run", "") for step in found["test"]["steps"])
    assert any("make packages" in step.get("run", "") for step in found["build"]["steps"])
    assert found["build"]["needs"] == "test"
    assert found["attest"]["needs"] == "build"
