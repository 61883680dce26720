"""Which rows of the tables run: a sample that differs from commit to commit, and all with `--full`.

Whether a row is drawn depends only on its name and on the seed: so each worker draws the same rows,
and the same seed draws them again. The seed is the commit under test: each commit runs other rows.
All rates are declared here.
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

WAYS = {"cached": 1 / 12, "daemon": 1 / 15}
"""The share of the rows that make starts in another way than the cold one, where all are run."""

COLD = {
    # A fresh interpreter for each module of ssmgate.
    "unit/test_house.py::test_each_module_declares_which_botocore_it_uses": 1 / 16,
    # These ask whether the attacks are attacks on the real `aws`.
    "functional/test_shim.py::test_attack_command_lines_start_session_in_real_cli": 1 / 4,
    "functional/test_shim.py::test_shim_answers_as_installed_cli": 1 / 2,
    # Both programs run for each; rows that ssmgate rejects on purpose all run.
    "functional/test_oracle.py::test_does_what_aws_does": 1 / 12,
    "functional/test_oracle.py::test_does_what_v2_does_where_v1_differs": 1 / 2,
    "functional/test_oracle.py::test_fork_does_what_program_does": 1 / 3,
    # Each makes a start with the daemon and one without.
    "functional/test_daemon.py::test_plugin_gets_same_as_after_cold_start": 1 / 2,
    "functional/test_daemon.py::test_prints_same_as_cold_start": 1 / 2,
    # Each makes several starts. Unit tests have a row for each part of the key, too.
    "functional/test_cache.py::test_cache_misses_when_dependency_differs": 1 / 3,
    # Each signal at each moment of a start in each way. The handlers are the same for all signals.
    "functional/test_signals.py::test_signal_leaves_no_session": 1 / 6,
    # Three and four runs each. Unit tests of `explain` and `policy_language` test the texts too.
    "functional/test_policy_check.py::test_evaluates_policies_offline": 1 / 4,
    "functional/test_gallery.py::test_report_is_that_of_golden_file": 1 / 6,
    # Each checks, changes a policy, and starts sessions. Unit tests have the same changes.
    "functional/test_advice.py": 1 / 6,
    # Each is a process; all verbs print in the same few ways.
    "functional/test_unwritable_output.py::test_verb_reports_unwritable_output_on_one_line": 1 / 8,
    # Each runs nine programs as another user.
    "functional/test_unreachable_home.py::test_each_verb_works_as_with_empty_home": 1 / 8,
    "functional/test_unreachable_home.py::test_broken_own_configuration_is_error_with_next_step": (
        1 / 4
    ),
    # Each asks four verbs, or starts sessions of several callers.
    "functional/test_same_answers.py": 1 / 4,
    "functional/test_tag_policies.py": 1 / 3,
    # Each waits until a start goes on without the daemon.
    "functional/test_daemon_without.py": 1 / 3,
    # Each makes the clients of three services. Each line of the report has several rows.
    "unit/doctor/test_broken_machines.py::test_reports_problem": 1 / 4,
}
"""The share of the cold rows of a file, or of a test. What is not named runs always."""

ONE_OF = {"functional/test_shim.py": "any_line"}
"""Parameters that cross all rows of a file: each row is run with one of their values."""

AS_PROCESSES = 1 / 10
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
    """Return the id of the commit of this checkout, empty without one, as in an sdist."""
    if not (TESTS.parent / ".git").exists():
        return ""
    try:
        result = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"], cwd=TESTS.parent,
            capture_output=True, text=True, timeout=10, check=False,
        )  # fmt: skip
    except OSError:
        return ""
    return result.stdout.strip()


def pytest_report_header(config: pytest.Config) -> str:
    return _description(config)


def _description(config: pytest.Config) -> str:
    if config.option.full:
        return "rows: all"
    return f"rows: drawn by --sample-seed={config.option.sample_seed}, all with --full"


def draw(seed: str, what: str) -> float:
    """Return a number in [0, 1), always the same for the same arguments."""
    digest = hashlib.sha256(f"{seed}\0{what}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def leave(
    config: pytest.Config, items: list[pytest.Item], wanted: Callable[[pytest.Item], bool]
) -> None:
    """Deselect the items that are not `wanted`."""
    others = [item for item in items if not wanted(item)]
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if wanted(item)]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.option.full or named(config):
        return
    seed = config.option.sample_seed
    drawn = one_of_each(items, seed)
    leave(config, items, lambda item: item in drawn and draw(seed, key(item)) < rate(item, config))


def named(config: pytest.Config) -> bool:
    """Return whether the command line names single tests: these always run."""
    return any("::" in word for word in config.args)


def key(item: pytest.Item) -> str:
    """Return the name of the row: its file below tests/, test and parameters."""
    return f"{file_of(item)}::{item.name}"


def rate(item: pytest.Item, config: pytest.Config) -> float:
    """Return the share of rows of this kind that run."""
    way = way_of(item)
    if way != "cold":
        # `--way` selects the rows of that way.
        return WAYS[way] if config.option.way == "all" else 1.0
    test = f"{file_of(item)}::{getattr(item, 'originalname', item.name)}"
    return COLD.get(test, COLD.get(file_of(item), 1.0))


def one_of_each(items: list[pytest.Item], seed: str) -> set[pytest.Item]:
    """Return the items, but only one of those that differ only in a parameter of `ONE_OF`."""
    drawn: set[pytest.Item] = set()
    crossed: defaultdict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        name = ONE_OF.get(file_of(item))
        if name not in params(item):
            drawn.add(item)
            continue
        # As a part of the row's name: its index would not do, as pytest numbers all rows.
        value = re.escape(str(params(item)[name]))
        crossed[re.sub(rf"(?<=[\[-]){value}(?=[]-])", "*", key(item), count=1)].append(item)
    for row, values in crossed.items():
        drawn.add(values[int(draw(seed, row) * len(values))])
    return drawn


def as_process(item: pytest.Item) -> bool:
    """Return whether the row runs its program as a separate process, though a fork would do."""
    config = item.config
    seed = config.option.sample_seed
    return config.option.full or draw(seed, f"process {key(item)}") < AS_PROCESSES


def way_of(item: pytest.Item) -> str:
    """Return the way in which the row makes starts. A test may have a parameter of that name."""
    return str(params(item).get("way", "cold")) if item.get_closest_marker("starts") else "cold"


def params(item: pytest.Item) -> dict[str, Any]:
    """Return the values of the item's parameters."""
    callspec = getattr(item, "callspec", None)
    return dict(callspec.params) if callspec else {}


def file_of(item: pytest.Item) -> str:
    """Return the path of the item's file below tests/."""
    try:
        return item.path.relative_to(TESTS).as_posix()
    except ValueError:
        return str(item.path)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    terminalreporter.write_line(_description(terminalreporter.config))
