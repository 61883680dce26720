"""The simulator's answers, shape by shape, as recorded of the real one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ssmgate.policy import Policies, Policy, parse_policy
from ssmgate.sandbox.faults import ServiceFault
from ssmgate.sandbox.simulator import context_keys, simulate

DOC = "arn:aws:ssm:us-east-1:111122223333:document/SSM-SessionManagerRunShell"
SSH = "arn:aws:ssm:us-east-1::document/AWS-StartSSHSession"
ACTION = "ssm:StartSession"
START, END = "StartPosition", "EndPosition"


def policy(*statements: dict[str, Any], name: str = "p") -> Policy:
    return parse_policy(text(*statements), name)


def text(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": ACTION, "Resource": resource, **more}


def deny(resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {**allow(resource, **more), "Effect": "Deny"}


def ask(layers: Policies, *arns: str, actions: tuple[str, ...] = (ACTION,), **more: Any) -> Any:
    asked = {"ActionNames": list(actions), "ResourceArns": list(arns), **more}
    return simulate(asked, layers, {})


def one(layers: Policies, *arns: str, **more: Any) -> Any:
    (result,) = ask(layers, *arns, **more)["EvaluationResults"]
    return result


GRANTED = Policies((policy(allow(DOC)),))


def test_one_arn_stands_at_both_levels() -> None:
    matched = [{"SourcePolicyId": "p", "SourcePolicyType": "IAM Policy", **positions()}]
    assert one(GRANTED, DOC) == {
        "EvalActionName": ACTION,
        "EvalResourceName": DOC,
        "EvalDecision": "allowed",
        "MatchedStatements": matched,
        "EvalDecisionDetails": {},
        "ResourceSpecificResults": [
            {
                "EvalResourceName": DOC,
                "EvalResourceDecision": "allowed",
                "MatchedStatements": matched,
            }
        ],
    }


def positions() -> dict[str, Any]:
    whole = text(allow(DOC))
    start, end = whole.index("[") + 2, whole.rindex("]") + 1
    return {START: {"Line": 1, "Column": start}, END: {"Line": 1, "Column": end}}


def test_a_denied_entry_has_two_members() -> None:
    assert one(GRANTED, SSH)["ResourceSpecificResults"] == [
        {"EvalResourceName": SSH, "EvalResourceDecision": "implicitDeny"}
    ]


def test_without_resources_there_are_no_specific_results() -> None:
    result = one(Policies((policy(allow()),)))
    assert (result["EvalResourceName"], result["EvalDecision"]) == ("*", "allowed")
    assert "ResourceSpecificResults" not in result


def test_several_arns_are_in_order_with_duplicates_below_a_template() -> None:
    result = one(GRANTED, DOC, SSH, DOC)
    assert result["EvalResourceName"] == (
        "arn:aws:ssm:${Region}:${Account}:document/${DocumentName}"
    )
    assert result["EvalDecision"] == "implicitDeny"
    assert [
        (entry["EvalResourceName"], entry["EvalResourceDecision"])
        for entry in result["ResourceSpecificResults"]
    ] == [(DOC, "allowed"), (SSH, "implicitDeny"), (DOC, "allowed")]


def test_one_result_for_each_action_and_pages_of_actions() -> None:
    actions = ("ssm:StartSession", "ssm:NoSuchAction", "iam:GetRole")
    first = ask(GRANTED, DOC, SSH, actions=actions, MaxItems=2)
    assert [r["EvalActionName"] for r in first["EvaluationResults"]] == list(actions[:2])
    assert first["IsTruncated"] is True
    rest = ask(GRANTED, DOC, SSH, actions=actions, MaxItems=2, Marker=first["Marker"])
    assert [r["EvalActionName"] for r in rest["EvaluationResults"]] == ["iam:GetRole"]
    assert rest["IsTruncated"] is False
    assert "Marker" not in rest


def test_missing_keys_stand_only_on_implicit_denies() -> None:
    conditioned = allow(DOC, Condition={"StringEquals": {"ssm:resourceTag/Env": "dev"}})
    result = one(Policies((policy(conditioned),)), DOC)
    assert result["MissingContextValues"] == ["ssm:resourceTag/Env"]
    assert result["ResourceSpecificResults"][0]["MissingContextValues"] == ["ssm:resourceTag/Env"]
    denied = one(Policies((policy(conditioned, deny(DOC)),)), DOC)
    assert denied["EvalDecision"] == "explicitDeny"
    assert "MissingContextValues" not in denied


def test_an_explicit_deny_lists_only_what_denies() -> None:
    layers = Policies((policy(allow(), name="yes"), policy(deny(DOC), name="no")))
    matched = one(layers, DOC)["MatchedStatements"]
    assert [statement["SourcePolicyId"] for statement in matched] == ["no"]


def test_a_service_control_policy_denies_without_statements() -> None:
    layers = Policies((policy(allow()),), service_control=((policy(allow(), deny(DOC)),),))
    result = one(layers, DOC)
    assert result["EvalDecision"] == "explicitDeny"
    assert result["OrganizationsDecisionDetail"] == {"AllowedByOrganizations": False}
    assert "MatchedStatements" not in result
    assert result["ResourceSpecificResults"] == [
        {"EvalResourceName": DOC, "EvalResourceDecision": "explicitDeny"}
    ]


def test_a_boundary_is_reported_at_both_levels() -> None:
    layers = Policies((policy(allow()),), boundary=policy(allow(DOC)))
    result = one(layers, SSH)
    detail = {"AllowedByPermissionsBoundary": False}
    assert result["PermissionsBoundaryDecisionDetail"] == detail
    assert result["ResourceSpecificResults"][0]["PermissionsBoundaryDecisionDetail"] == detail


def test_the_requests_boundary_takes_the_attached_ones_place() -> None:
    layers = Policies((policy(allow()),), boundary=policy(allow(DOC)))
    assert one(layers, SSH)["EvalDecision"] == "implicitDeny"
    given = one(layers, SSH, PermissionsBoundaryPolicyInputList=[text(allow(SSH))])
    assert given["EvalDecision"] == "allowed"


def test_policies_of_the_request_are_added_and_named() -> None:
    result = one(GRANTED, SSH, PolicyInputList=[text(allow(SSH))])
    assert result["MatchedStatements"][0]["SourcePolicyId"] == "PolicyInputList.1"


def test_entries_override_what_is_filled_in() -> None:
    layers = Policies((policy(allow(Condition={"StringEquals": {"aws:PrincipalArn": "b"}})),))
    entry = {"ContextKeyName": "AWS:principalarn", "ContextKeyType": "x", "ContextKeyValues": ["b"]}
    asked = {"ActionNames": [ACTION], "ContextEntries": [entry]}
    (result,) = simulate(asked, layers, {"aws:PrincipalArn": "a"})["EvaluationResults"]
    assert result["EvalDecision"] == "allowed"


def test_an_arn_of_a_type_that_the_action_lacks_is_denied_under_allow_all() -> None:
    result = one(Policies((policy(allow()),)), "arn:aws:ssm:us-east-1:111122223333:instance/i-1")
    assert result["EvalDecision"] == "implicitDeny"


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"ActionNames": [ACTION], "ResourceArns": ["x"]}, "not in a valid ARN format: x."),
        ({"ActionNames": []}, "ActionNames"),
        ({"ActionNames": [ACTION], "PolicyInputList": ["{"]}, "PolicyInputList.1"),
        ({"ActionNames": [ACTION], "ResourcePolicy": "{}"}, "ResourcePolicy is not modelled"),
        ({"ActionNames": [ACTION], "Marker": "x"}, "Marker"),
    ],
)
def test_what_cannot_be_simulated_is_an_error(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(ServiceFault, match=message) as raised:
        simulate(asked, GRANTED, {})
    assert raised.value.code == "InvalidInput"


def test_context_keys_are_those_of_conditions_and_variables_each_once() -> None:
    policies = (
        policy(
            allow(
                "arn:aws:ssm:*:*:session/${aws:username}-*",
                Condition={
                    "BoolIfExists": {"aws:MultiFactorAuthPresent": "true"},
                    "StringLike": {"ssm:resourceTag/Owner": "${aws:userid}"},
                },
            )
        ),
        policy(deny(Condition={"Bool": {"aws:multifactorauthpresent": "false"}})),
    )
    assert context_keys(policies) == [
        "aws:username",
        "aws:MultiFactorAuthPresent",
        "ssm:resourceTag/Owner",
        "aws:userid",
    ]
