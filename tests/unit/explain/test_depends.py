"""The condition keys that an allowed answer depends on."""

import json

import pytest

from ssmgate.explain.depends import with_keys
from ssmgate.explain.report import Answer, Verdict
from ssmgate.gate.decision.question import ContextEntry, Question
from ssmgate.gate.decision.reason import Reason
from ssmgate.policy_language import Policies, parse_policy

SHELL = "arn:aws:ssm:us-east-1:111122223333:document/SSM-SessionManagerRunShell"
MFA = "aws:MultiFactorAuthPresent"
QUESTION = Question(
    "arn:aws:iam::111122223333:user/ann",
    SHELL,
    (ContextEntry("aws:RequestedRegion", "string", ("us-east-1",)),),
)
ALLOWED = Answer(Verdict.ALLOWED, Reason.ALLOWED, "allowed", (QUESTION,))


def statement(effect, operator, key, value, resource="*"):
    return {
        "Effect": effect, "Action": "ssm:StartSession", "Resource": resource,
        "Condition": {operator: {key: value}},
    }  # fmt: skip


def policies(*statements):
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    text = json.dumps({"Version": "2012-10-17", "Statement": [everything, *statements]})
    return Policies((parse_policy(text, "p"),))


@pytest.mark.parametrize(
    ("one", "depends_on", "missing"),
    [
        (statement("Deny", "Bool", MFA, "false"), [MFA], [MFA]),
        (statement("Deny", "StringNotEquals", "aws:RequestedRegion", "us-east-1"),
         ["aws:RequestedRegion"], []),
        (statement("Allow", "StringEquals", "aws:RequestedRegion", "us-east-1"),
         ["aws:RequestedRegion"], []),
        # An allow that does not apply, and a statement about other resources, change nothing.
        (statement("Allow", "Bool", MFA, "true"), [], []),
        (statement("Deny", "Bool", MFA, "false", "arn:aws:ec2:*:*:instance/*"), [], []),
        (statement("Deny", "DateLessThan", "aws:CurrentTime", "2020-01-01T00:00:00Z"),
         ["aws:CurrentTime"], []),
    ],
)  # fmt: skip
def test_lists_keys_of_statements_that_cover_request(one, depends_on, missing):
    answer = with_keys(ALLOWED, policies(one), ())

    assert list(answer.depends_on) == depends_on
    assert [key.key_name for key in answer.missing] == missing
    assert answer.verdict is Verdict.ALLOWED


def test_lists_every_mentioned_key_of_policies_that_are_not_known():
    answer = with_keys(ALLOWED, None, (MFA, "aws:username", "aws:multifactorauthpresent"))

    assert answer.depends_on == (MFA, "aws:username")
    assert [key.key_name for key in answer.missing] == [MFA]


def test_denied_answer_is_unchanged():
    denied = Answer(Verdict.DENIED, Reason.IMPLICIT_DENY, "", (QUESTION,))

    assert with_keys(denied, None, (MFA,)) == denied
