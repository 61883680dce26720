"""Each rule: a policy that it finds, and the nearest one that it does not find."""

import json
import re
from pathlib import Path

import pytest

from ssmgate.policy_language import PolicyKind, parse_policy
from ssmgate.policy_tools.finding_rules import CHECKS, RULES
from ssmgate.policy_tools.findings import find
from unit.policy_tools.accounts import ACCOUNT, document, statement

HERE = f"arn:aws:ssm:us-east-1:{ACCOUNT}"
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
    both("SG002", [statement(condition=IF_CHECKED)], [CHECKED]),
    both("SG002", [statement(resource=f"{HERE}:document/*")], [statement(resource=NODES)]),
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
    both("SG012", [CHECKED, statement(resource=NODES)], [CHECKED, CHECKED]),
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
    return find(policy, CHECKS)


@pytest.mark.parametrize(("code", "wrong", "right"), TABLE)
def test_finds_weakness_and_nothing_nearby(code, wrong, right):
    assert code in {one.rule.code for one in found(wrong)}
    if right:
        assert code not in {one.rule.code for one in found(right)}


def test_each_rule_has_a_row_and_a_section():
    codes = {rule.code for rule in RULES}
    assert codes == {row.values[0] for row in TABLE}
    page = Path(__file__).parents[3] / "docs" / "reference" / "findings.md"
    sections = re.findall(r"^## (SG\d+) (.*)\n\n\*(\w+)\.\*", page.read_text(), re.MULTILINE)
    assert sections == [(r.code, r.name, r.severity.name.lower()) for r in RULES]


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


def test_fix_leaves_other_conditions_and_the_sid():
    own = statement(
        resource=NODES, condition={"StringEquals": {"aws:RequestedRegion": "us-east-1"}}
    )
    (one, *_) = found([{"Sid": "Mine", **own}])
    assert one.fix == {
        "Sid": "Mine",
        **own,
        "Condition": {**own["Condition"], **IF_CHECKED},
    }


def test_statement_with_a_variable_has_no_fix_that_was_not_tried():
    own = statement(resource=f"arn:aws:ec2:us-east-1:{ACCOUNT}:instance/${{aws:username}}")
    assert [one.fix for one in found([own]) if one.rule.code == "SG001"] == [None]
