"""Simulate without some of the caller's policies, to find the policy that decides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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

Identifier = dict[str, Any]


def exclude(iam: Any, policies: Sequence[str]) -> None:
    """Make the client `iam` simulate without `policies` from now on.

    Each is `boundary`, `scp`, another of `TYPES`, the ARN of a managed policy, or a name (see
    `identifiers`).
    """

    def add(params: dict[str, Any], **_: object) -> dict[str, Any]:
        source = str(params["PolicySourceArn"])
        excluded = [one for name in policies for one in identifiers(name, source)]
        return {**params, "PolicyExclusionList": excluded}

    if policies:
        iam.meta.events.register("provide-client-params.iam.SimulatePrincipalPolicy", add)


def identifiers(name: str, policy_source_arn: str) -> Iterator[Identifier]:
    """Yield what identifies the policy `name` of the user or role `policy_source_arn`.

    A name is that of an inline policy, of a managed policy without a path, or the one that IAM's
    simulation reports, such as `user_NAME_INLINE`. IAM ignores an identifier that matches no
    policy, so a name may have several.
    https://docs.aws.amazon.com/IAM/latest/APIReference/API_PolicyIdentifier.html
    """
    word = _WORDS.get(name, name)
    if word in TYPES:
        yield {"PolicyType": word}
        return
    if name.startswith("arn:"):
        yield {"PolicyArn": name}
        return
    _, partition, _, _, account, entity = policy_source_arn.split(":", 5)
    kind, own = entity.partition("/")[0], entity.rpartition("/")[2]
    yield _inline(name, kind, own)
    if kind == "user":
        yield _inline(name, "group", "*")
    if name.startswith(reported := f"{kind}_{own}_"):
        yield _inline(name.removeprefix(reported), kind, own)
    if name.startswith("group_"):
        words = name.removeprefix("group_").split("_")
        for at in range(1, len(words)):
            yield _inline("_".join(words[at:]), "group", "_".join(words[:at]))
    for owner in (account, "aws"):
        yield {"PolicyArn": f"arn:{partition}:iam::{owner}:policy/{name}"}


def _inline(policy: str, kind: str, entity: str) -> Identifier:
    attached = {"AttachmentType": kind, "AttachmentName": entity}
    return {"InlinePolicyIdentifier": {"PolicyName": policy, **attached}}


def deciding(iam: Any, answer: Answer) -> str:
    """Return a sentence that names the kind of policy that denies, empty if none is found.

    `answer` is an explicit deny whose statements IAM does not report. One kind after the other is
    excluded, in at most five calls.
    """
    explicit = answer.reason_code in (Reason.EXPLICIT_DENY, Reason.KEYS_NOT_LISTABLE)
    if not explicit or answer.statements or not answer.questions:
        return ""
    question = answer.questions[-1]
    for name, words in TYPES.items():
        decisions = _without(iam, question, name)
        if not decisions:
            return ""
        if decisions == {EvalDecision.ALLOWED}:
            return f"{words} deny it; without them IAM's simulation allows it"
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
    return _simulate(iam, question, {"PolicyExclusionList": [{"PolicyType": name}]})


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
