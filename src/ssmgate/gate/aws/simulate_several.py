"""Simulate several documents in one call. Loaded only if there are several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from ssmgate.gate.aws import simulate
from ssmgate.gate.decision.decision import Unknown
from ssmgate.gate.decision.evaluation import EvalDecision, Evaluation
from ssmgate.gate.decision.question import ACTION, Question


def simulate_together(
    iam: Any, questions: Sequence[Question], now: datetime, *, boundary: str | None = None
) -> tuple[Evaluation, ...] | Unknown:
    """Simulate several `questions`, which differ only in the resource, in one call.

    `boundary` as for `simulate`. Raises `ValueError` for questions that differ otherwise.
    """
    if len({(q.policy_source_arn, q.action, q.context) for q in questions}) != 1:
        raise ValueError("questions of one call have one context")
    who = {"PolicySourceArn": questions[0].policy_source_arn}
    return simulate.ask(iam.simulate_principal_policy, who, questions, now, boundary)


def evaluations_of_several(
    answer: Mapping[str, Any], resource_arns: Sequence[str], action: str = ACTION
) -> tuple[Evaluation, ...]:
    """Return the evaluations on one page about several resources, from the entries only.

    The top level belongs to no entry: mostly it is the most restrictive decision, but it was
    observed to allow above an entry that denies. Only the top level has the organization's
    decision: if that denies, every entry that denies gets `allowed_by_organizations` False, and
    which of them it denies is unknown. An explicit deny without a statement is certainly a service
    control policy's. Raises `UnreadableAnswer` as `evaluations_of` does.
    """
    found: list[Evaluation] = []
    for result, _, organizations in simulate.results(answer, action):
        for entry in result.get("ResourceSpecificResults") or ():
            if entry.get("EvalResourceName") in resource_arns:
                read = simulate.evaluation_of(entry, {}, None)
                denies = read.eval_decision is not EvalDecision.ALLOWED
                found.append(
                    replace(read, allowed_by_organizations=False)
                    if denies and organizations is False
                    else read
                )
    return tuple(found)
