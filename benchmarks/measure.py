"""Measure the wall and CPU seconds of commands, alternately."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from daemon import Daemon


@dataclass(frozen=True)
class Command:
    """A command to measure. `by` is the daemon for its starts, whose CPU seconds are added."""

    words: Sequence[str]
    environ: Mapping[str, str]
    by: Daemon | None = None


@dataclass(frozen=True)
class Sample:
    """Seconds of one run, or of several concurrent runs.

    `own_cpu` is that of the processes and their children, `most_cpu` the largest of one process,
    `daemon_cpu` that of the daemon.
    """

    wall: float
    own_cpu: float
    most_cpu: float
    daemon_cpu: float

    @property
    def cpu(self) -> float:
        return self.own_cpu + self.daemon_cpu


def run(command: Command, count: int = 1) -> Sample:
    """Run `count` processes concurrently, until the last has ended."""
    daemon_cpu = command.by.seconds() if command.by else 0.0
    began = time.perf_counter()
    running = [
        subprocess.Popen(
            command.words,
            env=command.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        for _ in range(count)
    ]
    cpu = []
    for process in running:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        cpu.append(usage.ru_utime + usage.ru_stime)
    wall = time.perf_counter() - began
    if failed := [process.returncode for process in running if process.returncode]:
        sys.exit(
            f"{' '.join(command.words)}: {len(failed)} of {count} failed, with status {failed[0]}"
        )
    daemon_cpu = command.by.seconds() - daemon_cpu if command.by else 0.0
    return Sample(wall, sum(cpu), max(cpu), daemon_cpu)


def alternately(
    commands: Mapping[str, Command],
    rounds: int,
    count: int = 1,
    *,
    warm: bool = True,
    after: Callable[[str], object] = lambda _: None,
) -> dict[str, Sample]:
    """Return `medians` of `rounds` rounds, each of which runs every command once.

    With `warm` there is an uncounted round before, which fills the disk cache. `after` is called
    with the name of each command after it has run.
    """
    taken: dict[str, list[Sample]] = {name: [] for name in commands}
    for number in range(-1 if warm else 0, rounds):
        for name, command in commands.items():
            sample = run(command, count)
            after(name)
            if number >= 0:
                taken[name].append(sample)
    return {name: medians(samples) for name, samples in taken.items()}


def medians(samples: Sequence[Sample]) -> Sample:
    """Return the medians of wall and own CPU seconds, and the maximum of `most_cpu`.

    The daemon's seconds are the mean, because they are counted in steps of 10 ms.
    """
    return Sample(
        statistics.median(sample.wall for sample in samples),
        statistics.median(sample.own_cpu for sample in samples),
        max(sample.most_cpu for sample in samples),
        statistics.fmean(sample.daemon_cpu for sample in samples),
    )
