"""docs/reference/releases.md names the versions that the program and its metadata name."""

from __future__ import annotations

import tomllib

from constraints import ROOT
from ssmgate.doctor import program
from ssmgate.gate.system import supported

PAGE = (ROOT / "docs" / "reference" / "releases.md").read_text()
PYTHON = "Programming Language :: Python :: "


def test_page_names_supported_pythons() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    versions = [
        text.removeprefix(PYTHON) for text in project["classifiers"] if text.startswith(PYTHON)
    ]

    assert f"| Python | {', '.join(versions)} |" in PAGE
    assert project["requires-python"] == f">={versions[0]}"


def test_page_names_bounds_of_awscli() -> None:
    oldest, newer = supported.AWSCLI

    assert f"| {oldest} or newer, below {newer} |" in PAGE


def test_page_names_oldest_plugin() -> None:
    assert f"| session-manager-plugin | {program._OLDEST_PLUGIN} or newer |" in PAGE
