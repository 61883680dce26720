"""The IAM policy language, without I/O: parse, match, evaluate. It explains, and never permits."""

from ssmgate.core.evaluation import EvalDecision
from ssmgate.policy.conditions import ConditionMatch, Outcome, Reason
from ssmgate.policy.context import Context
from ssmgate.policy.document import Effect, Policy, Statement, parse_policy
from ssmgate.policy.errors import PolicyError
from ssmgate.policy.evaluate import (
    Evaluation,
    Layer,
    LayerMatch,
    Policies,
    evaluate,
)
from ssmgate.policy.source import Position
from ssmgate.policy.statements import ElementMatch, Request, StatementMatch, match_statement
from ssmgate.policy.variables import Version

__all__ = [
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
    "Position",
    "Reason",
    "Request",
    "Statement",
    "StatementMatch",
    "Version",
    "evaluate",
    "match_statement",
    "parse_policy",
]
