"""Each common mistake: a policy that has it, with the advice, and a similar one without it."""

import json

import pytest

from ssmgate.explain.advice import advise
from ssmgate.explain.evidence import sentence
from ssmgate.policy_language import Context, Policies, Request, evaluate, parse_policy

HERE = "us-east-1:111122223333"
SSH = "arn:aws:ssm:us-east-1::document/AWS-StartSSHSession"
SHELL = f"arn:aws:ssm:{HERE}:document/SSM-SessionManagerRunShell"
CUSTOM = f"arn:aws:ssm:{HERE}:document/OpsShell"
NODE = f"arn:aws:ec2:{HERE}:instance/i-0123456789abcdef0"
MANAGED = f"arn:aws:ssm:{HERE}:managed-instance/mi-0123456789abcdef0"
SSO = (
    "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/eu-west-1/"
    "AWSReservedSSO_Ops_0123456789abcdef"
)
CHECK = {"ssm:SessionDocumentAccessCheck": "true"}
START = "ssm:StartSession"


def statement(resource, *, action=START, effect="Allow", **more):
    resources = {} if resource is None else {"Resource": resource}
    actions = {} if action is None else {"Action": action}
    return {"Effect": effect, **actions, **resources, **more}


def policy(*statements, name="p"):
    return parse_policy(json.dumps({"Version": "2012-10-17", "Statement": statements}), name)


def advice(*statements, about, action=START, context=CHECK, **layers):
    policies = Policies((policy(*statements),), **layers)
    return advise(evaluate(Request(action, about, Context(context)), policies))


def condition(operator, key, value):
    return {"Condition": {operator: {key: value}}}


ALL_NODES = f"arn:aws:ec2:{HERE}:instance/*"

# code, statements, resource
FIRES = [
    ("document-not-listed", [statement(ALL_NODES)], SHELL),
    ("document-not-listed", [statement("*", action="s3:*")], SSH),
    ("document-not-listed", [statement(CUSTOM)], SHELL),
    ("resource-not-listed", [statement(SHELL)], NODE),
    ("aws-document-with-account", [statement(f"arn:aws:ssm:{HERE}:document/AWS-*")], SSH),
    ("aws-document-with-account", [statement([ALL_NODES, SSH.replace("::", ":111122223333:")])],
     SSH),
    ("aws-document-with-account",
     [statement("*"), statement(None, effect="Deny",
                                NotResource=[ALL_NODES, SSH.replace("::", ":111122223333:")])],
     SSH),
    ("document-without-account", [statement(SHELL.replace(":111122223333:", "::"))], SHELL),
    ("wrong-account", [statement(SHELL.replace("1111", "4444"))], SHELL),
    ("wrong-account", [statement(NODE.replace("1111", "4444"))], NODE),
    ("wrong-region", [statement(SSH.replace("us-east-1", "eu-*"))], SSH),
    ("wrong-region", [statement(NODE.replace("us-east-1", "us-east-2"))], NODE),
    ("wrong-partition", [statement(SSH.replace("aws:", "aws-cn:"))], SSH),
    ("name-case", [statement(CUSTOM.replace("Ops", "ops"))], CUSTOM),
    ("name-misspelt", [statement(SSH.replace("SSHS", "SshS").replace("Ssh", "SHH"))], SSH),
    ("name-misspelt", [statement(SHELL.replace("Manager", "Manger"))], SHELL),
    ("wildcard-past-name", [statement(f"{SHELL}/*")], SHELL),
    ("wildcard-past-name", [statement(f"{SHELL}:*")], SHELL),
    ("wrong-type", [statement(SHELL.replace("document/", "documents/"))], SHELL),
    ("wrong-type", [statement(SHELL.replace(":ssm:", ":ec2:"))], SHELL),
    ("wrong-type", [statement(NODE.replace(":ec2:", ":ssm:"))], NODE),
    ("wrong-type", [statement(f"arn:aws:ec2:{HERE}:instance/mi-0123456789abcdef0")], MANAGED),
    ("tag-condition-on-document",
     [statement("*", **condition("StringLike", "ssm:resourceTag/Team", "ops"))], SHELL),
    ("tag-condition-on-document",
     [statement([ALL_NODES, SSH], **condition("StringEquals", "aws:ResourceTag/Team", "ops"))],
     SSH),
    ("sso-role-path", [statement("*", **condition(
        "ArnEquals", "aws:PrincipalArn",
        "arn:aws:iam::111122223333:role/AWSReservedSSO_Ops_0123456789abcdef"))], SHELL),
    ("sso-role-path", [statement("*", **condition(
        "ArnLike", "aws:PrincipalArn",
        "arn:aws:iam::111122223333:role/AWSReservedSSO_Ops_*"))], SHELL),
    ("key-absent", [statement("*", **condition("Bool", "aws:MultiFactorAuthPresent", "true"))],
     SHELL),
    ("condition-differs", [statement("*", **condition(
        "StringEquals", "aws:RequestedRegion", "eu-west-1"))], SHELL),
    ("needs-set-operator", [statement("*", **condition("StringEquals", "aws:TagKeys", "a"))],
     SHELL),
    ("action-misspelt", [statement("*", action="ssm:StartSessions")], SHELL),
    ("action-misspelt", [statement("*", action="ssmmessages:StartSession")], SHELL),
    ("under-not-action", [statement("*", action=None, NotAction=["ssm:*"])], SHELL),
    ("under-not-resource", [statement(None, NotResource=SHELL)], SHELL),
    ("variable-without-value",
     [statement(f"arn:aws:ssm:{HERE}:document/${{aws:username}}-shell")], SHELL),
    ("denied-by-name", [statement("*"), statement(SSH, effect="Deny")], SSH),
    ("denied-by-wildcard", [statement("*"), statement("*", effect="Deny")], SSH),
    ("denied-by-not-resource",
     [statement("*"), statement(None, effect="Deny", NotResource=[CUSTOM, ALL_NODES])], SHELL),
    ("deny-depends-on-key", [statement("*"), statement("*", effect="Deny", **condition(
        "BoolIfExists", "aws:MultiFactorAuthPresent", "false"))], SHELL),
    ("denied-by-condition", [statement("*"), statement("*", effect="Deny", **condition(
        "StringNotEquals", "aws:RequestedRegion", "eu-west-1"))], SHELL),
    ("no-such-resource", [statement("*")], f"arn:aws:ssm:{HERE}:parameter/a"),
]  # fmt: skip
CONTEXT = {
    **CHECK,
    "aws:PrincipalArn": SSO,
    "aws:RequestedRegion": "us-east-1",
    "aws:TagKeys": ["a", "b"],
}

