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

MOST_LEVELS = 7
"""The organization's root, up to five levels of organizational units, and the account."""


def simulate_custom(
    iam: Any,
    question: Question,
    now: datetime,
    *,
    policies: Sequence[str],
    boundary: str | None,
    service_control: Sequence[Sequence[str]] = (),
) -> tuple[Evaluation, ...] | Unknown:
    """Simulate `question` at the time `now` with `policies`, the texts of at least one policy.

    `now` has a time zone. `boundary` is the text of a permissions boundary, or None.
    `service_control` has the texts of the service control policies at each level, the
    organization's root first, at most `MOST_LEVELS`. Returns Unknown if IAM does not answer.
    https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulateCustomPolicy.html
    """
    # There is no principal, so IAM adds no context keys of its own.
    source = question.policy_source_arn
    supplied = [ContextEntry("aws:PrincipalAccount", "string", (account_of(source),))]
    if ":user/" in source:
        supplied.append(ContextEntry("aws:username", "string", (source.rpartition("/")[2],)))
    complete = question.with_context(supplied)
    complete = replace(complete, context=tuple(entry for entry in complete.context if entry.values))
    policy_input: dict[str, Any] = {"PolicyInputList": list(policies)}
    if service_control:
        policy_input["OrderedOrganizationPolicyInputList"] = [
            {"ServiceControlPolicyInputList": list(level)} for level in service_control
        ]
    return simulate.ask(iam.simulate_custom_policy, policy_input, (complete,), now, boundary)
