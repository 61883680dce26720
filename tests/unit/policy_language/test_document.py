"""Reading a policy, after
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
"""

import json

import pytest

from ssmgate.policy_language.conditions import Condition, parse_operator
from ssmgate.policy_language.document import Effect, parse_policy, policy_of
from ssmgate.policy_language.errors import PolicyError
from ssmgate.policy_language.source import Position
from ssmgate.policy_language.variables import Version

ALLOW = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}


def policy(statement=None, **elements):
    return json.dumps({"Version": "2012-10-17", "Statement": statement or [ALLOW], **elements})


def test_parses_whole_policy():
    text = """{
      "Id": "any",
      "Statement": [{
        "Sid": "One",
        "Effect": "Deny",
        "NotAction": ["ssm:StartSession", "ec2:*"],
        "NotResource": "arn:aws:ssm:*:*:document/${aws:username}",
        "Condition": {
          "Bool": {"aws:MultiFactorAuthPresent": false},
          "NumericLessThan": {"aws:MultiFactorAuthAge": [3600, 1e3, -1.50]},
          "ForAnyValue:StringLikeIfExists": {"aws:TagKeys": ["a*", "b"]}
        }
      }],
      "Version": "2012-10-17"
    }"""
    found = parse_policy(text, "PolicyInputList.1")
    assert (found.version, found.source_policy_id) == (Version.V2012, "PolicyInputList.1")
    (statement,) = found.statements
    assert (statement.sid, statement.effect) == ("One", Effect.DENY)
    assert statement.negated_action
    assert statement.actions == ("ssm:StartSession", "ec2:*")
    assert statement.negated_resource
    assert statement.resources == ("arn:aws:ssm:*:*:document/${aws:username}",)
    assert statement.conditions == (
        Condition(parse_operator("Bool"), "aws:MultiFactorAuthPresent", ("false",)),
        Condition(
            parse_operator("NumericLessThan"), "aws:MultiFactorAuthAge", ("3600", "1e3", "-1.50")
        ),
        Condition(parse_operator("ForAnyValue:StringLikeIfExists"), "aws:TagKeys", ("a*", "b")),
    )
    assert found.context_keys() == (
        "aws:username",
        "aws:MultiFactorAuthPresent",
        "aws:MultiFactorAuthAge",
        "aws:TagKeys",
    )


def test_missing_version_selects_older_language():
    found = parse_policy(json.dumps({"Statement": ALLOW | {"Resource": "arn:a:b:c:d:${x:y}"}}))
    assert found.version is Version.V2008
    assert found.context_keys() == ()


def test_lists_context_keys_once_in_any_case():
    condition = {"StringEquals": {"aws:UserName": "${AWS:username}"}}
    assert parse_policy(policy(ALLOW | {"Condition": condition})).context_keys() == (
        "aws:UserName",
    )


def test_empty_condition_is_absent():
    assert parse_policy(policy(ALLOW | {"Condition": {}})).statements[0].conditions == ()


class TestPositions:
    """Recorded answers of iam:SimulateCustomPolicy, in radkawar/stackd@9dc356f5 testdata/aws/iam:
    simulation.json, conditions.json, condition_values.json.
    """

    def spans(self, text):
        return [
            ((s.start.line, s.start.column), (s.end.line, s.end.column))
            for s in parse_policy(text).statements
        ]

    def test_finds_position_in_compact_list(self):
        text = (
            '{"Version":"2012-10-17","Statement":['
            '{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"},'
            '{"Effect":"Deny","Action":"s3:GetObject","Resource":"*"}]}'
        )
        assert self.spans(text) == [((1, 38), (1, 95)), ((1, 95), (1, 152))]

    def test_finds_position_in_list_with_spaces(self):
        text = (
            '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject",'
            ' "Resource": "*", "Condition": {"StringLike": {"aws:RequestTag/value": "a?b"}}},'
            ' {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*", "Condition":'
            ' {"StringNotLike": {"aws:RequestTag/value": "a?b"}}}]}'
        )
        assert self.spans(text)[0] == ((1, 41), (1, 165))
        assert self.spans(text)[1][0] == (1, 165)

    def test_finds_position_of_single_statement(self):
        text = (
            '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:GetObject",'
            ' "Resource": "*", "Condition": {"Bool": {"aws:RequestTag/value": "false"}}}}'
        )
        assert self.spans(text) == [((1, 41), (1, 160))]

    @pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
    def test_position_in_pretty_text_starts_on_line_above(self, newline):
        text = json.dumps(
            {"Version": "2012-10-17", "Statement": [{**ALLOW, "Sid": "UserInline"}]}, indent=2
        ).replace("\n", newline)
        assert self.spans(text) == [((3, 17), (9, 6))]

    def test_positions_are_ordered(self):
        assert Position(1, 9) < Position(2, 1)


