"""Run a program whose standard error is a terminal."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path


def run(argv: Sequence[str], environ: Mapping[str, str], directory: Path) -> tuple[int, str, str]:
    """Run `argv` to its end. Return its exit status, its output and what the terminal shows then.

    Standard input is empty and standard output is a pipe.
    """
    leader, follower = pty.openpty()
    shown = bytearray()

    def read() -> None:
        while True:
            try:
                shown.extend(os.read(leader, 65536))
            except OSError:  # EIO: the last one that had the terminal has closed it
                return

    reader = threading.Thread(target=read)
    try:
        with subprocess.Popen(
            argv,
            env=environ,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=follower,
            text=True,
        ) as program:
            os.close(follower)
            reader.start()
            out, _ = program.communicate(timeout=60)
        reader.join(60)
    finally:
        os.close(leader)
    return program.returncode, out, without_waits(shown.decode()).replace("\r\n", "\n")


def without_waits(received: str) -> str:
    """Return what a terminal received without the waits that ssmgate showed and erased."""
    return re.sub(r"ssmgate: waiting for [^\r\n]*\r\x1b\[K", "", received)
