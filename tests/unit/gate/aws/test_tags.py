"""Which tags are looked up after a denial, and what is unknown if they cannot be read."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ssmgate.gate.access import refine
from ssmgate.gate.aws import tags
from ssmgate.gate.decision.decision import Decision, Denial, Layer, SimulationAttempt, Unknown
from ssmgate.gate.decision.evaluation import EvalDecision, Evaluation
from ssmgate.gate.decision.question import Caller, ContextEntry, Question
from ssmgate.gate.decision.reason import Reason
from ssmgate.gate.decision.request import SessionRequest

ACCOUNT = "111122223333"
ALICE = f"arn:aws:iam::{ACCOUNT}:user/alice"
OPS = f"arn:aws:iam::{ACCOUNT}:role/Ops"
USER = Caller(ACCOUNT, ALICE, ALICE, "AIDAX", "User", "aws")
SESSION = Caller(
    ACCOUNT, f"arn:aws:sts::{ACCOUNT}:assumed-role/Ops/me", OPS, "AROAX:me", "AssumedRole", "aws",
)  # fmt: skip
DOCUMENT = f"arn:aws:ssm:us-east-1:{ACCOUNT}:document/Shell"
QUESTION = Question(ALICE, DOCUMENT, ())
THEIRS, MINE = "aws:ResourceTag/Team", "aws:PrincipalTag/Team"


class Iam:
    """A stub of IAM that only looks up tags; `asked` are the calls."""

    def __init__(self, *team: str) -> None:
        self.team, self.asked = team, 0

    def get_user(self, UserName: str) -> Any:
        self.asked += 1
        if not self.team:
            raise PermissionError(UserName)
        return {"User": {"Arn": ALICE, "Tags": [{"Key": "Team", "Value": self.team[0]}]}}


def own(*team: str) -> tags.Source:
    return tags.Source(lambda: tuple(("Team", one) for one in team) if team else None, "is secret")


@pytest.mark.parametrize(
    ("keys", "source", "iam", "looked_up", "unread", "calls"),
    [
        ((THEIRS, MINE), own("ops"), Iam("ops"), {THEIRS, "ssm:resourceTag/Team", MINE}, [], 1),
        ((THEIRS,), own("ops"), Iam("ops"), {THEIRS, "ssm:resourceTag/Team"}, [], 0),
        ((MINE,), own("ops"), Iam("ops"), {MINE}, [], 1),
        ((MINE,), own(), Iam("ops"), {MINE}, [], 1),
        ((MINE,), None, Iam("ops"), {MINE}, [], 1),
        ((THEIRS,), None, Iam("ops"), set(), [], 0),
        ((THEIRS, MINE), own(), Iam("ops"), {MINE}, [THEIRS], 1),
        ((THEIRS, MINE), own("ops"), Iam(), {THEIRS, "ssm:resourceTag/Team"}, [MINE], 1),
        ((MINE.upper(),), None, Iam("ops"), {MINE}, [], 1),
        (("aws:PrincipalTag/Other",), None, Iam("ops"), set(), [], 1),
        (("aws:username",), own("ops"), Iam("ops"), set(), [], 0),
        (None, own("ops"), Iam("ops"), {THEIRS, "ssm:resourceTag/Team", MINE}, [], 1),
        (None, own(), Iam(), set(), [], 1),
    ],
)
def test_looks_up_tags_that_policies_mention(
    keys: tuple[str, ...] | None, source: tags.Source | None, iam: Iam,
    looked_up: set[str], unread: list[str], calls: int,
) -> None:  # fmt: skip
    lookups = tags.Lookups(iam, USER)

    found = lookups.find(QUESTION, keys, source)

    assert {entry.key_name for entry in found.entries} == looked_up
    assert [key for key in keys or () if found.unread(key)] == unread
    lookups.find(QUESTION, keys, source)
    assert iam.asked == calls


def test_does_not_look_up_given_tags() -> None:
    given = QUESTION.with_context([ContextEntry(MINE.lower(), "string", ("web",))])
    iam = Iam("ops")

    found = tags.Lookups(iam, USER).find(given, (MINE,), None)
    assert (found.keys, found.entries, iam.asked) == ((), (), 0)


@pytest.mark.parametrize(
    ("keys", "source", "calls"),
    [((THEIRS,), own("ops"), 1), ((THEIRS,), None, 0), (("aws:SourceIp",), own("ops"), 0)],
)
def test_looks_up_both_kinds_of_tags_for_one(
    keys: tuple[str, ...], source: tags.Source | None, calls: int
) -> None:
    iam = Iam("ops")

    found = tags.Lookups(iam, USER).find(QUESTION, keys, source, together=True)

    assert iam.asked == calls
    assert (MINE in {entry.key_name for entry in found.entries}) == (calls == 1)


ALLOW = {"Effect": "Allow"}


@pytest.mark.parametrize(
    ("trust", "expected"),
    [
        ({"Statement": {**ALLOW, "Action": "sts:AssumeRole"}}, False),
        ({"Statement": [{**ALLOW, "Action": ["sts:AssumeRole", "sts:SetSourceIdentity"]}]}, False),
        ({"Statement": []}, False),
        ({"Statement": [{"Effect": "Deny", "Action": "sts:TagSession"}]}, False),
        ({"Statement": [{**ALLOW, "NotAction": "sts:TagSession"}]}, False),
        ({"Statement": [{**ALLOW, "NotAction": ["sts:*"]}]}, False),
        ({"Statement": [{**ALLOW, "Action": "STS:tagsession"}]}, True),
        ({"Statement": {**ALLOW, "Action": ["sts:AssumeRole", "sts:TagSession"]}}, True),
        ({"Statement": [{**ALLOW, "Action": "sts:*"}]}, True),
        ({"Statement": [{**ALLOW, "Action": "*"}]}, True),
        ({"Statement": [{**ALLOW, "Action": "sts:?agS*"}]}, True),
        ({"Statement": [{**ALLOW, "NotAction": "sts:AssumeRole"}]}, True),
        ({"Statement": [{**ALLOW}]}, True),
        ({"Statement": [{"Action": "sts:TagSession"}]}, True),
        ({"Statement": "?"}, True),
        ({}, True),
        (None, True),
        ("{}", True),
    ],
)
def test_reads_from_trust_policy_whether_sessions_can_be_tagged(
    trust: object, expected: bool
) -> None:
    assert tags.lets_tag_sessions(trust) is expected


@pytest.mark.parametrize(
    ("caller", "document", "missing", "code"),
    [
        (USER, DOCUMENT, (THEIRS,), Reason.TAGS_UNKNOWN),
        (USER, DOCUMENT, (MINE,), Reason.TAGS_UNKNOWN),
        (SESSION, DOCUMENT, (MINE,), Reason.TAGS_UNKNOWN),
        (
            USER,
            "arn:aws:ssm:us-east-1::document/AWS-StartSSHSession",
            (THEIRS,),
            Reason.IMPLICIT_DENY,
        ),
        (USER, DOCUMENT, ("aws:username",), Reason.IMPLICIT_DENY),
    ],
)
def test_denial_without_tags_in_time_is_unknown(
    caller: Caller, document: str, missing: tuple[str, ...], code: str
) -> None:
    clients: Any = SimpleNamespace(partition="aws", region="us-east-1", ssm=None)
    question = Question(caller.policy_source_arn, document, ())
    answer = Evaluation(document, EvalDecision.IMPLICIT_DENY, missing_context=missing)
    denial: Decision = Denial(Reason.IMPLICIT_DENY, question, Layer.IDENTITY, (), missing)
    first = SimulationAttempt(SessionRequest("i-0a1"), (question,), (answer,), denial)

    decision = refine.out_of_time(clients, caller, first).decision

    assert isinstance(decision, (Denial, Unknown))
    assert decision.reason_code == code
