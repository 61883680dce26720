"""Call iam:SimulateCustomPolicy, which evaluates policies from files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from ssmgate.gate.aws import simulate
from ssmgate.gate.decision.arn import account_of
from ssmgate.gate.decision.decision import Unknown
from ssmgate.gate.decision.evaluation import Evaluation
from ssmgate.gate.decision.question import ContextEntry, Question


def simulate_custom(
    iam: Any, question: Question, now: datetime, *, policies: Sequence[str], boundary: str | None
) -> tuple[Evaluation, ...] | Unknown:
    """Simulate `question` at the time `now` with `policies`, the texts of at least one policy.

    `now` has a time zone. `boundary` is the text of a permissions boundary, or None. The
    operation does not take service control policies. Returns Unknown if IAM does not answer.
    https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulateCustomPolicy.html
    """
    # There is no principal, so IAM adds no context keys of its own.
    source = question.policy_source_arn
    supplied = [ContextEntry("aws:PrincipalAccount", "string", (account_of(source),))]
    if ":user/" in source:
        supplied.append(ContextEntry("aws:username", "string", (source.rpartition("/")[2],)))
    complete = question.with_context(supplied)
    complete = replace(complete, context=tuple(entry for entry in complete.context if entry.values))
    policy_input = {"PolicyInputList": list(policies)}
    return simulate.ask(iam.simulate_custom_policy, policy_input, (complete,), now, boundary)
