"""How explicit a grant is: whether a statement names the document, or a wildcard covers it."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence

from ssmgate.gate.decision.evaluation import (
    BOUNDARY_POLICY,
    EvalDecision,
    Evaluation,
    MatchedStatement,
)


class Grant(enum.Enum):
    """How a document is granted. `UNKNOWN` where the statements cannot be told apart."""

    NAMED = "names the document"
    WILDCARD = "a wildcard over documents"
    ANY = "any resource"
    UNKNOWN = "not known"


def grant(answers: Sequence[Evaluation], controls: Sequence[Evaluation]) -> Grant:
    """NAMED, WILDCARD or UNKNOWN, for a document that IAM allows.

    `answers` are about the document, `controls` about `Question.control()`, with a boundary that
    allows everything where there is one. IAM does not list the statements that would have
    allowed where it denies: a control that is denied by anything but the lack of an allow says
    nothing.
    """
    allowing = statements(answers)
    covering = statements(controls)
    known = bool(allowing) and bool(controls) and all(map(_tells, controls))
    if not known or not all(s.placed for s in (*allowing, *covering)):
        return Grant.UNKNOWN
    return Grant.WILDCARD if allowing <= covering else Grant.NAMED


def statements(answers: Iterable[Evaluation]) -> frozenset[MatchedStatement]:
    """The statements of identity-based policies that allow, each once."""
    return frozenset(
        statement
        for answer in answers
        if answer.eval_decision is EvalDecision.ALLOWED
        for statement in answer.matched_statements
        if statement.source_policy_type != BOUNDARY_POLICY
    )


def _tells(control: Evaluation) -> bool:
    """Whether the control's answer shows which statements match it."""
    if control.eval_decision is EvalDecision.ALLOWED:
        return bool(control.matched_statements)
    return control.eval_decision is EvalDecision.IMPLICIT_DENY and False not in (
        control.allowed_by_organizations,
        control.allowed_by_permissions_boundary,
    )
