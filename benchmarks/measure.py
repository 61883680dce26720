"""Seconds, processor seconds and bytes of commands, measured alternately."""

from __future__ import annotations

import os
import pty
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

Command = tuple[list[str], dict[str, str]]
Sample = tuple[float, float]


def one(command: Command) -> Sample:
    """Wall and CPU seconds of one run, children included."""
    return many(command, 1)


def many(command: Command, count: int) -> Sample:
    """Wall seconds until the last of `count` runs at once has ended, CPU seconds of all."""
    words, environ = command
    before = _used()
    began = time.perf_counter()
    running = [subprocess.Popen(words, env=environ, stdin=subprocess.DEVNULL) for _ in range(count)]
    codes = [each.wait() for each in running]
    wall = time.perf_counter() - began
    if any(codes):
        sys.exit(f"{words[0]} ended with status {max(codes)}")
    return wall, _used() - before


def _used() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def alternately(
    commands: Mapping[str, Command], runs: int, measured: Callable[[Command], Sample] = one
) -> dict[str, Sample]:
    """The medians of `runs` rounds, in each of which every command has its turn."""
    taken: dict[str, list[Sample]] = {name: [] for name in commands}
    for number in range(runs + 1):
        for name, command in commands.items():
            sample = measured(command)
            if number:  # the first of each only warms the disk cache
                taken[name].append(sample)
    return {name: medians(samples) for name, samples in taken.items()}


def medians(samples: Sequence[Sample]) -> Sample:
    """Of each column."""
    wall, cpu = (statistics.median(column) for column in zip(*samples, strict=True))
    return wall, cpu


def memory(command: Command, plugin: Path, *, terminal: bool) -> int:
    """Bytes that belong to the session's processes, the plugin's own left out.

    Shared pages count in part (PSS). The plugin's stand-in writes its process id and waits.
    """
    words, environ = command
    (plugin / "on_start").write_text("sleep 60 & wait $!\n")
    (plugin / "pid").unlink(missing_ok=True)
    if terminal:
        child, _ = pty.fork()
        if not child:
            os.execve(words[0], words, environ)
    else:
        child = subprocess.Popen(words, env=environ, stdin=subprocess.DEVNULL).pid
    try:
        while not (plugin / "pid").exists() or not (plugin / "pid").read_text():
            time.sleep(0.02)
        time.sleep(0.5)
        its_own = int((plugin / "pid").read_text())
        return sum(_pss(pid) for pid in _tree(child, but=its_own))
    finally:
        (plugin / "on_start").unlink()
        for pid in _tree(child):
            os.kill(pid, 9)
        os.waitpid(child, 0)


def _tree(pid: int, but: int = 0) -> list[int]:
    if pid == but:
        return []
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(inner for child in children for inner in _tree(int(child), but))]


def _pss(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0
