"""State outcomes in one clause each, and where missing context keys could come from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from ssmgate.explain.report import Answer, MissingKey, Statement, Verdict
from ssmgate.gate.decision.decision import (
    Denial,
    Layer,
    Permit,
    SimulationAttempt,
    Unknown,
)
from ssmgate.gate.decision.evaluation import Evaluation, MatchedStatement
from ssmgate.gate.decision.question import Question, is_principal_tag, is_resource_tag
from ssmgate.gate.decision.reason import Reason


def answer(
    obstacle: Denial | Unknown | None,
    questions: Sequence[Question],
    evaluations: Sequence[Evaluation],
) -> Answer:
    """Return the answer for `obstacle`: allowed if it is None.

    Statements are named by policy and line; no policy is read.
    """
    match obstacle:
        case None:
            matched = _matched(evaluations)
            return Answer(
                Verdict.ALLOWED,
                Reason.ALLOWED,
                f"allowed by {_policies(matched)}" if matched else "allowed",
                tuple(questions),
                layer=Layer.IDENTITY.value,
                statements=tuple(shown(s) for s in matched),
            )
        case Denial():
            missing = tuple(
                MissingKey(key, supplier(key, obstacle.question))
                for key in obstacle.missing_context
                if not obstacle.question.gives(key)
            )
            return Answer(
                Verdict.DENIED,
                obstacle.reason_code,
                _denial_reason(obstacle),
                tuple(questions),
                layer=obstacle.layer.value,
                statements=tuple(shown(s) for s in obstacle.matched_statements),
                missing=missing,
            )
    keys = obstacle.live_context or tuple(
        key for e in evaluations for key in e.missing_context if not _given(questions, key)
    )
    return Answer(
        Verdict.UNKNOWN,
        obstacle.reason_code,
        obstacle.reason,
        tuple(questions),
        layer=_deny_layer(obstacle),
        missing=tuple(
            MissingKey(key, supplier(key, obstacle.question)) for key in dict.fromkeys(keys)
        ),
    )


def _deny_layer(unknown: Unknown) -> str | None:
    """Return the layer of an explicit deny whose condition keys could not be listed."""
    if unknown.denial is None or unknown.reason_code != Reason.KEYS_NOT_LISTABLE:
        return None
    return unknown.denial.layer.value


def of_attempt(attempt: SimulationAttempt) -> Answer:
    """Return the answer about the document that is the decision of `attempt`."""
    obstacle = None if isinstance(attempt.decision, Permit) else attempt.decision
    return answer(obstacle, attempt.questions, attempt.evaluations)


def _given(questions: Sequence[Question], key: str) -> bool:
    return any(question.gives(key) for question in questions)


def _denial_reason(denial: Denial) -> str:
    question = denial.question
    what = f"{question.action} on {question.resource_arn}"
    match denial.reason_code:
        case Reason.EXPLICIT_DENY:
            by = f" ({_policies(denial.matched_statements)})" if denial.matched_statements else ""
            return f"an explicit deny in {_article(denial.layer)}{by} forbids {what}"
        case Reason.NOT_NAMED:
            by = _policies(denial.matched_statements)
            return f"no statement names the document, only a wildcard allows it ({by})"
        case Reason.IMPLICIT_DENY:
            return f"no {denial.layer.value} allows {what}"
    assert_never(denial.reason_code)


def _article(layer: Layer) -> str:
    return f"an {layer.value}" if layer is Layer.IDENTITY else f"a {layer.value}"


def _policies(statements: Sequence[MatchedStatement]) -> str:
    return ", ".join(dict.fromkeys(s.source_policy_id for s in statements))


def _matched(evaluations: Sequence[Evaluation]) -> tuple[MatchedStatement, ...]:
    return tuple(dict.fromkeys(s for e in evaluations for s in e.matched_statements))


def shown(statement: MatchedStatement) -> Statement:
    """Return a statement whose policy was not read, with the line that IAM reported."""
    line = None if statement.start is None else statement.start[0]
    return Statement(statement.source_policy_id, statement.source_policy_type, line=line)


def supplier(key_name: str, question: Question | None) -> str:
    """Return who could supply a context key that IAM was not given."""
    if is_resource_tag(key_name):
        return _whose_tags("" if question is None else question.resource_arn)
    if is_principal_tag(key_name):
        return "tags of the IAM user or role, or of the session; AWS lists no session tags"
    return "set it under [context] in the configuration, if you know the value that AWS will see"


def _whose_tags(arn: str) -> str:
    if ":document/" in arn:
        return "tags of the document (ssm:ListTagsForResource), not those of the node"
    if ":instance/" in arn:
        return "tags of the instance (ec2:DescribeTags)"
    if ":managed-instance/" in arn:
        return "tags of the managed node (ssm:ListTagsForResource)"
    if ":task/" in arn:
        return "tags of the task (ecs:ListTagsForResource), with aws:ResourceTag only"
    return "tags of the target"
