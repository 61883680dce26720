"""How explicit a grant is, and whether the service is required to check the document."""

import json

import pytest

from ssmgate.explain.weakness import enforced, grant, weaknesses
from ssmgate.gate.decision.grant import Grant
from ssmgate.policy_language import Context, Policies, Request, parse_policy

HERE = "us-east-1:111122223333"
SSH = "arn:aws:ssm:us-east-1::document/AWS-StartSSHSession"
SHELL = f"arn:aws:ssm:{HERE}:document/SSM-SessionManagerRunShell"
NODE = f"arn:aws:ec2:{HERE}:instance/i-0123456789abcdef0"
START = "ssm:StartSession"
KEY = "ssm:SessionDocumentAccessCheck"
CHECK = Context({KEY: "true"})
LENIENT = {"Condition": {"BoolIfExists": {KEY: "true"}}}
STRICT = {"Condition": {"Bool": {KEY: "true"}}}


def policies(*statements, **layers):
    text = json.dumps({"Version": "2012-10-17", "Statement": statements})
    return Policies((parse_policy(text, "p"),), **layers)


def allow(resource="*", **elements):
    return {"Effect": "Allow", "Action": START, "Resource": resource, **elements}


def deny(resource, **elements):
    return allow(resource, Effect="Deny", **elements)


@pytest.mark.parametrize(
    ("statements", "about", "how"),
    [
        ([allow(SSH)], SSH, Grant.NAMED),
        ([allow([NODE, SHELL])], SHELL, Grant.NAMED),
        ([allow("*"), allow(SHELL)], SHELL, Grant.NAMED),
        ([allow(SSH.replace("StartSSH", "*"))], SSH, Grant.WILDCARD),
        ([allow(f"arn:aws:ssm:{HERE}:document/*")], SHELL, Grant.WILDCARD),
        ([allow("arn:aws:ssm:*:*:document/SSM-*")], SHELL, Grant.WILDCARD),
        ([allow("arn:aws:ssm:*:*:*")], SHELL, Grant.WILDCARD),
        ([allow("*")], SHELL, Grant.ANY),
        ([allow("arn:aws:*:*:*:*")], SSH, Grant.ANY),
        ([{"Effect": "Allow", "Action": "*", "NotResource": SHELL}], SSH, Grant.ANY),
        ([allow(NODE)], SHELL, Grant.UNKNOWN),
        ([allow("*"), deny(SHELL)], SHELL, Grant.UNKNOWN),
    ],
)
def test_classifies_grant(statements, about, how):
    assert grant(Request(START, about, CHECK), policies(*statements)) is how


def test_boundary_does_not_make_wildcard_explicit():
    boundary = policies(allow(SHELL)).identity[0]

    assert grant(Request(START, SHELL, CHECK), policies(allow(), boundary=boundary)) is Grant.ANY


def codes(*statements, document=SHELL, target=NODE):
    found = weaknesses(
        Request(START, document, CHECK), Request(START, target, CHECK), policies(*statements)
    )
    return [one.code for one in found]


@pytest.mark.parametrize(
    ("statements", "is_enforced", "found"),
    [
        ([allow([NODE, SHELL], **LENIENT)], True, []),
        ([allow([NODE, SHELL], **STRICT)], True, []),
        ([allow([NODE, SHELL])], False, ["check-not-enforced"]),
        ([allow([NODE, SHELL], **LENIENT), allow(NODE)], False, ["condition-missing"]),
        # A statement that lists no node needs no condition.
        ([allow([NODE, SHELL], **LENIENT), allow(SSH)], True, []),
        ([allow(NODE), deny("*", Condition={"Bool": {KEY: "false"}})], True, []),
    ],
)
def test_recognises_enforced_document_check(statements, is_enforced, found):
    assert enforced(Request(START, NODE, CHECK), policies(*statements)) is is_enforced
    assert codes(*statements) == found


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ([allow("*", **LENIENT), deny([SSH])], True),
        ([allow(f"arn:aws:ssm:{HERE}:document/*"), deny([SHELL])], True),
        ([allow([SHELL, NODE], **LENIENT), deny([SSH])], False),
        ([allow("*", **LENIENT), deny(NODE)], False),
        ([allow("*", **LENIENT), {**deny("*"), "Action": "s3:*"}], False),
        ([allow("*", **LENIENT), {"Effect": "Deny", "Action": START, "NotResource": SHELL}],
         False),
    ],
)  # fmt: skip
def test_warns_of_denying_single_documents(statements, expected):
    assert ("deny-by-enumeration" in codes(*statements)) is expected


@pytest.mark.parametrize(
    ("actions", "condition", "expected"),
    [
        ([START, "ssm:TerminateSession"], STRICT, True),
        ([START, "ssm:TerminateSession"], LENIENT, False),
        (START, STRICT, False),
        ("ssm:*", STRICT, False),
    ],
)
def test_warns_of_strict_condition_on_other_actions(actions, condition, expected):
    statement = allow([NODE, SHELL], **condition) | {"Action": actions}

    assert ("bool-not-if-exists" in codes(statement)) is expected
