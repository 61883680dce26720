"""Prepare a condition once, for the many contexts that it is tested in."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ssmgate.gate.decision.wildcards import Wildcard
from ssmgate.policy_language.comparisons import COMPARISONS, Verdict
from ssmgate.policy_language.conditions import Condition, Outcome, SetOperator, match_condition
from ssmgate.policy_language.context import Context, Values
from ssmgate.policy_language.knowledge import Knowledge, View
from ssmgate.policy_language.matchers import arn_regex, compiled, text_set, units
from ssmgate.policy_language.patterns import split_arn
from ssmgate.policy_language.possible import Outcomes, condition_outcomes
from ssmgate.policy_language.values import read_bool
from ssmgate.policy_language.variables import Version, parse_template

Test = Callable[[str], Outcome]
"""The result for one value of the request."""

_NOT_MATCHED = frozenset({Outcome.NOT_MATCHED})
_ONLY = {outcome: frozenset({outcome}) for outcome in Outcome}


@dataclass(frozen=True, slots=True)
class PreparedCondition:
    """A condition whose operator and values are read.

    `test` is None for a condition with policy variables, which is interpreted. `absent` and
    `unknown` are the possible results if the request lacks the key, and if nothing is known of it.
    """

    condition: Condition
    version: Version
    key: str
    test: Test | None
    absent: Outcomes
    unknown: Outcomes
    of_multivalued: Outcomes | None
    every: bool

    def outcomes(self, context: Context, knowledge: Knowledge) -> Outcomes:
        """Return the possible results, as `possible.condition_outcomes` without assumptions."""
        if self.key in knowledge.shapes:
            return self._interpreted(context, knowledge)
        found = context.get_lower(self.key)
        if found is None:
            if knowledge.is_absent(self.condition.key):
                return self.absent
            return self.unknown if self.test else self._interpreted(context, knowledge)
        if found.multivalued and self.of_multivalued is not None:
            return self.of_multivalued
        if self.test is None:
            return self._interpreted(context, knowledge)
        if len(found.values) == 1:
            return _ONLY[self.test(found.values[0])]
        return _ONLY[_combined(map(self.test, found.values), self.every)]

    def fails_if_absent(self, context: Context, knowledge: Knowledge) -> bool:
        """Return whether the key may be absent, and the condition does not match then."""
        return (
            self.absent == _NOT_MATCHED
            and self.test is not None
            and self.key not in knowledge.shapes
            and context.get_lower(self.key) is None
            and not knowledge.is_absent(self.condition.key)
        )

    def _interpreted(self, context: Context, knowledge: Knowledge) -> Outcomes:
        return condition_outcomes(self.condition, self.version, View(context, knowledge), [])


def prepare_condition(condition: Condition, version: Version) -> PreparedCondition:
    """Prepare `condition`, which has passed its `check`."""
    operator = condition.operator
    null = operator.base == "Null"
    constant = null or not condition.variables(version)
    unknown = View(Context(), Knowledge())
    present = _as_if(condition, version, Values(("",))) if null else None
    multivalued = present
    if not null and operator.set_operator is None:
        multivalued = _NOT_MATCHED
    test: Test | None = None
    if present is not None:
        (outcome,) = present
        test = lambda _value: outcome  # noqa: E731
    elif constant:
        test = _test(condition, version)
    return PreparedCondition(
        condition,
        version,
        condition.key.lower(),
        test,
        _as_if(condition, version, None),
        condition_outcomes(condition, version, unknown, []) if constant else frozenset(),
        multivalued,
        operator.set_operator is SetOperator.FOR_ALL_VALUES,
    )


def _as_if(condition: Condition, version: Version, found: Values | None) -> Outcomes:
    context = Context({} if found is None else {condition.key: found.values[0]})
    return _ONLY[match_condition(condition, version, context).outcome]


def _combined(results: Iterable[Outcome], every: bool) -> Outcome:
    """Return the result for several values of one key, as `match_condition` combines them."""
    seen = set(results)
    decisive = Outcome.NOT_MATCHED if every else Outcome.MATCHED
    for outcome in (decisive, Outcome.UNDEFINED):
        if outcome in seen:
            return outcome
    return seen.pop()


def _test(condition: Condition, version: Version) -> Test:
    """Return the test of one value by a condition without policy variables."""
    comparison = COMPARISONS[condition.operator.base]
    equal, different = Outcome.MATCHED, Outcome.NOT_MATCHED
    if comparison.negated:
        equal, different = different, equal
    base = condition.operator.base.replace("Not", "")
    if base.startswith("String") or base == "Bool":
        among = _among(base, condition.values, version)
        return lambda value: equal if among(value) else different
    if base.startswith("Arn"):
        return _arn_test(condition.values, version, equal, different)

    def ordered(value: str) -> Outcome:
        for text in condition.values:
            verdict = comparison.compare(text, version, value, _NOTHING)
            if verdict is Verdict.EQUAL:
                return equal
            if verdict is Verdict.UNREADABLE:
                return Outcome.NOT_MATCHED
        return different

    return ordered


_NOTHING = Context()


def _among(base: str, values: tuple[str, ...], version: Version) -> Callable[[str], bool]:
    wildcards = base == "StringLike"
    patterns = [
        tuple(
            piece
            for piece in parse_template(text, version, wildcards=wildcards).pieces
            if isinstance(piece, str | Wildcard)
        )
        for text in values
    ]
    if wildcards:
        wanted = text_set(patterns)
        return lambda value: wanted.matches(units(value))
    texts = frozenset("".join(map(str, pattern)) for pattern in patterns)
    if base == "Bool":
        booleans = frozenset(map(read_bool, texts))
        return lambda value: read_bool(value) in booleans
    if base == "StringEqualsIgnoreCase":
        lower = frozenset(text.lower() for text in texts)
        return lambda value: value.lower() in lower
    return lambda value: value in texts


def _arn_test(
    values: tuple[str, ...], version: Version, equal: Outcome, different: Outcome
) -> Test:
    patterns = []
    for text in values:
        pieces = parse_template(text, version).pieces
        expression = arn_regex(tuple(p for p in pieces if isinstance(p, str | Wildcard)))
        patterns.append(None if expression is None else compiled(expression))

    def test(value: str) -> Outcome:
        if split_arn(value) is None:
            return Outcome.NOT_MATCHED
        text = units(value)
        for pattern in patterns:
            if pattern is None:
                return Outcome.UNDEFINED
            if pattern.match(text):
                return equal
        return different

    return test
