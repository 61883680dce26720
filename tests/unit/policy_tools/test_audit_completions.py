"""Definite answers of the audit, against every way in which the unknown keys may turn out.

The oracle is `bruteforce.decide`, which shares no code with the evaluators. What a request has is
listed here by hand: keys that it always has, may have, or never has.
"""

import itertools
import json
import random
from collections import Counter

from ssmgate.policy_language.document import parse_policy
from ssmgate.policy_language.patterns import PolicyKind
from ssmgate.policy_tools.audit import Auditor, Bound, Status
from ssmgate.policy_tools.gaad import read_accounts
from ssmgate.policy_tools.questions import Scope, questions
from unit.policy_language import bruteforce
from unit.policy_tools.accounts import ACCOUNT, answer, document, managed, principal
from unit.policy_tools.test_audit import CHECK, HERE, NODES, SSH, TAGGING, TRUST

SCOPE = Scope("us-east-1", ("SSM-SessionManagerRunShell", "Team", "AWS-StartSSHSession"))
ORG = {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}
CONDITIONS = (
    *({}, {}, {}),
    {"BoolIfExists": {CHECK: "true"}},
    {"Bool": {CHECK: "true"}},
    {"Bool": {CHECK: "false"}},
    {"Null": {CHECK: "true"}},
    {"StringEquals": {CHECK: "true"}},
    {"StringEquals": {"ssm:resourceTag/env": ["dev", "test"]}},
    {"StringNotEquals": {"aws:ResourceTag/env": "dev"}},
    {"StringEqualsIfExists": {"ssm:resourceTag/env": "dev"}},
    {"Null": {"ssm:resourceTag/env": "true"}},
    {"StringEquals": {"ssm:resourceTag/team": "${aws:PrincipalTag/team}"}},
    {"StringEquals": {"aws:PrincipalTag/team": "a"}},
    {"StringNotEquals": {"aws:PrincipalTag/team": "a"}},
    {"StringLike": {"aws:PrincipalArn": "*/a*"}},
    {"StringLike": {"aws:userid": "*:ann"}},
    {"StringEquals": {"aws:username": "ann"}},
    {"Null": {"aws:username": "true"}},
    {"Bool": {"aws:MultiFactorAuthPresent": "true"}},
    {"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}},
    {"NumericLessThan": {"aws:MultiFactorAuthAge": "60"}},
    {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}},
    {"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}, "Bool": {"aws:ViaAWSService": "false"}},
    {"DateGreaterThan": {"aws:CurrentTime": "2026-01-01T00:00:00Z"}},
    {"StringEquals": {"aws:RequestedRegion": "us-east-1"}},
    {"StringNotEquals": {"aws:RequestedRegion": ["us-east-1", "eu-west-1"]}},
    {"Bool": {"aws:SecureTransport": "false"}},
    *(ORG, {"StringNotEqualsIfExists": ORG["StringEquals"]}),
    {"StringEquals": {"aws:SourceVpc": "vpc-1"}},
    {"ForAnyValue:StringEquals": {"aws:CalledVia": "ssm.amazonaws.com"}},
    {"StringEquals": {"aws:RequestTag/a": "b"}},
    {"StringEquals": {"aws:PrincipalAccount": ACCOUNT}},
    {"StringEquals": {"saml:aud": "x"}},
    {"StringLike": {"aws:FederatedProvider": "*"}},
    {"ForAllValues:StringLike": {"aws:PrincipalOrgPaths": "o-1/*"}},
)
RESOURCES = (
    *("*", "*", "*"),
    f"{HERE}:document/Team",
    f"{HERE}:document/*",
    f"{HERE}:document/${{aws:username}}",
    [f"{HERE}:document/T*", NODES],
    SSH,
    NODES,
    f"arn:aws:ssm:us-east-1:{ACCOUNT}:managed-instance/*",
)
ACTIONS = ("*", "ssm:StartSession", "ssm:StartSession", "ssm:Start*", "ec2:*")
MAYBE = {
    "aws:MultiFactorAuthPresent": (None, "true", "false"),
    "aws:MultiFactorAuthAge": (None, "10", "100"),
    "aws:SourceIp": ("10.0.0.1", "192.0.2.1"),
    "aws:SourceVpc": (None, "vpc-1"),
    "aws:CurrentTime": ("2025-06-01T00:00:00Z", "2026-06-01T00:00:00Z"),
    "aws:PrincipalOrgID": (None, "o-1", "o-2"),
    "aws:PrincipalOrgPaths": (None, ["o-1/r/"], ["o-2/r/"]),
}
OF_ROLES = {
    "saml:aud": (None, "x"),
    "aws:FederatedProvider": (None, "p"),
}
ALWAYS = {
    "aws:PrincipalAccount": ACCOUNT,
    "aws:RequestedRegion": "us-east-1",
    "aws:SecureTransport": "true",
    "aws:ViaAWSService": "false",
}
TAGS = ("ssm:resourceTag/env", "aws:ResourceTag/env", "ssm:resourceTag/team")


def policy(draw, effects=("Allow", "Allow", "Allow", "Deny"), most=3):
    statements = []
    for _ in range(draw.randint(1, most)):
        one = {
            "Effect": draw.choice(effects),
            "NotAction" if draw.random() < 0.1 else "Action": draw.choice(ACTIONS),
            "NotResource" if draw.random() < 0.15 else "Resource": draw.choice(RESOURCES),
        }
        if condition := draw.choice(CONDITIONS):
            one["Condition"] = condition
        statements.append(one)
    return document(*statements)


def completions(draw, item, most):
    """Yield what requests of a principal may have, beside the keys of the target."""
    user = "UserName" in item
    name = item["UserName"] if user else item["RoleName"]
    fixed = {**ALWAYS, "aws:PrincipalArn": item["Arn"]}
    maybe = dict(MAYBE)
    tags = {one["Key"]: one["Value"] for one in item["Tags"]}
    if user:
        fixed |= {"aws:username": name, "aws:userid": item["UserId"]}
    else:
        maybe |= OF_ROLES | {"aws:userid": tuple(f"{item['RoleId']}:{x}" for x in ("ann", "x"))}
    if user or item["AssumeRolePolicyDocument"] == TRUST:
        fixed |= {f"aws:PrincipalTag/{key}": value for key, value in tags.items()}
    else:
        maybe["aws:PrincipalTag/team"] = (None, "a", "b")
    for _ in range(most):
        drawn = {key: draw.choice(values) for key, values in maybe.items()}
        env, team = draw.choice((None, "dev", "prod")), draw.choice((None, "a", "b"))
        of_node = {"ssm:resourceTag/env": env, "aws:ResourceTag/env": env}
        of_node["ssm:resourceTag/team"] = team
        own = draw.choice(((None, None), (env, team), ("dev", "a")))
        of_document = dict(zip(TAGS, (own[0], own[0], own[1]), strict=True))
        yield present(fixed | drawn), present(of_node), present(of_document)


def present(context):
    return {key: value for key, value in context.items() if value is not None}


def allowed(arn, context, layers):
    request = {"action": "ssm:StartSession", "resource": arn, "context": context}
    return bruteforce.decide(request, *layers) == "allowed"


def outcomes(asked, completion, layers):
    """Return, for one completion, which documents may be started, and whether a node is unbound."""
    context, of_node, of_document = completion
    nodes = [one.arn for one in asked.nodes]
    by_key = {
        key: [allowed(arn, present({**context, **of_node, CHECK: key}), layers) for arn in nodes]
        for key in ("true", None, "false")
    }
    found = {}
    for item in asked.documents:
        of_aws = "::document/" in item.arn
        tags = {} if of_aws else of_document
        keys = ("true",) if of_aws or item.name.startswith("SSM-") else ("true", None)
        itself = allowed(item.arn, {**context, **tags, CHECK: "true"}, layers)
        found[item.name] = {itself and any(by_key[key]) for key in keys}
    return found, any(by_key["false"]), any(by_key["true"]) or any(by_key[None])


def drawn_account(draw, tmp_path):
    users = [("user", "ann"), ("user", "bob"), ("role", "ann"), ("role", "eve")]
    limit = managed("limit", *policy(draw, ("Allow",))["Statement"])
    items, layers = [], []
    levels = [
        [policy(draw, ("Deny",), 2), document(*ANYTHING)] for _ in range(draw.choice((0, 1, 1)))
    ]
    for kind, name in users:
        own = policy(draw)
        more = {"Tags": draw.choice(([], [{"Key": "team", "Value": "a"}]))}
        if kind == "role":
            more["AssumeRolePolicyDocument"] = draw.choice((TRUST, TAGGING))
        bounded = draw.random() < 0.3
        if bounded:
            more["PermissionsBoundary"] = {"PermissionsBoundaryArn": limit["Arn"]}
        items.append(principal(kind, name, *own["Statement"], **more))
        boundary = limit["PolicyVersionList"][0]["Document"] if bounded else None
        layers.append(([own], boundary, levels))
    path = tmp_path / "a.json"
    whole = answer(
        [one for one in items if "UserName" in one],
        roles=[one for one in items if "RoleName" in one],
        policies=[limit],
    )
    path.write_text(json.dumps(whole))
    (found,) = read_accounts([str(path)], lambda _: True)
    parsed = tuple(
        tuple(parse_policy(json.dumps(one), "scp", PolicyKind.SERVICE_CONTROL) for one in level)
        for level in levels
    )
    return items, layers, found, parsed


ANYTHING = [{"Effect": "Allow", "Action": "*", "Resource": "*"}]


def test_definite_answers_hold_however_unknown_keys_turn_out(tmp_path, request):
    draw, seen = random.Random(11), Counter()
    accounts, most = (400, 40) if request.config.option.full else (30, 12)
    for _ in range(accounts):
        items, layers, account, levels = drawn_account(draw, tmp_path)
        asked = questions(account, SCOPE)
        auditor = Auditor(account, asked, levels)
        for item, of_item, one in zip(items, layers, account.principals, strict=True):
            standing = auditor.standing(one)
            answers = {found.name: found.certainty.value for found in standing.documents}
            for completion in completions(draw, item, most):
                documents, unbound, at_all = outcomes(asked, completion, of_item)
                shown = (item["Arn"], of_item, completion)
                for name, possible in documents.items():
                    if answers[name] != "unknown":
                        assert possible == {answers[name] == "allowed"}, (name, shown)
                if standing.bound in (Bound.BOUND, None):
                    assert not unbound, shown
                if standing.bound is Bound.UNBOUND:
                    assert unbound, shown
                if standing.bound is None:
                    assert not at_all, shown
                if standing.status in (Status.DENIED, Status.NONE):
                    assert not any(itertools.chain(*documents.values())), shown
            seen[standing.bound] += 1
            seen.update(answers.values())
    assert all(seen[one] > 5 for one in ("allowed", "denied", "unknown", *Bound, None)), seen
