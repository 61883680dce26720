"""A standby of a test's, and starts that ask it.

Run as a program it is `ssmgate`, and leaves a mark where it made a start by itself:
`standby_client.py MARK [client.NAME=NUMBER …] WORDS…`.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

FOLDER = ".cache/ssmgate/standby"


def until(true: Callable[[], object], seconds: float = 30) -> None:
    """Return when `true` says so."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.01)


class Standby:
    """`ssmgate standby`, for the starts with the HOME and the locale of `environ`."""

    def __init__(self, environ: Mapping[str, str], *options: str, before: tuple[str, ...] = ()):
        self.environ = dict(environ)
        self.folder = Path(environ["HOME"]) / FOLDER
        self.process = subprocess.Popen(
            [*before, sys.executable, "-P", "-m", "ssmgate", "standby", *options],
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        until(lambda: self.process.poll() is not None or self.ask("status").returncode == 0)

    @property
    def pid(self) -> int:
        """Its process's number."""
        return self.process.pid

    def ask(self, verb: str) -> subprocess.CompletedProcess[str]:
        """`ssmgate standby VERB`."""
        return subprocess.run(
            [sys.executable, "-P", "-m", "ssmgate", "standby", verb],
            env=self.environ, capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip

    @property
    def made(self) -> int:
        """How many starts it has made."""
        found = re.search(r", (\d+) starts", self.ask("status").stdout)
        assert found is not None
        return int(found[1])

    @property
    def socket(self) -> Path:
        """Where it listens."""
        (path,) = (p for p in self.folder.iterdir() if p.suffix != ".lock")
        return path

    @property
    def children(self) -> list[int]:
        """The processes that make starts now."""
        return children(self.pid)

    def end(self) -> None:
        """Kill it."""
        for pid in [*self.children, self.pid]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.communicate(timeout=30)


@contextmanager
def running(
    environ: Mapping[str, str], *options: str, before: tuple[str, ...] = ()
) -> Iterator[Standby]:
    """A standby until the block ends."""
    standby = Standby(environ, *options, before=before)
    try:
        yield standby
    finally:
        standby.end()


def children(pid: int) -> list[int]:
    """The children of `pid` that have not ended."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(number) for number in text.split() if state(int(number)) not in "Z"]


def state(pid: int) -> str:
    """The letter of /proc/PID/status, Z where there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "Z"


def main() -> None:
    """As the module's docstring says."""
    from ssmgate import __main__, process
    from ssmgate.standby import client

    _, mark, *words = sys.argv
    while words[0].startswith("client."):
        name, _, number = words.pop(0).removeprefix("client.").partition("=")
        assert hasattr(client, name)
        setattr(client, name, float(number))
    run = process.run

    def cold(*args: object, **options: object) -> None:
        Path(mark).touch()
        run(*args, **options)

    process.run = cold
    sys.argv = ["ssmgate", *words]
    __main__.ssmgate()


if __name__ == "__main__":
    # As with -P: the folder of this file is no part of the program.
    del sys.path[0]
    main()
