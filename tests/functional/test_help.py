"""`ssm-start-session help` on a machine without the programs that format manual pages."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from conftest import Machine

# The AWS CLI leaves a file of examples to the garbage collector.
UNSET = {"PYTHONWARNINGS": None, "PAGER": None, "MANPAGER": None}
HINT = "ssmgate: hint: help is shown as plain text; with groff or mandoc it is a manual page\n"


@pytest.mark.parametrize("pager", [False, True], ids=["no pager", "pager"])
def test_shows_plain_text_without_groff_and_mandoc(
    pager: bool, machine: Machine, tmp_path: Path
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    if pager:
        (programs / "less").write_text("#!/bin/sh\necho paged\nexec /bin/cat\n")
        (programs / "less").chmod(0o755)

    ended = machine.run("help", PATH=str(programs), **UNSET)

    assert (ended.returncode, ended.stderr) == (0, HINT)
    assert ended.stdout.startswith("paged\n") == pager
    assert "The managed node to connect to for the session." in ended.stdout
    assert "[--document-name <value>]" in ended.stdout
    assert machine.aws.operations == []


def test_shows_manual_page_with_groff(machine: Machine, tmp_path: Path) -> None:
    groff = tmp_path / "groff"
    groff.write_text("#!/bin/sh\n/bin/cat > /dev/null\necho formatted\n")
    groff.chmod(0o755)

    ended = machine.run("help", PATH=f"{tmp_path}{os.pathsep}/nowhere", **UNSET)

    assert (ended.returncode, ended.stdout.strip(), ended.stderr) == (0, "formatted", "")