# Policies that only resemble a mistake: the advice must not be given.
KEEPS_SILENT = [
    ("aws-document-with-account", [statement(CUSTOM)], SSH),
    ("aws-document-with-account", [statement(SSH.replace("::", ":111122223333:"))], SHELL),
    ("document-without-account", [statement(SSH)], SHELL),
    ("wrong-account", [statement(CUSTOM.replace("1111", "4444"))], SHELL),
    ("wrong-region", [statement(CUSTOM.replace("us-east-1", "eu-west-1"))], SHELL),
    ("wrong-partition", [statement(ALL_NODES.replace("aws:", "aws-cn:"))], SHELL),
    ("name-case", [statement(CUSTOM)], SHELL),
    ("name-misspelt", [statement(CUSTOM.replace("OpsShell", "OpsShell1"))], CUSTOM + "2"),
    ("name-misspelt",
     [statement("arn:aws:ssm:us-east-1::document/AWS-StartPortForwardingSessionToSocket")],
     "arn:aws:ssm:us-east-1::document/AWS-StartPortForwardingSession"),
    ("name-misspelt", [statement(NODE)], NODE[:-1] + "1"),
    ("wildcard-past-name", [statement(f"{SHELL}*/x")], SHELL),
    ("wrong-type", [statement(ALL_NODES)], SHELL),
    ("wrong-type", [statement(f"arn:aws:ssm:{HERE}:managed-instance/*")], SHELL),
    ("wrong-type", [statement(f"arn:aws:ssm:{HERE}:managed-instance/*")], NODE),
    ("tag-condition-on-document",
     [statement(ALL_NODES, **condition("StringLike", "ssm:resourceTag/Team", "ops"))], SHELL),
    ("tag-condition-on-document",
     [statement("*", **condition("StringLike", "ssm:resourceTag/Team", "ops"))], NODE),
    ("sso-role-path", [statement("*", **condition(
        "ArnEquals", "aws:PrincipalArn", "arn:aws:iam::111122223333:role/Other"))], SHELL),
    ("action-misspelt", [statement("*", action="ssm:ResumeSession")], SHELL),
    ("action-misspelt", [statement("*", action="ssm:Get*")], SHELL),
    ("under-not-action", [statement(CUSTOM, action=None, NotAction=["s3:*"])], SHELL),
    ("under-not-resource", [statement(ALL_NODES)], SHELL),
    ("bool-not-if-exists", [statement(ALL_NODES, **condition(
        "Bool", "ssm:SessionDocumentAccessCheck", "true"))], SHELL),
    ("denied-by-name", [statement("*"), statement("*", effect="Deny")], SSH),
    ("denied-by-wildcard", [statement("*"), statement(SSH, effect="Deny")], SSH),
    ("denied-by-name", [statement("*"), statement(CUSTOM, effect="Deny")], SHELL),
    ("deny-depends-on-key", [statement("*"), statement("*", effect="Deny", **condition(
        "Null", "aws:MultiFactorAuthPresent", "true"))], SHELL),
    ("denied-by-condition", [statement("*"), statement("*", effect="Deny")], SHELL),
    ("document-not-listed", [statement(SHELL)], SHELL),
    ("document-not-listed", [statement(SHELL.replace("Manager", "Manger"))], SHELL),
    ("resource-not-listed", [statement(NODE.replace("us-east-1", "us-east-2"))], NODE),
    ("no-such-resource", [statement(CUSTOM)], SHELL),
    ("variable-without-value",
     [statement(f"arn:aws:ssm:{HERE}:document/${{aws:PrincipalType}}")], SHELL),
]  # fmt: skip


