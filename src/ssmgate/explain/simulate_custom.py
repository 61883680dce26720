"""iam:SimulateCustomPolicy: ask IAM about policies of files in the place of a principal's."""

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
    """Ask IAM `question` as of `now` about `policies`, the texts of at least one.

    `now` has a time zone. `boundary` is the text of a permissions boundary, None for none. IAM
    takes no service control policies here.
    https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulateCustomPolicy.html
    """
    # IAM fills in nothing here, as there is no principal.
    source = question.policy_source_arn
    filled = [ContextEntry("aws:PrincipalAccount", "string", (account_of(source),))]
    if ":user/" in source:
        filled.append(ContextEntry("aws:username", "string", (source.rpartition("/")[2],)))
    asked = question.with_context(filled)
    asked = replace(asked, context=tuple(entry for entry in asked.context if entry.values))
    who = {"PolicyInputList": list(policies)}
    return simulate.ask(iam.simulate_custom_policy, who, (asked,), now, boundary)
