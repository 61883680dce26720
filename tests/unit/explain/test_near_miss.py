"""Which statement nearly matched, and which part of it failed."""

import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssmgate.explain.near_miss import (
    ActionMiss,
    ArnPart,
    ConditionMiss,
    Difference,
    ResourceMiss,
    nearest,
)
from ssmgate.policy_language import (
    Context,
    EvalDecision,
    Layer,
    Policies,
    Request,
    evaluate,
    parse_policy,
)
from ssmgate.policy_language.conditions import Cause

SHELL = "arn:aws:ssm:us-east-1:111122223333:document/SSM-SessionManagerRunShell"
START = "ssm:StartSession"


def policies(*statements, **layers):
    text = json.dumps({"Version": "2012-10-17", "Statement": statements}, indent=1)
    return Policies((parse_policy(text, "p"),), **layers)


def explain(*statements, about=SHELL, context=None, **layers):
    request = Request(START, about, Context(context))
    return nearest(evaluate(request, policies(*statements, **layers)))


def allow(**elements):
    return {"Effect": "Allow", "Action": START, "Resource": "*", **elements}


@pytest.mark.parametrize(
    ("pattern", "part", "policy", "request_"),
    [
        (SHELL.replace("aws:", "aws-cn:"), ArnPart.PARTITION, "aws-cn", "aws"),
        (SHELL.replace(":ssm:", ":ec2:"), ArnPart.SERVICE, "ec2", "ssm"),
        (SHELL.replace("us-east-1", "eu-*"), ArnPart.REGION, "eu-*", "us-east-1"),
        (SHELL.replace("111122223333", ""), ArnPart.ACCOUNT, "", "111122223333"),
        (SHELL.replace("document/", "documents/"), ArnPart.TYPE, "documents", "document"),
        (SHELL.replace("SSM-", "ssm-"), ArnPart.NAME, "ssm-SessionManagerRunShell",
         "SSM-SessionManagerRunShell"),
        (SHELL.replace("/", ""), ArnPart.TYPE, "documentSSM-SessionManagerRunShell",
         "document/SSM-SessionManagerRunShell"),
        # Several parts differ: the first in the order of the ARN is reported.
        (SHELL.replace("us-east-1", "eu-west-1").replace("SSM-", "X-"), ArnPart.REGION,
         "eu-west-1", "us-east-1"),
    ],
)  # fmt: skip
def test_reports_first_differing_part_of_arn(pattern, part, policy, request_):
    (miss,) = explain(allow(Resource=pattern)).misses
    (failure,) = miss.failures

    assert isinstance(failure, ResourceMiss)
    assert failure.difference == Difference(part, policy, request_)


def test_reports_closest_of_several_patterns():
    close = SHELL.replace("us-east-1", "us-east-2")
    (miss,) = explain(
        allow(Resource=["arn:aws:ec2:*:*:instance/*", close, SHELL.replace("RunShell", "Nothing")])
    ).misses

    assert [failure.closest for failure in miss.failures] == [close]


def test_reports_each_failing_element():
    (miss,) = explain(
        allow(
            Action="ssm:StartSessions",
            Resource=SHELL.replace("us-east-1", "eu-west-1"),
            Condition={"StringEquals": {"aws:PrincipalTag/Team": ["ops", "dev"]}},
        ),
        context={"aws:PrincipalTag/Team": "hr"},
    ).misses

    assert [type(failure) for failure in miss.failures] == [ActionMiss, ResourceMiss, ConditionMiss]
    assert miss.failures[2] == ConditionMiss(
        "StringEquals", "aws:PrincipalTag/Team", ("ops", "dev"), ("hr",), Cause.VALUE_DIFFERENT
    )


def test_distinguishes_absent_key_from_different_value():
    (miss,) = explain(allow(Condition={"Bool": {"aws:MultiFactorAuthPresent": "true"}})).misses

    assert miss.failures[0].values is None


def test_nearest_statement_comes_first():
    misses = explain(
        allow(Sid="OtherService", Action="s3:GetObject"),
        allow(Sid="Nodes", Resource="arn:aws:ec2:*:*:instance/*"),
        allow(Sid="OtherRegion", Resource=SHELL.replace("us-east-1", "eu-west-1")),
        allow(Sid="Condition", Condition={"Bool": {"aws:MultiFactorAuthPresent": "true"}}),
    ).misses

    assert [m.place.sid for m in misses] == ["Condition", "OtherRegion", "Nodes", "OtherService"]


