"""Run a daemon for the benchmark, and read its CPU seconds, session starts and processes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PROGRAM = str(Path(sys.executable).parent / "ssmgate")
_STATUS = re.compile(r"process (\d+), \d+ s; session starts: (\d+)")


@dataclass
class Daemon:
    """A running daemon for session starts in one environment."""

    pid: int
    environ: Mapping[str, str]

    def starts(self) -> int:
        """Return how many starts the daemon has made, without fallbacks and status requests."""
        status = _status(self.environ)
        if status is None or status[0] != self.pid:
            sys.exit("the daemon is gone")
        return status[1]

    def seconds(self) -> float:
        """Return the user and system seconds of the daemon and its workers, after these ended.

        The resolution is 10 ms: the mean over many starts is correct, that of one start is not.
        """
        while children(self.pid):
            time.sleep(0.001)
        # After the name in parentheses, utime, stime, cutime and cstime are fields 12 to 15.
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def daemon(environ: Mapping[str, str]) -> Iterator[Daemon]:
    """Run a daemon for starts in `environ` while the block runs; yield it when it is ready."""
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
    """Return the child processes of `pid`."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _status(environ: Mapping[str, str]) -> tuple[int, int] | None:
    """Return the daemon's process ID and its number of starts; None if none answers."""
    command = [PROGRAM, "daemon", "status"]
    result = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    match = _STATUS.match(result.stdout)
    return (int(match[1]), int(match[2])) if match else None
