"""Each rule: a policy that it finds, and the nearest one that it does not find."""

import json
import re

import pytest

from ssmgate.policy_language import PolicyKind, parse_policy
from ssmgate.policy_tools.document_content import beside_run_as, contents, preferences, run_as
from ssmgate.policy_tools.finding_rules import CHECKS, RULES
from ssmgate.policy_tools.findings import find
from ssmgate.policy_tools.problem import InputError
from unit.policy_tools.accounts import ACCOUNT, document, statement

HERE = f"arn:aws:ssm:us-east-1:{ACCOUNT}"
SSH = "arn:aws:ssm:us-east-1::document/AWS-StartSSHSession"
NODES = f"arn:aws:ec2:us-east-1:{ACCOUNT}:instance/*"
TEAM = f"{HERE}:document/Team"
CHECK = "ssm:SessionDocumentAccessCheck"
IF_CHECKED = {"BoolIfExists": {CHECK: "true"}}
CHECKED = statement(resource=[TEAM, NODES], condition=IF_CHECKED)
CHANNEL = statement(action="ssmmessages:OpenDataChannel")
TAG = {"StringEquals": {"ssm:resourceTag/env": "dev"}, **IF_CHECKED}


def both(code, wrong, right):
    return pytest.param(code, wrong, right, id=f"{code}-{len(IDS)}-{IDS.append(code)}")


