"""Evaluation: the vectors, the layers, and an independent matcher over generated policies."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssmgate.policy.evaluate import Decision, Layer, Layers, Policy, evaluate, request

INST = "arn:aws:ec2:us-east-1:111122223333:instance/i-0a1"
DOC = "arn:aws:ssm:us-east-1:111122223333:document/SSM-SessionManagerRunShell"
DOC2 = "arn:aws:ssm:us-east-1:111122223333:document/Dev-Shell"
AWSS = "arn:aws:ssm:us-east-1::document/AWS-StartSSHSession"
ACTION = "ssm:StartSession"
CHECK = "ssm:SessionDocumentAccessCheck"
TAG = "ssm:resourceTag/Env"

Rule = dict[str, Any]


def allow(resource: Any = "*", action: Any = ACTION, **more: Any) -> Rule:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(resource: Any = "*", action: Any = ACTION, **more: Any) -> Rule:
    return {**allow(resource, action, **more), "Effect": "Deny"}


def policies(*rules: Rule, version: str = "2012-10-17") -> tuple[Policy, ...]:
    text = json.dumps({"Version": version, "Statement": list(rules)})
    return (Policy.read(text, "p"),)


def decide(rules: list[Rule], context: dict[str, Any], resource: str, **layers: Any) -> Decision:
    return evaluate(request(ACTION, resource, context), Layers(policies(*rules), **layers))


INSTANCES = "arn:aws:ec2:*:*:instance/*"
P1 = [allow([INSTANCES, DOC], Condition={"BoolIfExists": {CHECK: "true"}})]
P2 = [allow([INSTANCES, DOC], Condition={"StringLike": {TAG: "dev-*"}})]
P3 = [
    allow("*", "ssm:*"),
    {"Effect": "Deny", "Action": ACTION, "NotResource": [INSTANCES, DOC2]},
    deny(Condition={"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}}),
]
MFA = {"aws:MultiFactorAuthPresent": "true"}


@pytest.mark.parametrize(
    ("rules", "context", "resource", "expected"),
    [
        (P1, {CHECK: "true"}, INST, "allowed"),
        (P1, {}, INST, "allowed"),
        (P1, {CHECK: "false"}, INST, "implicitDeny"),
        (P1, {CHECK: "true"}, DOC, "allowed"),
        (P1, {CHECK: "true"}, DOC2, "implicitDeny"),
        (P2, {TAG: "dev-1"}, INST, "allowed"),
        (P2, {TAG: "prod"}, INST, "implicitDeny"),
        (P2, {}, DOC, "implicitDeny"),
        (P3, MFA, DOC2, "allowed"),
        (P3, MFA, DOC, "explicitDeny"),
        (P3, {}, DOC2, "explicitDeny"),
        ([allow(), deny(Condition={"StringNotEquals": {TAG: "x"}})], {}, DOC, "explicitDeny"),
        (
            [allow(), deny(Condition={"StringNotLikeIfExists": {TAG: "x"}})],
            {},
            DOC,
            "explicitDeny",
        ),
        ([allow(), deny(Condition={"Null": {TAG: "true"}})], {}, DOC, "explicitDeny"),
        ([allow(), deny(Condition={"Null": {TAG: "true"}})], {TAG: "x"}, DOC, "allowed"),
        (
            [allow(Condition={"StringEquals": {"SSM:ResourceTag/env": "x"}})],
            {TAG: "x"},
            DOC,
            "allowed",
        ),
        (
            [allow("arn:aws:ssm:*:*:document/${aws:username}-Shell")],
            {"aws:username": "Dev"},
            DOC2,
            "allowed",
        ),
        (
            [allow(Condition={"StringEquals": {TAG: "${aws:username}"}})],
            {TAG: "bob", "aws:username": "alice"},
            DOC,
            "implicitDeny",
        ),
        (
            [allow(Condition={"ForAnyValue:StringLike": {"aws:TagKeys": ["a*", "b*"]}})],
            {"aws:TagKeys": ["x", "by"]},
            DOC,
            "allowed",
        ),
        (
            [allow(Condition={"DateLessThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}})],
            {"aws:CurrentTime": "2026-01-01T00:00:00Z"},
            DOC,
            "implicitDeny",
        ),
        (
            [allow(Condition={"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}})],
            {"aws:SourceIp": "198.51.100.1"},
            DOC,
            "implicitDeny",
        ),
        (
            [allow(Condition={"StringEquals": {TAG: ["a", "b"]}})],
            {TAG: "b"},
            DOC,
            "allowed",
        ),
        ([{"Effect": "Allow", "Action": ACTION, "NotResource": DOC}], {}, DOC, "implicitDeny"),
        ([{"Effect": "Allow", "NotAction": ACTION, "Resource": "*"}], {}, DOC, "implicitDeny"),
        ([allow(action="SSM:startsession")], {}, DOC, "allowed"),
        ([allow("arn:aws:ssm:*:*:document/Dev-Shel?")], {}, DOC2, "allowed"),
        ([allow("arn:aws:ssm:us-east-1:*:document/*")], {}, AWSS, "allowed"),
        ([allow("arn:aws:ssm:us-east-1::document/*")], {}, DOC, "implicitDeny"),
        ([allow("arn:aws:ssm:*:document/*:*:x")], {}, DOC, "implicitDeny"),
        ([allow("arn:aws:ssm:*:*:document/*/x:*")], {}, DOC, "implicitDeny"),
        ([allow("*", "*")], {}, "arn:aws:ssm:us-east-1:111122223333:instance/i-1", "implicitDeny"),
        ([allow("arn:aws:ssm:*:*:document/dev-shell")], {}, DOC2, "implicitDeny"),
        ([allow("arn:aws:ssm:*:*:document/${aws:nobody}")], {}, DOC2, "implicitDeny"),
        (
            [allow("arn:aws:ssm:*:*:document/${aws:username}")],
            {"aws:username": "*"},
            DOC2,
            "implicitDeny",
        ),
        ([], {}, DOC, "implicitDeny"),
    ],
)
def test_vectors(rules: list[Rule], context: dict[str, Any], resource: str, expected: str) -> None:
    if not rules:
        decision = evaluate(request(ACTION, resource, context), Layers(()))
    else:
        decision = decide(rules, context, resource)

    assert decision.eval_decision.value == expected


ALL, NONE = policies(allow("*", "*")), policies(allow("*", "s3:*"))
DENYING = policies(allow("*", "*"), deny(DOC))


@pytest.mark.parametrize(
    ("layers", "expected", "layer"),
    [
        ({}, "allowed", Layer.IDENTITY),
        ({"boundary": ALL}, "allowed", Layer.IDENTITY),
        ({"boundary": NONE}, "implicitDeny", Layer.BOUNDARY),
        ({"boundary": ()}, "implicitDeny", Layer.BOUNDARY),
        ({"boundary": DENYING}, "explicitDeny", Layer.BOUNDARY),
        ({"organizations": (ALL, ALL)}, "allowed", Layer.IDENTITY),
        ({"organizations": (ALL, NONE)}, "implicitDeny", Layer.ORGANIZATIONS),
        ({"organizations": (NONE, ALL)}, "implicitDeny", Layer.ORGANIZATIONS),
        ({"organizations": ((), ALL)}, "implicitDeny", Layer.ORGANIZATIONS),
        ({"organizations": (ALL, DENYING)}, "explicitDeny", Layer.ORGANIZATIONS),
        (
            {"organizations": (NONE,), "boundary": NONE},
            "implicitDeny",
            Layer.ORGANIZATIONS,
        ),
        ({"organizations": (NONE,), "boundary": DENYING}, "explicitDeny", Layer.BOUNDARY),
    ],
)
def test_layers(layers: dict[str, Any], expected: str, layer: Layer) -> None:
    decision = decide([allow()], {}, DOC, **layers)

    assert (decision.eval_decision.value, decision.layer) == (expected, layer)


def test_what_each_layer_says_is_reported() -> None:
    decision = decide([allow()], {}, DOC, boundary=NONE, organizations=(ALL,))

    assert decision.allowed_by_permissions_boundary is False
    assert decision.allowed_by_organizations is True
    assert decide([allow()], {}, DOC).allowed_by_organizations is None


@pytest.mark.parametrize(
    ("rules", "sids"),
    [
        ([allow(Sid="A"), allow(Sid="B"), allow(Sid="C", action="s3:*")], ["A", "B"]),
        ([allow(Sid="A"), deny(Sid="B"), deny(Sid="C")], ["B", "C"]),
        ([allow("arn:aws:ssm:*:*:document/X", Sid="A")], []),
    ],
)
def test_the_statements_that_decided(rules: list[Rule], sids: list[str]) -> None:
    assert [match.statement.sid for match in decide(rules, {}, DOC).matched] == sids


def test_missing_keys_are_told_on_an_implicit_deny_only() -> None:
    conditioned = allow(Condition={"StringEquals": {TAG: "${aws:PrincipalTag/env}"}})
    elsewhere = allow("arn:aws:s3:::${aws:userid}/*", "s3:*")
    keys = (TAG, "aws:PrincipalTag/env", "aws:userid")

    assert decide([conditioned, elsewhere], {}, DOC).missing_context == keys
    assert decide([conditioned], {TAG.upper(): "x"}, DOC).missing_context == keys[1:2]
    assert decide([conditioned, allow()], {}, DOC).missing_context == ()
    assert decide([conditioned, deny()], {}, DOC).missing_context == ()


# An independent matcher: regular expressions from the documentation's words, nothing shared.

WORDS = st.text("ab:/*?", min_size=0, max_size=4)
PARTS = st.tuples(*[st.text("ab*?", max_size=2)] * 4, WORDS)
VALUE_PARTS = st.tuples(*[st.text("ab", max_size=2)] * 4, st.text("ab:/", max_size=4))


def brute_glob(pattern: str) -> str:
    found = ""
    for char in pattern:
        found += "(?s:.)*" if char == "*" else "(?s:.)" if char == "?" else re.escape(char)
    return found


def brute_arn(pattern: str, arn: str) -> bool:
    if pattern == "*":
        return True
    first = pattern.split(":")
    second = arn.split(":")
    if len(first) < 6 or len(second) < 6:
        return False
    first = [*first[:5], ":".join(first[5:])]
    second = [*second[:5], ":".join(second[5:])]
    return all(
        re.fullmatch(brute_glob(one), other) is not None
        for one, other in zip(first, second, strict=True)
    )


@st.composite
def generated_rules(draw: st.DrawFn) -> list[Rule]:
    rules = []
    for _ in range(draw(st.integers(1, 3))):
        rule: Rule = {"Effect": draw(st.sampled_from(["Allow", "Deny"]))}
        action = draw(st.sampled_from(["a:b", "A:B", "a:*", "a:?", "*", "a:c", "b:*"]))
        rule[draw(st.sampled_from(["Action", "NotAction"]))] = action
        resource = draw(st.one_of(st.just("*"), PARTS.map(lambda p: "arn:" + ":".join(p))))
        rule[draw(st.sampled_from(["Resource", "NotResource"]))] = resource
        if draw(st.booleans()):
            operator = draw(
                st.sampled_from(
                    ["StringEquals", "StringNotEquals", "StringLike", "StringNotLike", "Null"]
                )
            )
            value = draw(st.sampled_from(["true", "false"] if operator == "Null" else ["a", "a*"]))
            rule["Condition"] = {operator: {draw(st.sampled_from(["k:k", "K:K"])): value}}
        rules.append(rule)
    return rules


def brute(rules: list[Rule], arn: str, key: str | None) -> str:
    answers = set()
    for rule in rules:
        pattern = rule.get("Action", rule.get("NotAction"))
        hit = re.fullmatch(brute_glob(pattern), "a:b", re.IGNORECASE) is not None
        if hit is ("NotAction" in rule):
            continue
        if brute_arn(rule.get("Resource", rule.get("NotResource")), arn) is ("NotResource" in rule):
            continue
        held = True
        for operator, block in rule.get("Condition", {}).items():
            (value,) = block.values()
            if operator == "Null":
                held = (key is None) == (value == "true")
            elif operator == "StringEquals":
                held = key == value
            elif operator == "StringNotEquals":
                held = key != value
            elif operator == "StringLike":
                held = key is not None and re.fullmatch(brute_glob(value), key) is not None
            else:
                held = key is None or re.fullmatch(brute_glob(value), key) is None
        if held:
            answers.add(rule["Effect"])
    if "Deny" in answers:
        return "explicitDeny"
    return "allowed" if "Allow" in answers else "implicitDeny"


@settings(max_examples=400, deadline=None)
@given(
    generated_rules(),
    VALUE_PARTS.map(lambda p: "arn:" + ":".join(p)),
    st.sampled_from([None, "a", "ab", "b"]),
)
def test_agrees_with_an_independent_matcher(rules: list[Rule], arn: str, key: str | None) -> None:
    context = {} if key is None else {"k:k": key}
    decision = evaluate(request("a:b", arn, context), Layers(policies(*rules)))

    assert decision.eval_decision.value == brute(rules, arn, key)
