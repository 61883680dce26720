"""Changes of policies: each allows the denied session, and nothing that was denied before."""

import json
from dataclasses import replace

import pytest

from ssmgate.explain import listing
from ssmgate.explain.changes import applied
from ssmgate.explain.narrow import Listing
from ssmgate.explain.remedy import find
from ssmgate.policy_language import (
    Context,
    EvalDecision,
    Layer,
    Policies,
    Request,
    evaluate,
    parse_policy,
)

ACCOUNT = "111122223333"
HERE = f"us-east-1:{ACCOUNT}"
SSH = "arn:aws:ssm:us-east-1::document/AWS-StartSSHSession"
PORT = "arn:aws:ssm:us-east-1::document/AWS-StartPortForwardingSession"
SHELL = f"arn:aws:ssm:{HERE}:document/SSM-SessionManagerRunShell"
OPS = f"arn:aws:ssm:{HERE}:document/OpsShell"
NODE = f"arn:aws:ec2:{HERE}:instance/i-0123456789abcdef0"
OTHER_NODE = f"arn:aws:ec2:{HERE}:instance/i-0fedcba9876543210"
MANAGED = f"arn:aws:ssm:{HERE}:managed-instance/mi-0123456789abcdef0"
NODES = f"arn:aws:ec2:{HERE}:instance/*"
DOCUMENTS = "arn:aws:ssm:*:*:document/*"
START = "ssm:StartSession"
KEY = "ssm:SessionDocumentAccessCheck"
CHECK = {"BoolIfExists": {KEY: "true"}}
SSO = (
    f"arn:aws:iam::{ACCOUNT}:role/aws-reserved/sso.amazonaws.com/eu-west-1/"
    "AWSReservedSSO_Ops_0123456789abcdef"
)
EXIST = (SSH, PORT, SHELL, OPS, NODE, OTHER_NODE, MANAGED)
BASE = {KEY: "true", "aws:RequestedRegion": "us-east-1", "aws:PrincipalArn": SSO}


def allow(resource="*", action=START, **elements):
    return {"Effect": "Allow", "Action": action, "Resource": resource, **elements}


def deny(resource="*", action=START, **elements):
    return allow(resource, action, Effect="Deny", **elements)


def but(element, *values, effect="Allow", **elements):
    """Return a statement with NotAction or NotResource."""
    other = {"Resource": "*"} if element == "NotAction" else {"Action": START}
    return {"Effect": effect, element: list(values), **other, **elements}


def when(operator, key, value):
    return {"Condition": {operator: {key: value}}}


def policy(*statements, name="p"):
    return parse_policy(json.dumps({"Version": "2012-10-17", "Statement": statements}), name)


def layers(*statements, boundary=None, scp=None):
    return Policies(
        (policy(*statements),) if statements else (),
        None if boundary is None else policy(*boundary, name="b"),
        () if scp is None else ((policy(*scp, name="s"),),),
    )


def request(arn, context=(), action=START):
    _, _, _, region, owner, _ = arn.split(":", 5)
    keys = {**BASE, "aws:RequestedRegion": region or "us-east-1"}
    keys |= {"aws:ResourceAccount": owner} if owner else {}
    return Request(action, arn, Context(keys | dict(context)))


def exist(pattern):
    kind = pattern.split(":", 5)
    found = [
        arn for arn in EXIST
        if (kind[2], kind[4] in ("*", arn.split(":")[4]), kind[5][:-1])
        == (arn.split(":")[2], True, arn.split(":", 5)[5].partition("/")[0] + "/")
    ]  # fmt: skip
    return Listing(tuple(found))


def decided(policies, arn, context=(), action=START):
    answer = evaluate(request(arn, context, action), policies)
    return answer.eval_decision is EvalDecision.ALLOWED


DEV = when("StringEquals", "ssm:resourceTag/Env", "dev")
TAGGED = {"ssm:resourceTag/Env": "dev"}