IDS = []
TABLE = [
    both("SG001", [statement(resource=NODES)], [CHECKED]),
    both("SG001", [statement(resource=NODES)], [statement(resource=TEAM)]),
    both("SG001", [statement(resource=f"{HERE}:managed-instance/mi-*")], [statement("Deny")]),
    both("SG001", [{"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}], []),
    *(
        both("SG001", [statement(resource=NODES), one], [statement(resource=NODES), other])
        for one, other in (
            (
                statement("Deny", condition={"Bool": {CHECK: "true"}}),
                statement("Deny", condition={"Bool": {CHECK: "false"}}),
            ),
            (
                statement("Deny", resource=NODES.replace("us-east-1", "eu-west-1")),
                statement("Deny", resource=NODES),
            ),
            (
                statement("Deny", condition={"Bool": {"aws:MultiFactorAuthPresent": "false"}}),
                statement("Deny", condition={"StringNotEqualsIfExists": {CHECK: "true"}}),
            ),
            (
                statement("Deny", resource=NODES.replace("*", "i-0123456789abcdef0")),
                statement("Deny", resource="arn:aws:ec2:*:*:instance/*"),
            ),
        )
    ),
    # The Deny is about nodes of one account and of one kind.
    both(
        "SG001", [statement(), statement("Deny", resource=NODES)], [statement(), statement("Deny")]
    ),
    both("SG002", [statement(condition=IF_CHECKED)], [CHECKED]),
    both(
        "SG002",
        [statement(), statement("Deny", resource=f"{HERE}:document/Secret")],
        [statement(), {"Effect": "Deny", "Action": "ssm:*", "NotResource": [TEAM, NODES]}],
    ),
    both(
        "SG002",
        [statement(), {"Effect": "Deny", "Action": "ssm:*", "NotResource": f"{HERE}:document/*"}],
        [statement(), statement("Deny", resource="arn:aws:ssm:*:*:document/*")],
    ),
    both("SG002", [statement(resource=f"{HERE}:document/*")], [statement(resource=NODES)]),
    both(
        "SG003",
        [statement(resource=[SSH, TEAM])],
        [statement(resource=[SSH, f"{HERE}:document/Other"]), statement("Deny", resource=TEAM)],
    ),
    both(
        "SG003",
        [statement(resource=SSH), statement(resource=f"{HERE}:document/T*")],
        [statement(), statement("Deny", resource=SSH)],
    ),
    both(
        "SG004",
        [statement(resource="arn:aws:ssm:*::document/AWS-StartPortForwardingSessionTo*")],
        [statement(resource="arn:aws:ssm:*::document/AWS-StartPortForwardingSession")],
    ),
    both(
        "SG005",
        [statement(resource="*"), statement("Deny", resource=TEAM)],
        [CHECKED, statement("Deny", resource=TEAM)],
    ),
    both(
        "SG006",
        [statement(resource=[TEAM, NODES], condition=TAG)],
        [statement(resource=NODES, condition=TAG), statement(resource=TEAM)],
    ),
    both("SG007", [statement(action="ssm:Send*")], [statement("Deny", "ssm:SendCommand")]),
    both(
        "SG007",
        [statement(action="*"), statement("Deny", "ssm:SendCommand")],
        [statement(action="ssm:Send*"), statement("Deny", "ssm:SendCommand")],
    ),
    both(
        "SG007",
        [statement(action="ssm:Send*"), statement("Deny", "ssm:SendCommand", condition=TAG)],
        [statement(action="ssm:Send*"), {"Effect": "Deny", "NotAction": "s3:*", "Resource": "*"}],
    ),
    both(
        "SG008",
        [statement(action="ssm:*"), statement("Deny", "ssm:UpdateDocument")],
        [statement(action="ssm:*"), statement("Deny", ["ssm:Update*", "ssm:DeleteDocument"])],
    ),
    both(
        "SG010",
        [statement(action="ssm:*"), statement("Deny", "ssm:ResumeSession")],
        [statement(action="ssm:*"), statement("Deny", ["ssm:ResumeSession", "ssm:Term*"])],
    ),
    both("SG007", [statement(action="ecs:ExecuteCommand")], [statement(action="ecs:ListTasks")]),
    both(
        "SG008",
        [statement(action="ssm:UpdateDocument")],
        [statement(action="ssm:UpdateDocument", resource=TEAM)],
    ),
    both(
        "SG009",
        [statement(resource=NODES, condition=TAG), statement(action="ec2:CreateTags")],
        [CHECKED, statement(action="ec2:CreateTags")],
    ),
    both(
        "SG010",
        [statement(action="ssm:ResumeSession", resource=f"{HERE}:session/*")],
        [statement(action="ssm:ResumeSession", resource=f"{HERE}:session/${{aws:userid}}-*")],
    ),
    both(
        "SG011",
        [statement(resource=NODES, condition={"Bool": {CHECK: "true"}})],
        [CHECKED],
    ),
    both(
        "SG011",
        [statement(resource=NODES, condition={"StringEquals": {CHECK: "true"}})],
        [statement(resource=NODES, condition={"Bool": {CHECK: "false"}})],
    ),
    both("SG012", [CHECKED, statement(resource=NODES)], [CHECKED, CHECKED]),
    both(
        "SG012",
        [CHECKED, statement(), statement("Deny", resource=NODES)],
        [
            CHECKED,
            statement(resource=NODES),
            statement("Deny", condition={"Bool": {CHECK: "false"}}),
        ],
    ),
    both(
        "SG013",
        [statement(resource=f"{HERE}:document/AWS-StartSSHSession")],
        [statement(resource="arn:aws:ssm:us-east-1::document/AWS-StartSSHSession")],
    ),
    both("SG015", [CHECKED], [CHECKED, CHANNEL]),
    both("SG016", [statement(resource="arn:aws:ec2")], [statement(resource=NODES)]),
]


def found(statements, kind=PolicyKind.IDENTITY):
    policy = parse_policy(json.dumps(document(*statements)), kind=kind)
    return find(policy, (*CHECKS, lambda policy: beside_run_as(policy, ["Team"])))


@pytest.mark.parametrize(("code", "wrong", "right"), TABLE)
def test_finds_weakness_and_nothing_nearby(code, wrong, right):
    assert code in {one.rule.code for one in found(wrong)}
    if right:
        assert code not in {one.rule.code for one in found(right)}


WITHOUT_EFFECT = [
    {"Bool": {CHECK: "false"}},
    {"BoolIfExists": {CHECK: "false"}},
    {"Null": {CHECK: "false"}},
    {"StringLike": {CHECK: "*"}},
    {"StringNotEquals": {CHECK: "true"}},
    {"StringEquals": {CHECK: ["true", "false"]}},
]


@pytest.mark.parametrize("condition", WITHOUT_EFFECT, ids=json.dumps)
def test_condition_that_holds_where_no_document_was_checked_binds_nothing(condition):
    weak = statement(resource=NODES, condition=condition)
    one = next(one for one in found([weak]) if one.rule.code == "SG001")
    assert one.message == f"tests {CHECK}, but allows nodes where it is false"
    assert one.fix is None or "SG001" not in {each.rule.code for each in found([one.fix])}
    assert "SG011" not in {one.rule.code for one in found([weak])}
    (one,) = [one for one in found([CHECKED, weak]) if one.rule.code == "SG012"]
    assert one.statement == 1


def test_each_rule_has_a_row():
    assert {rule.code for rule in RULES} == {row.values[0] for row in TABLE} | {"SG014"}


FIXED = ("SG001", "SG011", "SG012", "SG013", "SG016")


@pytest.mark.parametrize(
    ("code", "wrong"),
    [row.values[:2] for row in TABLE if row.values[0] in FIXED and "NotAction" not in str(row)],
)
def test_fixed_policy_has_no_such_finding(code, wrong):
    (one,) = [one for one in found(wrong) if one.rule.code == code]
    assert one.fix
    fixed = [*wrong]
    fixed[one.statement] = one.fix
    assert code not in {again.rule.code for again in found(fixed)}


def test_fix_preserves_other_conditions_and_sid():
    own = statement(
        resource=NODES, condition={"StringEquals": {"aws:RequestedRegion": "us-east-1"}}
    )
    (one, *_) = found([{"Sid": "Mine", **own}])
    assert one.fix == {
        "Sid": "Mine",
        **own,
        "Condition": {**own["Condition"], **IF_CHECKED},
    }


def test_proposes_no_untried_fix_for_statement_with_variable():
    own = statement(resource=f"arn:aws:ec2:us-east-1:{ACCOUNT}:instance/${{aws:username}}")
    assert [one.fix for one in found([own]) if one.rule.code == "SG001"] == [None]


DEFAULT = "SSM-SessionManagerRunShell"
YAML = "schemaVersion: '1.0'\ninputs:\n  s3BucketName: b\n  runAsEnabled: true\n"


def get_document(content, name=DEFAULT, **more):
    text = content if isinstance(content, str) else json.dumps({"inputs": content})
    return {"Name": name, "Content": text, "DocumentType": "Session", **more}


CONTENTS = {
    "nothing": (get_document({}), ["sessions are not logged", "does not enable run-as"]),
    "no inputs": (get_document("{}"), ["sessions are not logged", "does not enable run-as"]),
    "logs to S3": (get_document({"s3BucketName": "b"}), ["does not enable run-as"]),
    "logs to CloudWatch": (
        get_document({"s3BucketName": "", "cloudWatchLogGroupName": "g", "runAsEnabled": False}),
        ["does not enable run-as"],
    ),
    "run-as in quotes": (get_document({"runAsEnabled": "true"}), ["sessions are not logged"]),
    "both": (get_document({"s3BucketName": "b", "runAsEnabled": True}), []),
    "YAML": (get_document(YAML, DocumentFormat="YAML"), []),
    "parameters": (get_document({"s3BucketName": "{{ b }}", "runAsEnabled": "{{ r }}"}), []),
    "another document": (get_document({}, name="Team"), []),
    "another type": (get_document({}, DocumentType="Command"), []),
}


@pytest.mark.parametrize("case", CONTENTS)
def test_finds_default_document_without_logging_or_run_as(case, tmp_path):
    answer, expected = CONTENTS[case]
    path = tmp_path / "document.json"
    path.write_text(json.dumps(answer))
    found_ = [one for content in contents([str(path)]) for one in preferences(content)]
    assert all(one.rule.code == "SG014" for one in found_)
    assert len(found_) == len(expected)
    assert all(text in one.message for one, text in zip(found_, expected, strict=True))


def test_names_documents_with_run_as(tmp_path):
    path = tmp_path / "documents.json"
    inputs = {"A": True, "B": "False", "C": "{{ r }}", "D": "TRUE"}
    answers = [get_document({"runAsEnabled": v}, name=name) for name, v in inputs.items()]
    path.write_text("\n".join(map(json.dumps, answers)))
    assert run_as(contents([str(path)])) == ("A", "D")


BAD_CONTENTS = {
    "a list": ([], "must be an object"),
    "list-documents": ({"DocumentIdentifiers": []}, "is it the answer of get-document?"),
    "not JSON": (get_document("{"), "is not JSON"),
    "not YAML": (get_document("a: [", DocumentFormat="YAML"), "is not YAML"),
    "an alias": (get_document("a: &a [1]\nb: *a", DocumentFormat="YAML"), "aliases"),
    "deep YAML": (get_document("[" * 2000, DocumentFormat="YAML"), "is n"),
    "a text": (get_document('"text"'), "no mapping of inputs"),
    "inputs as a list": (get_document([]), "no mapping of inputs"),
}


@pytest.mark.parametrize("case", BAD_CONTENTS)
def test_rejects_content_that_is_not_a_session_document(case, tmp_path):
    answer, message = BAD_CONTENTS[case]
    path = tmp_path / "document.json"
    path.write_text(json.dumps(answer))
    with pytest.raises(InputError, match=re.escape(message)) as raised:
        contents([str(path)])
    assert str(raised.value).startswith(str(path))
