"""Measure the sandbox: its start, its memory, and sessions that start at once.

    python benchmarks/sandbox.py [--starts 10] [--sessions 100]

Prints a table, and exits with 1 if an aim is missed. Seconds of a busy machine are not those of
an idle one: CPU seconds vary less.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from fakes.channel_client import Client
from fakes.sandbox import ACCOUNT, NODE, OWNER, Server, serving

SECONDS_TO_START = 2.0
MEGABYTES = 150.0


@dataclass(frozen=True)
class Figure:
    """A row of the table; `aim` is the largest value that is good."""

    name: str
    value: float
    unit: str
    aim: float | None = None

    @property
    def is_good(self) -> bool:
        return self.aim is None or self.value <= self.aim

    def __str__(self) -> str:
        aim = "" if self.aim is None else f"{self.aim:g} {self.unit}"
        missed = "" if self.is_good else " (missed)"
        return f"| {self.name} | {self.value:.2f} {self.unit} | {aim}{missed} |"


def main() -> int:
    """Measure and print. Returns 1 if an aim is missed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--starts", type=int, default=10)
    parser.add_argument("--sessions", type=int, default=100)
    options = parser.parse_args()
    figures = [*starts(options.starts), *running(options.sessions)]
    print(f"Load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors.\n")
    print("| | measured | aim |\n| --- | --: | --: |")
    print("\n".join(map(str, figures)))
    return 0 if all(figure.is_good for figure in figures) else 1


def starts(count: int) -> Iterable[Figure]:
    """Start and end the sandbox `count` times."""
    walls, cpus = [], []
    for _ in range(count):
        began, used = time.perf_counter(), _children()
        with serving():
            walls.append(time.perf_counter() - began)
        cpus.append(_children() - used)
    yield Figure("start until ready, median", statistics.median(walls), "s", SECONDS_TO_START)
    yield Figure("start until ready, best", min(walls), "s")
    yield Figure("start and end, CPU, median", statistics.median(cpus), "s")


def running(sessions: int) -> Iterable[Figure]:
    """Measure one sandbox: its memory, then sessions that start at once."""
    with serving() as server:
        pid = server.pid
        yield Figure("memory when ready", megabytes(pid), "MB", MEGABYTES)
        for request in requests(server):
            request()
        yield Figure("memory after each service was used", megabytes(pid), "MB", MEGABYTES)
        began = time.perf_counter()
        with ThreadPoolExecutor(sessions) as pool:
            seconds = sorted(pool.map(lambda _: _session(server), range(sessions)))
        whole = time.perf_counter() - began
        yield Figure(f"{sessions} sessions at once, all", whole, "s")
        yield Figure(f"{sessions} sessions at once, slowest", seconds[-1], "s")
        yield Figure(f"memory after {sessions} sessions", megabytes(pid), "MB", MEGABYTES)
        yield Figure("memory, highest", megabytes(pid, "VmHWM"), "MB")


def requests(server: Server) -> Iterable[Callable[[], object]]:
    """Return a request to each service, and a simulation."""
    document = f"arn:aws:ssm:us-east-1:{ACCOUNT}:document/SSM-SessionManagerRunShell"
    alice = f"arn:aws:iam::{ACCOUNT}:user/alice"
    return (
        lambda: server.query("admin", "sts", "GetCallerIdentity"),
        lambda: server.query("admin", "iam", "ListUsers"),
        lambda: server.query("admin", "ec2", "DescribeInstances"),
        lambda: server.ssm("admin", "ListDocuments"),
        lambda: server.simulate("admin", alice, document),
    )


def _session(server: Server) -> float:
    """Run a command in a session. Returns its seconds, from StartSession to its output."""
    began = time.perf_counter()
    started = server.ssm(
        OWNER, "StartSession", Target=NODE, DocumentName="AWS-StartNonInteractiveCommand",
        Parameters={"command": ["echo $((40 + 2))"]},
    )  # fmt: skip
    client = Client.open(started)
    client.shake_hands()
    if client.until_closed() or b"42" not in client.output:
        raise SystemExit(f"a session failed: {client.closed} {client.output!r}")
    client.wire.close()
    return time.perf_counter() - began


def megabytes(pid: int, field: str = "VmRSS") -> float:
    """Return a memory size of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    raise SystemExit(f"no {field}")


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    raise SystemExit(main())
