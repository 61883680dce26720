"""What the audit answers, as tables of policies and answers."""

import json
import random

import pytest

from ssmgate.policy_language import Policies
from ssmgate.policy_language.decide import decide
from ssmgate.policy_language.document import parse_policy
from ssmgate.policy_language.patterns import PolicyKind
from ssmgate.policy_tools.audit import Auditor, Bound, Status
from ssmgate.policy_tools.gaad import Account, read_accounts
from ssmgate.policy_tools.inventory import Level, Organization
from ssmgate.policy_tools.questions import Scope, questions
from ssmgate.policy_tools.run import Audit
from unit.policy_tools.accounts import ACCOUNT, answer, document, managed, principal, statement

HERE = f"arn:aws:ssm:us-east-1:{ACCOUNT}"
NODES = f"arn:aws:ec2:us-east-1:{ACCOUNT}:instance/*"
SSH = "arn:aws:ssm:us-east-1::document/AWS-StartSSHSession"
CHECK = "ssm:SessionDocumentAccessCheck"
NODE = statement(resource=NODES)
IF_CHECKED = {"BoolIfExists": {CHECK: "true"}}


def account(tmp_path, *principals, **more):
    users = [one for one in principals if "UserName" in one]
    roles = [one for one in principals if "RoleName" in one]
    path = tmp_path / "account.json"
    path.write_text(json.dumps(answer(users, roles=roles, **more)))
    (found,) = read_accounts([str(path)], lambda _: True)
    assert isinstance(found, Account)
    assert not found.problems
    return found


REGION = Scope("us-east-1")


def standing(tmp_path, *statements, scope=REGION, levels=(), kind="user", **more):
    one = principal(kind, "ann", *statements, **more)
    found = account(tmp_path, one)
    auditor = Auditor(found, questions(found, scope), levels)
    return auditor.standing(found.principals[0])


def answers(found):
    return {one.name: (one.certainty.value, one.condition) for one in found.documents}


