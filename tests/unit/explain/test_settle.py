"""Unknown answers of a simulation that the caller's policies settle."""

import json
from dataclasses import replace

import pytest

from ssmgate.explain.report import Answer, Verdict
from ssmgate.explain.settle import settled
from ssmgate.explain.sources import Sources, parse
from ssmgate.gate.access.questions import QuestionBuilder
from ssmgate.gate.decision.question import Caller
from ssmgate.gate.decision.reason import Reason

ROLE = "arn:aws:iam::111122223333:role/Ops"
CALLER = Caller(
    "111122223333", "arn:aws:sts::111122223333:assumed-role/Ops/ann", ROLE, "AROA:ann",
    "AssumedRole", "aws",
)  # fmt: skip
BUILDER = QuestionBuilder(CALLER, "aws", "us-east-1", secure_transport=True, mfa_done=False)
OWN_TEAM = {"StringEquals": {"ssm:resourceTag/team": "${aws:PrincipalTag/team}"}}
NODES, DOCUMENTS = "arn:aws:ec2:*:*:instance/*", "arn:aws:ssm:*:111122223333:document/*"


def known(*statements, unread=()):
    full = [{"Effect": "Allow", "Action": "ssm:StartSession", **one} for one in statements]
    text = json.dumps({"Version": "2012-10-17", "Statement": full})
    return Sources((parse(text, "p"),), None, None, unread)


def unknown(document, code=Reason.LIVE_CONTEXT):
    return Answer(Verdict.UNKNOWN, code, "the policies use keys", BUILDER.documents(document))


@pytest.mark.parametrize(
    ("resources", "document", "verdict"),
    [
        # Documents of AWS have no tags, and no statement lists them.
        ([NODES, DOCUMENTS], "AWS-StartSSHSession", "denied"),
        ("*", "AWS-StartSSHSession", "denied"),
        (NODES, "Dev-Shell", "denied"),
        # Its own tag may be that of the session.
        ([NODES, DOCUMENTS], "Dev-Shell", "unknown"),
    ],
)
def test_denies_if_no_value_of_unknown_keys_allows(resources, document, verdict):
    sources = known({"Resource": resources, "Condition": OWN_TEAM})

    answer = settled(unknown(document), CALLER, sources)

    assert answer.verdict.value == verdict
    if verdict == "denied":
        assert answer.reason_code == "implicit_deny"
        assert answer.reason.startswith("no identity-based policy allows ssm:StartSession on arn:")


@pytest.mark.parametrize("path_known", [True, False])
def test_path_of_the_role_may_be_unknown(path_known):
    with_path = {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::111122223333:role/team/*"}}
    sources = known({"Resource": "*", "Condition": with_path})
    caller = replace(CALLER, role_path_known=path_known)

    answer = settled(unknown("Dev-Shell"), caller, sources)

    assert answer.verdict is (Verdict.DENIED if path_known else Verdict.UNKNOWN)


def test_never_allows_unknown_answer():
    answer = unknown("Dev-Shell")

    assert settled(answer, CALLER, known({"Resource": "*"})) is answer


def test_unreadable_policies_settle_nothing():
    answer = unknown("AWS-StartSSHSession")
    sources = known({"Resource": NODES}, unread=("policy q: AccessDenied",))

    assert settled(answer, CALLER, sources) is answer


@pytest.mark.parametrize("code", [Reason.TIMED_OUT, Reason.GRANT_UNKNOWN])
def test_other_unknown_answers_stay_unknown(code):
    answer = unknown("AWS-StartSSHSession", code)

    assert settled(answer, CALLER, known({"Resource": NODES})) is answer


def test_certain_deny_is_explicit():
    sources = known({"Resource": "*", "Condition": OWN_TEAM}, {"Effect": "Deny", "Resource": "*"})

    answer = settled(unknown("Dev-Shell", Reason.LIVE_DENY), CALLER, sources)

    assert (answer.verdict, answer.reason_code) == (Verdict.DENIED, Reason.EXPLICIT_DENY)
