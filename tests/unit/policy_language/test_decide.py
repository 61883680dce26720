"""Decisions with unknown context keys, against every completion over small sets of values."""

import collections
import itertools
import json
import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugins.examples import examples
from plugins.notes import note
from ssmgate.gate.decision.wildcards import Wildcard
from ssmgate.policy_language import Context, Policies, Request, parse_policy
from ssmgate.policy_language.decide import Certainty, decide
from ssmgate.policy_language.knowledge import Knowledge, Part, intersect
from ssmgate.policy_language.variables import Version, parse_template
from unit.policy_language import bruteforce
from unit.policy_language.test_bruteforce import (
    KEYS,
    arns,
    cases,
    conditions,
    incomplete,
    with_variables,
)

VALUES = [
    *(None, "a", "b", "ab", "AB", "true", "1", "", ["a"], ["a", "b"], ["true", "1"]),
    *("10.0.0.1", "2030-01-01", "YQ==", "arn:aws:ssm:r1:1:a", "arn:aws:ec2:r2:12:a/b"),
]


def knowing(unknown):
    names = {key.lower() for key in unknown}
    return Knowledge(is_absent=lambda key: key.lower() not in names)


def ours(request, identity, boundary, levels, unknown):
    def parse(policy):
        return parse_policy(json.dumps(policy))

    context = {k: v for k, v in request["context"].items() if k.lower() not in unknown}
    return decide(
        Request(request["action"], request["resource"], Context(context)),
        Policies(
            tuple(map(parse, identity)),
            parse(boundary) if boundary else None,
            tuple(tuple(map(parse, level)) for level in levels),
        ),
        knowing(unknown),
    )


def combinations(values, keys, most):
    """Return all combinations of values, or `most` of them that are always the same."""
    if len(values) ** keys <= most:
        return itertools.product(values, repeat=keys)
    chosen = random.Random(0)
    return [tuple(chosen.choices(values, k=keys)) for _ in range(most)]


def completed(request, unknown, values):
    """Return every decision that values for the unknown keys give."""
    context = {k: v for k, v in request["context"].items() if k.lower() not in unknown}
    for combination in combinations(values, len(unknown), examples(150)):
        given_ = {k: v for k, v in zip(unknown, combination, strict=True) if v is not None}
        yield request | {"context": context | given_}


def mentioned(policies):
    """Return values that match the conditions of the policies."""
    texts = re.findall(r'"([^"]*)"', json.dumps([p["Statement"] for p in policies if p]))
    found = dict.fromkeys(re.sub(r"\$\{[^}]*\}|/[0-9]+$", "", text) for text in texts)
    return [text.replace("*", "").replace("?", "a") for text in found]


def agreed(request, layers, unknown, original):
    identity, boundary, levels = layers
    values = [*VALUES, *original, *mentioned([*identity, boundary, *itertools.chain(*levels)])]
    values = [value for n, value in enumerate(values) if value not in values[:n]]
    decisions = {bruteforce.decide(one, *layers) for one in completed(request, unknown, values)}
    return {"allowed" if decision == "allowed" else "denied" for decision in decisions}


SEEN = collections.Counter()


def assert_same_answers(request, layers, unknown):
    """Compare our answer with that of every completion, and count it."""
    original = [value for key, value in request["context"].items() if key.lower() in unknown]
    expected = agreed(request, layers, unknown, original)
    decision = ours(request, *layers, unknown)
    SEEN[decision.answer] += 1
    if decision.answer is Certainty.UNKNOWN:
        SEEN["needless"] += len(expected) == 1
        assert set(map(str.lower, decision.keys)) <= set(unknown)
        assert decision.keys or decision.two_readings
        return
    assert expected == {decision.answer.value}


unknowns = st.lists(
    st.sampled_from([key.lower() for key in [*KEYS, "x:y"]]), min_size=1, max_size=3, unique=True
)


names = st.one_of(st.just("*"), with_variables(st.sampled_from(["a", "/", "b", "*"])).filter(bool))
resources = st.just("*") | incomplete | st.builds("arn:aws:*:*:*:{}".format, names)


@st.composite
def layers_of(draw, context):
    """Draw policies whose statements are about the request, but for variables and conditions."""

    def policy(effects):
        statements = [
            {
                "Effect": draw(st.sampled_from(effects)),
                "Action": "*",
                draw(st.sampled_from(["Resource"] * 4 + ["NotResource"])): draw(resources),
                "Condition": draw(conditions(context)),
            }
            for _ in range(draw(st.integers(1, 3)))
        ]
        return {"Version": "2012-10-17", "Statement": statements}

    return (
        [policy(["Allow", "Allow", "Deny"]) for _ in range(draw(st.integers(1, 2)))],
        draw(st.none() | st.builds(policy, st.just(["Allow"]))),
        [[policy(["Allow", "Allow", "Allow", "Deny"])] for _ in range(draw(st.integers(0, 1)))],
    )


@st.composite
def cases_about_keys(draw):
    context = {}
    layers = draw(layers_of(context))
    return {"action": "x:Do", "resource": draw(arns), "context": context}, *layers


