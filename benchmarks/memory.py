"""Bytes of processes: beside a plugin that runs, and of starts that are under way."""

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
    """Of some processes: their parts of what is in memory, and what none of them has from a file.

    A page that is shared counts in part in `pss`, and with each process that has it in `anon`.
    """

    pss: float
    anon: float


def of(pids: Iterable[int]) -> Memory:
    """What they have together."""
    pss = anon = 0
    for pid in pids:
        pss += _kilobytes(Path(f"/proc/{pid}/smaps_rollup"), "Pss:")
        anon += _kilobytes(Path(f"/proc/{pid}/status"), "RssAnon:")
    return Memory(pss * 1024, anon * 1024)


def beside_plugin(command: Command, directory: Path, *, terminal: bool) -> Memory:
    """What stays in memory during a session, the plugin's own left out.

    The plugin's stand-in writes its process id into `directory` and waits.
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
    """`seconds` after `count` starts began, which take longer: of all together, with the daemon.

    And of each that the daemon has forked.
    """
    running = [
        subprocess.Popen(command.words, env=command.environ, stdin=subprocess.DEVNULL)
        for _ in range(count)
    ]
    try:
        time.sleep(seconds)
        pids = [pid for each in running for pid in _tree(each.pid)]
        forked = children(command.by.pid) if command.by else []
        if command.by:
            pids += [command.by.pid, *forked]
        return of(pids), [of([pid]) for pid in forked]
    finally:
        _kill([each.pid for each in running])


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
