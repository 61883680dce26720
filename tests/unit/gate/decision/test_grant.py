"""How explicit a grant is, and the rule that requires a named document."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ssmgate.gate.decision.decision import Denial, Layer, Permit, Unknown, decide
from ssmgate.gate.decision.evaluation import (
    BOUNDARY_POLICY,
    EvalDecision,
    Evaluation,
    MatchedStatement,
)
from ssmgate.gate.decision.grant import Grant, grant, statements
from ssmgate.gate.decision.question import Question
from ssmgate.gate.decision.reason import Reason
from ssmgate.gate.decision.request import SessionRequest

ARN = "arn:aws:ssm:us-east-1:111122223333:document/Dev-Shell"
QUESTION = Question("arn:aws:iam::111122223333:user/alice", ARN, ())
CONTROL = QUESTION.control().resource_arn
NAMES = MatchedStatement("user_alice_A", "IAM Policy", (3, 5), (9, 6))
COVERS = MatchedStatement("user_alice_A", "IAM Policy", (9, 6), (15, 6))
BOUNDARY = MatchedStatement("Limit", BOUNDARY_POLICY, (3, 5), (9, 6))
UNPLACED = MatchedStatement("user_alice_A", "IAM Policy")
YES, NO, NEVER = EvalDecision.ALLOWED, EvalDecision.IMPLICIT_DENY, EvalDecision.EXPLICIT_DENY


def answer(decision: EvalDecision, *statements: MatchedStatement, **layers: bool) -> Evaluation:
    return Evaluation(CONTROL, decision, statements, **layers)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("allowing", "control", "expected"),
    [
        pytest.param((NAMES,), answer(NO), Grant.NAMED, id="nothing else is allowed"),
        pytest.param((NAMES, COVERS), answer(YES, COVERS), Grant.NAMED, id="both stand there"),
        pytest.param((COVERS,), answer(YES, COVERS), Grant.WILDCARD, id="a wildcard"),
        pytest.param((COVERS,), answer(YES, COVERS, NAMES), Grant.WILDCARD, id="more wildcards"),
        pytest.param((COVERS, BOUNDARY), answer(YES, COVERS), Grant.WILDCARD, id="a boundary's"),
        pytest.param(
            (NAMES,), answer(NO, allowed_by_permissions_boundary=True), Grant.NAMED,
            id="an open boundary",
        ),
        pytest.param(
            (NAMES,), answer(NO, allowed_by_permissions_boundary=False), Grant.UNKNOWN,
            id="the boundary hides the statements",
        ),
        pytest.param(
            (NAMES,), answer(NO, allowed_by_organizations=False), Grant.UNKNOWN,
            id="the organization hides the statements",
        ),
        pytest.param((NAMES,), answer(NEVER), Grant.UNKNOWN, id="a deny hides the statements"),
        pytest.param((UNPLACED,), answer(NO), Grant.UNKNOWN, id="no position"),
        pytest.param((NAMES,), answer(YES, UNPLACED), Grant.UNKNOWN, id="no position in control"),
        pytest.param((NAMES,), answer(YES), Grant.UNKNOWN, id="allowed by nothing"),
        pytest.param((), answer(NO), Grant.UNKNOWN, id="no statement"),
        pytest.param((NAMES,), None, Grant.UNKNOWN, id="no control"),
    ],
)  # fmt: skip
def test_classifies_grant(
    allowing: tuple[MatchedStatement, ...], control: Evaluation | None, expected: Grant
) -> None:
    answers = [Evaluation(ARN, YES, allowing)]
    controls = [] if control is None else [control]
    assert grant(answers, controls) is expected

    decision = decide(
        SessionRequest("i-1"), [QUESTION], answers, allow_wildcard_grants=False, controls=controls
    )
    match expected:
        case Grant.NAMED:
            assert isinstance(decision, Permit)
        case Grant.WILDCARD:
            assert isinstance(decision, Denial)
            assert decision.reason_code == Reason.NOT_NAMED
        case _:
            assert isinstance(decision, Unknown)
            assert decision.reason_code == Reason.GRANT_UNKNOWN


@pytest.mark.parametrize(
    "hidden",
    [
        answer(NEVER),
        answer(NO, allowed_by_organizations=False),
        answer(YES),
    ],
)
def test_control_answer_must_have_statements(hidden: Evaluation) -> None:
    answers = [Evaluation(ARN, YES, (NAMES,))]

    assert grant(answers, [answer(NO), answer(NO)]) is Grant.NAMED
    assert grant(answers, [answer(NO), hidden]) is Grant.UNKNOWN
    assert grant(answers, [hidden, answer(NO)]) is Grant.UNKNOWN


def test_denying_statement_does_not_allow() -> None:
    answers = [Evaluation(ARN, YES, (NAMES, BOUNDARY)), Evaluation(ARN, NEVER, (COVERS,))]
    assert statements(answers) == {NAMES}


def test_wildcard_suffices_without_rule() -> None:
    answers = [Evaluation(ARN, YES, (COVERS,))]
    decision = decide(SessionRequest("i-1"), [QUESTION], answers, controls=[answer(YES, COVERS)])
    assert isinstance(decision, Permit)


def test_naming_document_does_not_allow() -> None:
    answers = [Evaluation(ARN, NO, (NAMES,))]
    decision = decide(
        SessionRequest("i-1"),
        [QUESTION],
        answers,
        allow_wildcard_grants=False,
        controls=[answer(NO)],
    )
    assert isinstance(decision, Denial)
    assert decision.reason_code == Reason.IMPLICIT_DENY


def test_ignores_control_of_another_document() -> None:
    answers = [Evaluation(ARN, YES, (NAMES,))]
    other = replace(answer(NO), resource_arn=CONTROL + "x")
    decision = decide(
        SessionRequest("i-1"), [QUESTION], answers, allow_wildcard_grants=False, controls=[other]
    )
    assert isinstance(decision, Unknown)


def test_statement_naming_another_document_is_not_explicit() -> None:
    """Of two documents that a request may mean, one is named and the other has a wildcard."""
    other = replace(QUESTION, resource_arn=ARN.replace("111122223333", ""))
    answers = [Evaluation(ARN, YES, (COVERS,)), Evaluation(other.resource_arn, YES, (NAMES,))]
    controls = [
        answer(YES, COVERS),
        replace(answer(NO), resource_arn=other.control().resource_arn),
    ]

    decision = decide(
        SessionRequest("i-1"), [QUESTION, other], answers, allow_wildcard_grants=False,
        controls=controls,
    )  # fmt: skip

    assert decision == Denial(Reason.NOT_NAMED, QUESTION, Layer.IDENTITY, (COVERS,))
