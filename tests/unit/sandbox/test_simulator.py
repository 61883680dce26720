"""The simulator's answers, shape by shape, as recorded from the real one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ssmgate.policy_language import Policies, Policy, parse_policy
from ssmgate.sandbox.attached import Attachment
from ssmgate.sandbox.exclusions import exclusions
from ssmgate.sandbox.faults import ServiceFault
from ssmgate.sandbox.inputs import keys_of
from ssmgate.sandbox.simulator import context_keys, simulate

DOC = "arn:aws:ssm:us-east-1:111122223333:document/SSM-SessionManagerRunShell"
SSH = "arn:aws:ssm:us-east-1::document/AWS-StartSSHSession"
ACTION = "ssm:StartSession"
ACCOUNT = "111122223333"
MALLORY = f"arn:aws:iam::{ACCOUNT}:user/x/mallory"
ELSEWHERE = "arn:aws:iam::999988887777:root"
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
    return simulate(asked, layers, {}, ACCOUNT)


def one(layers: Policies, *arns: str, **more: Any) -> Any:
    (result,) = ask(layers, *arns, **more)["EvaluationResults"]
    return result


GRANTED = Policies((policy(allow(DOC)),))


def test_one_arn_is_reported_at_both_levels() -> None:
    matched = [{"SourcePolicyId": "p", "SourcePolicyType": "IAM Policy", **positions()}]
    assert one(GRANTED, DOC) == {
        "EvalActionName": ACTION,
        "EvalResourceName": DOC,
        "EvalDecision": "allowed",
        "MatchedStatements": matched,
        "MissingContextValues": [],
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


def test_top_level_has_empty_lists_and_specific_results_omit_them() -> None:
    assert one(GRANTED, SSH) == {
        "EvalActionName": ACTION,
        "EvalResourceName": SSH,
        "EvalDecision": "implicitDeny",
        "MatchedStatements": [],
        "MissingContextValues": [],
        "EvalDecisionDetails": {},
        "ResourceSpecificResults": [
            {"EvalResourceName": SSH, "EvalResourceDecision": "implicitDeny"}
        ],
    }


def test_simulation_without_resources_has_no_specific_results() -> None:
    result = one(Policies((policy(allow()),)))
    assert (result["EvalResourceName"], result["EvalDecision"]) == ("*", "allowed")
    assert not {"ResourceSpecificResults", "EvalDecisionDetails"} & set(result)


def test_several_arns_keep_order_and_duplicates_below_template() -> None:
    result = one(GRANTED, DOC, SSH, DOC)
    assert result["EvalResourceName"] == (
        "arn:aws:ssm:${Region}:${Account}:document/${DocumentName}"
    )
    assert [
        (entry["EvalResourceName"], entry["EvalResourceDecision"])
        for entry in result["ResourceSpecificResults"]
    ] == [(DOC, "allowed"), (SSH, "implicitDeny"), (DOC, "allowed")]
    # What allowed one of them stands above nevertheless, once.
    assert [s["SourcePolicyId"] for s in result["MatchedStatements"]] == ["p"]


@pytest.mark.parametrize(
    ("arn", "template"),
    [
        (SSH, "arn:aws:ssm:${Region}:${Account}:document/${DocumentName}"),
        (
            f"arn:aws:ec2:us-east-1:{ACCOUNT}:instance/i-1",
            "arn:aws:ec2:${Region}:${Account}:instance/${InstanceId}",
        ),
        (
            f"arn:aws:ssm:us-east-1:{ACCOUNT}:managed-instance/mi-1",
            "arn:aws:ssm:${Region}:${Account}:managed-instance/${InstanceId}",
        ),
        (MALLORY, "arn:aws:iam::${Account}:user/${UserNameWithPath}"),
        ("arn:aws:s3:::bucket/key", "*"),
    ],
)
def test_template_depends_on_resource_type(arn: str, template: str) -> None:
    assert one(GRANTED, arn, arn)["EvalResourceName"] == template


@pytest.mark.parametrize("decisions", [("allowed", "implicitDeny"), ("implicitDeny",), ("allowed",),
                                       ("allowed", "implicitDeny", "explicitDeny")])  # fmt: skip
def test_top_level_has_worst_or_best_decision_of_several_arns(decisions: tuple[str, ...]) -> None:
    """Both were recorded, so no client can rely on it. The entries are always right."""
    layers = Policies((policy(allow(DOC + "/allowed/*"), deny(DOC + "/explicitDeny/*")),))
    found = set()
    for number in range(20):
        arns = [f"{DOC}/{word}/{number}" for word in decisions]
        result = one(layers, *arns, arns[0])
        specific = result["ResourceSpecificResults"]
        assert [entry["EvalResourceDecision"] for entry in specific[:-1]] == list(decisions)
        assert one(layers, *arns, arns[0]) == result
        found.add(result["EvalDecision"])
    assert found == {decisions[0], decisions[-1]}


def test_each_action_has_one_result_and_pages_split_actions() -> None:
    actions = ("ssm:StartSession", "ssm:NoSuchAction", "iam:GetRole")
    first = ask(GRANTED, DOC, SSH, actions=actions, MaxItems=2)
    assert [r["EvalActionName"] for r in first["EvaluationResults"]] == list(actions[:2])
    assert first["IsTruncated"] is True
    rest = ask(GRANTED, DOC, SSH, actions=actions, MaxItems=2, Marker=first["Marker"])
    assert [r["EvalActionName"] for r in rest["EvaluationResults"]] == ["iam:GetRole"]
    assert rest["IsTruncated"] is False
    assert "Marker" not in rest


def test_only_implicit_denies_have_missing_keys() -> None:
    conditioned = allow(DOC, Condition={"StringEquals": {"ssm:resourceTag/Env": "dev"}})
    result = one(Policies((policy(conditioned),)), DOC)
    assert result["MissingContextValues"] == ["ssm:resourceTag/Env"]
    assert result["ResourceSpecificResults"][0]["MissingContextValues"] == ["ssm:resourceTag/Env"]
    denied = one(Policies((policy(conditioned, deny(DOC)),)), DOC)
    assert denied["EvalDecision"] == "explicitDeny"
    assert denied["MissingContextValues"] == []
    assert "MissingContextValues" not in denied["ResourceSpecificResults"][0]


def test_top_level_has_union_of_missing_keys() -> None:
    """It includes statements of other actions and resources; an allowed ARN has none."""
    elsewhere = {**allow(), "Action": "ssm:GetDocument"}
    variable = "arn:aws:ssm:*:*:document/${aws:username}"
    layers = Policies(
        (
            policy(
                allow(DOC),
                {**elsewhere, "Condition": {"StringEquals": {"aws:PrincipalTag/Team": "ops"}}},
                allow(variable),
            ),
        )
    )
    result = one(layers, DOC, SSH)
    keys = ["aws:PrincipalTag/Team", "aws:username"]
    assert result["MissingContextValues"] == keys
    below = result["ResourceSpecificResults"]
    assert [entry.get("MissingContextValues") for entry in below] == [None, keys]


def test_unmatched_key_is_reported_as_missing() -> None:
    conditioned = allow(Condition={"StringEquals": {"aws:PrincipalTag/Team": "ops"}})
    layers = Policies((policy(conditioned),))
    given = entry("AWS:principaltag/Team", "dev")
    assert one(layers, DOC, ContextEntries=[given])["MissingContextValues"] == [
        "aws:PrincipalTag/Team"
    ]
    matched = entry("aws:PrincipalTag/Team", "ops")
    assert one(layers, DOC, ContextEntries=[matched])["MissingContextValues"] == []


def entry(name: str, *values: str, kind: str = "string") -> dict[str, Any]:
    return {"ContextKeyName": name, "ContextKeyType": kind, "ContextKeyValues": list(values)}


def test_explicit_deny_lists_only_denying_statements() -> None:
    layers = Policies((policy(allow(), name="yes"), policy(deny(DOC), name="no")))
    matched = one(layers, DOC)["MatchedStatements"]
    assert [statement["SourcePolicyId"] for statement in matched] == ["no"]


@pytest.mark.parametrize(
    ("scp", "decision"), [(deny(DOC), "explicitDeny"), (allow(SSH), "implicitDeny")]
)
def test_service_control_policy_denies_without_statements_or_keys(
    scp: dict[str, Any], decision: str
) -> None:
    """Only the top level has AllowedByOrganizations."""
    conditioned = allow(Condition={"StringNotEquals": {"aws:PrincipalTag/Team": "ops"}})
    level = (policy(allow(SSH), scp),)
    result = one(Policies((policy(conditioned),), service_control=(level,)), DOC)
    assert result["EvalDecision"] == decision
    assert result["OrganizationsDecisionDetail"] == {"AllowedByOrganizations": False}
    assert (result["MatchedStatements"], result["MissingContextValues"]) == ([], [])
    assert result["ResourceSpecificResults"] == [
        {"EvalResourceName": DOC, "EvalResourceDecision": decision}
    ]


def test_boundary_is_reported_at_both_levels() -> None:
    layers = Policies((policy(allow()),), boundary=policy(allow(DOC)))
    result = one(layers, SSH)
    detail = {"AllowedByPermissionsBoundary": False}
    assert result["PermissionsBoundaryDecisionDetail"] == detail
    assert result["ResourceSpecificResults"][0]["PermissionsBoundaryDecisionDetail"] == detail
    assert "PermissionsBoundaryDecisionDetail" not in one(GRANTED, SSH)


def test_boundary_deny_is_named_as_boundary() -> None:
    layers = Policies((policy(allow()),), boundary=policy(deny(DOC), name="B"))
    (matched,) = one(layers, DOC)["MatchedStatements"]
    assert (matched["SourcePolicyId"], matched["SourcePolicyType"]) == (
        "B",
        "Permissions Boundary Policy",
    )


def test_lists_both_denials() -> None:
    layers = Policies((policy(deny()),), boundary=policy(deny(), name="B"))
    matched = one(layers, DOC)["MatchedStatements"]
    assert sorted(s["SourcePolicyId"] for s in matched) == ["B", "p"]


def test_boundary_of_request_replaces_attached_boundary() -> None:
    layers = Policies((policy(allow()),), boundary=policy(allow(DOC)))
    assert one(layers, SSH)["EvalDecision"] == "implicitDeny"
    given = one(layers, SSH, PermissionsBoundaryPolicyInputList=[text(allow(SSH))])
    assert given["EvalDecision"] == "allowed"


def test_adds_and_names_policies_of_request() -> None:
    result = one(GRANTED, SSH, PolicyInputList=[text(allow(SSH))])
    assert result["MatchedStatements"][0]["SourcePolicyId"] == "PolicyInputList.1"


def test_context_entries_override_defaults() -> None:
    layers = Policies((policy(allow(Condition={"StringEquals": {"aws:PrincipalArn": "b"}})),))
    asked = {"ActionNames": [ACTION], "ContextEntries": [entry("AWS:principalarn", "b")]}
    (result,) = simulate(asked, layers, {"aws:PrincipalArn": "a"}, ACCOUNT)["EvaluationResults"]
    assert result["EvalDecision"] == "allowed"


def test_arn_of_wrong_type_is_denied_under_allow_all() -> None:
    everything = {**allow(), "Action": "*"}
    wrong = f"arn:aws:ssm:us-east-1:{ACCOUNT}:instance/i-1"
    result = one(Policies((policy(everything),)), wrong)
    assert result["EvalDecision"] == "implicitDeny"


@pytest.mark.parametrize(
    ("action", "decision"),
    [("madeup:Action", "implicitDeny"), ("ssm:StartSessions", "allowed"), ("ssm:", "implicitDeny")],
)
def test_unknown_action_is_matched_literally(action: str, decision: str) -> None:
    layers = Policies((policy({**allow(), "Action": "ssm:Start*"}),))
    result = one(layers, actions=(action,))
    assert (result["EvalActionName"], result["EvalDecision"]) == (action, decision)


PRETTY = """{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": "ssm:StartSession",
      "Resource": "*",
      "Sid": "First"
    },
    {
      "Effect": "Deny",
      "Action": "ssm:TerminateSession",
      "Resource": "*",
      "Sid": "Second"
    }
  ]
}"""
COMPACT = text({"Effect": "Allow", "Action": ACTION, "Resource": "*"}).replace(" ", "")


@pytest.mark.parametrize(
    ("document", "action", "start", "end"),
    [
        pytest.param(PRETTY, ACTION, (3, 17), (9, 6), id="after ["),
        pytest.param(PRETTY, "ssm:TerminateSession", (9, 6), (15, 6), id="after the one before"),
        pytest.param(PRETTY.replace("\n", "\r\n"), ACTION, (3, 17), (9, 6), id="CRLF"),
        pytest.param(COMPACT, ACTION, (1, 38), (1, len(COMPACT) - 1), id="on one line"),
        pytest.param(
            '{"Statement": {"Effect": "Allow", "Action": "ssm:StartSession", "Resource": "*"}}',
            ACTION, (1, 16), (1, 81), id="no list",
        ),
    ],
)  # fmt: skip
def test_reports_statement_positions(
    document: str, action: str, start: tuple[int, int], end: tuple[int, int]
) -> None:
    result = one(Policies(()), actions=(action,), PolicyInputList=[document])
    (matched,) = result["MatchedStatements"]
    assert tuple(matched[START].values()) == start
    assert tuple(matched[END].values()) == end


@pytest.mark.parametrize(
    ("caller", "let_in"),
    [(MALLORY, True), (f"arn:aws:iam::{ACCOUNT}:role/mallory", False), (None, False)],
)
def test_simulates_caller_with_given_policies(caller: str | None, let_in: bool) -> None:
    """As if Mallory had Alice's policies; the answer repeats the path as it was sent."""
    condition = {"StringEquals": {"aws:username": "mallory", "aws:PrincipalArn": MALLORY}}
    asked = {"ActionNames": [ACTION], "CallerArn": caller}
    alice = {"aws:username": "alice", "aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:user/alice"}
    layers = Policies((policy(allow(Condition=condition)),))
    (result,) = simulate(asked, layers, alice, ACCOUNT)["EvaluationResults"]
    assert (result["EvalDecision"] == "allowed") is let_in