def test_known_answers_hold_for_every_completion():
    @settings(max_examples=examples(300), deadline=None)
    @given(cases() | cases_about_keys(), unknowns)
    def check(case, unknown):
        request, *layers = case
        assert_same_answers(request, layers, unknown)

    SEEN.clear()
    check()
    report("sets of policies")


@pytest.mark.parametrize("value", ["", "x", "arn:aws:ssm::", "*"])
def test_condition_with_variable_that_is_not_arn_allows_nothing(value):
    condition = {"ArnNotEquals": {"a:Two": "${a:One}"}}
    allow = {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": condition}
    policy = {"Version": "2012-10-17", "Statement": [allow]}
    context = {"a:Two": "arn:aws:ssm:::a", "a:One": value}
    request = {"action": "x:Do", "resource": "arn:aws:ssm:::a", "context": context}

    assert ours(request, [policy], None, [], []).answer is Certainty.DENIED
    assert_same_answers(request, [[policy], None, []], [])


def test_known_answers_hold_for_single_conditions():
    @settings(max_examples=examples(400), deadline=None)
    @given(st.data(), unknowns)
    def check(data, unknown):
        context = {}
        elements = [data.draw(conditions(context)) for _ in range(2)]
        request = {"action": "x:Do", "resource": data.draw(arns), "context": context}
        effects = data.draw(st.sampled_from([("Allow", "Allow"), ("Allow", "Deny"), ("Deny",) * 2]))
        statements = [
            {"Effect": effect, "Action": "*", "Resource": "*", "Condition": element}
            for effect, element in zip(effects, elements, strict=True)
        ]
        if effects == ("Deny", "Deny"):
            statements.append({"Effect": "Allow", "Action": "*", "Resource": "*"})
        policy = {"Version": "2012-10-17", "Statement": statements}
        assert_same_answers(request, [[policy], None, []], unknown)

    SEEN.clear()
    check()
    report("pairs of conditions")


def report(what):
    unknown, needless = SEEN[Certainty.UNKNOWN], SEEN["needless"]
    known = SEEN[Certainty.ALLOWED] + SEEN[Certainty.DENIED]
    share = f"{needless / unknown:.1%}" if unknown else "none"
    note(
        f"{what} with unknown keys: {unknown + known} cases, {unknown} unknown, {needless} of them"
        f" needlessly ({share})"
    )
    assert known


HERE = "arn:aws:ssm:us-east-1:111122223333:document/Shell"
ALLOW = {"Effect": "Allow", "Action": "ssm:StartSession", "Resource": "*"}
DENY = ALLOW | {"Effect": "Deny"}
DENY_ALL_BUT = {"Effect": "Deny", "Action": "ssm:StartSession"}
TEAM = "ssm:resourceTag/team"


def when(operator, key, values):
    return {"Condition": {operator: {key: values}}}


OWN_TEAM = when("StringEquals", TEAM, "${aws:PrincipalTag/team}")
ROLE = "arn:aws:iam::111122223333:role"
SSO = f"{ROLE}/aws-reserved/sso.amazonaws.com/"


def decided(*statements, resource=HERE, absent=(), shapes=None, **context):
    policy = parse_policy(json.dumps({"Version": "2012-10-17", "Statement": statements}))
    return decide(
        Request("ssm:StartSession", resource, Context({TEAM: "blue"} | context)),
        Policies((policy,)),
        Knowledge(is_absent=lambda key: key.lower() in absent, shapes=shapes or {}),
    )


@pytest.mark.parametrize(
    ("statements", "answer", "keys"),
    [
        pytest.param([ALLOW | OWN_TEAM], "unknown", ["aws:PrincipalTag/team"], id="variable"),
        pytest.param(
            [ALLOW | {"Resource": "arn:aws:ssm:*:*:document/${aws:username}"}],
            "unknown", ["aws:username"], id="variable in Resource",
        ),
        pytest.param(
            [ALLOW | {"Resource": "arn:aws:ssm:*:*:document/${a:absent, 'S'}${aws:username}"}],
            "unknown", ["aws:username"], id="variable after one with a default",
        ),
        pytest.param(
            [ALLOW | {"Resource": "arn:aws:ssm:*:*:document/x-${aws:username}"}],
            "denied", [], id="literal part that differs",
        ),
        pytest.param(
            [ALLOW | when("StringLike", TEAM, "red-${aws:username}")],
            "denied", [], id="value whose literal part differs",
        ),
        pytest.param(
            [ALLOW, DENY_ALL_BUT | {"NotResource": "arn:aws:ssm:*:*:document/${aws:username}"}],
            "unknown", ["aws:username"], id="variable in NotResource",
        ),
        pytest.param([ALLOW, DENY | when("Bool", "a:b", "true")], "unknown", ["a:b"], id="deny"),
        pytest.param(
            [ALLOW | when("Null", "a:b", "true"), ALLOW | when("Null", "a:b", "false")],
            "allowed", [], id="absent or present",
        ),
        pytest.param(
            [ALLOW | when("StringEquals", "a:b", "c"), ALLOW | when("StringNotEquals", "a:b", "c")],
            "unknown", ["a:b"], id="neither holds for a multivalued key",
        ),
        pytest.param(
            [ALLOW | when("StringEquals", "a:b", "c"), DENY | when("StringEquals", "a:b", "c")],
            "denied", [], id="denied where it is allowed",
        ),
        pytest.param(
            [ALLOW | when("StringEquals", "a:b", "c"), DENY | when("StringLike", "a:b", "*")],
            "denied", [], id="denied by a wildcard where it is allowed",
        ),
        pytest.param(
            [ALLOW, DENY, ALLOW | when("Bool", "a:b", "true")], "denied", [], id="denied anyway"
        ),
    ],
)  # fmt: skip
def test_names_keys_that_answer_depends_on(statements, answer, keys):
    decision = decided(*statements, absent={"a:absent"})

    assert (decision.answer.value, list(decision.keys)) == (answer, keys)


def test_key_known_to_be_absent_is_not_unknown():
    assert decided(ALLOW | OWN_TEAM, absent={"aws:principaltag/team"}).answer is Certainty.DENIED
    assert (
        decided(ALLOW | OWN_TEAM, **{"aws:PrincipalTag/team": "blue"}).answer is Certainty.ALLOWED
    )


def test_names_incomplete_arn_with_two_readings():
    decision = decided(ALLOW | {"Resource": "arn:aws:ssm:*:document/Shell"})

    assert (decision.answer, decision.keys) == (Certainty.UNKNOWN, ())
    assert decision.two_readings == ("arn:aws:ssm:*:document/Shell",)


@pytest.mark.parametrize(
    ("operator", "text", "answer"),
    [
        ("ArnLike", f"{SSO}*AWSReservedSSO_Ops_0123", "allowed"),
        ("ArnLike", f"{ROLE}/*/AWSReservedSSO_Ops_*", "unknown"),
        ("ArnLike", f"{ROLE}/aws-reserved/*_Ops_*", "allowed"),
        ("ArnLike", f"{SSO}eu-west-1/AWSReservedSSO_Ops_0123", "unknown"),
        ("StringEquals", f"{SSO}AWSReservedSSO_Ops_0123", "unknown"),
        ("ArnLike", f"{ROLE}/AWSReservedSSO_Ops_*", "denied"),
        ("ArnEquals", f"{SSO}*AWSReservedSSO_Dev_*", "denied"),
        ("StringLike", f"{SSO}??-*-?/AWSReservedSSO_Ops_????", "unknown"),
        ("StringEquals", f"{ROLE}/Ops", "denied"),
        ("StringNotEquals", f"{ROLE}/Ops", "allowed"),
        ("ArnNotLike", f"{SSO}*", "denied"),
    ],
)
def test_value_of_known_shape_decides_pattern(operator, text, answer):
    shape = (*SSO, Part.PATH, *"AWSReservedSSO_Ops_0123")

    decision = decided(
        ALLOW | when(operator, "aws:PrincipalArn", text), shapes={"aws:principalarn": shape}
    )

    assert decision.answer.value == answer


@pytest.mark.parametrize(
    ("operator", "text", "shape", "answer"),
    [
        # What has fewer than six parts may be an ARN or not.
        ("ArnLike", "arn:aws:sts::*:assumed-role/*", "AROAEXAMPLE:*", "denied"),
        ("ArnNotEquals", "arn:aws:sts::*:assumed-role/*", "AROAEXAMPLE:*", "denied"),
        ("ArnLike", "*", "AROAEXAMPLE:*", "denied"),
        ("ArnLike", "arn:aws:sts::*:assumed-role/*", "arn:aws:*", "unknown"),
        ("ArnLike", "arn:aws:sts::*:assumed-role/*", "arn:aws:iam:*", "denied"),
        ("ArnLike", "arn:aws:sts::*:assumed-role/*", "*:session", "unknown"),
        ("ArnLike", "*", "arn:aws:*", "unknown"),
    ],
)
def test_shape_with_fewer_parts_than_arn_decides_pattern(operator, text, shape, answer):
    pieces = tuple(Wildcard.ANY if one == "*" else one for one in shape)

    decision = decided(ALLOW | when(operator, "aws:userid", text), shapes={"aws:userid": pieces})

    assert decision.answer.value == answer


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [
        ("", "", True),
        ("a", "", False),
        ("*", "", True),
        ("a*", "*b", True),
        ("a*c", "*b*", True),
        ("a?", "?b", True),
        ("a?", "ab?", False),
        ("??", "\U00010400", True),
        ("?", "\U00010400", False),
        ("\U00010400", "\U00010401", False),
        ("*a", "*b", False),
    ],
)
def test_finds_whether_some_text_matches_all_patterns(first, second, both):
    patterns = [parse_template(text, Version.V2012).resolve(Context()) for text in (first, second)]

    assert intersect(*patterns) is both
    assert intersect(*reversed(patterns)) is both
