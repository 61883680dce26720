"""Simulate without some of the caller's policies, to find the policy that decides."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from ssmgate.explain.report import Answer
from ssmgate.gate.aws import simulate
from ssmgate.gate.decision.decision import Unknown
from ssmgate.gate.decision.evaluation import EvalDecision
from ssmgate.gate.decision.question import Question
from ssmgate.gate.decision.reason import Reason

TYPES = {
    "scp": "service control policies",
    "permission-boundary": "the policies of the permissions boundary",
    "inline": "inline policies",
    "user-managed": "customer managed policies",
    "aws-managed": "AWS managed policies",
}
"""The types of policy that IAM can exclude from a simulation, in the order in which they are tried.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
"""

_EVERYTHING = (
    '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}'
)

_WORDS = {"boundary": "permission-boundary"}


def exclude(iam: Any, policies: Sequence[str]) -> None:
    """Make the client `iam` simulate without `policies` from now on.

    Each is `boundary`, `scp`, another of `TYPES`, the name of an inline policy, or an ARN.
    """
    excluded = [_WORDS.get(name, name) for name in policies]

    def add(params: dict[str, Any], **_: object) -> dict[str, Any]:
        return {**params, "PolicyExclusionList": excluded}

    if excluded:
        iam.meta.events.register("provide-client-params.iam.SimulatePrincipalPolicy", add)


def deciding(iam: Any, answer: Answer) -> str:
    """Return a sentence that names the kind of policy that denies, empty if none is found.

    `answer` is an explicit deny whose statements IAM does not report. One kind after the other is
    excluded, in at most five calls.
    """
    if answer.reason_code != Reason.EXPLICIT_DENY or answer.statements or not answer.questions:
        return ""
    question = answer.questions[-1]
    for name, words in TYPES.items():
        decisions = _without(iam, question, name)
        if not decisions:
            return ""
        if decisions == {EvalDecision.ALLOWED}:
            return f"without {words} IAM's simulation allows it: they deny it"
        if EvalDecision.EXPLICIT_DENY not in decisions:
            return f"{words} deny it; without them no policy allows it either"
    return ""


def is_evaluated(iam: Any, question: Question) -> bool:
    """Return whether IAM evaluates policies for the resource of `question` at all.

    If not, it reports an implicit deny, even if a policy and the boundary allow everything.
    """
    everything = {"PolicyInputList": [_EVERYTHING]}
    decisions = _simulate(iam, question, everything, boundary=_EVERYTHING)
    return bool(decisions - {EvalDecision.IMPLICIT_DENY})


def _without(iam: Any, question: Question, name: str) -> set[EvalDecision]:
    return _simulate(iam, question, {"PolicyExclusionList": [name]})


def _simulate(
    iam: Any, question: Question, inputs: dict[str, Any], boundary: str | None = None
) -> set[EvalDecision]:
    """Return IAM's decisions about `question` with `inputs`, none if it did not answer."""
    who = {"PolicySourceArn": question.policy_source_arn, **inputs}
    now = datetime.now(UTC)
    answer = simulate.ask(iam.simulate_principal_policy, who, (question,), now, boundary)
    if isinstance(answer, Unknown):
        return set()
    return {e.eval_decision for e in answer if e.resource_arn == question.resource_arn}
