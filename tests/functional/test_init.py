"""`ssmgate init`, evaluated by the real shells."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import Ended, Machine, needs

BIN = Path(sys.executable).parent
SHIMS = Path(__file__).parents[2] / "bin"
EVALUATE = {
    "bash": 'eval "$(ssmgate init bash{})"\n',
    "zsh": 'eval "$(ssmgate init zsh{})"\n',
    "fish": "ssmgate init fish{} | source\n",
}
STRICT = {"bash": "set -eu\n", "zsh": "set -eu\n", "fish": ""}

shells = pytest.mark.parametrize("shell", [pytest.param(s, marks=needs(s)) for s in EVALUATE])


def run(shell: str, script: str, machine: Machine, **environ: str | None) -> Ended:
    plain = {"bash": ["--norc", "--noprofile"], "zsh": ["-f"], "fish": ["--no-config"]}[shell]
    # aws is awscli's of this environment, and the shell is found wherever PATH leads.
    path = f"{BIN}{os.pathsep}{machine.environ['PATH']}"
    ended = subprocess.run(
        [str(shutil.which(shell)), *plain, "-c", script],
        env=machine.variables(**{"PATH": path, "PYTHONWARNINGS": None, **environ}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


@shells
def test_puts_directory_first_once_and_prints_nothing(shell: str, machine: Machine) -> None:
    evaluate = EVALUATE[shell].format("")
    script = f"{STRICT[shell]}{evaluate}{evaluate}/usr/bin/env"
    for path in (
        f"{BIN}:{os.environ['PATH']}",
        f"{BIN}:{SHIMS}:/usr/bin:{SHIMS}",
        f"{SHIMS}:{BIN}:/usr/bin",
        f"{SHIMS}:{SHIMS}:{BIN}:/usr/bin",
    ):
        ended = run(shell, script, machine, PATH=path)
        assert (ended.returncode, ended.stderr) == (0, ""), path
        (line,) = (row for row in ended.stdout.splitlines() if row.startswith("PATH="))
        others = [directory for directory in path.split(":") if directory != str(SHIMS)]
        wanted = [str(SHIMS), *others]
        if path.startswith(str(SHIMS)):
            assert line[5:].split(":")[0] == str(SHIMS)
        else:
            assert line[5:].split(":") == wanted


@shells
@pytest.mark.parametrize("function", ["", " --function"])
def test_aws_checks_starts_and_passes_on_other_commands(
    shell: str, function: str, machine: Machine
) -> None:
    evaluate = EVALUATE[shell].format(function)
    before = run(shell, f"ssmgate init {shell} --check", machine)
    assert before.returncode == 3
    assert before.stdout.startswith(f"not active: aws is {BIN}/aws\n")

    # There may be another aws on the developer's PATH.
    named = {"SSMGATE_AWS_PATH": f"{BIN}/aws"}
    after = run(shell, f"{evaluate}{evaluate}ssmgate init {shell} --check; true", machine, **named)
    assert after.stdout.startswith("active: aws is ")
    assert f"the real aws: {BIN}/aws\n" in after.stdout
    assert after.stderr == ""

    started = run(
        shell, f"{evaluate}aws ssm start-session --target i-1 --document-name Team-X", machine
    )
    assert started.returncode == 0, started.stderr
    assert machine.aws.operations.count("SimulatePrincipalPolicy") == 1
    other = run(shell, f"{evaluate}aws --version", machine, **named)
    assert other.stdout.startswith("aws-cli/")


@needs("bash")
def test_function_is_not_inherited_by_other_shells(machine: Machine) -> None:
    script = (
        EVALUATE["bash"].format(" --function")
        + "bash -c 'ssmgate init bash --check; exit $?'; exit $?"
    )
    ended = run("bash", script, machine)
    assert (ended.returncode, ended.stdout.partition(":")[0]) == (3, "not active")


def test_rejects_unsupported_shell(machine: Machine) -> None:
    ended = run("bash", "ssmgate init tcsh", machine)
    assert (ended.returncode, ended.stdout) == (252, "")


def documented(shell: str) -> str:
    """Return the lines that docs/how-to/shell.md has for the startup file of a `shell`."""
    page = (SHIMS.parent / "docs" / "how-to" / "shell.md").read_text()
    return page.partition(f"```{shell}\n")[2].partition("```")[0]


@shells
def test_documented_lines_start_python_only_for_new_program(shell: str, machine: Machine) -> None:
    programs = [machine.home / "one", machine.home / "two"]
    for directory in programs:
        directory.mkdir()
        (directory / "ssmgate").write_text(
            f'#!/bin/sh\necho started >> {machine.home}/log\nexec {BIN}/ssmgate "$@"\n'
        )
        (directory / "ssmgate").chmod(0o755)
    log, lines = machine.home / "log", f"{STRICT[shell]}{documented(shell)}/usr/bin/env\n"
    cache = machine.home / ".cache" / "ssmgate"

    def starts(program: Path) -> int:
        """Start a shell. Returns how often `program` was started."""
        log.write_text("")
        ended = run(shell, lines, machine, PATH=f"{program}:/usr/bin:/bin")
        assert (ended.returncode, ended.stderr) == (0, "")
        assert f"\nPATH={SHIMS}:{program}:" in f"\n{ended.stdout}"
        return len(log.read_text().splitlines())

    for directory in programs:
        os.utime(directory / "ssmgate", (1, 1))
        assert starts(directory) == 1
        assert starts(directory) == 0
    os.utime(programs[0] / "ssmgate", (2**31, 2**31))
    assert starts(programs[0]) == 1
    assert starts(programs[1]) == 0
    assert len(list(cache.iterdir())) == 2
    assert cache.stat().st_mode & 0o777 == 0o700


@shells
def test_documented_lines_report_missing_program(shell: str, machine: Machine) -> None:
    """A file of an earlier program does not hide that it is gone."""
    lines = f"{documented(shell)}echo went on\n"
    assert run(shell, lines, machine).stderr == ""

    ended = run(shell, lines, machine, PATH="/usr/bin:/bin")

    assert "ssmgate" in ended.stderr
    assert ended.stdout == "went on\n"
