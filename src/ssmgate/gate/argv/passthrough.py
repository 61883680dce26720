"""Execute the real aws, or an alias's shell command, for commands that start no session."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from typing import NoReturn

from ssmgate.gate.decision.errors import GateError

TRIED = "_SSMGATE_AWS_TRIED"
"""The environment variable in which the shim lists the `aws` executed in this process."""


def exec_aws(real: str, argv: list[str], environ: Mapping[str, str]) -> NoReturn:
    """Execute the AWS CLI at `real` with `argv`, the arguments after `aws`, as the shim does.

    Its interactive prompt, which could start a session unchecked, is off. Raises `GateError` if
    `real` is empty or cannot be executed.
    """
    if not real:
        raise NoAws("no AWS CLI on PATH: its only aws is ssmgate's", hints=(_INSTALL,))
    variables = {**environ, "AWS_CLI_AUTO_PROMPT": "off", TRIED: _tried(real, environ)}
    try:
        _execute(real, ["aws", *argv], variables)
    except (OSError, ValueError) as error:
        raise NoAws(f"{real} cannot be executed: {error}", hints=(_INSTALL,)) from error


def exec_shell(command: str, shim_directory: str, environ: Mapping[str, str]) -> NoReturn:
    """Execute an alias's shell command as the CLI does, with the shim first on its PATH."""
    path = f"{shim_directory}:{environ.get('PATH', os.defpath)}"
    try:
        _execute("/bin/sh", ["sh", "-c", command], {**environ, "PATH": path})
    except (OSError, ValueError) as error:
        raise GateError(f"/bin/sh cannot be executed: {error}") from error


def _execute(path: str, argv: list[str], environ: Mapping[str, str]) -> NoReturn:
    # Python ignores these; programs that a shell or the CLI runs have the defaults.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    os.execve(path, argv, environ)


class NoAws(GateError):
    """There is no real AWS CLI to execute."""

    exit_code = 127  # as of a shell for a command that is not found


_INSTALL = "install the AWS CLI, or name it in SSMGATE_AWS_PATH or as aws.path in the configuration"


def _tried(real: str, environ: Mapping[str, str]) -> str:
    pid, _, rest = environ.get(TRIED, "").partition(" ")
    depth, _, paths = rest.partition(" ")
    tried = paths if pid == str(os.getpid()) else ":"
    return f"{os.getpid()} {int(depth) + 1 if depth.isdecimal() else 1} {tried}{real}:"