def test_resource_owner_may_be_account() -> None:
    owner = f"arn:aws:iam::{ACCOUNT}:root"
    assert one(GRANTED, DOC, ResourceOwner=owner)["EvalDecision"] == "allowed"


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"ResourceArns": ["x"]}, "ResourceNames are not in a valid ARN format: x."),
        ({"ResourceArns": ["arn:aws:s3"]}, "ResourceNames are not in a valid ARN format: arn:"),
        ({"ActionNames": []}, "ActionNames must not be empty."),
        ({"ActionNames": ["GetObject"]}, "The action is invalid since it is missing names"),
        ({"PolicyInputList": ["{"]}, "Policy input list item 1 has invalid content"),
        (
            {"PolicyInputList": ['{"Version":"2099-01-01","Statement":[]}']},
            "Policy input list item 1 has invalid content",
        ),
        (
            {"PermissionsBoundaryPolicyInputList": [text(allow())] * 2},
            "The list of Permissions Boundary policies cannot exceed 1 items.",
        ),
        ({"Marker": "x"}, "Invalid marker for pagination."),
        ({"ContextEntries": [entry("a:b", "1", "2")]}, "Context key string expected a single"),
        (
            {"ContextEntries": [entry("a:b", "1"), entry("A:B", "1")]},
            "Duplicate context key: A:B.",
        ),
        (
            {"ContextEntries": [entry("a:b", "NaN", kind="numeric")]},
            "Invalid context value for key a:b: expected numeric format.",
        ),
        (
            {"ContextEntries": [entry("a:b", "1", "x", kind="numericList")]},
            "Invalid context value for key a:b: expected numeric format.",
        ),
        (
            {"ContextEntries": [entry("a:b", "tomorrow", kind="date")]},
            "Invalid context value for key a:b: expected DateTime format.",
        ),
        (
            {"ContextEntries": [entry("a:b", "999.0.0.1", kind="ip")]},
            "Invalid context value for key a:b: expected IP address.",
        ),
        (
            {"ContextEntries": [entry("a:b", "!base64", kind="binary")]},
            "Invalid context value for key a:b: expected base-64 encoded binary format.",
        ),
        ({"ResourcePolicy": "{}"}, "ResourcePolicy is not supported by the sandbox."),
        ({"ResourceHandlingOption": "EC2-VPC"}, "ResourceHandlingOption is not supported by"),
        (
            {"OrderedOrganizationPolicyInputList": [{}]},
            "OrderedOrganizationPolicyInputList is not supported by the sandbox.",
        ),
        ({"ResourceOwner": ACCOUNT}, f"Invalid ARN provided in the request: {ACCOUNT}"),
        ({"ResourceOwner": ELSEWHERE}, "ResourceOwner of another account is not supported by"),
        (
            {"CallerArn": f"arn:aws:sts::{ACCOUNT}:assumed-role/Ops/s"},
            "Invalid ARN provided in the request: arn:aws:sts",
        ),
        ({"CallerArn": ELSEWHERE}, f"Invalid ARN provided in the request: {ELSEWHERE}"),
        (
            {"CallerArn": "arn:aws:iam::999988887777:user/x"},
            "CallerArn of another account is not supported by the sandbox.",
        ),
    ],
)
def test_rejects_impossible_simulations(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(ServiceFault) as raised:
        simulate({"ActionNames": [ACTION], **asked}, GRANTED, {}, ACCOUNT)
    assert raised.value.code == "InvalidInput"
    assert raised.value.message.startswith(message)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"ContextEntries": [entry("a:b", "1", kind="x")]}, "contextEntries.1.member.contextKey"),
        ({"MaxItems": 1001}, "Member must have value less than or equal to 1000"),
    ],
)
def test_service_model_violation_is_validation_error(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(ServiceFault, match=message) as raised:
        simulate({"ActionNames": [ACTION], **asked}, GRANTED, {}, ACCOUNT)
    assert raised.value.code == "ValidationError"


DENY_SSH = text({**allow(), "Action": "*"}, deny(SSH))
EVERYTHING = text({**allow(), "Action": "*"})


@pytest.mark.parametrize(
    ("levels", "decision", "allowed"),
    [
        pytest.param([[EVERYTHING], [EVERYTHING, DENY_SSH]], "explicitDeny", False, id="deny"),
        pytest.param([[EVERYTHING], [text(allow(DOC))]], "implicitDeny", False, id="not allowed"),
        pytest.param([[EVERYTHING], []], "implicitDeny", False, id="empty level"),
        pytest.param([[EVERYTHING]] * 7, "allowed", True, id="allowed"),
    ],
)
def test_custom_policy_obeys_levels_of_organization(
    levels: list[list[str]], decision: str, allowed: bool
) -> None:
    asked = {
        "ActionNames": [ACTION],
        "ResourceArns": [SSH],
        "PolicyInputList": [EVERYTHING],
        "OrderedOrganizationPolicyInputList": [
            {"ServiceControlPolicyInputList": level} for level in levels
        ],
    }
    (result,) = simulate(asked, Policies(), {}, ACCOUNT, custom=True)["EvaluationResults"]
    assert result["EvalDecision"] == decision
    assert result["OrganizationsDecisionDetail"] == {"AllowedByOrganizations": allowed}
    # Service control policies have no statements in an answer.
    assert len(result["MatchedStatements"]) == (decision == "allowed")


@pytest.mark.parametrize(
    ("levels", "code"),
    [
        ([[EVERYTHING]] * 8, "ValidationError"),
        ([["{"]], "InvalidInput"),
    ],
)
def test_rejects_impossible_organizations(levels: list[list[str]], code: str) -> None:
    listed = [{"ServiceControlPolicyInputList": level} for level in levels]
    asked = {"ActionNames": [ACTION], "OrderedOrganizationPolicyInputList": listed}
    with pytest.raises(ServiceFault) as raised:
        simulate(asked, Policies(), {}, ACCOUNT, custom=True)
    assert raised.value.code == code


def test_exclusions_are_for_principals_only() -> None:
    asked = {"ActionNames": [ACTION], "PolicyExclusionList": [{"PolicyType": "inline"}]}
    with pytest.raises(ServiceFault, match="PolicyExclusionList is not supported"):
        simulate(asked, Policies(), {}, ACCOUNT, custom=True)


@pytest.mark.parametrize(
    ("identifier", "excluded"),
    [
        ({"PolicyType": "inline"}, {"own", "group"}),
        ({"PolicyType": "aws-managed"}, {"aws"}),
        ({"PolicyType": "user-managed"}, {"managed"}),
        ({"PolicyType": "permission-boundary"}, {"boundary"}),
        ({"PolicyType": "scp"}, {"scp"}),
        ({"PolicyType": "rcp"}, set()),
        ({"PolicyArn": "arn:aws:iam::aws:policy/Admin*Access"}, {"aws"}),
        ({"PolicyArn": f"arn:aws:iam::{ACCOUNT}:policy/p/Right?"}, {"managed"}),
        ({"PolicyArn": f"arn:aws:iam::{ACCOUNT}:policy/Rights"}, set()),
        (
            {"InlinePolicyIdentifier": {
                "PolicyName": "Own", "AttachmentType": "user", "AttachmentName": "al*"}},
            {"own"},
        ),
        (
            {"InlinePolicyIdentifier": {
                "PolicyName": "Own", "AttachmentType": "role", "AttachmentName": "alice"}},
            set(),
        ),
    ],
)  # fmt: skip
def test_identifier_excludes_policies(identifier: dict[str, Any], excluded: set[str]) -> None:
    attachments = {
        "own": Attachment("inline", inline=("Own", "user", "alice")),
        "group": Attachment("inline", inline=("Own", "group", "all")),
        "aws": Attachment("aws-managed", "arn:aws:iam::aws:policy/AdministratorAccess"),
        "managed": Attachment("user-managed", f"arn:aws:iam::{ACCOUNT}:policy/p/Rights"),
        "boundary": Attachment("permission-boundary"),
        "scp": Attachment("scp"),
    }
    test = exclusions({"PolicyExclusionList": [identifier]})
    assert {name for name, attachment in attachments.items() if test(attachment)} == excluded


@pytest.mark.parametrize(
    ("identifiers", "code"),
    [
        ([{}], "InvalidInput"),
        ([{"PolicyType": "scp", "PolicyArn": "arn:aws:iam::aws:policy/X"}], "InvalidInput"),
        ([{"PolicyArn": "arn:aws:iam::*:policy/X"}], "InvalidInput"),
        ([{"PolicyArn": "arn:aws:iam::aws:policy/a*/X"}], "InvalidInput"),
        ([{"PolicyArn": "arn:aws:iam::aws:policy/X*Y*"}], "InvalidInput"),
        ([{"PolicyType": "all"}], "ValidationError"),
        ([{"PolicyType": "scp"}] * 257, "ValidationError"),
        (
            [{"InlinePolicyIdentifier": {
                "PolicyName": "*", "AttachmentType": "user", "AttachmentName": "a"}}],
            "InvalidInput",
        ),
    ],
)  # fmt: skip
def test_rejects_impossible_identifiers(identifiers: list[dict[str, Any]], code: str) -> None:
    with pytest.raises(ServiceFault) as raised:
        exclusions({"PolicyExclusionList": identifiers})
    assert raised.value.code == code


@pytest.mark.parametrize(
    ("arn", "keys"),
    [
        (MALLORY, {"aws:PrincipalType": "User", "aws:Type": "User", "aws:username": "mallory"}),
        (
            f"arn:aws:iam::{ACCOUNT}:role/Ops",
            {"aws:PrincipalType": "AssumedRole", "aws:Type": "AssumedRole"},
        ),
        (f"arn:aws:iam::{ACCOUNT}:group/all", {}),
    ],
)
def test_fills_in_keys_of_principal(arn: str, keys: dict[str, str]) -> None:
    same = dict.fromkeys(("aws:PrincipalArn", "aws:userid", "aws:PrincipalId"), arn)
    assert keys_of(arn) == {**same, "aws:PrincipalAccount": ACCOUNT, **keys}


def test_does_not_validate_booleans_and_empty_text() -> None:
    given = [entry("a:b", "yes", kind="boolean"), entry("c:d", ""), entry("e:f", kind="ipList")]
    assert one(GRANTED, DOC, ContextEntries=given)["EvalDecision"] == "allowed"


def test_lists_keys_of_conditions_and_variables_once() -> None:
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