# Policies and the document and target that are asked about; they end up allowed.
SOLVED = {
    "nothing": ([], {}),
    "nodes only": ([allow(NODES)], {}),
    "document only": ([allow(SSH)], {}),
    "another document": ([allow([NODES, SHELL])], {}),
    "AWS's document with the account": ([allow([NODES, SSH.replace("::", f":{ACCOUNT}:")])], {}),
    "AWS's documents with the account": ([allow([NODES, f"arn:aws:ssm:{HERE}:document/*"])], {}),
    "another region": ([allow([NODES, SSH.replace("us-east-1", "eu-west-1")])], {}),
    "other case": ([allow([NODES, SSH.replace("SSH", "Ssh")])], {}),
    "misspelt": ([allow([NODES, SSH.replace("Session", "Sesion")])], {}),
    "a version": ([allow([NODES, f"{SSH}:1"])], {}),
    "no such type": ([allow([NODES, SSH.replace("document/", "documents/")])], {}),
    "misspelt action": ([allow([NODES, SSH], "ssm:StartSessions")], {}),
    "another action": ([allow("*", "ssm:Get*")], {}),
    "NotAction": ([but("NotAction", "ssm:*")], {}),
    "NotResource": ([but("NotResource", SSH)], {}),
    "boundary": ([allow()], {"boundary": [allow(NODES)]}),
    "boundary for another service": ([allow()], {"boundary": [allow("*", "s3:*")]}),
    "boundary and identity": ([allow(NODES)], {"boundary": [allow(NODES)]}),
    "service control policy": ([allow()], {"scp": [allow(NODES)]}),
    "every layer": ([allow("*", "s3:*")], {"boundary": [allow(SHELL)], "scp": [allow(SHELL)]}),
    "deny by name": ([allow(), deny(SSH)], {}),
    "deny by name among others": ([allow(), deny([SSH, SHELL])], {}),
    "deny by name in all regions": ([allow(), deny(SSH.replace("us-east-1", "*"))], {}),
    "deny by name in all accounts": ([allow(), deny(SSH.replace("::", ":*:"))], {}),
    "two patterns": ([allow(), deny([SSH, SSH.replace("us-east-1", "*")])], {}),
    "deny of AWS's": ([allow(), deny("arn:aws:ssm:*:*:document/AWS-*")], {}),
    "deny of AWS's here": ([allow(), deny("arn:aws:ssm:us-east-1::document/AWS-*")], {}),
    "deny of all of AWS, no allow": ([allow(NODES), deny("arn:aws:ssm:*::document/AWS-*")], {}),
    "deny of all documents": ([allow(), deny(DOCUMENTS)], {}),
    "deny of everything": ([allow(), deny()], {}),
    "deny of everything, and no allow": ([deny()], {}),
    "deny in two statements": ([allow(), deny(SSH), deny(DOCUMENTS)], {}),
    "deny of all but": ([allow(), but("NotResource", SHELL, NODES, effect="Deny")], {}),
    "deny of several actions": ([allow("*", "ssm:*"),
                                 deny([SSH, SHELL], [START, "ssm:SendCommand"])], {}),
    "deny of every action": ([allow("*", "*"), deny(SSH, "*")], {}),
    "deny of all of ssm": ([allow("*", "ssm:*"), deny([SSH, SHELL], "ssm:*")], {}),
    "deny of all actions but": ([allow("*", "*"), but("NotAction", "s3:*", effect="Deny")], {}),
    "deny in the boundary": ([allow()], {"boundary": [allow("*", "*"), deny(SSH)]}),
    "deny in a service control policy": ([allow()], {"scp": [allow("*", "*"), deny(DOCUMENTS)]}),
    "deny in two layers": ([allow(), deny(SSH)], {"scp": [allow("*", "*"), deny(DOCUMENTS)]}),
    "deny by the node's tag": ([allow(), deny(**when(
        "StringNotEquals", "ssm:resourceTag/Env", "dev"))], {}),
    "Bool, and no key": ([allow(**when("Bool", KEY, "true"))], {}),
    "tags over documents": ([allow(**DEV)], {}),
    "tags and another condition": ([allow(Condition={
        "StringEquals": {"ssm:resourceTag/Env": "dev", "aws:RequestedRegion": "us-east-1"}})], {}),
    "role without its path": ([allow(**when(
        "ArnEquals", "aws:PrincipalArn",
        f"arn:aws:iam::{ACCOUNT}:role/AWSReservedSSO_Ops_0123456789abcdef"))], {}),
}  # fmt: skip


@pytest.mark.parametrize("name", SOLVED)
def test_changes_allow_session_and_nothing_else(name):
    statements, more = SOLVED[name]
    policies = layers(*statements, **more)
    before = {arn: decided(policies, arn, TAGGED if arn == NODE else ()) for arn in EXIST}

    requests = [request(SSH), request(NODE, TAGGED)]
    if name == "Bool, and no key":
        requests = [replace(r, context=Context({"aws:RequestedRegion": "us-east-1"}))
                    for r in requests]  # fmt: skip
    remedy = find(requests, policies, ACCOUNT, exist)

    assert remedy.obstacles == ()
    after = applied(policies, remedy.changes)
    for one in requests:
        assert evaluate(one, after).eval_decision is EvalDecision.ALLOWED
    for arn in set(EXIST) - {SSH, NODE}:
        assert decided(after, arn) is before[arn], arn
        assert decided(after, arn.replace("us-east-1", "eu-west-1")) is decided(
            policies, arn.replace("us-east-1", "eu-west-1")
        )
    for action in ("ssm:SendCommand", "ssm:GetDocument", "ec2:RunInstances", "s3:GetObject"):
        for arn in (SSH, SHELL, NODE, "arn:aws:s3:::b/k"):
            assert decided(after, arn, (), action) is decided(policies, arn, (), action)
    assert len(remedy.changes) == len({(c.layer, id(c.old)) for c in remedy.changes})


