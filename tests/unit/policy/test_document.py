"""Parsing: strict, and with AWS's count of lines and columns."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ssmgate.policy.document import PolicyError, Position, parse
from ssmgate.policy.evaluate import Policy

ALLOW = {"Effect": "Allow", "Action": "ssm:StartSession", "Resource": "*"}


def policy(**statement: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{**ALLOW, **statement}]})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        "null",
        "{}",
        '{"Statement": []}',
        '{"Statement": ["x"]}',
        '{"Statement": 1}',
        '{"Version": "2013-01-01", "Statement": {}}',
        '{"Statement": {"Effect": "Allow", "Effect": "Deny", "Action": "*", "Resource": "*"}}',
        '{"Statements": []}',
        policy(Effect="allow"),
        policy(Effect=None),
        policy(Principal="*"),
        policy(NotAction="a:b"),
        policy(NotResource="*"),
        policy(Action=[]),
        policy(Action=""),
        policy(Action=1),
        policy(Action="StartSession"),
        policy(Resource=[]),
        policy(Resource="arn:aws:ssm"),
        policy(Resource="document/x"),
        policy(Sid=1),
        policy(Condition=[]),
        policy(Condition={"Bool": {}}),
        policy(Condition={"Bool": {"a:b": []}}),
        policy(Condition={"Bool": {"a:b": None}}),
        policy(Condition={"Bool": {"a:b": {"c": "d"}}}),
        policy(Condition={"Boolean": {"a:b": "true"}}),
        policy(Condition={"StringEquals": "x"}),
        policy(condition={}),
    ],
)
def test_malformed_policies_are_errors(text: str) -> None:
    with pytest.raises(PolicyError, match=r"."):
        Policy.read(text, "p")


def test_no_element_may_be_missing() -> None:
    for element in ALLOW:
        statement = {key: value for key, value in ALLOW.items() if key != element}
        with pytest.raises(PolicyError, match=element):
            parse(json.dumps({"Statement": statement}))


@pytest.mark.parametrize(
    ("text", "places"),
    [
        pytest.param(
            '{"Version":"2012-10-17","Statement":['
            '{"Effect":"Allow","Action":"*","Resource":"*"},'
            '{"Effect":"Deny","Action":"*","Resource":"*"}]}',
            [((1, 38), (1, 84)), ((1, 84), (1, 130))],
            id="one line",
        ),
        pytest.param(
            '{\n  "Statement": [\n    {\n      "Effect": "Allow",\n      "Action": "*",\n'
            '      "Resource": "*"\n    },\n    {\n      "Effect": "Deny",\n      "Action": "*",\n'
            '      "Resource": "*"\n    }\n  ]\n}',
            [((2, 17), (7, 6)), ((7, 6), (12, 6))],
            id="pretty: the start is on the line above",
        ),
        pytest.param(
            '{"Id": "]{", "Statement": {"Effect":"Allow","Action":"*","Resource":"*"}}',
            [((1, 26), (1, 73))],
            id="a single statement, brackets in a string",
        ),
    ],
)
def test_positions(text: str, places: list[tuple[tuple[int, int], tuple[int, int]]]) -> None:
    assert [(s.start, s.end) for s in parse(text).statements] == [
        (Position(*start), Position(*end)) for start, end in places
    ]


def test_scalars_become_strings() -> None:
    document = parse(policy(Condition={"Bool": {"a:b": True}, "NumericEquals": {"c:d": [1, 2.5]}}))

    assert [c.values for c in document.statements[0].conditions] == [("true",), ("1", "2.5")]
