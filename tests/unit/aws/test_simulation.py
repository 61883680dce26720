"""Reading IAM's answers: the recorded shapes, and what is none."""

from __future__ import annotations

from typing import Any

import pytest

from ssmgate.aws.simulation import UnreadableAnswer, evaluations_of
from ssmgate.core.evaluation import EvalDecision, Evaluation, MatchedStatement

ARN = "arn:aws:ssm:us-east-1:111122223333:document/Dev-Shell"
TEMPLATE = "arn:aws:ssm:${Region}:${Account}:document/${DocumentName}"


def answer(*results: dict[str, Any]) -> dict[str, Any]:
    return {"EvaluationResults": list(results), "IsTruncated": False}


def result(decision: str = "allowed", **members: Any) -> dict[str, Any]:
    return {
        "EvalActionName": "ssm:StartSession",
        "EvalResourceName": ARN,
        "EvalDecision": decision,
        "ResourceSpecificResults": [{"EvalResourceName": ARN, "EvalResourceDecision": decision}],
        **members,
    }


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
def test_recorded_shapes(read: dict[str, Any], expected: Evaluation) -> None:
    assert evaluations_of(answer(read), ARN) == (expected,)


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
def test_answers_that_do_not_speak_of_the_document(read: dict[str, Any]) -> None:
    assert evaluations_of(read, ARN) == ()


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
def test_what_cannot_be_read(read: dict[str, Any], words: str) -> None:
    with pytest.raises(UnreadableAnswer, match=words):
        evaluations_of(answer(read), ARN)
