"""Seconds and processor seconds of commands, measured alternately."""

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
    """What is run. `by` is the daemon that shall make its starts, and whose seconds count."""

    words: Sequence[str]
    environ: Mapping[str, str]
    by: Daemon | None = None


@dataclass(frozen=True)
class Sample:
    """Seconds of one run, or of some at once.

    `own_cpu` is the processes' own and their children's, `most_cpu` the largest of one of them,
    `daemon_cpu` what the daemon had to do.
    """

    wall: float
    own_cpu: float
    most_cpu: float
    daemon_cpu: float

    @property
    def cpu(self) -> float:
        return self.own_cpu + self.daemon_cpu


def run(command: Command, count: int = 1) -> Sample:
    """Run `count` at once, until the last has ended."""
    beside = command.by.seconds() if command.by else 0.0
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
    for each in running:
        _, status, usage = os.wait4(each.pid, 0)
        each.returncode = os.waitstatus_to_exitcode(status)
        cpu.append(usage.ru_utime + usage.ru_stime)
    wall = time.perf_counter() - began
    if bad := [each.returncode for each in running if each.returncode]:
        sys.exit(f"{' '.join(command.words)}: {len(bad)} of {count} failed, with status {bad[0]}")
    beside = command.by.seconds() - beside if command.by else 0.0
    return Sample(wall, sum(cpu), max(cpu), beside)


def alternately(
    commands: Mapping[str, Command],
    rounds: int,
    count: int = 1,
    *,
    warm: bool = True,
    after: Callable[[str], object] = lambda _: None,
) -> dict[str, Sample]:
    """`medians` of `rounds` rounds, in each of which every command has its turn.

    With `warm` there is one round more before, which fills the disk's cache and is not counted.
    `after` hears the name of each command that has run.
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
    """Of wall and own CPU seconds. Of `most_cpu` the largest.

    Of the daemon's seconds the mean, as they are counted in steps of 10 ms.
    """
    return Sample(
        statistics.median(each.wall for each in samples),
        statistics.median(each.own_cpu for each in samples),
        max(each.most_cpu for each in samples),
        statistics.fmean(each.daemon_cpu for each in samples),
    )