@pytest.mark.parametrize("depth", [600, 5000])
def test_decoded_document_must_not_be_nested_too_deeply(depth: int) -> None:
    """A decoder may accept what is nested more deeply than Python functions may call themselves."""
    deep: object = "x"
    for _ in range(depth):
        deep = {"a": deep}

    with pytest.raises(PolicyError, match=r"Statement\[0\].*(nested too deeply|must be a string)"):
        policy_of({"Version": "2012-10-17", "Statement": [ALLOW | {"Condition": deep}]})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "invalid JSON"),
        ("null", "invalid JSON"),
        ("[]", "invalid JSON"),
        (policy()[:-1], "invalid JSON"),
        (policy() + "x", "invalid JSON"),
        (policy()[:-1] + ",}", "invalid JSON"),
        ('{"Statement": [' + json.dumps(ALLOW) + ",]}", "invalid JSON"),
        ("{'Statement': 1}", "invalid JSON"),
        ('{1: "x"}', "invalid JSON"),
        ("{" + '"Statement":' + "[" * 100_000, "nested too deeply"),
        (
            policy(ALLOW | {"Condition": {"NumericEquals": {"a:b": float("nan")}}}),
            "invalid JSON: NaN",
        ),
        ("{}", "missing Statement"),
        ('{"Statement": []}', "missing Statement"),
        ('{"Statement": null}', "a statement must be a JSON object"),
        ('{"Statement": ["x"]}', "a statement must be a JSON object"),
        ('{"Version":"2012-10-17","Version":"2012-10-17"}', "duplicate key 'Version'"),
        ('{"Statement": {"Effect":"Deny","Effect":"Allow"}}', "duplicate key 'Effect'"),
        (policy(Version="2013-10-17"), "'2013-10-17' must be one of"),
        (policy(Version=20121017), "Version: must be a string"),
        (policy(Statements=[]), "unknown element 'Statements'"),
        (policy(statement=ALLOW | {"Note": "x"}), r"Statement\[0\]: unknown element 'Note'"),
        (policy(statement=ALLOW | {"Principal": "*"}), "only resource-based"),
        (policy(statement=ALLOW | {"NotPrincipal": "*"}), "only resource-based"),
        (policy(statement=ALLOW | {"effect": "Deny"}), "unknown element 'effect'"),
        (policy(statement=ALLOW | {"Effect": "allow"}), "'allow' must be one of"),
        (policy(statement={"Action": "*", "Resource": "*"}), "missing Effect"),
        (policy(statement={"Effect": "Allow", "Resource": "*"}), "either Action or NotAction"),
        (policy(statement={"Effect": "Allow", "Action": "*"}), "either Resource or NotResource"),
        (policy(statement=ALLOW | {"NotAction": "iam:*"}), "either Action or NotAction"),
        (policy(statement=ALLOW | {"NotResource": "*"}), "either Resource or NotResource"),
        (policy(statement=ALLOW | {"Action": []}), "must have a value"),
        (policy(statement=ALLOW | {"Action": ["s3:GetObject", 1]}), "must be a string"),
        (policy(statement=ALLOW | {"Action": "s3"}), r"\.Action: action 's3'"),
        (policy(statement=ALLOW | {"Resource": {}}), "must be a string"),
        (policy(statement=ALLOW | {"Resource": "b/*"}), "ARN format"),
        (policy(statement=ALLOW | {"Resource": "arn:a:b:c:d:${e"}), "malformed policy variable"),
        (policy(statement=ALLOW | {"Sid": "not allowed"}), "letters and digits"),
        (policy(statement=[ALLOW | {"Sid": "A"}, ALLOW | {"Sid": "A"}]), "must be unique"),
        (policy(statement=ALLOW | {"Condition": []}), "must be an object"),
        (policy(statement=ALLOW | {"Condition": {"StringEquals": "x"}}), "must be an object"),
        (policy(statement=ALLOW | {"Condition": {"StringEquals": {}}}), "needs at least one key"),
        (policy(statement=ALLOW | {"Condition": {"Nope": {}}}), "needs at least one key"),
        (
            policy(statement=ALLOW | {"Condition": {"Nope": {"a:b": "c"}}}),
            r"Statement\[0\]\.Condition\.Nope: unknown condition operator",
        ),
        (
            policy(statement=ALLOW | {"Condition": {"StringEquals": {"a:b": []}}}),
            "must have a value",
        ),
        (
            policy(statement=ALLOW | {"Condition": {"StringEquals": {"a:b": None}}}),
            "must be a string",
        ),
        (
            policy(statement=ALLOW | {"Condition": {"StringEquals": {"a:b": ["c", ["d"]]}}}),
            "must be a string",
        ),
        (
            policy(statement=ALLOW | {"Condition": {"StringEquals": {"a:b": "c", "A:B": "d"}}}),
            "duplicate key",
        ),
    ],
)
def test_rejects_invalid_policy(text, message):
    with pytest.raises(PolicyError, match=message):
        parse_policy(text)
