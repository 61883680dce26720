"""The decision, as a table whose ids read as a policy."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ssmgate.gate.decision.decision import (
    Denial,
    Layer,
    Permit,
    Unknown,
    decide,
    override,
)
from ssmgate.gate.decision.denial import keys_not_listable, unless_unknown, unless_unread
from ssmgate.gate.decision.evaluation import EvalDecision, Evaluation, MatchedStatement
from ssmgate.gate.decision.question import Question
from ssmgate.gate.decision.reason import Reason
from ssmgate.gate.decision.reason_kinds import DenialReason
from ssmgate.gate.decision.request import DEFAULT_DOCUMENT_NAME, SessionRequest

REQUEST = SessionRequest("i-1")
ARN = "arn:aws:ssm:us-east-1:111122223333:document/SSM-SessionManagerRunShell"
OTHER = "arn:aws:ssm:us-east-1::document/AWS-StartSSHSession"
QUESTION = Question("arn:aws:iam::111122223333:user/alice", ARN, ())
ALLOWED, IMPLICIT, EXPLICIT = (
    EvalDecision.ALLOWED,
    EvalDecision.IMPLICIT_DENY,
    EvalDecision.EXPLICIT_DENY,
)
ALLOW = Evaluation(ARN, ALLOWED)
DENY = Evaluation(ARN, IMPLICIT)


def test_permits_request_if_document_is_allowed() -> None:
    assert decide(REQUEST, [QUESTION], [ALLOW]) == Permit(REQUEST)


@pytest.mark.parametrize(
    ("evaluations", "reason_code"),
    [
        pytest.param([], Reason.NO_ANSWER, id="empty simulation"),
        pytest.param([Evaluation("*", ALLOWED)], Reason.NO_ANSWER, id="allowed on a wildcard"),
        pytest.param([Evaluation(OTHER, ALLOWED)], Reason.NO_ANSWER, id="another document"),
        pytest.param([Evaluation(ARN + "x", ALLOWED)], Reason.NO_ANSWER, id="a longer name"),
        pytest.param([Evaluation(ARN.lower(), ALLOWED)], Reason.NO_ANSWER, id="another case"),
        pytest.param(
            [replace(ALLOW, allowed_by_organizations=False)], "contradiction", id="SCP denies"
        ),
        pytest.param(
            [replace(ALLOW, allowed_by_permissions_boundary=False)],
            "contradiction",
            id="boundary denies",
        ),
        pytest.param(
            [replace(DENY, missing_context=("aws:MultiFactorAuthPresent",))],
            Reason.LIVE_CONTEXT,
            id="depends on MFA",
        ),
        pytest.param(
            [replace(DENY, missing_context=("ssm:resourceTag/a", "AWS:sourceip"))],
            Reason.LIVE_CONTEXT,
            id="depends on the address, in odd case",
        ),
    ],
)
def test_answer_that_decides_nothing_is_unknown(
    evaluations: list[Evaluation], reason_code: Reason
) -> None:
    decision = decide(REQUEST, [QUESTION], evaluations)

    assert isinstance(decision, Unknown)
    assert (decision.reason_code, decision.question) == (reason_code, QUESTION)


@pytest.mark.parametrize(
    ("evaluations", "reason_code", "layer"),
    [
        pytest.param([DENY], Reason.IMPLICIT_DENY, Layer.IDENTITY, id="not mentioned"),
        pytest.param(
            [ALLOW, DENY], Reason.IMPLICIT_DENY, Layer.IDENTITY, id="allowed once, denied once"
        ),
        pytest.param(
            [Evaluation(ARN, EXPLICIT)], Reason.EXPLICIT_DENY, Layer.IDENTITY, id="denied"
        ),
        pytest.param(
            [replace(DENY, allowed_by_organizations=False)],
            Reason.IMPLICIT_DENY,
            Layer.ORGANIZATIONS,
            id="no SCP allows",
        ),
        pytest.param(
            [Evaluation(ARN, EXPLICIT, allowed_by_organizations=False)],
            Reason.EXPLICIT_DENY,
            Layer.ORGANIZATIONS,
            id="an SCP denies, without a statement",
        ),
        pytest.param(
            [replace(DENY, allowed_by_permissions_boundary=False)],
            Reason.IMPLICIT_DENY,
            Layer.BOUNDARY,
            id="outside the boundary",
        ),
        pytest.param(
            [replace(DENY, missing_context=("ssm:resourceTag/Env",))],
            Reason.IMPLICIT_DENY,
            Layer.IDENTITY,
            id="tags are missing",
        ),
        pytest.param(
            [Evaluation(ARN, EXPLICIT, missing_context=("aws:SourceIp",))],
            Reason.EXPLICIT_DENY,
            Layer.IDENTITY,
            id="denied, whatever is missing",
        ),
    ],
)
def test_denial_has_reason_and_layer(
    evaluations: list[Evaluation], reason_code: DenialReason, layer: Layer
) -> None:
    decision = decide(REQUEST, [QUESTION], evaluations)

    assert isinstance(decision, Denial)
    assert (decision.reason_code, decision.layer, decision.question) == (
        reason_code,
        layer,
        QUESTION,
    )


def test_permits_nothing_without_question() -> None:
    assert decide(REQUEST, [], [ALLOW]) == Unknown(
        Reason.NO_QUESTION, "no session document was simulated"
    )


@pytest.mark.parametrize(
    ("decisions", "permitted"),
    [
        ((ALLOWED, ALLOWED), True),
        ((ALLOWED, IMPLICIT), False),
        ((IMPLICIT, ALLOWED), False),
        ((ALLOWED, None), False),
    ],
)
def test_permits_request_only_if_each_possible_document_is_allowed(
    decisions: tuple[EvalDecision, EvalDecision | None], permitted: bool
) -> None:
    questions = [QUESTION, replace(QUESTION, resource_arn=OTHER)]
    evaluations = [
        Evaluation(question.resource_arn, decision)
        for question, decision in zip(questions, decisions, strict=True)
        if decision is not None
    ]

    assert isinstance(decide(REQUEST, questions, evaluations), Permit) is permitted


def test_permit_spells_out_default_document_only() -> None:
    spelled_out = Permit(REQUEST).spelled_out()

    assert spelled_out == replace(REQUEST, document_name=DEFAULT_DOCUMENT_NAME)
    assert Permit(replace(REQUEST, document_name="Dev-Shell")).spelled_out() is None


def test_override_records_overridden_denial() -> None:
    denial = Denial(Reason.IMPLICIT_DENY, QUESTION, Layer.IDENTITY)

    permit = override(REQUEST, denial)

    assert permit == Permit(REQUEST, denial)
    assert permit.spelled_out() is None, "a denied document has no second spelling"


@pytest.mark.parametrize(
    ("reason_code", "expected"),
    [(Reason.IMPLICIT_DENY, Reason.LIVE_CONTEXT), (Reason.EXPLICIT_DENY, Reason.LIVE_DENY)],
)
def test_denial_with_unknown_keys_is_unknown(reason_code: DenialReason, expected: Reason) -> None:
    denial = Denial(reason_code, QUESTION, Layer.IDENTITY)

    decision = unless_unknown(denial, ["aws:PrincipalTag/Team", "aws:SourceIp"])

    assert isinstance(decision, Unknown)
    assert (decision.reason_code, decision.question) == (expected, QUESTION)
    assert decision.live_context == ("aws:PrincipalTag/Team", "aws:SourceIp")
    assert decision.reason.endswith("does not know: aws:PrincipalTag/Team, aws:SourceIp")
    assert decision.denial is denial
    assert unless_unknown(denial, ()) is denial


@pytest.mark.parametrize(
    ("layer", "start"),
    [
        (Layer.IDENTITY, "an explicit deny in an identity-based policy (Guard) applies"),
        (Layer.BOUNDARY, "an explicit deny in a permissions boundary (Guard) applies"),
        (Layer.ORGANIZATIONS, "an explicit deny in a service control policy (Guard) applies"),
    ],
)
def test_deny_whose_keys_are_not_listed_names_layer(layer: Layer, start: str) -> None:
    denial = Denial(Reason.EXPLICIT_DENY, QUESTION, layer, (MatchedStatement("Guard"),))

    decision = keys_not_listable(denial, "cannot be listed")

    assert (decision.reason_code, decision.denial) == (Reason.KEYS_NOT_LISTABLE, denial)
    assert decision.reason == f"{start}, but may depend on condition keys that cannot be listed"
    unnamed = keys_not_listable(replace(denial, matched_statements=()), "cannot be listed")
    assert unnamed.reason == decision.reason.replace(" (Guard)", "")


IDENTITY, BOUNDARY = "IAM Policy", "Permissions Boundary Policy"


def test_layer_of_implicit_deny_is_what_iam_reports() -> None:
    allowing = (MatchedStatement("Guard", IDENTITY),)
    answer = Evaluation(ARN, IMPLICIT, allowing, (), None, False)

    decision = decide(REQUEST, [QUESTION], [answer])

    assert isinstance(decision, Denial)
    assert decision.layer is Layer.ORGANIZATIONS


@pytest.mark.parametrize(
    ("types", "boundary", "organizations", "layer"),
    [
        ((IDENTITY,), None, None, Layer.IDENTITY),
        ((IDENTITY,), False, False, Layer.IDENTITY),
        ((BOUNDARY, IDENTITY), False, None, Layer.IDENTITY),
        ((BOUNDARY,), False, None, Layer.BOUNDARY),
        ((BOUNDARY,), False, False, Layer.BOUNDARY),
        ((), None, False, Layer.ORGANIZATIONS),
        ((), False, None, Layer.BOUNDARY),
        ((), None, None, Layer.IDENTITY),
    ],
)
def test_layer_of_explicit_deny_is_that_of_its_statements(
    types: tuple[str, ...], boundary: bool | None, organizations: bool | None, layer: Layer
) -> None:
    statements = tuple(MatchedStatement("Guard", kind) for kind in types)
    answer = Evaluation(ARN, EXPLICIT, statements, (), boundary, organizations)

    decision = decide(REQUEST, [QUESTION], [answer])

    assert isinstance(decision, Denial)
    assert decision.layer is layer


def test_denial_that_unread_tag_may_change_is_unknown() -> None:
    unread = (("aws:ResourceTag/a", "is x"), ("ssm:resourceTag/b", "is x"), ("c", "is y"))
    decisions = [
        unless_unread(Denial(code, QUESTION, Layer.IDENTITY), unread)
        for code in (Reason.IMPLICIT_DENY, Reason.EXPLICIT_DENY)
    ]

    assert [o.reason_code for o in decisions] == [Reason.TAGS_UNKNOWN, Reason.TAGS_DENY]
    keys = "aws:ResourceTag/a, ssm:resourceTag/b, which is x, and c, which is y"
    assert [o.reason for o in decisions if isinstance(o, Unknown)] == [
        f"the policies test {keys}", f"an explicit deny may depend on {keys}",
    ]  # fmt: skip


def test_denial_without_unread_tags_stays() -> None:
    denial = Denial(Reason.IMPLICIT_DENY, QUESTION, Layer.IDENTITY)

    assert unless_unread(denial, ()) is denial
