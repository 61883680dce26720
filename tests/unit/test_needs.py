"""Tests whose program is not installed: skipped with a reason, counted, and failed in `.ci/run`."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from fakes import needs


def skipped(reason: str) -> Any:
    return SimpleNamespace(skipped=True, outcome="skipped", longrepr=("test_x.py", 1, reason))


def test_finds_programs_of_administrators(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")

    assert needs.find("no-such-program") is None
    assert needs.missing("no-such-program", "another") == "not installed: no-such-program, another"
    assert needs.needs("no-such-program").args == (True,)
    assert needs.needs().args == (False,)


def test_skips_running_test_without_program() -> None:
    assert needs.require("sh").endswith("/sh")
    with pytest.raises(pytest.skip.Exception, match="not installed: no-such-program"):
        needs.require("no-such-program")


def test_counts_skips_by_missing_programs() -> None:
    reports = [
        *(skipped("Skipped: not installed: busybox"),) * 3,
        skipped("Skipped: not installed: ssh, scp, sshd"),
        *(skipped("Skipped: not installed: duckdb"),) * 2,
        skipped("Skipped: not installed: dpkg-deb, python3.13"),
        skipped("Skipped: only root can give files away"),
    ]

    assert needs.summary(reports) == [
        "not run: 3 tests need busybox: apt install busybox",
        "not run: 2 tests need duckdb: .venv/bin/pip install duckdb",
        "not run: 1 test needs ssh and scp and sshd: apt install openssh-client openssh-server",
        "not run: 1 test needs dpkg-deb and python3.13: apt install dpkg && uv python install 3.13",
    ]


@pytest.mark.parametrize(
    ("reason", "skip_nothing", "outcome"),
    [
        ("Skipped: not installed: zsh", "1", "failed"),
        ("Skipped: not installed: zsh", None, "skipped"),
        ("Skipped: only root can give files away", "1", "skipped"),
    ],
)
def test_fails_for_missing_program_where_nothing_may_be_skipped(
    reason: str, skip_nothing: str | None, outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SKIP_NOTHING", raising=False)
    if skip_nothing:
        monkeypatch.setenv("SKIP_NOTHING", skip_nothing)
    report = skipped(reason)

    needs.fail_if_not_installed(report)

    assert report.outcome == outcome
