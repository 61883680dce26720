"""Which rows of the tables are run: some of the many, others each time, and all with `--full`.

Whether a row is drawn depends on its name and on the seed alone, so that every worker draws the
same, and the same seed draws them again. The seed is the commit that is tested: with each commit
other rows are run. Rates are declared here and nowhere else.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).parents[1]

WAYS = {"cached": 1 / 4, "daemon": 1 / 6}
"""The share of the rows that make starts in another way than the cold one, where all are run."""

COLD = {
    # A fresh interpreter for each module of ssmgate's.
    "unit/test_house.py::test_each_module_declares_which_botocore_it_uses": 1 / 4,
    # These ask whether the attacks are attacks on the real `aws`.
    "functional/test_shim.py::test_attack_command_lines_start_session_in_real_cli": 1 / 4,
    "functional/test_shim.py::test_installed_cli_answers_the_same": 1 / 2,
    # Both programs run for each; the rows that ssmgate refuses or reads otherwise are all run.
    "functional/test_oracle.py::test_does_what_aws_does": 1 / 2,
    # Each asks four times. What the texts say is the unit tests' of `check` and `policy` too.
    "functional/test_gallery.py::test_gallery": 1 / 2,
}
"""The share of the cold rows of a file, or of a test. What is not named runs always."""

ONE_OF = {"functional/test_shim.py": "any_line"}
"""Parameters that cross all rows of a file: each row is run with one of their values."""

AS_PROCESSES = 1 / 6
"""The share of the rows of `ways.FORKED` whose program is a process of its own."""

NEVER_SAMPLED = (
    "functional/test_faults.py",
    "functional/test_handover.py",
    "functional/test_identity.py",
    "functional/test_login_attacks.py",
    "functional/test_planted.py",
    "functional/test_secrets.py",
)
"""Attacks and faults, each of which is run cold each time. Of the shim's, each in some shell."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="leave no row out, and fork no program")
    parser.addoption("--sample-seed", help="draws the rows that are run; the commit by default")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    # Workers get the options as they are after this.
    if config.option.sample_seed is None:
        config.option.sample_seed = commit() or "no commit"


def commit() -> str:
    """The id of the commit of this checkout; empty where there is none, as in an sdist."""
    if not (TESTS.parent / ".git").exists():
        return ""
    try:
        told = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"], cwd=TESTS.parent,
            capture_output=True, text=True, timeout=10, check=False,
        )  # fmt: skip
    except OSError:
        return ""
    return told.stdout.strip()


def pytest_report_header(config: pytest.Config) -> str:
    return _said(config)


def _said(config: pytest.Config) -> str:
    if config.option.full:
        return "rows: all"
    return f"rows: drawn by --sample-seed={config.option.sample_seed}, all with --full"


def draw(seed: str, what: str) -> float:
    """A number in [0, 1), the same each time."""
    digest = hashlib.sha256(f"{seed}\0{what}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def leave(
    config: pytest.Config, items: list[pytest.Item], wanted: Callable[[pytest.Item], bool]
) -> None:
    """Deselect what is not `wanted`."""
    others = [item for item in items if not wanted(item)]
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if wanted(item)]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.option.full or named(config):
        return
    seed = config.option.sample_seed
    kept = one_of_each(items, seed)
    leave(config, items, lambda item: item in kept and draw(seed, key(item)) < rate(item, config))


def named(config: pytest.Config) -> bool:
    """Whether single tests were asked for by their names: these are run."""
    return any("::" in word for word in config.args)


def key(item: pytest.Item) -> str:
    """The name of the row: its file below tests/, test and parameters."""
    return f"{file_of(item)}::{item.name}"


def rate(item: pytest.Item, config: pytest.Config) -> float:
    """The share of its kind that is run."""
    way = way_of(item)
    if way != "cold":
        # Where one way is asked for, its rows are what is wanted.
        return WAYS[way] if config.option.way == "all" else 1.0
    test = f"{file_of(item)}::{getattr(item, 'originalname', item.name)}"
    return COLD.get(test, COLD.get(file_of(item), 1.0))


def one_of_each(items: list[pytest.Item], seed: str) -> set[pytest.Item]:
    """All items, but of those that differ in a parameter of `ONE_OF` only, one."""
    kept: set[pytest.Item] = set()
    crossed: defaultdict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        name = ONE_OF.get(file_of(item))
        if name not in params(item):
            kept.add(item)
            continue
        # As a part of the row's name. Its index would not do: pytest counts all rows with it.
        value = re.escape(str(params(item)[name]))
        crossed[re.sub(rf"(?<=[\[-]){value}(?=[]-])", "*", key(item), count=1)].append(item)
    for row, values in crossed.items():
        kept.add(values[int(draw(seed, row) * len(values))])
    return kept


def as_process(item: pytest.Item) -> bool:
    """Whether the program of this row is a process of its own, though a fork would do."""
    config = item.config
    seed = config.option.sample_seed
    return config.option.full or draw(seed, f"process {key(item)}") < AS_PROCESSES


def way_of(item: pytest.Item) -> str:
    """The way in which the row has its starts made. A test may have a parameter of that name."""
    return str(params(item).get("way", "cold")) if item.get_closest_marker("starts") else "cold"


def params(item: pytest.Item) -> dict[str, Any]:
    """The values of its parameters."""
    callspec = getattr(item, "callspec", None)
    return dict(callspec.params) if callspec else {}


def file_of(item: pytest.Item) -> str:
    """The path of its file below tests/."""
    try:
        return item.path.relative_to(TESTS).as_posix()
    except ValueError:
        return str(item.path)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    terminalreporter.write_line(_said(terminalreporter.config))
