"""Which rows run: the same rows for the same commit, and all attacks."""

from __future__ import annotations

import re
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from plugins import sampling, ways

TESTS = sampling.TESTS


class Row:
    """The parts of a pytest.Item that the plugin reads."""

    def __init__(self, file: str, test: str = "test_x", way: str = "cold", **params: str) -> None:
        self.path = TESTS / file
        self.originalname = test
        self.name = f"{test}[{'-'.join([*params.values(), way])}]"
        self.callspec = SimpleNamespace(params={**params, "way": way})
        self.config: Any = config()

    def get_closest_marker(self, name: str) -> object:
        return name == "starts" or None


def config(*args: str, full: bool = False, seed: str = "a", way: str = "all") -> Any:
    hook = SimpleNamespace(pytest_deselected=lambda items: None)
    option = SimpleNamespace(full=full, sample_seed=seed, way=way)
    return SimpleNamespace(option=option, hook=hook, args=list(args))


def selected(rows: list[Row], config: Any) -> list[Row]:
    """Return the rows that run."""
    items: Any = list(rows)
    sampling.pytest_collection_modifyitems(config, items)
    drawn: list[Row] = items
    return drawn


@pytest.mark.parametrize("file", sampling.NEVER_SAMPLED)
def test_attacks_always_run_cold(file: str) -> None:
    rows = [Row(file, n=str(number)) for number in range(100)]

    assert (TESTS / file).exists()
    assert selected(rows, config()) == rows
    assert not [name for name in sampling.COLD if name.partition("::")[0] == file]


def test_unnamed_tests_always_run() -> None:
    rows = [Row("unit/test_new.py", n=str(number)) for number in range(100)]

    assert selected(rows, config()) == rows


@pytest.mark.parametrize("other", ["cached", "daemon"])
def test_runs_share_of_other_ways(other: str) -> None:
    rows = [Row("functional/test_faults.py", way=other, n=str(number)) for number in range(1000)]
    drawn = selected(rows, config())

    assert 0.7 < len(drawn) / (sampling.WAYS[other] * len(rows)) < 1.3
    assert selected(rows, config()) == drawn
    assert selected(rows, config(seed="b")) != drawn
    assert selected(rows, config(full=True)) == rows
    assert selected(rows, config("tests/functional/test_faults.py::test_x")) == rows
    assert selected(rows, config(way=other)) == rows


@pytest.mark.parametrize("name", sampling.COLD)
def test_rates_name_existing_tests(name: str) -> None:
    file, _, test = name.partition("::")

    assert (f"def {test}(" if test else "def test_") in (TESTS / file).read_text()
    assert 0 < sampling.COLD[name] <= 1


@pytest.mark.parametrize("file", [*sampling.ONE_OF, *ways.FORKED])
def test_named_files_exist(file: str) -> None:
    assert (TESTS / file).exists()


def test_crossed_rows_run_with_one_value_each() -> None:
    (file, name), *_ = sampling.ONE_OF.items()
    rows = [
        Row(file, "test_y", **{name: shell, "n": f"a dash {number}"})
        for number in range(60)
        for shell in ("dash", "bash", "sh")
    ]
    drawn = selected(rows, config())

    assert sorted(row.callspec.params["n"] for row in drawn) == sorted(
        f"a dash {number}" for number in range(60)
    )
    assert {row.callspec.params[name] for row in drawn} == {"dash", "bash", "sh"}
    assert selected(rows, config(full=True)) == rows


def test_share_of_forked_rows_runs_as_processes() -> None:
    rows = [Row("functional/test_decisions.py", n=str(number)) for number in range(1000)]
    drawn = [row for row in rows if sampling.as_process(row)]

    assert 0.7 < len(drawn) / (sampling.AS_PROCESSES * len(rows)) < 1.3
    rows[0].config = config(full=True)
    assert sampling.as_process(rows[0])


def test_each_row_of_shim_runs_in_one_shell() -> None:
    """Collected by pytest, as the draw depends on the names that pytest gives."""
    output = subprocess.run(
        [
            sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider",
            "--way", "cold", "--sample-seed", "a", "tests/functional/test_shim.py",
        ],
        cwd=TESTS.parent, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    rows = [row for row in output.splitlines() if "::test_no_environment_bypasses_gate[" in row]

    assert len(rows) == len({re.sub("dash|bash|busybox|zsh", "*", row) for row in rows}) > 20
