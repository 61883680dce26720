"""The compiled evaluator against the interpreted one, over generated policies and questions."""

import collections
import json
import random

import pytest

from plugins.notes import note
from ssmgate.gate.decision.wildcards import like, pattern
from ssmgate.policy_language import Context, Policies, PolicyError, PolicyKind, Request
from ssmgate.policy_language.compiled import compile_policies
from ssmgate.policy_language.decide import Certainty, decide
from ssmgate.policy_language.document import parse_policy
from ssmgate.policy_language.knowledge import Knowledge, Part
from ssmgate.policy_language.matchers import text_set, units
from ssmgate.policy_language.patterns import arn_like

PAIRS, SHARE, QUESTIONS = 100_000, 6_000, 8

KEYS = ("a:k", "b:Key", "aws:username", "aws:PrincipalTag/team", "ssm:resourceTag/env", "z:unused")
VALUES = (
    *("a", "b", "ab", "A*", "", "true", "False", "1", "2.0", "10.0.0.1", "10.0.0.0/8", "YQ=="),
    *("2030-01-01T00:00:00Z", "arn:aws:ssm:r:1:a", "arn:aws:ec2:r:1:instance/i-1", "\U0001f600"),
    *("ß", "SS"),
)
PATTERNS = (
    *("*", "a*", "?", "a?b", "*b", "*a*b*", "${aws:username}", "x${b:Key}", "a${*}", "??"),
    *("${a:k, 'd'}", "arn:*:ssm:*:*:*", "arn:aws:ec2:r:1:instance/*", "arn:aws:*", "*:*"),
)
OPERATORS = (
    *("StringEquals", "StringNotEquals", "StringLike", "StringNotLike", "StringEqualsIgnoreCase"),
    *("StringNotEqualsIgnoreCase", "Bool", "ArnLike", "ArnNotLike", "ArnEquals", "IpAddress"),
    *("NotIpAddress", "NumericEquals", "NumericLessThan", "NumericNotEquals", "DateGreaterThan"),
    *("DateNotEquals", "BinaryEquals", "Null"),
)
ACTIONS = (
    *(
        "*",
        "*",
        "*",
        "ssm:*",
        "ssm:StartSession",
        "SSM:startsession",
        "ssm:Start*",
        "ssm:*Session",
        "ec2:*",
    ),
    *("ssm:?tartSession", "ssm:GetDocument", "s3:Get*", "iam:PassRole", "ssm:S*a*r*t*"),
)
RESOURCES = (
    *(
        "*",
        "*",
        "*",
        "arn:aws:ssm:*:*:document/*",
        "arn:aws:ssm:r:1:document/D",
        "arn:aws:ssm:r::document/*",
    ),
    *("arn:aws:ec2:*:*:instance/i-?", "arn:aws:ec2:r:1:instance/*", "arn:*:ssm:r:*:document/D?*"),
    *("arn:aws:ssm", "arn:aws:ssm:*", "arn:aws:ec2:r", "arn:aws:ssm:r:1:document/${a:k}*"),
    *("arn:aws:ssm:${b:Key}:1:document/*", "arn:aws:ec2:r:1:instance/${b:Key,'i-1'}"),
    *(
        "arn:aws:*:r:1:*",
        "arn:aws:ssm:r:1:*:x",
        "arn:aws:ssm:r:1:document/\U0001f600",
        "arn:aws:s3:::*",
    ),
    *("arn:aws:ssm:r:1:document/??", "arn:aws:ssm:r:1:session/${aws:username}-*"),
)
ASKED = (
    *(
        "*",
        "arn:aws:ssm:r:1:document/D",
        "arn:aws:ssm:r:1:document/Da",
        "arn:aws:ssm:r::document/D",
    ),
    *("arn:aws:ec2:r:1:instance/i-1", "arn:aws:ec2:s:1:instance/i-12", "arn:aws:s3:::bucket/a"),
    *(
        "arn:aws:ssm:r:1:document/\U0001f600",
        "arn:aws:ssm:r:1:document/a:x",
        "arn:aws:ssm:r:1:session/a-1",
    ),
)


def condition(draw):
    found = {}
    for _ in range(draw.choice((0, 0, 1, 1, 2))):
        base = draw.choice(OPERATORS)
        name = draw.choice(("", "", "", "ForAllValues:", "ForAnyValue:")) + base
        name += "" if base == "Null" else draw.choice(("", "", "IfExists"))
        among = VALUES if draw.random() < 0.5 else PATTERNS
        values = draw.choices(("true", "false") if base == "Null" else among, k=draw.randint(1, 3))
        found.setdefault(name, {})[draw.choice(KEYS[:-1])] = values
    return found


def policy(draw, kind=PolicyKind.IDENTITY):
    """Return a valid policy; drawn again where a value is not valid for its operator."""
    while True:
        statements = []
        for _ in range(draw.randint(1, 4)):
            action = draw.choice(("Action",) * 6 + ("NotAction",))
            resource = draw.choice(("Resource",) * 5 + ("NotResource",))
            statements.append(
                {
                    "Effect": draw.choice(("Allow",) * 5 + ("Deny",)),
                    action: draw.choices(ACTIONS, k=draw.randint(1, 3)),
                    resource: draw.choices(RESOURCES, k=draw.randint(1, 3)),
                    "Condition": condition(draw),
                }
            )
        version = draw.choice(("2012-10-17",) * 5 + ("2008-10-17",))
        try:
            return parse_policy(
                json.dumps({"Version": version, "Statement": statements}), kind=kind
            )
        except PolicyError:
            continue


