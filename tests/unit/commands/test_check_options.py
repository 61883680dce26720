"""The options of `check` that start-session does not have, and the exit status of a weak grant."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ssmgate.commands.check import exit_status, take_values
from ssmgate.explain.report import Answer, Report, Verdict
from ssmgate.gate.decision.errors import InvalidRequest
from ssmgate.gate.decision.reason import Reason
from ssmgate.gate.decision.request import SessionRequest


@pytest.mark.parametrize(
    ("line", "values", "rest"),
    [
        ("--target i-1", [], "--target i-1"),
        ("--without scp --target i-1", ["scp"], "--target i-1"),
        ("--target i-1 --without=scp --without P", ["scp", "P"], "--target i-1"),
        ("--target i-1 -- --without scp", [], "--target i-1 -- --without scp"),
        ("--withou scp", [], "--withou scp"),
    ],
)
def test_takes_values_of_option(line: str, values: list[str], rest: str) -> None:
    assert take_values("--without", tuple(line.split())) == (values, tuple(rest.split()))


@pytest.mark.parametrize("line", ["--without", "--target i-1 --without", "--without -- x"])
def test_option_needs_value(line: str) -> None:
    with pytest.raises(InvalidRequest, match="--without: expected one argument"):
        take_values("--without", tuple(line.split()))


@pytest.mark.parametrize(
    ("verdict", "enforced", "status", "strict"),
    [
        (Verdict.ALLOWED, True, 0, 0),
        (Verdict.ALLOWED, False, 0, 3),
        (Verdict.ALLOWED, None, 0, 4),
        (Verdict.DENIED, None, 3, 3),
        (Verdict.UNKNOWN, None, 4, 4),
    ],
)
def test_fails_where_service_does_not_check_document(
    verdict: Verdict, enforced: bool | None, status: int, strict: int
) -> None:
    answer = Answer(verdict, Reason.ALLOWED, "")
    report = Report(SessionRequest("i-1", None), "us-east-1", None, answer, answer)
    report = replace(report, target=replace(answer, enforced=enforced))

    assert exit_status(report, set()) == status
    assert exit_status(report, {"fail on unenforced"}) == strict
