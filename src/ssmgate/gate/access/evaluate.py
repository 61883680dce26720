"""Ask IAM about the documents that a request may mean, and conclude."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from ssmgate.gate.aws import simulate
from ssmgate.gate.decision.decision import SimulationAttempt, Unknown, decide, verdict
from ssmgate.gate.decision.evaluation import Evaluation
from ssmgate.gate.decision.question import Question
from ssmgate.gate.decision.request import SessionRequest

# For the control: behind a boundary that denies it, IAM would list no statement that allows it.
_OPEN_BOUNDARY = (
    '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}'
)


def look(
    iam: Any, request: SessionRequest, questions: tuple[Question, ...], allow_wildcard_grants: bool
) -> SimulationAttempt:
    """Ask IAM `questions`; without `allow_wildcard_grants` their controls too, if IAM allows."""
    evaluations: tuple[Evaluation, ...] = ()
    for question in questions:
        answer = simulate.simulate(iam, question, datetime.now(UTC))
        if isinstance(answer, Unknown):
            return SimulationAttempt(request, questions, evaluations, answer)
        evaluations += answer
    return conclude(iam, request, questions, evaluations, allow_wildcard_grants)


def conclude(
    iam: Any,
    request: SessionRequest,
    questions: tuple[Question, ...],
    evaluations: tuple[Evaluation, ...],
    allow_wildcard_grants: bool,
) -> SimulationAttempt:
    """The outcome of `evaluations`, with IAM's answers about the controls if those are needed.

    They are calls of their own: in the document's they would share its answer's top level,
    which is the worst of all.
    """
    controls: tuple[Evaluation, ...] = ()
    allowed = all(verdict(question, evaluations) is None for question in questions)
    if not allow_wildcard_grants and allowed:
        for question in questions:
            answer = ask_control(iam, question, evaluations)
            if isinstance(answer, Unknown):
                return SimulationAttempt(request, questions, evaluations, answer)
            controls += answer
    outcome = decide(
        request,
        questions,
        evaluations,
        allow_wildcard_grants=allow_wildcard_grants,
        controls=controls,
    )
    return SimulationAttempt(request, questions, evaluations, outcome, controls)


def ask_control(
    iam: Any, question: Question, evaluations: Sequence[Evaluation]
) -> tuple[Evaluation, ...] | Unknown:
    """IAM's answer about the control of `question`, which `evaluations` answer."""
    bounded = any(e.allowed_by_permissions_boundary is not None for e in evaluations)
    return simulate.simulate(
        iam,
        question.control(),
        datetime.now(UTC),
        boundary=_OPEN_BOUNDARY if bounded else None,
    )