def policies(draw):
    levels = draw.choice((0, 0, 0, 1, 2))
    return Policies(
        tuple(policy(draw) for _ in range(draw.randint(1, 3))),
        policy(draw) if draw.random() < 0.2 else None,
        tuple((policy(draw, PolicyKind.SERVICE_CONTROL),) for _ in range(levels)),
    )


def question(draw):
    context = {}
    for key in KEYS:
        drawn = draw.random()
        if drawn < 0.25:
            context[draw.choice((key, key.upper()))] = draw.choice(VALUES)
        elif drawn < 0.35:
            context[key] = draw.choices(VALUES, k=draw.randint(0, 3))
    unknown = {key.lower() for key in KEYS if draw.random() < 0.7}
    shapes = {"b:key": (*"arn:aws:ssm:r:1:a/", Part.PATH)} if draw.random() < 0.1 else {}
    return (
        Request(
            draw.choice(
                ("ssm:StartSession",) * 6 + ("ssm:startsession", "ssm:GetDocument", "x:Other")
            ),
            draw.choice(ASKED),
            Context(context),
        ),
        Knowledge(lambda key: key.lower() not in unknown, shapes),
    )


def test_compiled_evaluator_gives_same_answers(request):
    full = request.config.option.full
    draw, seen = random.Random(21), collections.Counter()
    for _ in range((PAIRS if full else SHARE) // QUESTIONS):
        held = policies(draw)
        fast = compile_policies(held)
        for _ in range(QUESTIONS):
            asked, knowledge = question(draw)
            expected = decide(asked, held, knowledge)
            answer = fast.decide(asked, knowledge)
            assert answer.certainty is expected.answer, (held, asked)
            if answer.certainty is Certainty.DENIED:
                denied = (expected.explicit, expected.layer)
                assert (answer.explicit, answer.layer) == denied, (held, asked)
            undecided = {id(match.statement) for match in expected.undecided}
            assert {id(one.statement) for one in answer.undecided} == undecided
            seen[answer.certainty] += 1
    note(f"compiled against interpreted: {dict(sorted((str(k), n) for k, n in seen.items()))}")
    assert min(seen[certainty] for certainty in Certainty) > sum(seen.values()) / 30


TEXTS = (
    *("", "a", "ab", "aab", "a:b", "b\nb", "\U0001f600", "x\U0001f600y", "aaaa"),
    "arn:aws:a:b:c:d:e",
)
GLOBS = (
    *("", "*", "**", "?", "??", "a*", "*a", "*a*b", "a?b", "*?", "?*?", "*a*a*", "a*:*", "x??y"),
    "\U0001f600",
)


@pytest.mark.parametrize("glob", GLOBS)
def test_compiled_pattern_matches_as_like_does(glob):
    wanted = text_set([pattern(glob)])
    assert [wanted.matches(units(t)) for t in TEXTS] == [like(pattern(glob), t) for t in TEXTS]


ARNS = (
    *("arn:aws:ssm:r:1:document/D", "arn:aws:ssm:r::document/D"),
    *("arn:aws:ec2:r:1:instance/a:b", "arn:aws:s3:::b"),
)
ARN_GLOBS = (
    *("*", "arn:*:*:*:*:*", "arn:aws:ssm:*:*:document/*", "arn:aws:*:r:?:*"),
    *("a*:aws:s*:*:*:*D", "*:*:*:*:*:*b", "arn:aws:ssm:r:1:document/D"),
    "arn:aws:ssm*:r:1:document/D",
)


@pytest.mark.parametrize("glob", ARN_GLOBS)
def test_compiled_arn_pattern_matches_part_by_part(glob):
    wanted = text_set([pattern(glob)], arns=True)
    assert [wanted.matches(t) for t in ARNS] == [arn_like(pattern(glob), t) for t in ARNS]


def test_hostile_pattern_takes_no_exponential_time():
    wanted = text_set([pattern("*a" * 60 + "*b")])
    assert not wanted.matches("a" * 20_000)
    assert text_set([pattern("*a" * 60 + "*b")]).matches("a" * 20_000 + "b")


def test_index_preserves_order_of_statements():
    texts = ["ssm:Start*", "ssm:StartSession", "*", "ssm:*"]
    held = parse_policy(
        json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {"Effect": "Allow", "Action": text, "Resource": "*", "Sid": f"s{n}"}
                    for n, text in enumerate(texts)
                ]
                + [{"Effect": "Allow", "NotAction": "ec2:*", "Resource": "*", "Sid": "s4"}],
            }
        )
    )
    ((_, (compiled,)),) = compile_policies(Policies((held,))).layers
    found = [one.statement.sid for one in compiled.statements("ssm:startsession")]
    assert found == ["s0", "s1", "s2", "s3", "s4"]
    assert [one.statement.sid for one in compiled.statements("ec2:runinstances")] == ["s2"]
