"""Parse, match and evaluate IAM policies, without I/O. Results explain; they never permit."""

from ssmgate.gate.decision.evaluation import EvalDecision
from ssmgate.policy_language.conditions import Cause, ConditionMatch, Outcome
from ssmgate.policy_language.context import Context
from ssmgate.policy_language.document import Effect, Policy, Statement, parse_policy
from ssmgate.policy_language.errors import PolicyError
from ssmgate.policy_language.evaluate import (
    Evaluation,
    Layer,
    LayerMatch,
    Policies,
    evaluate,
)
from ssmgate.policy_language.patterns import PolicyKind
from ssmgate.policy_language.source import Position
from ssmgate.policy_language.statements import (
    ElementMatch,
    Request,
    StatementMatch,
    match_statement,
)
from ssmgate.policy_language.variables import Version

__all__ = [
    "Cause",
    "ConditionMatch",
    "Context",
    "Effect",
    "ElementMatch",
    "EvalDecision",
    "Evaluation",
    "Layer",
    "LayerMatch",
    "Outcome",
    "Policies",
    "Policy",
    "PolicyError",
    "PolicyKind",
    "Position",
    "Request",
    "Statement",
    "StatementMatch",
    "Version",
    "evaluate",
    "match_statement",
    "parse_policy",
]