@pytest.mark.parametrize(
    ("statements", "obstacle"),
    [
        ([allow(NODES, **DEV)], "StringEquals ssm:resourceTag/Env dev"),
        ([allow(NODES, **when("Bool", "aws:MultiFactorAuthPresent", "true"))],
         "Bool aws:MultiFactorAuthPresent true"),
        ([allow(**when("StringEquals", "aws:ResourceTag/team", "${aws:PrincipalTag/team}"))],
         "StringEquals aws:ResourceTag/team ${aws:PrincipalTag/team}"),
    ],
)  # fmt: skip
def test_keeps_conditions_that_close_the_target(statements, obstacle):
    policies = layers(*statements)

    tags = {"ssm:resourceTag/Env": "prod", "aws:ResourceTag/team": "blue"}
    remedy = find([request(SSH), request(NODE, tags)], policies, ACCOUNT, exist)

    assert [one for one in remedy.obstacles if obstacle in one]
    assert not decided(applied(policies, remedy.changes), NODE, tags)
    for change in remedy.changes:
        assert NODE not in json.dumps(change.statements)


def test_keeps_tag_condition_of_target():
    conditions = {"StringEquals": {"ssm:resourceTag/Env": "dev"}, "Bool": {KEY: "true"}}
    node = replace(request(NODE), context=Context(TAGGED))

    remedy = find([node], layers(allow(NODES, Condition=conditions)), ACCOUNT, exist)

    (change,) = remedy.changes
    assert change.statements[0]["Condition"] == {
        "StringEquals": {"ssm:resourceTag/Env": "dev"}, **CHECK,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("statements", "why"),
    [
        ([allow(), deny(**when("BoolIfExists", "aws:MultiFactorAuthPresent", "false"))],
         "depends on aws:MultiFactorAuthPresent"),
        ([allow("*", "*"), deny("*", "ssm:*")], "denies ssm:*"),
        ([allow(), deny(f"arn:aws:ssm:*:*:document/{'${aws:username}'}*"), deny(SSH)], None),
        ([allow(), deny([DOCUMENTS, "arn:aws:ssm:us-east-1:*:document/*"])], "several regions"),
    ],
)  # fmt: skip
def test_names_deny_that_cannot_be_narrowed(statements, why):
    remedy = find([request(SSH)], layers(*statements), ACCOUNT, exist)

    if why is None:
        assert remedy.obstacles == ()
    else:
        assert [one for one in remedy.obstacles if why in one]
        assert remedy.changes == ()


def test_finds_what_is_missing_behind_deny():
    """The deny cannot be narrowed, and no statement allows the document either."""
    condition = when("BoolIfExists", "aws:MultiFactorAuthPresent", "false")

    remedy = find([request(SSH)], layers(allow(NODES), deny(**condition)), ACCOUNT, exist)

    assert len(remedy.obstacles) == 1
    (change,) = remedy.changes
    assert change.statements[0] == {
        "Effect": "Allow", "Action": START, "Resource": SSH, "Condition": CHECK,
    }  # fmt: skip


def test_lists_documents_only_to_narrow_deny_of_some():
    asked = []

    def lister(pattern):
        asked.append(pattern)
        return Listing(why="ssm:ListDocuments: AccessDeniedException")

    find([request(SSH)], layers(allow(NODES)), ACCOUNT, lister)
    assert asked == []

    team = f"arn:aws:ssm:{HERE}:document/Team-A"
    policies = layers(allow(), deny("arn:aws:ssm:*:*:document/Team-*"))
    remedy = find([request(team)], policies, ACCOUNT, lister)

    assert remedy.changes == ()
    assert "ssm:ListDocuments: AccessDeniedException" in remedy.obstacles[0]


def test_files_list_well_known_documents_only():
    listed = listing.without_aws("us-east-1")

    assert SSH in listed("arn:aws:ssm:*::document/*").arns
    assert listed(f"arn:aws:ssm:*:{ACCOUNT}:document/*").why


def test_adds_one_statement_for_document_and_target():
    remedy = find([request(SSH), request(NODE)], layers(allow("*", "s3:*")), ACCOUNT, exist)

    (change,) = remedy.changes
    assert change.layer is Layer.IDENTITY
    assert change.statements == (allow([SSH, NODE], Condition=CHECK),)


def test_changes_only_layers_that_lack_document():
    policies = layers(allow([NODES, SHELL]), boundary=[allow("*", "s3:*")])

    remedy = find([request(SHELL), request(NODE)], policies, ACCOUNT, exist)

    (change,) = remedy.changes
    assert change.layer is Layer.BOUNDARY


def test_session_that_no_policy_can_allow():
    remedy = find([request(f"arn:aws:ssm:{HERE}:parameter/a")], layers(allow()), ACCOUNT, exist)

    assert remedy.changes == ()
    assert "has no resources like" in remedy.obstacles[0]


def test_allowed_session_needs_no_change():
    assert find([request(SSH)], layers(allow()), ACCOUNT, exist).changes == ()
