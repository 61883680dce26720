"""Simulate the controls of documents, to find out whether a statement names them.

Loaded only where wildcard grants are not allowed, or are reported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from ssmgate.gate.access.evaluate import Answered
from ssmgate.gate.aws.simulate_several import simulate_together
from ssmgate.gate.decision.controls import controls_of
from ssmgate.gate.decision.decision import SimulationAttempt, Unknown
from ssmgate.gate.decision.evaluation import Evaluation
from ssmgate.gate.decision.question import Question

# Behind a boundary that denies a control, IAM would list no statement that allows it.
_OPEN_BOUNDARY = (
    '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}'
)

MOST = 400
"""How many ARNs are simulated in one call, if one document does not have more controls."""


def simulate_controls(
    iam: Any, answered: Sequence[Answered | SimulationAttempt]
) -> list[tuple[tuple[Evaluation, ...], Unknown | None]]:
    """Return IAM's answers about the controls of each, and why some of them are missing.

    Controls of documents that differ only in their name are simulated in one call. If a service
    control policy denies any of them, which of them is unknown: those of each document are then
    simulated in a call of their own.
    """
    found: list[tuple[tuple[Evaluation, ...], Unknown | None]] = [((), None)] * len(answered)
    groups: dict[object, list[tuple[int, Question]]] = {}
    for number, one in enumerate(answered):
        bounded = any(e.allowed_by_permissions_boundary is not None for e in one.evaluations)
        boundary = _OPEN_BOUNDARY if bounded else None
        for question in one.questions:
            shared = (question.policy_source_arn, question.action, question.context, boundary)
            groups.setdefault(shared, []).append((number, question))
    for (*_, boundary), members in groups.items():  # type: ignore[misc]
        for together in _calls(members):
            questions = [question for _, question in together]
            for (number, _), answer in zip(together, _ask(iam, questions, boundary), strict=True):
                before, unknown = found[number]
                if isinstance(answer, Unknown):
                    found[number] = before, unknown or answer
                else:
                    found[number] = (*before, *answer), unknown
    return found


def _calls(members: Sequence[tuple[int, Question]]) -> list[list[tuple[int, Question]]]:
    """Return `members` in lists whose controls are simulated in one call each."""
    calls: list[list[tuple[int, Question]]] = []
    room = 0
    for member in members:
        needed = len(member[1].resource_arn.partition("/")[2]) + 1
        if needed > room:
            calls.append([])
            room = MOST
        calls[-1].append(member)
        room -= needed
    return calls


def _ask(
    iam: Any, questions: Sequence[Question], boundary: str | None
) -> list[tuple[Evaluation, ...] | Unknown]:
    controls = [controls_of(question) for question in questions]
    asked = list({q.resource_arn: q for group in controls for q in group}.values())
    answers = simulate_together(iam, asked, datetime.now(UTC), boundary=boundary)
    if isinstance(answers, Unknown):
        return [replace(answers, question=group[0]) for group in controls]
    if len(questions) > 1 and any(a.allowed_by_organizations is False for a in answers):
        return [answer for question in questions for answer in _ask(iam, [question], boundary)]
    arns = [{q.resource_arn for q in group} for group in controls]
    return [tuple(a for a in answers if a.resource_arn in own) for own in arns]
