"""The requests to IAM, page by page, and the result of an unreadable answer."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from fakes.simulations import ARN, OTHER, answer, entry, result, several
from ssmgate.explain.simulate_custom import simulate_custom
from ssmgate.gate.aws.simulate import simulate
from ssmgate.gate.aws.simulate_several import simulate_together
from ssmgate.gate.decision.decision import Unknown
from ssmgate.gate.decision.evaluation import EvalDecision, Evaluation
from ssmgate.gate.decision.question import ContextEntry, Question

ALICE = "arn:aws:iam::111122223333:user/team/alice"
NOW = datetime(2026, 11, 29, 12, 0, 1, tzinfo=timezone(timedelta(hours=2)))
QUESTION = Question(ALICE, ARN, (ContextEntry("aws:userid", "string", ("AIDA",)),))
USER_ID = {
    "ContextKeyName": "aws:userid", "ContextKeyType": "string", "ContextKeyValues": ["AIDA"]
}  # fmt: skip
CLOCK = [
    {
        "ContextKeyName": "aws:CurrentTime",
        "ContextKeyType": "date",
        "ContextKeyValues": ["2026-11-29T10:00:01Z"],
    },
    {
        "ContextKeyName": "aws:EpochTime",
        "ContextKeyType": "numeric",
        "ContextKeyValues": ["1795946401"],
    },
]
ASKED = {
    "ActionNames": ["ssm:StartSession"],
    "ResourceArns": [ARN],
    "ContextEntries": [USER_ID, *CLOCK],
}


class Iam:
    """A client of IAM with given answers that stores its requests."""

    def __init__(self, *answers: dict[str, Any] | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []

    def simulate_principal_policy(self, **request: Any) -> dict[str, Any]:
        assert "PolicyInputList" not in request
        self.asked.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def simulate_custom_policy(self, **request: Any) -> dict[str, Any]:
        assert "PolicySourceArn" not in request
        self.asked.append(request)
        return self.answers.pop(0)  # type: ignore[return-value]


def test_simulates_with_current_time() -> None:
    iam = Iam(answer(result()))

    assert simulate(iam, QUESTION, NOW) == (Evaluation(ARN, EvalDecision.ALLOWED),)
    assert iam.asked == [{**ASKED, "PolicySourceArn": ALICE}]


def test_keeps_given_time() -> None:
    iam = Iam(answer(result()))
    noon = ContextEntry("aws:currenttime", "date", ("2026-01-01T12:00:00Z",))

    simulate(iam, replace(QUESTION, context=(noon,)), NOW)

    keys = [one["ContextKeyName"] for one in iam.asked[0]["ContextEntries"]]
    assert keys == ["aws:currenttime", "aws:EpochTime"]


def test_control_replaces_permissions_boundary() -> None:
    iam = Iam(answer(result()))

    simulate(iam, QUESTION, NOW, boundary="{}")

    assert iam.asked[0]["PermissionsBoundaryPolicyInputList"] == ["{}"]


@pytest.mark.parametrize("action", ["ssm:ResumeSession"])
def test_answer_is_about_requested_action(action: str) -> None:
    question = replace(QUESTION, action=action)
    read = answer(result(EvalActionName=action))
    other = replace(question, resource_arn=OTHER)

    assert simulate(Iam(read), question, NOW) == (Evaluation(ARN, EvalDecision.ALLOWED),)
    assert isinstance(simulate(Iam(answer(result())), question, NOW), Unknown)
    found = simulate_together(Iam(read), [question, other], NOW)
    assert found == (Evaluation(ARN, EvalDecision.ALLOWED),)
    assert simulate_custom(Iam(read), question, NOW, policies=["{}"], boundary=None) == (
        Evaluation(ARN, EvalDecision.ALLOWED),
    )


@pytest.mark.parametrize(
    ("source", "filled"),
    [
        (ALICE, {"aws:PrincipalAccount": ["111122223333"], "aws:username": ["alice"]}),
        ("arn:aws:iam::111122223333:role/Dev", {"aws:PrincipalAccount": ["111122223333"]}),
    ],
)
def test_custom_policies_are_simulated_with_filled_in_context(
    source: str, filled: dict[str, list[str]]
) -> None:
    iam = Iam(answer(result()))
    without_value = ContextEntry("aws:PrincipalTag/Team", "stringList", ())
    context = (*QUESTION.context, without_value)
    question = replace(QUESTION, policy_source_arn=source, context=context)

    simulate_custom(iam, question, NOW, policies=("{}", "[]"), boundary="B")

    (asked,) = iam.asked
    assert asked["PolicyInputList"] == ["{}", "[]"]
    assert asked["PermissionsBoundaryPolicyInputList"] == ["B"]
    values = {one["ContextKeyName"]: one for one in asked["ContextEntries"][1:-2]}
    assert {name: one["ContextKeyValues"] for name, one in values.items()} == filled
    assert {one["ContextKeyType"] for one in values.values()} <= {"string"}


def test_combines_questions_into_one_call() -> None:
    iam = Iam(several("implicitDeny", entry("allowed"), entry("implicitDeny", OTHER)))
    questions = [QUESTION, replace(QUESTION, resource_arn=OTHER)]

    found = simulate_together(iam, questions, NOW)

    assert iam.asked == [{**ASKED, "ResourceArns": [ARN, OTHER], "PolicySourceArn": ALICE}]
    assert simulate_together(Iam(several("allowed", entry("allowed"))), [QUESTION], NOW) == (
        Evaluation(ARN, EvalDecision.ALLOWED),
    )
    assert found == (
        Evaluation(ARN, EvalDecision.ALLOWED), Evaluation(OTHER, EvalDecision.IMPLICIT_DENY)
    )  # fmt: skip


@pytest.mark.parametrize(
    "other",
    [
        replace(QUESTION, policy_source_arn=ALICE + "2"),
        replace(QUESTION, action="ssm:ResumeSession"),
        replace(QUESTION, context=()),
    ],
)
def test_does_not_combine_different_questions(other: Question) -> None:
    with pytest.raises(ValueError, match="one context"):
        simulate_together(None, [QUESTION, other], NOW)


def page(number: int, *, last: bool = False) -> dict[str, Any]:
    return {**answer(result("implicitDeny")), "IsTruncated": not last, "Marker": f"m{number}"}


def test_reads_each_page() -> None:
    pages = [page(1), page(2), page(3), page(4), {**answer(result()), "IsTruncated": False}]
    iam = Iam(*pages)

    found = simulate(iam, QUESTION, NOW)

    assert not isinstance(found, Unknown)
    assert [one.eval_decision.value for one in found] == 4 * ["implicitDeny"] + ["allowed"]
    assert iam.asked[-1]["Marker"] == "m4"


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ([page(number) for number in range(1, 7)], "IAM's answer has too many pages"),
        ([{**page(1), "Marker": ""}], "it is truncated and has no marker"),
        ([{**answer(result()), "IsTruncated": True}], "it is truncated and has no marker"),
        ([page(1, last=True)], "it has a marker and is not truncated"),
        ([{**answer(result()), "Marker": "m"}], "it has a marker and is not truncated"),
        ([page(1), answer(result("perhaps"))], "'perhaps' is not a decision"),
        ([KeyError("x")], "IAM's answer cannot be read"),
    ],
)
def test_answer_that_cannot_be_read_is_unknown(answers: list[Any], reason: str) -> None:
    iam = Iam(*answers)

    decision = simulate(iam, QUESTION, NOW)

    assert len(iam.asked) <= 5
    assert isinstance(decision, Unknown)
    assert (decision.reason_code, decision.question) == ("unreadable", QUESTION)
    assert reason in decision.reason


def test_key_that_was_given_is_not_missing() -> None:
    keys = ["AWS:userid", "aws:EpochTime", "aws:SourceIp"]

    found = simulate(Iam(answer(result("implicitDeny", MissingContextValues=keys))), QUESTION, NOW)

    assert not isinstance(found, Unknown)
    assert found[0].missing_context == ("aws:SourceIp",)
