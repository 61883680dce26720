"""Hints to install missing software: their commands have to work for this installation."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

import pytest

from ssmgate.gate.system import installation

REQUIRED = [
    "click>=8.1",
    "awscrt>=0.29; extra == 'login'",
    'moto[ec2,iam]<5.3,>=5.2; python_version > "3" and extra == "sandbox"',
    "websockets>=14.2; extra == 'sandbox'",
]


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(metadata, "requires", lambda _: REQUIRED)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "ssmgate"))
    monkeypatch.setattr(sys, "executable", "/a path/bin/python")
    (tmp_path / "ssmgate").mkdir()


def test_names_interpreter_of_environment() -> None:
    assert installation.adding("login") == "'/a path/bin/python' -m pip install 'awscrt>=0.29'"
    assert installation.adding("sandbox").endswith(
        " -m pip install 'moto[ec2,iam]<5.3,>=5.2' 'websockets>=14.2'"
    )


def test_names_pipx_where_it_made_environment(tmp_path: Path) -> None:
    (tmp_path / "ssmgate" / "pipx_metadata.json").touch()

    assert installation.adding("login") == "pipx inject ssmgate 'awscrt>=0.29'"


def test_names_uv_where_environment_has_no_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation.importlib.util, "find_spec", lambda _: None)

    assert installation.adding("login") == (
        "uv pip install --python '/a path/bin/python' 'awscrt>=0.29'"
    )


def test_names_source_tree_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> list[str]:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", missing)

    assert installation.adding("login").endswith(" -m pip install '.[login]'")


@pytest.mark.parametrize("extra", ["login", "sandbox"])
def test_knows_extras_of_this_installation(extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()

    assert f".[{extra}]" not in installation.adding(extra)
