"""Conditions of statements in words, for an answer that depends on them."""

from __future__ import annotations

from collections.abc import Iterable

from ssmgate.policy_language.compiled import CompiledStatement
from ssmgate.policy_language.conditions import Condition, SetOperator
from ssmgate.policy_language.values import read_bool

_VERBS = {
    "StringEquals": "is",
    "StringEqualsIgnoreCase": "is, in any case,",
    "StringLike": "is like",
    "Bool": "is",
    "ArnEquals": "is like",
    "ArnLike": "is like",
    "IpAddress": "is in",
    "BinaryEquals": "is",
    "NumericEquals": "equals",
    "NumericLessThan": "is less than",
    "NumericLessThanEquals": "is at most",
    "NumericGreaterThan": "is more than",
    "NumericGreaterThanEquals": "is at least",
    "DateEquals": "is",
    "DateLessThan": "is before",
    "DateLessThanEquals": "is not after",
    "DateGreaterThan": "is after",
    "DateGreaterThanEquals": "is not before",
}
_NEGATED = {"equals": "does not equal"}
_MOST_VALUES = 3


def condition_in_words(condition: Condition) -> str:
    """Return `condition` as a clause: `aws:ResourceTag/env is "dev" or "test"`."""
    operator, key = condition.operator, condition.key
    if operator.base == "Null":
        absent = any(read_bool(value) for value in condition.values)
        return f"{key} is {'absent' if absent else 'present'}"
    base = operator.base.replace("Not", "")
    verb = _VERBS[base]
    if operator.negated:
        verb = _NEGATED.get(verb) or verb.replace("is", "is not", 1)
    values = [value if base == "Bool" else f'"{value}"' for value in condition.values]
    if len(values) > _MOST_VALUES:
        values = [*values[:_MOST_VALUES], f"{len(values) - _MOST_VALUES} more"]
    each = {SetOperator.FOR_ALL_VALUES: "each ", SetOperator.FOR_ANY_VALUE: "one "}
    prefix = each[operator.set_operator] if operator.set_operator else ""
    absent_too = " or is absent" if operator.if_exists else ""
    return f"{prefix}{key} {verb} {' or '.join(values)}{absent_too}"


def condition_words(undecided: Iterable[CompiledStatement]) -> str:
    """Return what an unknown answer depends on: of which statements the conditions have to hold.

    Some of the conditions may be known to hold. Empty for no statement.
    """
    allows: dict[str, None] = {}
    denies: dict[str, None] = {}
    for one in undecided:
        clauses = [condition_in_words(condition) for condition in one.statement.conditions]
        text = " and ".join(clauses) or "a policy variable or an incomplete ARN matches"
        (allows if one.allows else denies)[text] = None
    parts = [" or ".join(allows)] if allows else []
    parts += [f"unless {text}" for text in denies]
    return ", ".join(parts)
