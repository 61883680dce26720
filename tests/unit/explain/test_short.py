"""The few words about the nearest statement in the error of a denied session."""

import json

import pytest

from ssmgate.explain import short
from ssmgate.explain.near_miss import nearest
from ssmgate.policy_language import Context, Policies, Request, evaluate, parse_policy

HERE = "us-east-1:111122223333"
SHELL = f"arn:aws:ssm:{HERE}:document/SSM-SessionManagerRunShell"
SSH = "arn:aws:ssm:us-east-1::document/AWS-StartSSHSession"
NODE = f"arn:aws:ec2:{HERE}:instance/i-0123456789abcdef0"
NODES = f"arn:aws:ec2:{HERE}:instance/*"
START = "ssm:StartSession"


def explained(*statements, about):
    text = json.dumps({"Version": "2012-10-17", "Statement": statements})
    context = Context({"aws:RequestedRegion": "us-east-1"})
    return nearest(evaluate(Request(START, about, context), Policies((parse_policy(text, "p"),))))


def allow(resource="*", action=START, **elements):
    return {"Effect": "Allow", "Action": action, "Resource": resource, **elements}


def when(operator, key, value):
    return {"Condition": {operator: {key: value}}}


@pytest.mark.parametrize(
    ("statement", "about", "words"),
    [
        (allow(NODES), SHELL, "allows the node, not the document"),
        (allow(f"arn:aws:ec2:{HERE}:instance/i-0other"), SHELL, "does not list the document"),
        (allow([NODES, SSH]), SHELL, "allows the node, not the document"),
        (allow(SSH), SHELL, "allows other documents, not this one"),
        (allow(SSH.replace("::", ":111122223333:")), SSH,
         "has an account ID in the ARN of AWS's document"),
        (allow(SHELL.replace(":111122223333:", "::")), SHELL,
         "lacks the account ID in the document's ARN"),
        (allow(SHELL.replace("us-east-1", "eu-west-1")), SHELL,
         "allows the document in another region"),
        (allow(SHELL.replace("SSM-", "ssm-")), SHELL, "has the document's name in another case"),
        (allow(action="ssm:StartSessions"), SHELL,
         "allows ssm:StartSessions, not ssm:StartSession"),
        ({"Effect": "Allow", "Action": START, "NotResource": SHELL}, SHELL,
         "excludes the document"),
        (allow(**when("StringEquals", "ssm:resourceTag/Env", "dev")), SHELL,
         "requires ssm:resourceTag/Env dev, which a document lacks"),
        (allow(**when("Bool", "aws:MultiFactorAuthPresent", "true")), SHELL,
         "requires aws:MultiFactorAuthPresent true, which the request lacks"),
        (allow(**when("StringEquals", "aws:RequestedRegion", "eu-west-1")), SHELL,
         "requires aws:RequestedRegion eu-west-1, not us-east-1"),
        (allow(f"arn:aws:ssm:{HERE}:document/{'${aws:username}'}"), SHELL,
         f"has a policy variable without a value: arn:aws:ssm:{HERE}:document/${{aws:username}}"),
    ],
)  # fmt: skip
def test_says_what_nearest_statement_lacks(statement, about, words):
    misses = explained(statement, about=about).misses

    assert short.miss(misses[0], about, NODE) == words


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ({}, "denies the document"),
        (when("StringNotEquals", "aws:RequestedRegion", "eu-west-1"),
         "denies the document, as aws:RequestedRegion is us-east-1"),
        (when("BoolIfExists", "aws:MultiFactorAuthPresent", "false"),
         "denies the document, as aws:MultiFactorAuthPresent is absent"),
    ],
)  # fmt: skip
def test_says_that_statement_denies(condition, words):
    deny = {"Effect": "Deny", "Action": START, "Resource": "*", **condition}

    assert short.denial(explained(allow(), deny, about=SHELL).denials[0]) == words
