"""Twenty-six decisions on which evaluators are known to differ."""

import json

import pytest

from ssmgate.policy_language import Context, Policies, Request, evaluate, parse_policy

INST = "arn:aws:ec2:eu-west-1:111122223333:instance/i-02573cafcfEXAMPLE"
DOC = "arn:aws:ssm:eu-west-1:111122223333:document/SSM-SessionManagerRunShell"
DOC2 = "arn:aws:ssm:eu-west-1:111122223333:document/Dev-Shell"
INSTANCES = "arn:aws:ec2:*:*:instance/*"
START = {"Effect": "Allow", "Action": "ssm:StartSession", "Resource": "*"}
ALL = {"Effect": "Allow", "Action": "*", "Resource": "*"}

CHECK, ENV, MFA = (
    "ssm:SessionDocumentAccessCheck",
    "ssm:resourceTag/Env",
    "aws:MultiFactorAuthPresent",
)
P1 = [
    START | {"Resource": [INSTANCES, DOC], "Condition": {"BoolIfExists": {CHECK: "true"}}},
]
P2 = [START | {"Resource": [INSTANCES, DOC], "Condition": {"StringLike": {ENV: "dev-*"}}}]
P3 = [
    START | {"Action": "ssm:*"},
    {"Effect": "Deny", "Action": "ssm:*", "NotResource": [INSTANCES, DOC2]},
    ALL | {"Effect": "Deny", "Condition": {"BoolIfExists": {MFA: "false"}}},
]


def deny_if(**condition):
    return [ALL, ALL | {"Effect": "Deny", "Condition": condition}]


def allow_if(**condition):
    return [START | {"Condition": condition}]


@pytest.mark.parametrize(
    ("statements", "context", "resource", "decision"),
    [
        pytest.param(P1, {CHECK: "true"}, INST, "allowed", id="1 true, node"),
        pytest.param(P1, {}, INST, "allowed", id="2 absent, node"),
        pytest.param(P1, {CHECK: "false"}, INST, "implicitDeny", id="3 false, node"),
        pytest.param(P1, {CHECK: "true"}, DOC, "allowed", id="4 true, document"),
        pytest.param(P1, {CHECK: "true"}, DOC2, "implicitDeny", id="5 true, other document"),
        pytest.param(P2, {ENV: "dev-1"}, INST, "allowed", id="6 tag like"),
        pytest.param(P2, {ENV: "prod"}, INST, "implicitDeny", id="7 tag unlike"),
        pytest.param(P2, {}, DOC, "implicitDeny", id="8 tag absent"),
        pytest.param(P3, {MFA: "true"}, DOC2, "allowed", id="9 mfa, in NotResource"),
        pytest.param(P3, {MFA: "true"}, DOC, "explicitDeny", id="10 mfa, not in NotResource"),
        pytest.param(P3, {}, DOC2, "explicitDeny", id="11 no mfa"),
        pytest.param(
            deny_if(StringNotEquals={ENV: "dev"}), {}, INST, "explicitDeny", id="12 not equals"
        ),
        pytest.param(
            deny_if(StringNotLikeIfExists={ENV: "dev*"}), {}, INST, "explicitDeny", id="13 unlike"
        ),
        pytest.param(deny_if(Null={ENV: "true"}), {}, INST, "explicitDeny", id="14 null"),
        pytest.param(deny_if(Null={ENV: "true"}), {ENV: "x"}, INST, "allowed", id="15 not null"),
        pytest.param(
            allow_if(StringEquals={"AWS:UserName": "a"}),
            {"aws:username": "a"},
            INST,
            "allowed",
            id="16 key in another case",
        ),
        pytest.param(
            [START | {"Resource": "arn:aws:ssm:*:*:document/${aws:username}-Shell"}],
            {"aws:username": "Dev"},
            DOC2,
            "allowed",
            id="17 variable in Resource",
        ),
        pytest.param(
            allow_if(StringEquals={ENV: "${aws:username}"}),
            {"aws:username": "a", ENV: "b"},
            INST,
            "implicitDeny",
            id="18 variable in a value",
        ),
        pytest.param(
            allow_if(**{"ForAnyValue:StringLike": {"aws:TagKeys": ["dev*"]}}),
            {"aws:TagKeys": ["x", "dev1"]},
            INST,
            "allowed",
            id="19 any of a list",
        ),
        pytest.param(
            allow_if(DateLessThan={"aws:CurrentTime": "2020-01-01T00:00:00Z"}),
            {"aws:CurrentTime": "2026-01-01T00:00:00Z"},
            INST,
            "implicitDeny",
            id="20 past date",
        ),
        pytest.param(
            allow_if(IpAddress={"aws:SourceIp": "10.0.0.0/8"}),
            {"aws:SourceIp": "192.0.2.1"},
            INST,
            "implicitDeny",
            id="21 address outside",
        ),
        pytest.param(
            allow_if(StringEquals={ENV: ["a", "b"]}), {ENV: "b"}, INST, "allowed", id="22 or"
        ),
        pytest.param(
            [{"Effect": "Allow", "Action": "ssm:*", "NotResource": DOC}],
            {},
            DOC,
            "implicitDeny",
            id="23 NotResource",
        ),
        pytest.param(
            [{"Effect": "Allow", "NotAction": "ssm:StartSession", "Resource": "*"}],
            {},
            DOC,
            "implicitDeny",
            id="24 NotAction",
        ),
        pytest.param(
            [START | {"Action": "SSM:startsession"}], {}, DOC, "allowed", id="25 action's case"
        ),
        pytest.param(
            [START | {"Resource": DOC2[:-1] + "?"}], {}, DOC2, "allowed", id="26 question mark"
        ),
    ],
)
def test_evaluates_vector(statements, context, resource, decision):
    policy = parse_policy(json.dumps({"Version": "2012-10-17", "Statement": statements}))
    request = Request("ssm:StartSession", resource, Context(context))
    assert evaluate(request, Policies((policy,))).eval_decision.value == decision
