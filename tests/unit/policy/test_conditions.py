"""A truth table for each operator, written from AWS's documentation.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
"""

from __future__ import annotations

import pytest

from ssmgate.policy.conditions import holds, validate
from ssmgate.policy.document import Condition, PolicyError
from ssmgate.policy.evaluate import request

ABSENT: list[str] = []
ARN = "arn:aws:sns:us-east-1:123456789012:TOPIC-ID"


def check(operator: str, values: str | list[str], present: str | list[str]) -> bool:
    texts = (values,) if isinstance(values, str) else tuple(values)
    condition = Condition(operator, "k:K", texts)
    validate(condition)
    known = {"K:k": present, "aws:username": "alice", "x:star": "*", "x:many": ["a", "b"]}
    context = request("a:b", "*", known).context
    return holds(condition, context, variables=True)


@pytest.mark.parametrize(
    ("operator", "values", "present", "held"),
    [
        ("StringEquals", "ops", "ops", True),
        ("StringEquals", "ops", "Ops", False),
        ("StringEquals", "op*", "ops", False),
        ("StringEquals", ["dev", "ops"], "ops", True),
        ("StringEquals", "ops", ABSENT, False),
        ("StringEqualsIfExists", "ops", ABSENT, True),
        ("StringEqualsIfExists", "ops", "dev", False),
        ("StringEquals", "${aws:username}", "alice", True),
        ("StringEquals", "${aws:Username}", "alice", True),
        ("StringEquals", "${aws:nobody}", "${aws:nobody}", False),
        ("StringEquals", "${aws:nobody, 'guest'}", "guest", True),
        ("StringEquals", "${x:many, 'guest'}", "guest", False),
        ("StringEquals", "a${*}${?}${$}", "a*?$", True),
        ("StringNotEquals", "ops", "dev", True),
        ("StringNotEquals", "ops", "ops", False),
        ("StringNotEquals", ["ops", "dev"], "dev", False),
        ("StringNotEquals", "ops", ABSENT, True),
        ("StringNotEqualsIfExists", "ops", ABSENT, True),
        ("StringEqualsIgnoreCase", "OPS", "ops", True),
        ("StringNotEqualsIgnoreCase", "OPS", "ops", False),
        ("StringNotEqualsIgnoreCase", "OPS", ABSENT, True),
        ("StringLike", "dev-*", "dev-1", True),
        ("StringLike", "dev-*", "Dev-1", False),
        ("StringLike", "dev-?", "dev-12", False),
        ("StringLike", "*", "", True),
        ("StringLike", "a${*}", "ab", False),
        ("StringLike", "a${*}", "a*", True),
        ("StringLike", "${x:star}", "anything", False),
        ("StringLike", "a.c", "abc", False),
        ("StringLike", "a*", "a\nb", True),
        ("StringNotLike", "dev-*", "prod-1", True),
        ("StringNotLike", "dev-*", "dev-1", False),
        ("StringNotLike", "dev-*", ABSENT, True),
        ("NumericEquals", "10", "10.0", True),
        ("NumericNotEquals", "10", "11", True),
        ("NumericNotEquals", "10", ABSENT, True),
        ("NumericLessThan", "10", "9.99", True),
        ("NumericLessThan", "10", "10", False),
        ("NumericLessThanEquals", "10", "10", True),
        ("NumericGreaterThan", "10", "11", True),
        ("NumericGreaterThanEquals", "10", "9", False),
        ("NumericLessThan", "10", "nine", False),
        ("NumericLessThan", "10", ABSENT, False),
        ("DateEquals", "2024-01-01T00:00:00Z", "1704067200", True),
        ("DateNotEquals", "2024-01-01", "2024-01-02", True),
        ("DateLessThan", "2024-01-01T00:00:00Z", "2023-12-31T23:59:59Z", True),
        ("DateLessThan", "2024-01-01T00:00:00Z", "2024-01-01T00:30:00+01:00", True),
        ("DateGreaterThan", "2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z", False),
        ("DateGreaterThanEquals", "2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z", True),
        ("DateLessThanEquals", "2024-01-01T00:00:00Z", "tomorrow", False),
        ("DateGreaterThan", "2024-01-01T00:00:00Z", ABSENT, False),
        ("Bool", "true", "true", True),
        ("Bool", "true", "True", True),
        ("Bool", "true", "false", False),
        ("Bool", "false", "yes", False),
        ("Bool", "true", ABSENT, False),
        ("Bool", "false", ABSENT, False),
        ("BoolIfExists", "true", ABSENT, True),
        ("BoolIfExists", "false", "true", False),
        ("BinaryEquals", "QmluYXJ5", "QmluYXJ5", True),
        ("BinaryEquals", "QmluYXJ5", "QmluYXJ4", False),
        ("IpAddress", "203.0.113.0/24", "203.0.113.9", True),
        ("IpAddress", "203.0.113.0/24", "203.0.114.9", False),
        ("IpAddress", "203.0.113.9", "203.0.113.9", True),
        ("IpAddress", "2001:DB8:1234:5678::/64", "2001:db8:1234:5678::1", True),
        ("IpAddress", "0.0.0.0/0", "2001:db8::1", False),
        ("IpAddress", "0.0.0.0/0", "here", False),
        ("IpAddress", "0.0.0.0/0", ABSENT, False),
        ("NotIpAddress", "203.0.113.0/24", "203.0.114.9", True),
        ("NotIpAddress", "203.0.113.0/24", "203.0.113.9", False),
        ("NotIpAddress", "203.0.113.0/24", ABSENT, True),
        ("ArnEquals", "arn:aws:sns:*:123456789012:TOPIC-*", ARN, True),
        ("ArnLike", "arn:aws:sns:us-east-1:*:TOPIC-ID", ARN, True),
        ("ArnLike", "arn:aws:sns:*:TOPIC-ID", ARN, False),
        ("ArnLike", "arn:aws:sns:us-east-1:123456789012:topic-id", ARN, False),
        ("ArnNotLike", "arn:aws:sns:*:*:TOPIC-*", ARN, False),
        ("ArnNotEquals", "arn:aws:sns:*:*:OTHER", ARN, True),
        ("ArnNotEquals", "arn:aws:sns:*:*:OTHER", ABSENT, True),
        ("ArnLike", "arn:aws:sns:*:*:*", ABSENT, False),
        ("Null", "true", ABSENT, True),
        ("Null", "true", "x", False),
        ("Null", "false", "x", True),
        ("Null", "false", ABSENT, False),
        ("ForAllValues:StringEquals", ["a", "b"], ["a", "b"], True),
        ("ForAllValues:StringEquals", ["a", "b"], ["a", "c"], False),
        ("ForAllValues:StringEquals", ["a", "b"], ABSENT, True),
        ("ForAllValues:StringNotEquals", ["a", "b"], ["c", "d"], True),
        ("ForAllValues:StringNotEquals", ["a", "b"], ["a", "d"], False),
        ("ForAnyValue:StringEquals", ["a", "b"], ["c", "b"], True),
        ("ForAnyValue:StringEquals", ["a", "b"], ["c", "d"], False),
        ("ForAnyValue:StringEquals", ["a", "b"], ABSENT, False),
        ("ForAnyValue:StringLike", "o*", ["x", "ops"], True),
        ("ForAnyValue:StringNotEquals", ["a", "b"], ["a", "c"], True),
        ("ForAnyValue:StringNotEquals", ["a", "b"], ["a", "b"], False),
        ("ForAnyValue:StringNotEquals", ["a", "b"], ABSENT, False),
        ("ForAnyValue:StringEqualsIfExists", "a", ABSENT, True),
        ("ForAllValues:NumericLessThan", "10", ["1", "2"], True),
    ],
)
def test_truth_table(
    operator: str, values: str | list[str], present: str | list[str], held: bool
) -> None:
    assert check(operator, values, present) is held


@pytest.mark.parametrize(
    ("operator", "value"),
    [
        ("StringMatches", "a"),
        ("stringequals", "a"),
        ("StringEqualsIfExistsIfExists", "a"),
        ("ForSomeValues:StringEquals", "a"),
        ("ForAllValues:Null", "true"),
        ("NullIfExists", "true"),
        ("", "a"),
        ("IfExists", "a"),
        ("Bool", "yes"),
        ("Null", "maybe"),
        ("NumericEquals", "ten"),
        ("NumericEquals", "NaN"),
        ("DateLessThan", "tomorrow"),
        ("IpAddress", "203.0.113.0/33"),
        ("BinaryEquals", "§"),
    ],
)
def test_what_is_not_known_is_an_error(operator: str, value: str) -> None:
    with pytest.raises(PolicyError, match=r"unknown|^\w+ k:K: "):
        check(operator, value, "x")


def test_the_earlier_version_has_no_variables() -> None:
    condition = Condition("StringEquals", "k:k", ("${aws:username}",))
    asked = request("a:b", "*", {"k:k": "${aws:username}", "aws:username": "alice"})

    assert holds(condition, asked.context, variables=False)
    assert not holds(condition, asked.context, variables=True)
