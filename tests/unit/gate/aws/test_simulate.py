"""Reading answers of IAM: the recorded shapes, and invalid ones."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from fakes.simulations import ARN, OTHER, TEMPLATE, answer, entry, result, several
from ssmgate.gate.aws.simulate import (
    UnreadableAnswer,
    evaluations_of,
)
from ssmgate.gate.aws.simulate_several import evaluations_of_several, simulate_together
from ssmgate.gate.decision.evaluation import EvalDecision, Evaluation, MatchedStatement
from ssmgate.gate.decision.question import ContextEntry, Question


@pytest.mark.parametrize(
    ("read", "expected"),
    [
        pytest.param(result(), Evaluation(ARN, EvalDecision.ALLOWED), id="allowed"),
        pytest.param(
            result("implicitDeny"), Evaluation(ARN, EvalDecision.IMPLICIT_DENY), id="bare denial"
        ),
        pytest.param(
            result(EvalResourceName=TEMPLATE),
            Evaluation(ARN, EvalDecision.ALLOWED),
            id="a template at the top",
        ),
        pytest.param(
            {k: v for k, v in result().items() if k != "ResourceSpecificResults"},
            Evaluation(ARN, EvalDecision.ALLOWED),
            id="older shape, without ResourceSpecificResults",
        ),
        pytest.param(
            result("explicitDeny", OrganizationsDecisionDetail={"AllowedByOrganizations": False}),
            Evaluation(ARN, EvalDecision.EXPLICIT_DENY, allowed_by_organizations=False),
            id="SCP denial",
        ),
        pytest.param(
            result(
                "implicitDeny",
                PermissionsBoundaryDecisionDetail={"AllowedByPermissionsBoundary": False},
                MissingContextValues=["a", "b"],
                ResourceSpecificResults=[
                    {
                        "EvalResourceName": ARN,
                        "EvalResourceDecision": "implicitDeny",
                        "MissingContextValues": ["b", "c"],
                        "MatchedStatements": [{"SourcePolicyId": "p"}, {}],
                    }
                ],
            ),
            Evaluation(
                ARN,
                EvalDecision.IMPLICIT_DENY,
                matched_statements=(MatchedStatement("p"), MatchedStatement("?")),
                missing_context=("b", "c", "a"),
                allowed_by_permissions_boundary=False,
            ),
            id="both levels are read",
        ),
    ],
)
def test_reads_recorded_shapes(read: dict[str, Any], expected: Evaluation) -> None:
    assert evaluations_of(answer(read), ARN) == (expected,)


@pytest.mark.parametrize(
    ("at_the_top", "at_the_resource", "expected"),
    [
        (True, False, False),
        (False, True, False),
        (False, False, False),
        (True, True, True),
        (None, True, True),
        (None, False, False),
        (True, None, True),
        (False, None, False),
        (None, None, None),
    ],
)
def test_boundary_denies_at_either_level(
    at_the_top: bool | None, at_the_resource: bool | None, expected: bool | None
) -> None:
    def detail(allowed: bool | None) -> dict[str, Any]:
        boundary_detail = {"AllowedByPermissionsBoundary": allowed}
        return {} if allowed is None else {"PermissionsBoundaryDecisionDetail": boundary_detail}

    read = result(
        "implicitDeny",
        **detail(at_the_top),
        ResourceSpecificResults=[entry("implicitDeny", **detail(at_the_resource))],
    )
    assert evaluations_of(answer(read), ARN)[0].allowed_by_permissions_boundary is expected


@pytest.mark.parametrize(
    "read",
    [
        pytest.param(answer(), id="no result"),
        pytest.param({}, id="no member at all"),
        pytest.param(answer(result(ResourceSpecificResults=[])), id="no resource"),
        pytest.param(
            answer(
                {
                    "EvalActionName": "ssm:StartSession",
                    "EvalResourceName": TEMPLATE,
                    "EvalDecision": "allowed",
                }
            ),
            id="only a template",
        ),
        pytest.param(
            answer(
                result(
                    ResourceSpecificResults=[
                        {"EvalResourceName": "*", "EvalResourceDecision": "allowed"}
                    ]
                )
            ),
            id="only a wildcard",
        ),
    ],
)
def test_rejects_answers_about_other_resources(read: dict[str, Any]) -> None:
    assert evaluations_of(read, ARN) == ()


def test_reads_denial_behind_another_resource() -> None:
    entries = [entry("implicitDeny"), entry("allowed", "*"), entry("explicitDeny")]
    found = evaluations_of(answer(result("explicitDeny", ResourceSpecificResults=entries)), ARN)

    assert [one.eval_decision.value for one in found] == ["implicitDeny", "explicitDeny"]


@pytest.mark.parametrize(
    ("read", "words"),
    [
        (result("Allowed"), "'Allowed' is not a decision"),
        (result(""), "'' is not a decision"),
        (result(EvalDecision=None), "None is not a decision"),
        (result(EvalActionName="ssm:SendCommand"), "another action"),
        (result("implicitDeny", EvalDecision="allowed"), "at one level"),
        (result("allowed", EvalDecision="explicitDeny"), "at one level"),
        (result(ResourceSpecificResults=[{"EvalResourceName": ARN}]), "not a decision"),
    ],
)
def test_rejects_unreadable_answer(read: dict[str, Any], words: str) -> None:
    with pytest.raises(UnreadableAnswer, match=words):
        evaluations_of(answer(read), ARN)


STATEMENT = {
    "SourcePolicyId": "p",
    "SourcePolicyType": "IAM Policy",
    "StartPosition": {"Line": 3, "Column": 17},
    "EndPosition": {"Line": 9, "Column": 6},
}
PLACED = MatchedStatement("p", "IAM Policy", (3, 17), (9, 6))


@pytest.mark.parametrize(
    ("read", "expected"),
    [
        pytest.param(
            several("implicitDeny", entry("allowed", MatchedStatements=[STATEMENT]),
                    entry("implicitDeny", OTHER)),
            [(ARN, "allowed", (PLACED,), None), (OTHER, "implicitDeny", (), None)],
            id="the top is the worst of all",
        ),
        pytest.param(
            several("explicitDeny", entry("allowed"), entry("explicitDeny", OTHER),
                    OrganizationsDecisionDetail={"AllowedByOrganizations": False}),
            [(ARN, "allowed", (), None), (OTHER, "explicitDeny", (), False)],
            id="the organization denies what has no statement",
        ),
        pytest.param(
            several("explicitDeny", entry("explicitDeny")), [(ARN, "explicitDeny", (), None)],
            id="no statement, and no organization reported",
        ),
        pytest.param(
            several("explicitDeny", entry("explicitDeny", MatchedStatements=[STATEMENT]),
                    OrganizationsDecisionDetail={"AllowedByOrganizations": False}),
            [(ARN, "explicitDeny", (PLACED,), False)],
            id="and perhaps what a statement denies",
        ),
        pytest.param(
            several("implicitDeny", entry("implicitDeny"), entry("allowed", OTHER),
                    OrganizationsDecisionDetail={"AllowedByOrganizations": False}),
            [(ARN, "implicitDeny", (), False), (OTHER, "allowed", (), None)],
            id="and perhaps what nothing allows",
        ),
        pytest.param(
            several("allowed", entry("implicitDeny"), entry("allowed", OTHER)),
            [(ARN, "implicitDeny", (), None), (OTHER, "allowed", (), None)],
            id="the top allows what one entry denies",
        ),
        pytest.param(
            several("implicitDeny", entry("allowed", "*"), entry("allowed", ARN + "x"),
                    entry("implicitDeny", OTHER)),
            [(OTHER, "implicitDeny", (), None)],
            id="resources that were not requested",
        ),
        pytest.param(answer(result("allowed", EvalResourceName=ARN) | {
            "ResourceSpecificResults": None}), [], id="nothing specific"),
    ],
)  # fmt: skip
def test_reads_several_resources(read: dict[str, Any], expected: list[Any]) -> None:
    found = evaluations_of_several(read, (ARN, OTHER))
    assert [
        (e.resource_arn, e.eval_decision.value, e.matched_statements, e.allowed_by_organizations)
        for e in found
    ] == expected


@pytest.mark.parametrize(
    "read",
    [
        several("implicitDeny", entry("perhaps")),
        several("perhaps", entry("allowed")),
        several("implicitDeny", entry("allowed"), EvalActionName="ssm:SendCommand"),
    ],
)
def test_rejects_unreadable_answer_about_several_resources(read: dict[str, Any]) -> None:
    with pytest.raises(UnreadableAnswer):
        evaluations_of_several(read, (ARN, OTHER))


def test_questions_of_one_call_have_one_context() -> None:
    asked = Question("arn:aws:iam::111122223333:user/alice", ARN, ())
    other = replace(asked, context=(ContextEntry("aws:ResourceTag/Team", "string", ("ops",)),))
    with pytest.raises(ValueError, match="one context"):
        simulate_together(None, [asked, other], datetime.now(UTC))


@pytest.mark.parametrize(
    ("position", "expected"),
    [
        ({"Line": 3, "Column": 1}, (3, 1)),
        ({"Line": 3}, None),
        (None, None),
        ({"Line": "x", "Column": 1}, None),
    ],
)
def test_reads_statement_positions(position: Any, expected: tuple[int, int] | None) -> None:
    statement = {"SourcePolicyId": "p", "StartPosition": position}
    (found,) = evaluations_of(
        answer(result(ResourceSpecificResults=[entry("allowed", MatchedStatements=[statement])])),
        ARN,
    )
    assert found.matched_statements[0].start == expected
    assert found.matched_statements[0].placed is (expected is not None)
