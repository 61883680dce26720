"""Match the Condition element: operators, set operators, absent keys."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from ssmgate.policy_language.comparisons import COMPARISONS, Comparison, Verdict
from ssmgate.policy_language.context import Context
from ssmgate.policy_language.errors import PolicyError
from ssmgate.policy_language.values import read_bool
from ssmgate.policy_language.variables import Version, parse_template


class Outcome(enum.Enum):
    """Whether an element of a statement matched.

    UNDEFINED means that this is not known. An Allow does not apply then, a Deny does.
    """

    MATCHED = "matched"
    NOT_MATCHED = "not matched"
    UNDEFINED = "undefined"


class Cause(enum.Enum):
    """Why a condition matched or did not match."""

    VALUE_EQUAL = "the request's value is among the policy's"
    VALUE_DIFFERENT = "the request's value is not among the policy's"
    KEY_PRESENT = "the request has the key"
    KEY_ABSENT = "the request lacks the key"
    NEEDS_SET_OPERATOR = "the key is multivalued, the operator lacks ForAllValues or ForAnyValue"
    VARIABLE_UNRESOLVED = "a policy variable has no value in the request"
    NOT_COMPARABLE = "the values are not of the operator's type"


class SetOperator(enum.Enum):
    """How the values of a multivalued key are tested.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html
    """

    FOR_ALL_VALUES = "ForAllValues"
    FOR_ANY_VALUE = "ForAnyValue"


@dataclass(frozen=True, slots=True)
class Operator:
    """The parts of a condition operator such as `ForAnyValue:StringLikeIfExists`.

    `base` is a key of COMPARISONS, or `Null`.
    """

    base: str
    set_operator: SetOperator | None = None
    if_exists: bool = False

    @property
    def negated(self) -> bool:
        """Return whether this is a Not… operator, which an absent key satisfies; not Null."""
        return self.base != "Null" and COMPARISONS[self.base].negated

    def __str__(self) -> str:
        prefix = f"{self.set_operator.value}:" if self.set_operator else ""
        return f"{prefix}{self.base}{'IfExists' if self.if_exists else ''}"


def parse_operator(text: str) -> Operator:
    """Parse an operator. Names must be in AWS's spelling, including case.

    Raises PolicyError for an unknown operator, and for `Null` with IfExists. `Null` with a set
    operator tests what `Null` does (assumed: AWS documents neither form; public evaluators agree).
    """
    prefix, colon, name = text.rpartition(":")
    base = name.removesuffix("IfExists")
    try:
        operator = Operator(base, SetOperator(prefix) if colon else None, base != name)
    except ValueError:
        raise PolicyError(f"unknown set operator {prefix!r}") from None
    if base == "Null" and not operator.if_exists:
        return operator
    if base not in COMPARISONS:
        raise PolicyError(f"unknown condition operator {text!r}")
    return operator


@dataclass(frozen=True, slots=True)
class Condition:
    """One key of a Condition element. `values` are alternatives, in the policy's order."""

    operator: Operator
    key: str
    values: tuple[str, ...]

    def check(self, version: Version) -> None:
        """Raise PolicyError unless the key is valid and the values are valid for the operator.

        Whether the key exists, and whether the operator is for its type, is not checked.
        """
        vendor, colon, name = self.key.partition(":")
        if not (vendor and colon and name):
            raise PolicyError(f"condition key {self.key!r} must be prefaced by a vendor")
        if self.operator.base != "Null":
            for value in self.values:
                COMPARISONS[self.operator.base].check(value, version)

    def variables(self, version: Version) -> tuple[str, ...]:
        """Return the keys that the policy's values use as policy variables."""
        if not takes_variables(self.operator.base):
            return ()
        return tuple(
            variable.key
            for value in self.values
            for variable in parse_template(value, version).variables
        )


def takes_variables(base: str) -> bool:
    """Return whether values of the operator `base` may have policy variables."""
    return base.startswith(("String", "Arn", "Bool"))


@dataclass(frozen=True, slots=True)
class ConditionMatch:
    """The result of one condition. `values` are those of the request, None if it lacks the key."""

    condition: Condition
    outcome: Outcome
    cause: Cause
    values: tuple[str, ...] | None


def match_condition(condition: Condition, version: Version, context: Context) -> ConditionMatch:
    """Match `condition`, which has passed its `check`, against the request.

    If the key is absent, an operator is false and its negation true; with IfExists or
    ForAllValues it is true, with ForAnyValue false. Set operators are applied after negation, so
    `ForAnyValue:StringNotEquals` requires one value that differs.
    """
    found = context.get(condition.key)
    operator = condition.operator
    if found is None:
        outcome = _matched(_holds_for_absent_key(condition))
        return ConditionMatch(condition, outcome, Cause.KEY_ABSENT, None)

    def result(outcome: Outcome, cause: Cause) -> ConditionMatch:
        return ConditionMatch(condition, outcome, cause, found.values)

    if operator.base == "Null":
        wants_presence = any(not read_bool(value) for value in condition.values)
        return result(_matched(wants_presence), Cause.KEY_PRESENT)
    if found.multivalued and operator.set_operator is None:
        # Observed for operators, negations and IfExists, even with one value.
        return result(Outcome.NOT_MATCHED, Cause.NEEDS_SET_OPERATOR)

    comparison = COMPARISONS[operator.base]
    results = [_match_value(condition, comparison, version, v, context) for v in found.values]
    every = operator.set_operator is SetOperator.FOR_ALL_VALUES
    decisive = Outcome.NOT_MATCHED if every else Outcome.MATCHED
    for outcome in (decisive, Outcome.UNDEFINED):
        for value_result in results:
            if value_result[0] is outcome:
                return result(*value_result)
    return result(*results[0])


def _matched(holds: bool) -> Outcome:
    return Outcome.MATCHED if holds else Outcome.NOT_MATCHED


def _holds_for_absent_key(condition: Condition) -> bool:
    operator = condition.operator
    if operator.base == "Null":
        return any(read_bool(value) for value in condition.values)
    if operator.if_exists:
        return True
    if operator.set_operator is not None:
        return operator.set_operator is SetOperator.FOR_ALL_VALUES
    return operator.negated


def _match_value(
    condition: Condition, comparison: Comparison, version: Version, value: str, context: Context
) -> tuple[Outcome, Cause]:
    cause = Cause.VALUE_DIFFERENT
    for text in condition.values:
        verdict = comparison.compare(text, version, value, context)
        if verdict is Verdict.EQUAL:
            return _matched(not comparison.negated), Cause.VALUE_EQUAL
        # In the policy's order, as observed: a match ends the comparison, whatever values follow.
        if verdict is Verdict.UNDEFINED:
            return Outcome.UNDEFINED, Cause.NOT_COMPARABLE
        if verdict is Verdict.UNREADABLE:
            return Outcome.NOT_MATCHED, Cause.NOT_COMPARABLE
        if verdict is Verdict.UNRESOLVED:
            cause = Cause.VARIABLE_UNRESOLVED
    return _matched(comparison.negated), cause