def test_equally_near_statements_keep_order():
    same = [
        allow(Sid=f"S{n}", Condition={"Bool": {"aws:MultiFactorAuthPresent": "true"}})
        for n in range(5)
    ]

    assert [miss.place.sid for miss in explain(*same).misses] == ["S0", "S1", "S2", "S3", "S4"]


def test_line_is_that_of_opening_brace():
    # IAM's own position of either is on the line above.
    misses = explain(allow(Sid="A", Action="s3:*"), allow(Sid="B", Action="s3:*")).misses

    assert {miss.place.sid: miss.place.line for miss in misses} == {"A": 4, "B": 10}


def test_reports_only_layers_that_do_not_allow():
    boundary = parse_policy('{"Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}}')
    misses = explain(allow(), allow(Action="s3:*"), boundary=boundary).misses

    assert {miss.layer for miss in misses} == {Layer.BOUNDARY}


def test_explicit_deny_names_statements_and_conditions():
    found = explain(
        allow(),
        allow(Effect="Deny", Sid="Named", Resource=[SHELL.replace("SSM", "X"), SHELL]),
        allow(Effect="Deny", Sid="Other", Action="s3:*"),
        {"Effect": "Deny", "Sid": "Not", "Action": "ssm:*", "NotResource": "arn:aws:ec2:*:*:*"},
    )

    assert found.misses == ()
    assert [(d.place.sid, d.action, d.resource) for d in found.denials] == [
        ("Named", START, SHELL),
        ("Not", "ssm:*", None),
    ]


# Whatever the policies are.

ARNS = [
    SHELL,
    "arn:aws:ssm:us-east-1::document/AWS-*",
    "arn:aws:ssm:*:*:document/${aws:username}",
    "arn:aws:ec2:*:*:instance/*",
    "arn:aws:ssm:eu-*:*:document/*",
    "*",
]
some = st.lists(st.sampled_from(ARNS), min_size=1, max_size=3)
statements = st.fixed_dictionaries(
    {
        "Effect": st.sampled_from(["Allow", "Allow", "Deny"]),
    }
).flatmap(
    lambda base: st.builds(
        lambda action, resource, condition: base | action | resource | condition,
        st.builds(
            lambda name, text: {name: text},
            st.sampled_from(["Action", "NotAction"]),
            st.sampled_from([START, "ssm:*", "s3:GetObject", "ssm:StartSessions", "*"]),
        ),
        st.builds(
            lambda name, texts: {name: texts}, st.sampled_from(["Resource", "NotResource"]), some
        ),
        st.sampled_from(
            [
                {},
                {"Condition": {"Bool": {"aws:MultiFactorAuthPresent": "true"}}},
                {"Condition": {"StringNotEquals": {"ssm:resourceTag/Team": "ops"}}},
                {"Condition": {"BoolIfExists": {"ssm:SessionDocumentAccessCheck": "true"}}},
            ]
        ),
    )
)
contexts = st.sampled_from(
    [
        {},
        {"aws:username": "ann"},
        {"aws:MultiFactorAuthPresent": "true", "ssm:SessionDocumentAccessCheck": "false"},
    ]
)
resources = st.sampled_from(
    [SHELL, "arn:aws:ssm:us-east-1::document/AWS-StartSSHSession", "arn:aws:ec2:r:1:instance/i-1"]
)


@settings(deadline=None)
@given(st.lists(statements, min_size=1, max_size=5), resources, contexts)
def test_reported_elements_do_fail(stated, about, context):
    evaluation = evaluate(Request(START, about, Context(context)), policies(*stated))
    found = nearest(evaluation)

    match evaluation.eval_decision:
        case EvalDecision.ALLOWED:
            assert found.misses == found.denials == ()
        case EvalDecision.EXPLICIT_DENY:
            assert found.denials
            assert found.misses == ()
            assert all(denial.match.applies for denial in found.denials)
        case EvalDecision.IMPLICIT_DENY:
            assert found.denials == ()
            assert len(found.misses) == sum(s["Effect"] == "Allow" for s in stated)
    for miss in found.misses:
        assert not miss.match.applies
        assert miss.failures
        assert miss.distance > 0
    distances = [miss.distance for miss in found.misses]
    assert distances == sorted(distances)


@settings(deadline=None)
@given(st.lists(statements, min_size=2, max_size=4), resources, contexts)
def test_ranking_is_independent_of_statement_order(stated, about, context):
    def distances(order):
        request = Request(START, about, Context(context))
        return [m.distance for m in nearest(evaluate(request, policies(*order))).misses]

    for order in itertools.permutations(stated):
        assert distances(order) == distances(stated)