STATUS = {
    "nothing": ([], Status.NONE, None, False),
    "another action": ([statement(action="ssm:GetDocument")], Status.NONE, None, False),
    "everything": ([statement(action="*")], Status.ALLOWED, Bound.UNBOUND, True),
    "everything but IAM": (
        [{"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}],
        *(Status.ALLOWED, Bound.UNBOUND, True),
    ),
    "every session, checked": (
        [statement(condition=IF_CHECKED)],
        *(Status.ALLOWED, Bound.BOUND, True),
    ),
    "denied": ([statement(), statement("Deny", "*")], Status.DENIED, None, False),
    "a document and no node": (
        [statement(resource=f"{HERE}:document/Team")],
        *(Status.NONE, None, False),
    ),
    "a node and no document": ([NODE], Status.ALLOWED, Bound.UNBOUND, False),
    "a node, checked, and no document": (
        [statement(resource=NODES, condition=IF_CHECKED)],
        *(Status.NONE, Bound.BOUND, False),
    ),
    "a document and a node": (
        [statement(resource=[f"{HERE}:document/Team", NODES], condition=IF_CHECKED)],
        *(Status.ALLOWED, Bound.BOUND, False),
    ),
    "every node but EC2 instances": (
        [statement(), statement("Deny", resource=NODES)],
        *(Status.ALLOWED, Bound.UNBOUND, True),
    ),
    "managed instances": (
        [statement(resource=[f"{HERE}:document/Team", f"{HERE}:managed-instance/*"])],
        *(Status.ALLOWED, Bound.UNBOUND, False),
    ),
    "ECS tasks": (
        [statement(resource=[f"{HERE}:document/Team", f"arn:aws:ecs:*:{ACCOUNT}:task/*"])],
        *(Status.ALLOWED, Bound.UNBOUND, False),
    ),
    "only one node": (
        [statement(resource=[f"{NODES[:-1]}i-0123", f"{HERE}:document/Team"])],
        *(Status.ALLOWED, Bound.UNBOUND, False),
    ),
    "nodes with a tag": (
        [statement(condition={"StringEquals": {"ssm:resourceTag/env": "dev"}})],
        *(Status.UNKNOWN, Bound.UNKNOWN, False),
    ),
    "another region": (
        [statement(resource=NODES.replace("us-east-1", "eu-west-1"))],
        *(Status.NONE, None, False),
    ),
}


@pytest.mark.parametrize("case", STATUS)
def test_finds_status_of_principal(case, tmp_path):
    statements, status, bound, allowed_any = STATUS[case]
    found = standing(tmp_path, *statements)
    assert (found.status, found.bound, found.allowed_any) == (status, bound, allowed_any)


DOCUMENTS = {
    "named document": (
        [statement(resource=f"{HERE}:document/Team"), NODE],
        {"Team": ("allowed", ""), "SSM-SessionManagerRunShell": ("denied", "")},
    ),
    "pattern": (
        [statement(resource=f"{HERE}:document/Team-*"), NODE],
        {"Team-*": ("allowed", ""), "*": ("denied", "")},
    ),
    "document of AWS": (
        [statement(resource=SSH), NODE],
        {"AWS-StartSSHSession": ("allowed", ""), "AWS-PasswordReset": ("denied", "")},
    ),
    "document of AWS with an account": (
        [statement(resource=f"{HERE}:document/AWS-StartSSHSession"), NODE],
        {"AWS-StartSSHSession": ("denied", "")},
    ),
    "Bool on the node": (
        [
            statement(resource=[f"{HERE}:document/Team", SSH]),
            statement(resource=NODES, condition={"Bool": {CHECK: "true"}}),
        ],
        {
            "Team": ("unknown", f"{CHECK} is true"),
            "AWS-StartSSHSession": ("allowed", ""),
        },
    ),
    "condition": (
        [statement(condition={"StringEquals": {"aws:RequestTag/a": "b"}}), NODE],
        {"*": ("denied", "")},
    ),
    "MFA": (
        [statement(condition={"Bool": {"aws:MultiFactorAuthPresent": "true"}})],
        {"*": ("unknown", "aws:MultiFactorAuthPresent is true")},
    ),
    "unless": (
        [statement(), statement("Deny", condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}})],
        {"*": ("unknown", 'unless aws:SourceIp is in "10.0.0.0/8"')},
    ),
    "either": (
        [
            statement(condition={"Null": {"aws:SourceVpc": "true"}}),
            statement(condition={"Null": {"aws:SourceVpc": "false"}}),
        ],
        {"*": ("allowed", "")},
    ),
    "own name": (
        [statement(resource=f"{HERE}:document/${{aws:username}}"), NODE],
        {"${aws:username}": ("allowed", ""), "*": ("denied", "")},
    ),
    "own name in a pattern": (
        [statement(resource="arn:*:ssm:*:*:document/${aws:username}-*"), NODE],
        {"${aws:username}-*": ("allowed", ""), "*": ("denied", "")},
    ),
    # IAM replaces no variable before the fifth colon.
    "own account": (
        [statement(resource="arn:aws:ssm:*:${aws:PrincipalAccount}:document/Team"), NODE],
        {"*": ("denied", "")},
    ),
    "tag that the user lacks": (
        [statement(resource=f"{HERE}:document/${{aws:PrincipalTag/team}}"), NODE],
        {"${aws:PrincipalTag/team}": ("denied", "")},
    ),
    "tag that the user lacks, with a default": (
        [statement(resource=f"{HERE}:document/${{aws:PrincipalTag/team, 'all'}}"), NODE],
        {"${aws:PrincipalTag/team, 'all'}": ("allowed", "")},
    ),
}


@pytest.mark.parametrize("case", DOCUMENTS)
def test_answers_for_document(case, tmp_path):
    statements, expected = DOCUMENTS[case]
    found = answers(standing(tmp_path, *statements))
    assert {name: found[name] for name in expected} == expected


def test_resolves_variables_of_principal(tmp_path):
    own = statement(resource=f"{HERE}:document/${{aws:username}}")
    users = [principal("user", name, own, NODE) for name in ("ann", "bob")]
    found = account(tmp_path, *users)
    auditor = Auditor(found, questions(found, Scope("us-east-1", ("ann", "bob"))))
    ann, bob = (answers(auditor.standing(one)) for one in found.principals)
    assert ann == {"ann": ("allowed", ""), "bob": ("denied", ""), "*": ("denied", "")}
    assert bob["bob"] == ("allowed", "")


