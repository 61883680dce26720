"""Denials that nothing is simulated again for: what settles them, and what comes too late."""

from __future__ import annotations

from typing import Any

import pytest

from fakes.tagged_documents import ALICE, LIVE, MINE, ON_A, ON_B, THEIRS, USER, A, Aws, B, arn
from ssmgate.gate.access import refine
from ssmgate.gate.aws import tags
from ssmgate.gate.decision.decision import Denial, Layer, Permit, SimulationAttempt, Unknown
from ssmgate.gate.decision.evaluation import EvalDecision, Evaluation
from ssmgate.gate.decision.question import Question
from ssmgate.gate.decision.reason import Reason
from ssmgate.gate.decision.request import SessionRequest


@pytest.mark.parametrize(
    "place",
    [
        arn("Dev", region="eu-west-1"), arn("Dev", account="999999999999"),
        A.replace("arn:aws:", "arn:aws-cn:"), A.replace(":ssm:", ":ec2:"),
    ],
)  # fmt: skip
def test_reads_tags_of_documents_in_own_account_and_region_only(place: str) -> None:
    aws = Aws({})

    source = refine.document_source(aws, USER, Question(ALICE, place, ()))  # type: ignore[arg-type]

    assert source is not None
    assert source.read() is None
    assert source.unread == "ssmgate does not read in other accounts and regions"
    assert aws.calls == []


def test_documents_of_aws_have_no_tags() -> None:
    own = Question(ALICE, arn("AWS-StartSSHSession", account=""), ())

    assert refine.document_source(Aws({}), USER, own) is None  # type: ignore[arg-type]


def test_late_explicit_deny_is_unknown() -> None:
    denial = Denial(Reason.EXPLICIT_DENY, ON_A, Layer.IDENTITY)
    first = SimulationAttempt(SessionRequest("i-1"), (ON_A,), (), denial)

    late = refine.out_of_time(Aws({}), USER, first).decision  # type: ignore[arg-type]

    assert isinstance(late, Unknown)
    assert (late.reason_code, late.denial) == (Reason.KEYS_NOT_LISTABLE, denial)


@pytest.mark.parametrize(
    "decision",
    [
        Permit(SessionRequest("i-1")),
        Unknown(Reason.TIMED_OUT, "IAM did not answer"),
        Unknown(Reason.LIVE_CONTEXT, "the policies ask for a live key", ON_A, (LIVE,)),
        Denial(Reason.NOT_NAMED, ON_A, Layer.IDENTITY),
    ],
)
def test_timeout_leaves_answers_that_tags_cannot_change(decision: Any) -> None:
    evaluation = Evaluation(A, EvalDecision.IMPLICIT_DENY, missing_context=(THEIRS,))
    first = SimulationAttempt(SessionRequest("i-1"), (ON_A,), (evaluation,), decision)

    assert refine.out_of_time(Aws({}), USER, first) is first  # type: ignore[arg-type]


def test_timeout_ignores_missing_keys_of_another_document() -> None:
    other = Evaluation(B, EvalDecision.IMPLICIT_DENY, missing_context=(THEIRS,))
    own = Evaluation(A, EvalDecision.IMPLICIT_DENY)
    decision = Denial(Reason.IMPLICIT_DENY, ON_A, Layer.IDENTITY)
    first = SimulationAttempt(SessionRequest("i-1"), (ON_A, ON_B), (own, other), decision)

    assert refine.out_of_time(Aws({}), USER, first) == first  # type: ignore[arg-type]


@pytest.mark.parametrize("decision", [None, Unknown(Reason.LIVE_CONTEXT, "live", ON_A, (LIVE,))])
def test_settles_denials_only(decision: Any) -> None:
    aws = Aws({}, mentions=(LIVE,))
    lookups = tags.Lookups(aws, USER)

    assert refine.settled(lookups, ON_A, decision, tags.Found()) is decision
    assert aws.calls == []


def test_wildcard_grant_stays_denied() -> None:
    aws = Aws({}, mentions=(LIVE,))
    wildcard = Denial(Reason.NOT_NAMED, ON_A, Layer.IDENTITY)
    found = tags.Found((LIVE,), (), ((THEIRS, "could not be read"),))

    assert refine.settled(tags.Lookups(aws, USER), ON_A, wildcard, found) is wildcard


@pytest.mark.parametrize("looked_up", [True, False])
def test_denial_depends_on_keys_found_before_and_after_lookup(looked_up: bool) -> None:
    keys: tuple[str, ...] = (LIVE,)
    found = tags.Found(keys if looked_up else ())
    denial = Denial(Reason.IMPLICIT_DENY, ON_A, Layer.IDENTITY, (), () if looked_up else keys)

    decision = refine.settled(tags.Lookups(Aws({}), USER), ON_A, denial, found)

    assert isinstance(decision, Unknown)
    assert decision.live_context == keys


def test_looks_up_nothing_without_denial() -> None:
    aws = Aws({})

    assert refine.look_up(tags.Lookups(aws, USER), ON_A, None, (), None).keys == ()
    assert aws.calls == []


def test_tag_that_document_lacks_is_known_where_session_may_be_tagged() -> None:
    found = tags.Found((THEIRS, MINE), (), resource_unread="", session_tags=True)
    denial = Denial(Reason.IMPLICIT_DENY, ON_A, Layer.IDENTITY, (), (THEIRS, MINE))

    decision = refine.settled(tags.Lookups(Aws({}), USER), ON_A, denial, found)

    assert isinstance(decision, Unknown)
    assert decision.live_context == (MINE,)
