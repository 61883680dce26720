"""Standard output that is full, closed, or a pipe that is no longer read."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from conftest import Machine
from fakes.needs import find, require

NODE = "i-0123456789abcdef0"
START = ("start-session", "--target", NODE)
SKELETON = (*START, "--generate-cli-skeleton")

VERBS = {
    "help": ("--help",),
    "help of a verb": ("check", "--help"),
    "help of a group": ("policy", "--help"),
    "help of help": ("help", "check"),
    "version": ("--version",),
    "check": ("check", "--target", NODE),
    "check as JSON": ("check", "--target", NODE, "--output", "json"),
    "documents": ("documents",),
    "doctor": ("doctor",),
    "config": ("config", "show"),
    "init": ("init", "bash"),
    "ssh-config": ("ssh-config",),
    "version of the AWS CLI": ("start-session", "--version"),
    "help of start-session": ("start-session", "help"),
    "skeleton": (*SKELETON, "input"),
    "skeleton of the output": (*SKELETON, "output"),
    "skeleton of the output as text": (*SKELETON, "output", "--output", "text"),
    "skeleton as YAML": (*SKELETON, "yaml-input"),
}
WHY = {
    "full": ("No space left on device",),
    "closed": ("it is closed", "Bad file descriptor"),
    "a pipe": ("Broken pipe",),
}


def run(machine: Machine, output: str, words: tuple[str, ...], **environ: str) -> tuple[int, str]:
    reading, writing = os.pipe()
    os.close(reading)
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        process = subprocess.Popen(
            ["sh", "-c", 'exec "$@"' + " >&-" * (output == "closed"), "sh",
             sys.executable, "-m", "ssmgate", *words],
            env=machine.variables(**environ), cwd=machine.home,
            stdin=subprocess.DEVNULL, stdout=writing if output == "a pipe" else full,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        _, stderr = process.communicate(timeout=60)
    finally:
        os.close(writing)
        os.close(full)
    return process.returncode, stderr


@pytest.mark.parametrize("unbuffered", [False, True], ids=["", "unbuffered"])
@pytest.mark.parametrize("output", WHY)
@pytest.mark.parametrize("verb", VERBS)
def test_verb_reports_unwritable_output_on_one_line(
    verb: str, output: str, unbuffered: bool, machine: Machine
) -> None:
    if verb == "help of start-session" and find("mandoc") is None:
        require("groff")
    environ = {"PYTHONUNBUFFERED": "1"} if unbuffered else {}
    if "help of start" in verb:
        # The AWS CLI leaves its examples open; a pager writes by itself.
        environ |= {"PYTHONWARNINGS": "ignore", "PAGER": "no-pager", "MANPAGER": "no-pager"}

    status, stderr = run(machine, output, VERBS[verb], **environ)

    (line,) = stderr.strip().splitlines()
    assert status == 255
    assert line.startswith("ssmgate: [ERROR]: cannot write to standard output: ")
    assert line.partition("output: ")[2] in WHY[output]


@pytest.mark.parametrize("output", WHY)
def test_session_starts_with_unwritable_output(output: str, machine: Machine) -> None:
    assert run(machine, output, START) == (0, "")
    assert machine.plugin.started


@pytest.mark.parametrize("output", WHY)
def test_completion_prints_no_error(output: str, machine: Machine) -> None:
    (machine.home / ".aws").mkdir()
    (machine.home / ".aws" / "config").write_text("[profile dev]\n")

    status, stderr = run(machine, output, ("complete", "profiles", "--", ""))

    assert (status, stderr) == (255, "")