def test_own_document_excludes_other_names(tmp_path):
    own = statement(resource=f"{HERE}:document/${{aws:username}}")
    ann = principal("user", "ann", own, NODE)
    bob = principal("user", "bob", statement(resource=f"{HERE}:document/ann"), NODE)
    eve = principal("user", "eve", statement(resource=f"{HERE}:document/eve"), NODE)
    found = account(tmp_path, ann, bob, eve)
    auditor = Auditor(found, questions(found, REGION))
    standings = [answers(auditor.standing(one)) for one in found.principals]
    names = ("ann", "eve", "${aws:username}")
    assert [[one[name][0] for name in names] for one in standings] == [
        ["allowed", "denied", "allowed"],
        ["allowed", "denied", "denied"],
        ["denied", "allowed", "allowed"],
    ]


def test_own_document_named_by_session_tag_is_unknown(tmp_path):
    own = statement(resource=f"{HERE}:document/${{aws:PrincipalTag/team}}")
    found = standing(tmp_path, own, NODE, kind="role")
    assert answers(found)["${aws:PrincipalTag/team}"][0] == "unknown"


def test_groups_principals_with_own_documents(tmp_path):
    own = managed("own", statement(resource=[f"{HERE}:document/${{aws:username}}", NODES]))
    users = [principal("user", name, attached=[own["Arn"]]) for name in "abc"]
    (tmp_path / "a.json").write_text(json.dumps(answer(users, policies=[own])))
    audit = Audit([str(tmp_path / "a.json")], REGION, Organization())
    (report,) = audit.accounts()
    (group,) = report.groups
    assert len(group.principals) == 3
    assert audit.summary.none == 0


TAG = {"StringEquals": {"aws:PrincipalTag/team": "a"}}
TRUST = document({"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"})
TAGGING = document({"Effect": "Allow", "Principal": "*", "Action": ["sts:AssumeRole", "sts:Tag*"]})
TAGS = {
    "user with the tag": ("user", {"Tags": [{"Key": "team", "Value": "a"}]}, "allowed"),
    "user without": ("user", {}, "denied"),
    "role with the tag": (
        "role",
        {"Tags": [{"Key": "Team", "Value": "a"}], "AssumeRolePolicyDocument": TRUST},
        "allowed",
    ),
    "role without": ("role", {"AssumeRolePolicyDocument": TRUST}, "denied"),
    "role with session tags": ("role", {"AssumeRolePolicyDocument": TAGGING}, "unknown"),
    "role with an unknown trust policy": ("role", {}, "unknown"),
}


@pytest.mark.parametrize("case", TAGS)
def test_uses_tags_of_principal(case, tmp_path):
    kind, more, expected = TAGS[case]
    found = standing(tmp_path, statement(condition=TAG), kind=kind, **more)
    assert answers(found)["*"][0] == expected


def test_node_tags_that_are_given_are_known(tmp_path):
    tagged = statement(condition={"StringEquals": {"ssm:resourceTag/env": "dev"}})
    shell = statement(resource=f"{HERE}:document/*")
    for tags, expected in (({"env": "dev"}, "allowed"), ({"env": "prod"}, "denied")):
        found = standing(tmp_path, tagged, shell, scope=Scope("us-east-1", tags=tags))
        assert answers(found)["*"][0] == expected


def test_missing_policy_makes_dependent_answers_unknown(tmp_path):
    aws = "arn:aws:iam::aws:policy/AdministratorAccess"
    assert standing(tmp_path, attached=[aws]).status is Status.UNKNOWN
    assert answers(standing(tmp_path, statement(), attached=[aws]))["*"] == ("unknown", "")
    denied = standing(tmp_path, statement("Deny", "*"), attached=[aws])
    assert denied.status is Status.DENIED


def test_boundary_limits_and_missing_boundary_is_unknown(tmp_path):
    limit = managed("limit", statement(action="ec2:*"))
    bound = {"PermissionsBoundaryArn": limit["Arn"]}
    one = principal("user", "ann", statement(), PermissionsBoundary=bound)
    for policies, status in (([limit], Status.NONE), ([], Status.UNKNOWN)):
        found = account(tmp_path, one, policies=policies)
        auditor = Auditor(found, questions(found, REGION))
        assert auditor.standing(found.principals[0]).status is status


def scp(*statements):
    return parse_policy(json.dumps(document(*statements)), "scp", PolicyKind.SERVICE_CONTROL)


def test_each_level_of_service_control_policies_must_allow(tmp_path):
    everything = scp(statement(action="*"))
    levels = {
        Status.ALLOWED: ((everything,), (everything,)),
        Status.NONE: ((everything,), (scp(statement(action="ec2:*")),)),
        Status.DENIED: ((everything,), (everything, scp(statement("Deny", "ssm:*")))),
    }
    for status, held in levels.items():
        assert standing(tmp_path, statement(), levels=held).status is status


