"""Work out each result that a condition or a Resource element may have if keys are unknown.

No possible result is left out. Results that cannot occur together may be included.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce

from ssmgate.gate.decision.wildcards import Pattern, Wildcard, like
from ssmgate.policy_language.comparisons import COMPARISONS, Verdict
from ssmgate.policy_language.conditions import (
    Condition,
    Outcome,
    SetOperator,
    match_condition,
    takes_variables,
)
from ssmgate.policy_language.context import Context, Values
from ssmgate.policy_language.document import Policy, Statement
from ssmgate.policy_language.knowledge import (
    ANYTHING,
    Presence,
    Resolved,
    Shape,
    Split,
    View,
    covers,
    intersect,
    literal,
    split_shape,
)
from ssmgate.policy_language.patterns import (
    ARN_PARTS,
    Cover,
    pattern_covers,
    split_arn,
    split_pattern,
    variable_before_name,
)
from ssmgate.policy_language.statements import uncovered
from ssmgate.policy_language.values import read_bool
from ssmgate.policy_language.variables import Variable, Version, parse_template

Outcomes = frozenset[Outcome]
Verdicts = frozenset[Verdict]

_FIVE = 5
_EITHER = frozenset({Verdict.EQUAL, Verdict.DIFFERENT})


def condition_outcomes(
    condition: Condition, version: Version, view: View, splits: list[Split]
) -> Outcomes:
    """Return the possible results of `condition`, and add what they depend on to `splits`."""
    if view.get(condition.key) is Presence.UNKNOWN:
        results = [
            condition_outcomes(condition, version, assumed, splits)
            for assumed in view.assuming(Split(condition.key))
        ]
        splits.insert(0, Split(condition.key))
        return frozenset().union(*results)
    operator, key = str(condition.operator), condition.key.lower()
    atom = ("condition", operator, key, version.value, *condition.values)
    if atom in view.outcomes:
        return frozenset({view.outcomes[atom]})
    outcomes = _present_outcomes(condition, version, view, splits)
    if len(outcomes) > 1:
        splits.append(Split(condition.key, atom, outcomes=tuple(outcomes)))
    return outcomes


def _present_outcomes(
    condition: Condition, version: Version, view: View, splits: list[Split]
) -> Outcomes:
    """Return the possible results if it is known whether the key is present."""
    found = view.get(condition.key)
    if isinstance(found, Values):
        if condition.operator.base == "Null" or _needs_set_operator(condition, found.multivalued):
            return _as_if(condition, version, found)
        each = [_value_outcomes(condition, version, view, splits, value) for value in found.values]
        return _combined(condition, each)
    if found is Presence.ABSENT:
        return _as_if(condition, version, None)
    multivalued = found is Presence.MULTIVALUED
    if condition.operator.base == "Null" or _needs_set_operator(condition, multivalued):
        return _as_if(condition, version, Values(("",), multivalued))
    # What one value of several is compared with is not assumed: the values differ.
    one = _value_outcomes(condition, version, view, [] if multivalued else splits, None)
    return _combined(condition, [one, one, one] if multivalued else [one])


def _needs_set_operator(condition: Condition, multivalued: bool) -> bool:
    return multivalued and condition.operator.set_operator is None


def _as_if(condition: Condition, version: Version, found: Values | None) -> Outcomes:
    """Return the result for a key whose presence alone decides."""
    values = {} if found is None else {condition.key: _entry(found)}
    return frozenset({match_condition(condition, version, Context(values)).outcome})


def _entry(found: Values) -> str | Sequence[str]:
    return found.values if found.multivalued else found.values[0]


def _combined(condition: Condition, each: Sequence[Outcomes]) -> Outcomes:
    """Return the possible results for several values, each with its possible results."""
    every = condition.operator.set_operator is SetOperator.FOR_ALL_VALUES
    order = [Outcome.NOT_MATCHED if every else Outcome.MATCHED, Outcome.UNDEFINED]
    order.append(Outcome.MATCHED if every else Outcome.NOT_MATCHED)

    def both(first: Outcomes, second: Outcomes) -> Outcomes:
        return frozenset(min(a, b, key=order.index) for a in first for b in second)

    return reduce(both, each)


def _value_outcomes(
    condition: Condition,
    version: Version,
    view: View,
    splits: list[Split],
    request_value: str | None,
) -> Outcomes:
    """Return the possible results for one value of the request, None if it is not known."""
    negated = condition.operator.negated
    matched, not_matched = Outcome.MATCHED, Outcome.NOT_MATCHED
    equal, different = (not_matched, matched) if negated else (matched, not_matched)
    possible: set[Outcome] = set()
    for policy_value in condition.values:
        verdicts = _verdicts(condition, version, view, splits, request_value, policy_value)
        if Verdict.EQUAL in verdicts:
            possible.add(equal)
        if Verdict.UNDEFINED in verdicts:
            possible.add(Outcome.UNDEFINED)
        if Verdict.UNREADABLE in verdicts:
            possible.add(not_matched)
        if Verdict.DIFFERENT not in verdicts:
            return frozenset(possible)
    return frozenset(possible | {different})


def _verdicts(
    condition: Condition,
    version: Version,
    view: View,
    splits: list[Split],
    request_value: str | None,
    policy_value: str,
) -> Verdicts:
    """Return the possible results of comparing a value of the request with one of the policy."""
    base = _positive(condition)
    verdicts = _unassumed(condition, version, view, splits, request_value, policy_value)
    if len(verdicts) == 1 or Verdict.EQUAL not in verdicts:
        return verdicts
    known = "" if request_value is None else f"={request_value}"
    atom = ("value", base, condition.key.lower(), known, version.value, policy_value)
    if atom in view.truths:
        return frozenset({Verdict.EQUAL}) if view.truths[atom] else verdicts - {Verdict.EQUAL}
    only = None
    if base == "StringEquals" and request_value is None:
        pieces = parse_template(policy_value, version, wildcards=False).pieces
        only = literal(tuple(p for p in pieces if not isinstance(p, Variable)))
        only = None if any(isinstance(p, Variable) for p in pieces) else only
    splits.append(Split(condition.key, atom, only))
    return verdicts


def _positive(condition: Condition) -> str:
    return condition.operator.base.replace("Not", "").replace("ArnEquals", "ArnLike")


def _unassumed(
    condition: Condition,
    version: Version,
    view: View,
    splits: list[Split],
    request_value: str | None,
    policy_value: str,
) -> Verdicts:
    base = _positive(condition)
    if not takes_variables(base):
        if request_value is not None:
            compare = COMPARISONS[condition.operator.base].compare
            return frozenset({compare(policy_value, version, request_value, Context())})
        return _EITHER | {Verdict.UNREADABLE} if base == "IpAddress" else _EITHER
    wildcards = base.startswith("Arn") or base == "StringLike"
    resolved = view.resolve(parse_template(policy_value, version, wildcards=wildcards), splits)
    shape: Shape = view.shape(condition.key) if request_value is None else tuple(request_value)
    if base.startswith("Arn"):
        return _arn_verdicts(resolved, shape)
    if resolved.pattern is None:
        return frozenset({Verdict.DIFFERENT})
    if base == "Bool":
        if request_value is None or not resolved.exact:
            return _EITHER
        equal = read_bool(literal(resolved.pattern) or "") is read_bool(request_value)
        return frozenset({Verdict.EQUAL if equal else Verdict.DIFFERENT})
    pattern = resolved.pattern
    if base == "StringEqualsIgnoreCase":
        pattern = _lower(pattern)
        shape = ANYTHING if request_value is None else tuple(_lower_text(request_value))
    verdicts = set()
    if intersect(pattern, shape):
        verdicts.add(Verdict.EQUAL)
    if not resolved.exact or not covers(pattern, shape):
        verdicts.add(Verdict.DIFFERENT)
    return frozenset(verdicts)


def _arn_verdicts(resolved: Resolved, shape: Shape) -> Verdicts:
    """Return the possible results for a value of `shape`, which is a literal or a pattern."""
    text = literal(shape)
    parts = split_shape(shape)
    if text is not None:
        is_arn = split_arn(text) is not None
    else:
        is_arn = intersect((*"arn:", *ANYTHING), shape)
    if not is_arn:
        return frozenset({Verdict.UNREADABLE})
    divided = len(parts) == ARN_PARTS
    verdicts = set() if divided else {Verdict.UNREADABLE}
    pattern = resolved.pattern
    if pattern is None:
        return frozenset(verdicts | {Verdict.DIFFERENT})
    if pattern == ANYTHING and resolved.exact:
        return frozenset(verdicts | {Verdict.EQUAL})
    if pattern.count(":") < _FIVE:
        if resolved.exact:
            return frozenset(verdicts | {Verdict.UNDEFINED})
        verdicts.add(Verdict.UNDEFINED)
    if not resolved.exact or not divided:
        # A variable or a wildcard of the shape may match colons, so parts cannot be compared.
        if intersect(pattern, shape):
            verdicts.add(Verdict.EQUAL)
        return frozenset(verdicts | {Verdict.DIFFERENT})
    pairs = list(zip(split_pattern(pattern) or (), parts, strict=True))
    if all(intersect(one, other) for one, other in pairs):
        verdicts.add(Verdict.EQUAL)
    if not all(covers(one, other) for one, other in pairs):
        verdicts.add(Verdict.DIFFERENT)
    return frozenset(verdicts)


def _lower_text(text: str) -> str:
    """Return `text` in lower case. The two lower cases of sigma are one (`str.lower`)."""
    return text.lower().replace("\u03c2", "\u03c3")


def _lower(pattern: Pattern) -> Pattern:
    return tuple(
        unit
        for piece in pattern
        for unit in ((piece,) if isinstance(piece, Wildcard) else _lower_text(piece))
    )


def resource_outcomes(
    policy: Policy, statement: Statement, resource: str, view: View, splits: list[Split]
) -> Outcomes:
    """Return the possible results of Resource or NotResource, and add to `splits`."""
    negated = statement.negated_resource
    each = [_covers(policy, text, resource, view, splits) for text in statement.resources]
    outcomes: set[Outcome] = set()
    if any(Cover.COVERED in possible for possible in each):
        outcomes.add(Outcome.NOT_MATCHED if negated else Outcome.MATCHED)
    others = [possible - {Cover.COVERED} for possible in each]
    if all(others):
        outcomes |= {uncovered(negated, choice) for choice in _choices(others)}
    return frozenset(outcomes)


def _choices(each: Sequence[frozenset[Cover]]) -> Iterable[set[Cover]]:
    """Yield the sets of covers that can occur together, as far as they matter."""
    if all(Cover.NOT_COVERED in possible for possible in each):
        yield {Cover.NOT_COVERED}
    if any(Cover.UNRESOLVED in possible for possible in each):
        yield {Cover.UNRESOLVED}


def _covers(
    policy: Policy, text: str, resource: str, view: View, splits: list[Split]
) -> frozenset[Cover]:
    template = parse_template(text, policy.version)
    if template.pieces == (Wildcard.ANY,):
        return frozenset({Cover.COVERED})
    if variable_before_name(template):
        return frozenset({Cover.UNRESOLVED})
    if resource == "*":
        return frozenset({Cover.NOT_COVERED})
    found: list[Split] = []
    resolved = view.resolve(template, found)
    if resolved.pattern is None:
        return frozenset({Cover.UNRESOLVED})
    atom = ("resource", policy.kind.value, policy.version.value, text)
    if resolved.exact:
        cover = pattern_covers(resolved.pattern, resource, policy.kind)
        if cover is not Cover.AMBIGUOUS:
            return frozenset({cover})
        possible = frozenset({Cover.COVERED, Cover.NOT_COVERED})
        found.append(Split(None, atom))
    elif like(resolved.pattern, resource):
        possible = frozenset(Cover) - {Cover.AMBIGUOUS}
        keys = [variable.key for variable in template.variables]
        unknown = (key for key in keys if view.get(key) in (Presence.UNKNOWN, Presence.SINGLE))
        found.append(Split(next(unknown), atom))
        if not resolved.may_lack_value:
            possible -= {Cover.UNRESOLVED}
    else:
        possible = frozenset({Cover.NOT_COVERED, Cover.UNRESOLVED})
        if not resolved.may_lack_value:
            possible -= {Cover.UNRESOLVED}
    if atom in view.truths and Cover.COVERED in possible:
        return frozenset({Cover.COVERED}) if view.truths[atom] else possible - {Cover.COVERED}
    splits += found
    return possible
