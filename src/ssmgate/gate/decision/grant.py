"""Find out how explicit a grant is: does a statement name the document, or a wildcard cover it?"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence

from ssmgate.gate.decision.controls import answers_about
from ssmgate.gate.decision.decision import Denial, Layer, Unknown
from ssmgate.gate.decision.evaluation import (
    BOUNDARY_POLICY,
    EvalDecision,
    Evaluation,
    MatchedStatement,
)
from ssmgate.gate.decision.question import Question
from ssmgate.gate.decision.reason import Reason


class Grant(enum.Enum):
    """How a document is granted. `UNKNOWN` if the statements cannot be distinguished."""

    NAMED = "names the document"
    WILDCARD = "a wildcard over documents"
    ANY = "any resource"
    UNKNOWN = "not known"


def unless_named(
    question: Question, evaluations: Sequence[Evaluation], controls: Sequence[Evaluation]
) -> Denial | Unknown | None:
    """Return why no statement certainly names the document of `question`, which IAM allows."""
    match grant(question, evaluations, controls):
        case Grant.NAMED:
            return None
        case Grant.WILDCARD:
            answers = [e for e in evaluations if e.resource_arn == question.resource_arn]
            allowing = tuple(dict.fromkeys(s for a in answers for s in a.matched_statements))
            return Denial(Reason.NOT_NAMED, question, Layer.IDENTITY, allowing)
    return Unknown(
        Reason.GRANT_UNKNOWN,
        "IAM does not show whether a statement names the session document"
        " (allow_wildcard_grants = false)",
        question,
    )


def grant(
    question: Question, evaluations: Sequence[Evaluation], controls: Sequence[Evaluation]
) -> Grant:
    """Return NAMED, WILDCARD or UNKNOWN for the document of `question`, which IAM allows.

    Of `evaluations` those about the document are used, of `controls` those about its controls,
    simulated with a boundary that allows everything if the principal has one. Where IAM denies, it
    does not list the statements that would have allowed: a control shows them only if it is
    allowed, or denied because nothing allows it.
    """
    answers = [e for e in evaluations if e.resource_arn == question.resource_arn]
    controls = answers_about(question, controls)
    allowing = statements(answers)
    covering = statements(controls)
    known = bool(allowing) and bool(controls) and all(map(_shows_statements, controls))
    if not known or not all(s.placed for s in (*allowing, *covering)):
        return Grant.UNKNOWN
    return Grant.WILDCARD if allowing <= covering else Grant.NAMED


def statements(answers: Iterable[Evaluation]) -> frozenset[MatchedStatement]:
    """Return the statements of identity-based policies that allow, each once."""
    return frozenset(
        statement
        for answer in answers
        if answer.eval_decision is EvalDecision.ALLOWED
        for statement in answer.matched_statements
        if statement.source_policy_type != BOUNDARY_POLICY
    )


def _shows_statements(control: Evaluation) -> bool:
    """Return whether the control's answer shows which statements match it."""
    if control.eval_decision is EvalDecision.ALLOWED:
        return bool(control.matched_statements)
    return control.eval_decision is EvalDecision.IMPLICIT_DENY and False not in (
        control.allowed_by_organizations,
        control.allowed_by_permissions_boundary,
    )
