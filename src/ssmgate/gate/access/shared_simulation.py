"""Simulate questions that differ only in the resource in one call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from ssmgate.gate.aws import simulate, simulate_several
from ssmgate.gate.decision.decision import Unknown
from ssmgate.gate.decision.evaluation import EvalDecision, Evaluation
from ssmgate.gate.decision.question import Question


def simulate_group(
    iam: Any, questions: Sequence[Question], boundary: str | None
) -> list[tuple[Evaluation, ...] | Unknown]:
    """Simulate `questions` in one call, and those that its answer leaves open alone."""

    def alone(question: Question) -> tuple[Evaluation, ...] | Unknown:
        return simulate.simulate(iam, question, datetime.now(UTC), boundary=boundary)

    together = simulate_several.simulate_together(
        iam, questions, datetime.now(UTC), boundary=boundary
    )
    if isinstance(together, Unknown):
        return [replace(together, question=question) for question in questions]
    answers: list[tuple[Evaluation, ...] | Unknown] = []
    for question in questions:
        about = tuple(e for e in together if e.resource_arn == question.resource_arn)
        answers.append(alone(question) if any(map(_is_unclear, about)) else about)
    return answers


def _is_unclear(evaluation: Evaluation) -> bool:
    """Return whether an answer about several documents does not show what denies this one.

    It reports only for all of them together that the organization denies. An explicit deny without
    a statement is a service control policy's; any other denial may be another policy's.
    """
    certain = evaluation.eval_decision is EvalDecision.EXPLICIT_DENY and (
        not evaluation.matched_statements
    )
    return evaluation.allowed_by_organizations is False and not certain
