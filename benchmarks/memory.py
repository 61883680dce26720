"""Measure the memory of processes: during a session, and during session starts."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from daemon import children
from measure import Command


@dataclass(frozen=True)
class Memory:
    """Bytes of several processes: proportional set size, and anonymous resident memory.

    A shared page is counted in part in `pss`, and for each of its processes in `anon`.
    """

    pss: float
    anon: float


def of(pids: Iterable[int]) -> Memory:
    """Return the memory of all `pids` together."""
    pss = anon = 0
    for pid in pids:
        pss += _kilobytes(Path(f"/proc/{pid}/smaps_rollup"), "Pss:")
        anon += _kilobytes(Path(f"/proc/{pid}/status"), "RssAnon:")
    return Memory(pss * 1024, anon * 1024)


def beside_plugin(command: Command, directory: Path, *, terminal: bool) -> Memory:
    """Return the memory of all processes during a session, except the plugin.

    The stub of the plugin writes its process ID into `directory` and waits.
    """
    held = directory / "held"
    held.unlink(missing_ok=True)
    environ = {**command.environ, "HOLD": str(held)}
    if terminal:
        child, _ = pty.fork()
        if not child:
            os.execve(command.words[0], list(command.words), environ)
    else:
        child = subprocess.Popen(command.words, env=environ, stdin=subprocess.DEVNULL).pid
    try:
        while not held.exists() or not held.read_text().strip():
            time.sleep(0.02)
        time.sleep(0.5)
        plugin = int(held.read_text())
        return of(pid for pid in _tree(child) if pid != plugin)
    finally:
        _kill([child])


def under_way(command: Command, count: int, seconds: float) -> tuple[Memory, list[Memory]]:
    """Return the memory of `count` starts together with the daemon, and of each of its workers.

    It is measured `seconds` after they began; the starts have to take longer.
    """
    running = [
        subprocess.Popen(command.words, env=command.environ, stdin=subprocess.DEVNULL)
        for _ in range(count)
    ]
    try:
        time.sleep(seconds)
        pids = [pid for process in running for pid in _tree(process.pid)]
        workers = children(command.by.pid) if command.by else []
        if command.by:
            pids += [command.by.pid, *workers]
        return of(pids), [of([pid]) for pid in workers]
    finally:
        _kill([process.pid for process in running])


def _kill(pids: Iterable[int]) -> None:
    for pid in pids:
        for inner in _tree(pid):
            os.kill(inner, signal.SIGKILL)
        os.waitpid(pid, 0)


def _tree(pid: int) -> list[int]:
    return [pid, *(inner for child in children(pid) for inner in _tree(child))]


def _kilobytes(path: Path, name: str) -> int:
    for line in path.read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1])
    return 0
