"""Report what the tests cost: by file, in total, and in bare starts of this machine."""

from __future__ import annotations

import resource
import sys
import time
from collections import defaultdict
from typing import Any

import pytest

from plugins import patience

FILES = 15
"""How many files are named."""

_began = time.monotonic()
_seconds: defaultdict[str, float] = defaultdict(float)
_rows: defaultdict[str, int] = defaultdict(int)
_cpu = {"workers": 0.0}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--bare-starts", type=int, metavar="LIMIT",
        help="tell at the end how many bare starts of `aws` this took, and whether it is too many",
    )  # fmt: skip


def own_cpu() -> float:
    """Return the processor seconds of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    file = report.nodeid.partition("::")[0].removeprefix("tests/")
    _seconds[file] += report.duration
    _rows[file] += report.when == "call"


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    _cpu["workers"] += getattr(node, "workeroutput", {}).get("cpu", 0.0)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["cpu"] = own_cpu()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if not _rows:
        return
    wall = time.monotonic() - _began
    say = terminalreporter.write_line
    say(f"seconds of the {FILES} longest files:")
    for file, seconds in sorted(_seconds.items(), key=lambda pair: -pair[1])[:FILES]:
        say(f"{seconds:8.1f}  {_rows[file]:4} rows  {file}")
    # Workers are children of this process, and have ended where they are reaped.
    cpu = max(own_cpu(), _cpu["workers"])
    say(f"in all: {sum(_rows.values())} rows, {wall:.0f} s, {cpu:.0f} s of processors")
    limit = terminalreporter.config.getoption("bare_starts")
    if limit:
        say(in_bare_starts(wall, limit))


def in_bare_starts(seconds: float, limit: int) -> str:
    """Return a sentence with the number of bare starts, measured now, that `seconds` are."""
    bare = patience.bare_start()
    times = seconds / bare
    over = "" if times <= limit else f"; THAT IS MORE THAN {limit:,}"
    return f"{seconds:.0f} s are {times:,.0f} bare starts of {bare:.2f} s{over}"


if __name__ == "__main__":
    print(in_bare_starts(float(sys.argv[1]), int(sys.argv[2])))