def test_service_control_policies_do_not_restrict_service_linked_roles(tmp_path):
    denies = parse_policy(
        json.dumps(document(statement("Deny", "*"))), "scp", PolicyKind.SERVICE_CONTROL
    )
    linked = f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/ssm.amazonaws.com/ann"
    other = f"arn:aws:iam::{ACCOUNT}:role/other/aws-service-role/ann"
    for arn, status in ((linked, Status.ALLOWED), (other, Status.DENIED)):
        found = standing(tmp_path, statement(), levels=((denies,),), kind="role", Arn=arn)
        assert found.status is status


def test_node_allowed_only_without_key_is_unknown(tmp_path):
    absent = {"Null": {CHECK: "true"}}
    team = statement(resource=f"{HERE}:document/Team")
    found = standing(tmp_path, team, statement(resource=NODES, condition=absent))
    assert answers(found)["Team"] == ("unknown", f"{CHECK} is absent")
    assert (found.status, found.bound) == (Status.UNKNOWN, Bound.BOUND)


def test_service_control_policies_apply_to_their_accounts_only():
    one = scp(statement())
    held = Organization((Level((one,), None), Level((one,), frozenset({ACCOUNT}))), "9" * 12)
    assert [len(held.of(a)) for a in (ACCOUNT, "4" * 12, "9" * 12)] == [2, 1, 0]


def test_principals_with_same_policies_share_answer(tmp_path):
    shell = managed("shell", statement())
    users = [principal("user", name, attached=[shell["Arn"]]) for name in "abc"]
    path = tmp_path / "a.json"
    path.write_text(json.dumps(answer(users, policies=[shell])))
    audit = Audit([str(path)], REGION, Organization())
    (report,) = audit.accounts()
    (group,) = report.groups
    assert [one.arn[-1] for one in group.principals] == ["a", "b", "c"]
    assert audit.summary.as_dict() == {
        "accounts": 1, "principals": 3, "allowed_any": 3, "unbound": 3, "denied": 0, "none": 0,
        "unknown": 0,
    }  # fmt: skip


CONDITIONS = (
    {},
    IF_CHECKED,
    {"Bool": {CHECK: "true"}},
    {"StringEquals": {"ssm:resourceTag/env": ["dev", "test"]}},
    {"StringNotEquals": {"ssm:resourceTag/env": "dev"}},
    {"Null": {"ssm:resourceTag/env": "true"}},
    {"StringLike": {"aws:PrincipalArn": "*/a*"}},
    {"StringEquals": {"aws:PrincipalTag/team": "a"}},
    {"Bool": {"aws:MultiFactorAuthPresent": "true"}},
    {"ArnLike": {"aws:userid": "arn:aws:sts::*:assumed-role/*"}},
    {"ArnNotEquals": {"aws:userid": "arn:aws:sts::*:assumed-role/*"}},
)
RESOURCES = (
    "*",
    f"{HERE}:document/Team",
    f"{HERE}:document/*",
    SSH,
    NODES,
    f"{HERE}:document/${{aws:username}}",
)


def test_masks_give_same_answers_as_interpreted_evaluator(tmp_path, request):
    draw, seen = random.Random(7), set()
    for _ in range(300 if request.config.option.full else 40):
        names = ("ann", "bob", "eve")
        users = [
            principal(
                draw.choice(("user", "role")),
                name,
                *(
                    statement(
                        draw.choice(("Allow", "Allow", "Allow", "Deny")),
                        draw.choice(("*", "ssm:StartSession", "ssm:*", "ec2:*")),
                        draw.choice(RESOURCES),
                        condition=draw.choice(CONDITIONS),
                    )
                    for _ in range(draw.randint(1, 4))
                ),
                Tags=draw.choice(([], [{"Key": "team", "Value": "a"}])),
            )
            for name in names
        ]
        found = account(tmp_path, *users)
        asked = questions(found, REGION)
        auditor = Auditor(found, asked)
        for one in found.principals:
            policies = Policies(tuple(held.policy for held in one.policies))
            expected = [decide(q.request, policies, q.knowledge).answer for q in asked.of(one)]
            got = auditor.answers(one)
            assert got == expected
            seen |= set(got)
    assert len(seen) == 3
