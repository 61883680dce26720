"""After a denial: what is looked up, what is simulated again, and which denials remain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from fakes.tagged_documents import (
    ACCOUNT,
    ALICE,
    DEV_ROLE,
    LIMIT,
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
from ssmgate.gate.decision import controls
from ssmgate.gate.decision.decision import Denial, Layer, Permit, SimulationAttempt, Unknown
from ssmgate.gate.decision.evaluation import EvalDecision
from ssmgate.gate.decision.question import Caller, ContextEntry, Question
from ssmgate.gate.decision.reason import Reason
from ssmgate.gate.decision.request import SessionRequest

SESSION = replace(
    USER,
    caller_arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/Dev/alice",
    policy_source_arn=DEV_ROLE,
    principal_type="AssumedRole",
)
USER_TAG = ContextEntry(MINE, "string", ("ops",))
BOTH = ["GetUser", "tags of Dev"]
CONTROL = controls.control_arn(A)


def attempt(aws: Aws, *questions: Question) -> SimulationAttempt:
    """Return the first simulation of a request that may mean these documents."""
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


def test_looks_up_nothing_without_denial() -> None:
    aws = Aws({A: ()})
    permitted = attempt(aws, ON_A)
    lost = replace(permitted, decision=Unknown(Reason.TIMED_OUT, "IAM did not answer", ON_A))
    wildcard = replace(permitted, decision=Denial(Reason.NOT_NAMED, ON_A, Layer.IDENTITY))

    assert resimulated(aws, permitted, lost, wildcard) == [permitted, lost, wildcard]
    assert resimulated(aws) == []
    assert aws.calls == []


def test_permits_if_tag_of_document_allows() -> None:
    aws = Aws({A: (THEIRS,)})
    first = attempt(aws, ON_A)

    (last,) = resimulated(aws, first)

    assert last.decision == Permit(first.request)
    assert last.questions == (ON_A.with_context([*OWN_TAGS, USER_TAG]),)
    assert [one.eval_decision for one in last.evaluations] == [EvalDecision.ALLOWED]
    assert sorted(aws.calls[:-1]) == BOTH
    assert aws.calls[-1] == "Dev"


def test_permits_if_tag_of_user_allows() -> None:
    aws = Aws({A: (MINE,)})

    (last,) = resimulated(aws, attempt(aws, ON_A))

    with_tags = ON_A.with_context([*OWN_TAGS, USER_TAG])
    assert (code(last), last.questions) == (Reason.ALLOWED, (with_tags,))
    assert sorted(aws.calls[:-1]) == BOTH
    assert aws.calls[-1] == "Dev"


def test_denial_with_other_missing_tag_is_final() -> None:
    aws = Aws({A: (THEIRS, "aws:ResourceTag/Stage")})

    (last,) = resimulated(aws, attempt(aws, ON_A))

    assert code(last) == Reason.IMPLICIT_DENY
    assert last.decision.question == ON_A.with_context([*OWN_TAGS, USER_TAG])  # type: ignore[union-attr]
    assert sorted(aws.calls[:-1]) == BOTH
    assert aws.calls[-1] == "Dev"


@pytest.mark.parametrize("mentions", [(), (LIVE,), (THEIRS,), None])
def test_denial_without_missing_keys_is_final(mentions: Sequence[str] | None) -> None:
    aws = Aws({A: None}, mentions=mentions)
    first = attempt(aws, ON_A)

    assert resimulated(aws, first) == [first]
    assert aws.calls == []


@pytest.mark.parametrize(
    "key", ["aws:username", "aws:PrincipalOrgID", "s3:prefix", "saml:sub", "aws:CalledVia"]
)
def test_denial_with_keys_known_to_be_absent_is_final(key: str) -> None:
    aws = Aws({A: (key,)}, mentions=None)
    first = attempt(aws, ON_A)

    assert resimulated(aws, first) == [first]
    assert isinstance(first.decision, Denial)
    assert aws.calls == []


@pytest.mark.parametrize(
    "key", [LIVE, "aws:ResourceOrgID", "ssm:DocumentType", "aws:KeyOfNextYear"]
)
def test_denial_with_unknown_key_is_unknown(key: str) -> None:
    aws = Aws({A: (key,)})

    (last,) = resimulated(aws, attempt(aws, ON_A))

    assert isinstance(last.decision, Unknown)
    assert (code(last), last.decision.live_context) == (Reason.LIVE_CONTEXT, (key,))
    assert aws.calls == []


def test_looks_up_tags_despite_unknown_key() -> None:
    aws = Aws({A: (THEIRS, LIVE)})
    first = attempt(aws, ON_A)

    (last,) = resimulated(aws, first)

    assert (code(first), code(last)) == (Reason.LIVE_CONTEXT, Reason.LIVE_CONTEXT)
    assert last.questions == (ON_A.with_context([*OWN_TAGS, USER_TAG]),)
    assert isinstance(last.decision, Unknown)
    assert last.decision.live_context == (LIVE,)
    assert aws.calls[-1] == "Dev"


@pytest.mark.parametrize("key", [THEIRS, MINE])
def test_denial_is_unknown_if_tag_cannot_be_read(key: str) -> None:
    aws = Aws({A: (key,)})
    aws.user_tags = aws.document_tags = None

    (last,) = resimulated(aws, attempt(aws, ON_A))

    assert isinstance(last.decision, Unknown)
    assert (code(last), last.decision.live_context) == (Reason.TAGS_UNKNOWN, (key,))
    assert last.questions == (ON_A,)
    why = "ssm:ListTagsForResource" if key == THEIRS else "iam:GetUser"
    assert f"could not be read ({why})" in last.decision.reason


def test_names_live_key_before_unreadable_tag() -> None:
    aws = Aws({A: (THEIRS, LIVE)})
    aws.document_tags = None

    (last,) = resimulated(aws, attempt(aws, ON_A))

    assert isinstance(last.decision, Unknown)
    assert (code(last), last.decision.live_context) == (Reason.LIVE_CONTEXT, (LIVE,))


def test_missing_tag_leaves_denial_unchanged() -> None:
    aws = Aws({A: (THEIRS,)})
    aws.document_tags = ()
    first = attempt(aws, ON_A)

    aws.user_tags = ()
    assert resimulated(aws, first) == [first]
    assert sorted(aws.calls) == BOTH


def test_refines_explicit_deny_by_keys_that_policies_mention() -> None:
    aws = Aws({A: (THEIRS,)}, mentions=(THEIRS,))
    aws.deny = {A}

    (last,) = resimulated(aws, attempt(aws, ON_A))

    assert code(last) == Reason.ALLOWED
    assert aws.calls == ["GetContextKeys", "tags of Dev", "Dev"]


def test_explicit_deny_is_unknown_if_tag_cannot_be_read() -> None:
    aws = Aws({A: (THEIRS,)}, mentions=(THEIRS,))
    aws.deny, aws.document_tags = {A}, None

    assert code(resimulated(aws, attempt(aws, ON_A))[0]) == Reason.TAGS_DENY


def test_explicit_deny_names_live_key_before_unreadable_tag() -> None:
    aws = Aws({A: None}, mentions=(THEIRS, LIVE))
    aws.deny, aws.document_tags = {A}, None

    assert code(resimulated(aws, attempt(aws, ON_A))[0]) == Reason.LIVE_DENY


def test_simulates_explicit_deny_with_all_tags_if_keys_cannot_be_listed() -> None:
    aws = Aws({A: (THEIRS, MINE)}, mentions=None)
    aws.deny = {A}

    (last,) = resimulated(aws, attempt(aws, ON_A))

    assert code(last) == Reason.ALLOWED
    assert sorted(aws.calls) == ["Dev", "GetContextKeys", "GetUser", "tags of Dev"]


@pytest.mark.parametrize("mentions", [(), ("aws:username", "s3:prefix", "aws:CurrentTime")])
def test_explicit_deny_that_depends_on_known_keys_is_final(mentions: Sequence[str]) -> None:
    aws = Aws({A: None}, mentions=mentions)
    aws.deny = {A}
    first = attempt(aws, ON_A)

    assert resimulated(aws, first) == [first]
    assert aws.calls == ["GetContextKeys"]


def test_explicit_deny_whose_keys_cannot_be_listed_is_unknown() -> None:
    aws = Aws({A: None}, mentions=None)
    aws.deny = {A}

    (last,) = resimulated(aws, attempt(aws, ON_A))

    assert isinstance(last.decision, Unknown)
    assert code(last) == Reason.KEYS_NOT_LISTABLE
    assert last.decision.denial is not None
    assert last.decision.denial.layer is Layer.IDENTITY
    assert "iam:GetContextKeysForPrincipalPolicy" in last.decision.reason
    assert aws.calls[0] == "GetContextKeys"


def test_explicit_deny_of_organization_is_unknown() -> None:
    aws = Aws({A: None}, mentions=())
    decision = Denial(Reason.EXPLICIT_DENY, ON_A, Layer.ORGANIZATIONS)
    first = replace(attempt(aws, ON_A), decision=decision)
    aws.user_tags = aws.document_tags = ()

    (last,) = resimulated(aws, first)

    assert code(last) == Reason.KEYS_NOT_LISTABLE
    assert isinstance(last.decision, Unknown)
    assert last.decision.denial == decision
    assert "service control policy" in last.decision.reason
    assert sorted(aws.calls) == BOTH, "the keys of a service control policy cannot be listed"


def test_refines_explicit_deny_of_organization_by_tags() -> None:
    aws = Aws({A: (THEIRS, MINE)})
    decision = Denial(Reason.EXPLICIT_DENY, ON_A, Layer.ORGANIZATIONS)
    first = replace(attempt(aws, ON_A), decision=decision)

    assert code(resimulated(aws, first)[0]) == Reason.ALLOWED


OF_BOUNDARY = ["GetUser", f"GetPolicy {LIMIT}", "GetPolicyVersion v2", "GetContextKeys"]


@pytest.mark.parametrize(
    ("boundary", "mentions", "expected", "calls"),
    [
        ({"mentions": ()}, (), Reason.EXPLICIT_DENY, OF_BOUNDARY),
        ({"mentions": (LIVE,)}, (), Reason.LIVE_DENY, OF_BOUNDARY),
        ({"mentions": ()}, None, Reason.KEYS_NOT_LISTABLE, [*OF_BOUNDARY, "tags of Dev"]),
        (None, (), Reason.KEYS_NOT_LISTABLE, ["GetUser", "tags of Dev"]),
    ],
)
def test_lists_keys_of_readable_boundary(
    boundary: dict[str, Any] | None,
    mentions: Sequence[str] | None,
    expected: Reason,
    calls: list[str],
) -> None:
    aws = Aws({A: None}, mentions=mentions)
    aws.deny, aws.layer, aws.boundary = {A}, "Permissions Boundary Policy", boundary
    aws.document_tags = aws.user_tags = ()

    (last,) = resimulated(aws, attempt(aws, ON_A))

    assert (code(last), aws.calls) == (expected, calls)


def test_implicit_deny_of_organization_is_final_after_second_simulation() -> None:
    aws = Aws({A: (THEIRS,)}, mentions=(LIVE,))
    first = attempt(aws, ON_A)
    decision = Denial(Reason.IMPLICIT_DENY, ON_A, Layer.ORGANIZATIONS)

    assert code(resimulated(aws, replace(first, decision=decision))[0]) == Reason.ALLOWED
    aws.document_tags = aws.user_tags = ()
    (last,) = resimulated(aws, replace(first, decision=decision))
    assert last.decision == decision


def test_second_simulation_that_fails_is_unknown() -> None:
    aws = Aws({A: (THEIRS,)})
    aws.fails = {A}
    first = attempt(aws, ON_A)

    (last,) = resimulated(aws, first)

    assert isinstance(last.decision, Unknown)
    assert last.decision.question == ON_A.with_context([*OWN_TAGS, USER_TAG])
    assert (last.questions, last.evaluations) == (first.questions, first.evaluations)
    assert aws.calls[-1] == "Dev"


def test_explicit_grant_rule_applies_to_second_simulation() -> None:
    aws = Aws({A: (THEIRS,), CONTROL: (THEIRS,)})
    first = attempt(aws, ON_A)

    (strict,) = resimulated(aws, first, allow_wildcard_grants=False)

    assert code(strict) == Reason.NOT_NAMED
    assert strict.controls[0].resource_arn == CONTROL
    assert code(resimulated(aws, first)[0]) == Reason.ALLOWED


@pytest.mark.parametrize("encoded", [False, True])
def test_uses_role_tags_if_sessions_cannot_be_tagged(encoded: bool) -> None:
    on_a = Question(DEV_ROLE, A, ())
    aws = Aws({A: (MINE,)})
    aws.encodes = encoded

    (last,) = resimulated(aws, attempt(aws, on_a), caller=SESSION)

    assert code(last) == Reason.ALLOWED
    assert last.questions == (on_a.with_context([*OWN_TAGS, USER_TAG]),)
    assert sorted(aws.calls) == ["Dev", "GetRole", "tags of Dev"]
    aws = Aws({A: (MINE, "aws:PrincipalTag/Stage")})
    assert code(resimulated(aws, attempt(aws, on_a), caller=SESSION)[0]) == Reason.IMPLICIT_DENY


def test_tags_of_session_that_may_be_tagged_are_unknown() -> None:
    on_a = Question(DEV_ROLE, A, ())
    aws = Aws({A: (MINE,)})
    aws.trusted_to = ["sts:AssumeRoleWithSAML", "sts:TagSession"]

    (last,) = resimulated(aws, attempt(aws, on_a), caller=SESSION)

    assert isinstance(last.decision, Unknown)
    assert (code(last), last.decision.live_context) == (Reason.LIVE_CONTEXT, (MINE,))
    assert last.questions == (on_a,), "a tag of the role is not used"


def test_deny_by_tags_of_session_that_may_be_tagged_is_unknown() -> None:
    aws = Aws({A: (MINE,)}, mentions=(MINE,))
    aws.deny, aws.trusted_to = {A}, ["*"]

    (last,) = resimulated(aws, attempt(aws, Question(DEV_ROLE, A, ())), caller=SESSION)

    assert code(last) == Reason.LIVE_DENY


@pytest.mark.parametrize("known", [True, False])
def test_tags_of_unreadable_role_are_unknown(known: bool) -> None:
    aws = Aws({A: (MINE,)})
    aws.user_tags = None
    caller = replace(SESSION, role_path_known=known)

    (last,) = resimulated(aws, attempt(aws, Question(DEV_ROLE, A, ())), caller=caller)

    assert isinstance(last.decision, Unknown)
    assert (code(last), last.decision.live_context) == (Reason.TAGS_UNKNOWN, (MINE,))
    assert "could not be read (iam:GetRole)" in last.decision.reason
    assert ("GetRole" in aws.calls) == known


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
        ({A: (THEIRS,), B: None}, Reason.IMPLICIT_DENY, ["tags of Dev", "Dev"]),
        ({A: None, B: (THEIRS,)}, Reason.IMPLICIT_DENY, []),
        ({A: (THEIRS,), B: (LIVE,)}, Reason.LIVE_CONTEXT, ["tags of Dev", "Dev"]),
    ],
)
def test_refines_each_possible_document_of_request(
    needs: dict[str, Sequence[str] | None], expected: Reason, calls: list[str]
) -> None:
    aws = Aws(needs)

    (last,) = resimulated(aws, attempt(aws, ON_A, ON_B))

    assert (code(last), [c for c in aws.calls if c != "GetUser"]) == (expected, calls)
    assert aws.calls.count("GetUser") == (1 if calls else 0)
    assert [one.resource_arn for one in last.questions] == [A, B]
    assert sorted(one.resource_arn for one in last.evaluations) == [A, B]


def test_refines_several_documents_in_one_call() -> None:
    c = arn("Web")
    aws = Aws({A: (THEIRS,), B: (), c: None})
    first = [attempt(aws, one) for one in (ON_A, ON_B, Question(ALICE, c, ()))]

    last = resimulated(aws, *first)

    assert [code(one) for one in last] == [Reason.ALLOWED, Reason.ALLOWED, Reason.IMPLICIT_DENY]
    assert last[1:] == first[1:]
    assert sorted(aws.calls) == ["Dev", *BOTH]


def test_failed_second_simulation_does_not_affect_other_requests() -> None:
    aws = Aws({A: (THEIRS,), B: (MINE,)})
    aws.fails = {A}

    # With another context, so that it is simulated in another call.
    on_b = ON_B.with_context([ContextEntry("aws:RequestedRegion", "string", ("us-east-1",))])
    failed, allowed = resimulated(aws, attempt(aws, ON_A), attempt(aws, on_b))

    assert isinstance(failed.decision, Unknown)
    assert code(allowed) == Reason.ALLOWED


def test_refines_requests_with_one_and_two_documents_together() -> None:
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
    assert sorted(aws.calls[:-1]) == [*BOTH, "tags of Ops"]
    assert aws.calls[-1] == "Dev Ops"


@pytest.mark.parametrize("most", [0, 1, 2, 3])
def test_reads_tags_of_limited_number_of_documents(most: int) -> None:
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


def test_reports_unreadable_tags_within_limit() -> None:
    aws = Aws({A: (THEIRS,)})
    aws.document_tags = None

    (last,) = resimulated(aws, attempt(aws, ON_A), most_tagged=1)

    assert isinstance(last.decision, Unknown)
    assert "could not be read (ssm:ListTagsForResource)" in last.decision.reason


def test_documents_of_aws_do_not_count_towards_limit() -> None:
    theirs = Question(ALICE, arn("AWS-X", account=""), ())
    aws = Aws({theirs.resource_arn: (THEIRS,)})
    first = attempt(aws, theirs)

    assert resimulated(aws, first, most_tagged=0) == [first]