@pytest.mark.parametrize(("code", "statements", "about"), FIRES)
def test_recognises_mistake(code, statements, about):
    assert code in {one.code for one in advice(*statements, about=about, context=CONTEXT)}


@pytest.mark.parametrize(("code", "statements", "about"), KEEPS_SILENT)
def test_ignores_policy_that_resembles_mistake(code, statements, about):
    context = {**CONTEXT, "aws:PrincipalType": "User"}

    assert code not in {one.code for one in advice(*statements, about=about, context=context)}


def test_each_mistake_has_counterexample():
    always = {"key-absent", "condition-differs", "needs-set-operator", "denied-by-not-resource"}

    assert {row[0] for row in FIRES} - always <= {row[0] for row in KEEPS_SILENT}


@pytest.mark.parametrize(("operator", "value"), [("Bool", "true"), ("StringEquals", "true")])
def test_recognises_strict_condition_without_key(operator, value):
    key = "ssm:SessionDocumentAccessCheck"
    (one,) = advice(statement("*", **condition(operator, key, value)), about=SHELL, context={})

    assert one.code == "bool-not-if-exists"
    assert "BoolIfExists" in one.what


@pytest.mark.parametrize(
    ("layers", "code"),
    [
        ({"boundary": policy(statement(ALL_NODES))}, "boundary-without-document"),
        ({"service_control": ((policy(statement(ALL_NODES)),),)}, "scp-without-document"),
    ],
)
def test_recognises_layer_that_omits_document(layers, code):
    (one,) = advice(statement("*"), about=SHELL, **layers)

    assert one.code == code
    assert SHELL in one.what


def test_reports_both_layers():
    found = advice(
        statement(ALL_NODES), about=SHELL, boundary=policy(statement(ALL_NODES, action="s3:*"))
    )

    assert [one.code for one in found] == ["document-not-listed", "boundary-without-document"]


@pytest.mark.parametrize(
    ("name", "expected"), [("AWSReservedSSO_Ops_0123456789abcdef", True), ("Other", False)]
)
def test_recognises_sso_role_without_path(name, expected):
    action = "iam:SimulatePrincipalPolicy"
    role = f"arn:aws:iam::111122223333:role/{name}"
    found = advice(statement(role, action=action), about=SSO, action=action)

    assert ("sso-role-path" in {one.code for one in found}) is expected


def test_line_break_in_policy_does_not_look_like_statement():
    hostile = condition("StringEquals", "aws:RequestedRegion", 'eu-west-1\n{"Effect": "Allow"}')
    (one,) = advice(statement("*", **hostile), about=SHELL, context=CONTEXT)

    assert "\n" not in sentence(one)


def test_allowed_request_gets_no_advice():
    assert advice(statement("*"), about=SHELL) == ()


def test_names_position_of_nearest_statement_first():
    found = advice(
        statement("*", action="ssm:StartSessions"),
        statement(SHELL.replace("us-east-1", "eu-west-1"), Sid="Region"),
        about=SHELL,
    )

    assert found[0].code in ("action-misspelt", "wrong-region")
    assert {one.place.sid for one in found if one.place} == {None, "Region"}
