"""Simulate several documents in one call. Loaded only where there are several."""

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
    """Ask IAM several `questions`, which differ in nothing but the resource, in one call.

    `boundary` as for `simulate`. Raises `ValueError` for questions that differ otherwise.
    """
    if len({(q.policy_source_arn, q.action, q.context) for q in questions}) != 1:
        raise ValueError("questions of one call have one context")
    who = {"PolicySourceArn": questions[0].policy_source_arn}
    return simulate.ask(iam.simulate_principal_policy, who, questions, now, boundary)


def evaluations_of_several(
    answer: Mapping[str, Any], resource_arns: Sequence[str], action: str = ACTION
) -> tuple[Evaluation, ...]:
    """Read one page about several resources, of which only the entries count.

    The top level is no entry's: mostly it is the worst of all, and it was seen to allow above an
    entry that denies. What the organization says is reported there alone: where it does not
    allow, every entry that denies has `allowed_by_organizations` False, and which of them it
    denies is not known. An explicit deny without a statement certainly is a service control
    policy's. Raises `UnreadableAnswer` as `evaluations_of` does.
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
