"""After a denial: what is looked up, what is simulated again, and which denials remain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from fakes.tagged_documents import (
    ACCOUNT,
    ALICE,
    LIVE,
    MINE,
    ON_A,
    ON_B,
    OWN_TAGS,
    THEIRS,
    USER,
    A,
    Aws,
    B,
    arn,
)  # fmt: skip
from ssmgate.gate.access import evaluate, refine
from ssmgate.gate.decision.decision import Denial, Layer, Permit, SimulationAttempt, Unknown
from ssmgate.gate.decision.evaluation import EvalDecision
from ssmgate.gate.decision.question import Caller, ContextEntry, Question
from ssmgate.gate.decision.reason import Reason
from ssmgate.gate.decision.request import SessionRequest

ROLE = f"arn:aws:iam::{ACCOUNT}:role/Dev"
SESSION = replace(
    USER, policy_source_arn=ROLE, principal_type="AssumedRole", principal_tags=(("Team", "ops"),)
)
USER_TAG = ContextEntry(MINE, "string", ("ops",))
CONTROL = ON_A.control().resource_arn


def attempt(aws: Aws, *questions: Question) -> SimulationAttempt:
    """Return what the first look at a request that may mean these documents comes to."""
    request = SessionRequest("i-1", questions[0].resource_arn.partition("/")[2])
    (first,) = evaluate.simulate_requests(aws, [(request, questions)], True)
    return first


def resimulated(
    aws: Any,
    *attempts: SimulationAttempt,
    caller: Caller = USER,
    allow_wildcard_grants: bool = True,
    **limit: int,
) -> list[SimulationAttempt]:
    return refine.resimulate(aws, caller, attempts, allow_wildcard_grants, **limit)


def code(attempt: SimulationAttempt) -> object:
    return Reason.ALLOWED if isinstance(attempt.decision, Permit) else attempt.decision.reason_code


def test_nothing_is_looked_up_unless_something_was_denied() -> None:
    aws = Aws({A: ()})
    permitted = attempt(aws, ON_A)
    lost = replace(permitted, decision=Unknown(Reason.TIMED_OUT, "IAM did not answer", ON_A))
    wildcard = replace(permitted, decision=Denial(Reason.NOT_NAMED, ON_A, Layer.IDENTITY))

    assert resimulated(aws, permitted, lost, wildcard) == [permitted, lost, wildcard]
    assert resimulated(aws) == []
    assert aws.calls == []


def test_tag_of_the_document_that_allows_permits() -> None:
    aws = Aws({A: (THEIRS,)})
    first = attempt(aws, ON_A)

    (last,) = resimulated(aws, first)

    assert last.decision == Permit(first.request)
    assert last.questions == (ON_A.with_context(OWN_TAGS),)
    assert [one.eval_decision for one in last.evaluations] == [EvalDecision.ALLOWED]
    assert aws.calls == ["tags of Dev", "Dev"]


def test_tag_of_the_user_that_allows_permits() -> None:
    aws = Aws({A: (MINE,)})

    (last,) = resimulated(aws, attempt(aws, ON_A))

    assert (code(last), last.questions) == (Reason.ALLOWED, (ON_A.with_context([USER_TAG]),))
    assert aws.calls == ["GetUser", "Dev"]


@pytest.mark.parametrize(
    ("mentions", "expected"),
    [
        ((), Reason.IMPLICIT_DENY),
        (None, Reason.IMPLICIT_DENY),
        ((THEIRS,), Reason.IMPLICIT_DENY),
        ((LIVE,), Reason.LIVE_CONTEXT),
    ],
)
def test_denial_remains_unless_the_policies_mention_a_live_key(
    mentions: Sequence[str] | None, expected: Reason
) -> None:
    aws = Aws({A: (THEIRS, "aws:ResourceTag/Stage")}, mentions=mentions)

    (last,) = resimulated(aws, attempt(aws, ON_A))

    assert code(last) == expected
    assert last.decision.question == ON_A.with_context(OWN_TAGS)  # type: ignore[union-attr]
    assert aws.calls == ["tags of Dev", "Dev", "GetContextKeys"]


def test_denial_without_missing_keys_is_not_simulated_again() -> None:
    aws = Aws({A: None})
    first = attempt(aws, ON_A)

    assert resimulated(aws, first) == [first]
    assert aws.calls == ["GetContextKeys"]


@pytest.mark.parametrize("mention", [LIVE, THEIRS])
def test_denial_without_missing_keys_may_depend_on_live_keys_alone(mention: str) -> None:
    aws = Aws({A: None}, mentions=(mention,))

    (last,) = resimulated(aws, attempt(aws, ON_A))

    assert code(last) == (Reason.LIVE_CONTEXT if mention == LIVE else Reason.IMPLICIT_DENY)


def test_missing_live_key_is_settled_without_asking_for_the_mentioned_ones() -> None:
    aws = Aws({A: (THEIRS, LIVE)})
    first = attempt(aws, ON_A)

    (last,) = resimulated(aws, first)

    assert (code(first), code(last)) == (Reason.LIVE_CONTEXT, Reason.LIVE_CONTEXT)
    assert last.questions == (ON_A.with_context(OWN_TAGS),)
    assert aws.calls == ["tags of Dev", "Dev"]


@pytest.mark.parametrize("key", [THEIRS, MINE])
def test_tag_that_cannot_be_read_makes_a_denial_unknown(key: str) -> None:
    aws = Aws({A: (key,)})
    aws.user_tags = aws.document_tags = None

    (last,) = resimulated(aws, attempt(aws, ON_A))

    assert isinstance(last.decision, Unknown)
    assert (code(last), last.decision.live_context) == (Reason.TAGS_UNKNOWN, (key,))
    assert last.questions == (ON_A,)
    why = "ssm:ListTagsForResource" if key == THEIRS else "iam:GetUser"
    assert f"could not be read ({why})" in last.decision.reason


def test_live_key_is_named_before_a_tag_that_cannot_be_read() -> None:
    aws = Aws({A: (THEIRS, LIVE)})
    aws.document_tags = None

    (last,) = resimulated(aws, attempt(aws, ON_A))

    assert isinstance(last.decision, Unknown)
    assert (code(last), last.decision.live_context) == (Reason.LIVE_CONTEXT, (LIVE,))


def test_tag_that_does_not_exist_leaves_the_denial() -> None:
    aws = Aws({A: (THEIRS,)})
    aws.document_tags = ()
    first = attempt(aws, ON_A)

    assert resimulated(aws, first) == [first]
    assert aws.calls == ["tags of Dev", "GetContextKeys"]


def test_explicit_deny_is_refined_by_the_keys_that_the_policies_mention() -> None:
    aws = Aws({A: (THEIRS,)}, mentions=(THEIRS,))
    aws.deny = {A}

    (last,) = resimulated(aws, attempt(aws, ON_A))

    assert code(last) == Reason.ALLOWED
    assert aws.calls == ["GetContextKeys", "tags of Dev", "Dev"]


def test_explicit_deny_may_depend_on_a_tag_that_cannot_be_read() -> None:
    aws = Aws({A: (THEIRS,)}, mentions=(THEIRS,))
    aws.deny, aws.document_tags = {A}, None

    assert code(resimulated(aws, attempt(aws, ON_A))[0]) == Reason.TAGS_DENY


def test_explicit_deny_may_depend_on_a_live_key_before_a_tag() -> None:
    aws = Aws({A: None}, mentions=(THEIRS, LIVE))
    aws.deny, aws.document_tags = {A}, None

    assert code(resimulated(aws, attempt(aws, ON_A))[0]) == Reason.LIVE_DENY


def test_explicit_deny_with_all_tags_where_the_keys_are_secret() -> None:
    aws = Aws({A: (THEIRS, MINE)}, mentions=None)
    aws.deny = {A}

    (last,) = resimulated(aws, attempt(aws, ON_A))

    assert code(last) == Reason.ALLOWED
    assert sorted(aws.calls) == ["Dev", "GetContextKeys", "GetUser", "tags of Dev"]


def test_explicit_deny_of_the_organization_is_final() -> None:
    aws = Aws({A: (THEIRS,)}, mentions=(THEIRS, LIVE))
    decision = Denial(Reason.EXPLICIT_DENY, ON_A, Layer.ORGANIZATIONS)
    first = replace(attempt(aws, ON_A), decision=decision)

    assert resimulated(aws, first) == [first]
    assert aws.calls == []


def test_implicit_deny_of_the_organization_is_simulated_with_tags_and_then_final() -> None:
    aws = Aws({A: (THEIRS,)}, mentions=(LIVE,))
    first = attempt(aws, ON_A)
    decision = Denial(Reason.IMPLICIT_DENY, ON_A, Layer.ORGANIZATIONS)

    assert code(resimulated(aws, replace(first, decision=decision))[0]) == Reason.ALLOWED
    aws.document_tags = ()
    (last,) = resimulated(aws, replace(first, decision=decision))
    assert last.decision == decision


def test_second_simulation_that_fails_is_unknown() -> None:
    aws = Aws({A: (THEIRS,)})
    aws.fails = {A}
    first = attempt(aws, ON_A)

    (last,) = resimulated(aws, first)

    assert isinstance(last.decision, Unknown)
    assert last.decision.question == ON_A.with_context(OWN_TAGS)
    assert (last.questions, last.evaluations) == (first.questions, first.evaluations)
    assert aws.calls == ["tags of Dev", "Dev"]


def test_second_simulation_by_the_stricter_rule() -> None:
    aws = Aws({A: (THEIRS,), CONTROL: (THEIRS,)})
    first = attempt(aws, ON_A)

    (strict,) = resimulated(aws, first, allow_wildcard_grants=False)

    assert code(strict) == Reason.NOT_NAMED
    assert [one.resource_arn for one in strict.controls] == [CONTROL]
    assert code(resimulated(aws, first)[0]) == Reason.ALLOWED


def test_tag_of_a_role_session_is_known_only_to_the_live_request() -> None:
    on_a = Question(ROLE, A, ())
    aws = Aws({A: (MINE, "aws:PrincipalTag/Stage")})

    (last,) = resimulated(aws, attempt(aws, on_a), caller=SESSION)

    assert code(last) == Reason.LIVE_CONTEXT
    assert last.questions == (on_a.with_context([USER_TAG]),)
    assert aws.calls == ["Dev"]


def test_mentioned_tag_of_a_role_session_makes_a_denial_unknown() -> None:
    aws = Aws({A: None}, mentions=(MINE,))

    (last,) = resimulated(aws, attempt(aws, Question(ROLE, A, ())), caller=SESSION)

    assert code(last) == Reason.LIVE_CONTEXT


@pytest.mark.parametrize(
    ("needs", "expected", "calls"),
    [
        (
            {A: (THEIRS,), B: (THEIRS,)},
            Reason.ALLOWED,
            ["tags of Dev", "Dev", "tags of Ops", "Ops"],
        ),
        ({A: (THEIRS,), B: ()}, Reason.ALLOWED, ["tags of Dev", "Dev"]),
        ({A: (), B: (THEIRS,)}, Reason.ALLOWED, ["tags of Ops", "Ops"]),
        ({A: (THEIRS,), B: None}, Reason.IMPLICIT_DENY, ["tags of Dev", "Dev", "GetContextKeys"]),
        ({A: None, B: (THEIRS,)}, Reason.IMPLICIT_DENY, ["GetContextKeys"]),
        ({A: (THEIRS,), B: (LIVE,)}, Reason.LIVE_CONTEXT, ["tags of Dev", "Dev"]),
    ],
)
def test_each_document_that_a_request_may_mean_is_refined(
    needs: dict[str, Sequence[str] | None], expected: Reason, calls: list[str]
) -> None:
    aws = Aws(needs)

    (last,) = resimulated(aws, attempt(aws, ON_A, ON_B))

    assert (code(last), aws.calls) == (expected, calls)
    assert [one.resource_arn for one in last.questions] == [A, B]
    assert sorted(one.resource_arn for one in last.evaluations) == [A, B]


def test_many_documents_are_refined_together_and_others_left() -> None:
    c = arn("Web")
    aws = Aws({A: (THEIRS,), B: (), c: None})
    first = [attempt(aws, one) for one in (ON_A, ON_B, Question(ALICE, c, ()))]

    last = resimulated(aws, *first)

    assert [code(one) for one in last] == [Reason.ALLOWED, Reason.ALLOWED, Reason.IMPLICIT_DENY]
    assert last[1:] == first[1:]
    assert aws.calls == ["tags of Dev", "Dev", "GetContextKeys"]


def test_second_simulation_that_fails_leaves_the_others() -> None:
    aws = Aws({A: (THEIRS,), B: (MINE,)})
    aws.fails = {A}

    failed, allowed = resimulated(aws, attempt(aws, ON_A), attempt(aws, ON_B))

    assert isinstance(failed.decision, Unknown)
    assert code(allowed) == Reason.ALLOWED


def test_requests_that_may_mean_one_document_or_two_are_refined_together() -> None:
    aws = Aws({A: (THEIRS,), B: ()})

    for first in ((ON_A,), (ON_B, ON_A)), ((ON_B, ON_A), (ON_A,)):
        last = resimulated(aws, *(attempt(aws, *questions) for questions in first))
        assert [code(one) for one in last] == [Reason.ALLOWED] * 2

    aws = Aws({A: (THEIRS, "aws:ResourceTag/Stage"), B: ()})
    last = resimulated(aws, attempt(aws, ON_A), attempt(aws, ON_B, ON_A))
    assert [code(one) for one in last] == [Reason.IMPLICIT_DENY] * 2


def test_documents_with_equal_tags_are_simulated_in_one_call() -> None:
    aws = Aws({A: (THEIRS,), B: (THEIRS,)})

    last = resimulated(aws, attempt(aws, ON_A), attempt(aws, ON_B))

    assert [code(one) for one in last] == [Reason.ALLOWED] * 2
    assert [one.questions[0].resource_arn for one in last] == [A, B]
    assert aws.calls == ["tags of Dev", "tags of Ops", "Dev Ops"]


@pytest.mark.parametrize("most", [0, 1, 2, 3])
def test_tags_are_read_for_so_many_documents_only(most: int) -> None:
    c = arn("Web")
    aws = Aws({A: (THEIRS,), B: (THEIRS,), c: (THEIRS,)})
    first = [attempt(aws, one) for one in (ON_A, ON_B, Question(ALICE, c, ()))]

    last = resimulated(aws, *first, most_tagged=most)

    codes = [Reason.ALLOWED] * most + [Reason.TAGS_UNKNOWN] * (3 - most)
    reads = ["tags of Dev", "tags of Ops", "tags of Web"][:most]
    assert [code(one) for one in last] == codes
    assert [one for one in aws.calls if one.startswith("tags")] == reads
    if isinstance(last[2].decision, Unknown):
        assert f"is read for {most} documents only ('ssmgate check'" in last[2].decision.reason


def test_tags_beyond_the_limit_that_cannot_be_read_say_so() -> None:
    aws = Aws({A: (THEIRS,)})
    aws.document_tags = None

    (last,) = resimulated(aws, attempt(aws, ON_A), most_tagged=1)

    assert isinstance(last.decision, Unknown)
    assert "could not be read (ssm:ListTagsForResource)" in last.decision.reason


def test_documents_without_tags_of_the_account_are_under_no_limit() -> None:
    theirs = Question(ALICE, arn("AWS-X", account=""), ())
    aws = Aws({theirs.resource_arn: (THEIRS,)})
    first = attempt(aws, theirs)

    assert resimulated(aws, first, most_tagged=0) == [first]
