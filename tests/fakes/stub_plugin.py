"""A program whose work a fork of the loaded process does: see `forks.py`.

`forks.py` writes this text between a first line, which selects a python without site packages, and
a call of `main`. The program passes its arguments, environment, working directory and descriptors,
and exits as the fork exits. The fork is neither this process nor its child: signals to this process
do not reach it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

LOADED = {"LANG": "C.UTF-8", "PYTHONWARNINGS": "error"}
"""What the interpreter of the loaded process is started with."""

NOT_IMITATED = ("LC_", "LD_", "PYTHON", "LANGUAGE", "AWS_DATA_PATH", "BOTOCORE_", "AWS_CLI_UPGRADE")
"""Beginnings of variables that are read while an interpreter or awscli is loaded."""


def fair(environ: Mapping[str, str]) -> bool:
    """Return whether a fork imitates a process with `environ`, which the interpreter may read."""
    return (
        "HOME" in environ
        and environ.get("LANG") == LOADED["LANG"]
        and environ.get("PYTHONWARNINGS", LOADED["PYTHONWARNINGS"]) == LOADED["PYTHONWARNINGS"]
        and not any(name.startswith(NOT_IMITATED) and name not in LOADED for name in environ)
    )


def main(python: str, path: str, before: list[str]) -> None:
    """Run `python BEFORE… ARGUMENTS…` in the process that listens at `path` if that is fair."""
    argv = [*before, *sys.argv[1:]]
    try:
        directory = os.getcwd()
        for number in (0, 1, 2):
            os.fstat(number)
    except OSError:
        directory = ""
    if not directory or not fair(os.environ):
        os.execv(python, [python, *argv])

    import _socket  # `socket` takes as long as all the rest
    import json

    sock = _socket.socket(_socket.AF_UNIX)
    sock.connect(path)
    descriptors = b"".join(number.to_bytes(4, sys.byteorder) for number in (0, 1, 2))
    sock.sendmsg([b"x"], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, descriptors)])
    asked = {"argv": argv, "environ": dict(os.environ), "cwd": directory}
    left = json.dumps(asked).encode() + b"\n"
    while left:
        left = left[sock.send(left) :]
    received = b""
    while part := sock.recv(100):
        received += part
    status = int(received.split()[-1])
    if status < 0:
        import signal

        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    sys.exit(status)
