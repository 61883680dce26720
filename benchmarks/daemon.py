"""A daemon of the benchmark's own: its processor seconds, its starts, and its processes."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_PR_CAPBSET_DROP = 24  # linux/prctl.h

PROGRAM = str(Path(sys.executable).parent / "ssmgate")
_STATUS = re.compile(r"process (\d+), for \d+ s, (\d+) starts")


@dataclass
class Daemon:
    """A running one, for the starts of one environment."""

    pid: int
    environ: Mapping[str, str]

    def starts(self) -> int:
        """How many starts it has made. What it sent back, and questions like this, are none."""
        status = _status(self.environ)
        if status is None or status[0] != self.pid:
            sys.exit("the daemon is gone")
        return status[1]

    def seconds(self) -> float:
        """User and system seconds of it and of all that it has forked, once those have ended.

        In steps of 10 ms: over many starts the mean is right, a single start's is not.
        """
        while children(self.pid):
            time.sleep(0.001)
        # After the name, which is in parentheses: utime, stime, cutime and cstime are 12 to 15.
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def give_up_capabilities() -> None:
    """Have programs that are executed from now on run without capabilities, also as root.

    With CAP_SYS_ADMIN no daemon runs.
    """
    if os.geteuid() == 0:
        prctl = ctypes.CDLL(None).prctl
        number = 0
        while prctl(_PR_CAPBSET_DROP, number, 0, 0, 0) == 0:
            number += 1


@contextmanager
def daemon(environ: Mapping[str, str]) -> Iterator[Daemon]:
    """One for the starts with `environ`, ready for them."""
    running = subprocess.Popen([PROGRAM, "daemon", "run", "--idle", "0"], env=environ)
    try:
        for _ in range(200):
            if _status(environ):
                break
            time.sleep(0.05)
        else:
            sys.exit("the daemon does not come up")
        yield Daemon(running.pid, environ)
    finally:
        running.terminate()
        running.wait()


def children(pid: int) -> list[int]:
    """The child processes of `pid`."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _status(environ: Mapping[str, str]) -> tuple[int, int] | None:
    """The daemon's process, and how many starts it has made; None where none answers."""
    asked = [PROGRAM, "daemon", "status"]
    told = subprocess.run(asked, env=environ, capture_output=True, text=True, check=False)
    found = _STATUS.match(told.stdout)
    return (int(found[1]), int(found[2])) if found else None
