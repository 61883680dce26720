"""What a policy allows as a whole: a Deny statement of it may take back what another allows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from ssmgate.explain.target_questions import CHECK_KEY
from ssmgate.gate.decision.wildcards import Pattern, Wildcard, like
from ssmgate.policy_language import Context, Effect, Policies, Policy, Request, Statement
from ssmgate.policy_language.compiled import compile_policies
from ssmgate.policy_language.conditions import Condition
from ssmgate.policy_language.decide import Certainty
from ssmgate.policy_language.knowledge import Knowledge, intersect
from ssmgate.policy_tools.findings import DOCUMENT, NO_DOCUMENT, NODES, START, about, parts_of

_KEY = CHECK_KEY.lower()
_MOST_SAMPLES = 1000
_SAMPLES = {
    **dict(zip(NODES, ("i-0no0such0node", "mi-0no0such0node", "no-such-cluster/0"), strict=True)),
    DOCUMENT: NO_DOCUMENT.removeprefix(DOCUMENT[1]),
}
_PLACES = (("aws",), ("no-such-region-0",), ("000000000000",))
_NAMED = (r"aws[a-z-]*", r"[a-z]{2,}(?:-[a-z]+)+-[0-9]", r"[0-9]{12}")


def allows_unchecked_nodes(policy: Policy, statement: Statement) -> bool:
    """Return whether `statement` may allow a node although no document was checked.

    This depends on the Deny statements of `policy`, and on the conditions of them and of
    `statement`.
    """
    if any(map(_is_true, statement.conditions)):
        return False
    if not _denies(policy) and not any(one.key.lower() == _KEY for one in statement.conditions):
        return True
    arns = (arn for kind in NODES for arn in _samples(policy, statement, kind))
    return _may_allow(policy, statement, arns, "false")


def allows_any_document(policy: Policy, statement: Statement) -> bool:
    """Return whether `statement` may allow a document that `policy` does not name.

    Without Deny statements it does if it covers one, which is not checked.
    """
    if not _denies(policy):
        return True
    return _may_allow(policy, statement, _samples(policy, statement, DOCUMENT), "true")


def is_denied(policy: Policy, action: str) -> bool:
    """Return whether `policy` denies `action` on all resources, whatever the request."""
    return any(
        one.effect is Effect.DENY
        and about(one, action)
        and not one.conditions
        and not one.negated_resource
        and "*" in one.resources
        for one in policy.statements
    )


def _is_true(condition: Condition) -> bool:
    """Return whether a condition certainly does not hold where the key is false."""
    operator = condition.operator
    return (
        condition.key.lower() == _KEY
        and operator.base in ("Bool", "StringEquals")
        and not operator.negated
        and operator.set_operator is None
        and all(value.lower() == "true" for value in condition.values)
    )


def _denies(policy: Policy) -> tuple[Statement, ...]:
    return tuple(one for one in policy.statements if one.effect is Effect.DENY)


def _may_allow(policy: Policy, statement: Statement, arns: Iterable[str], check: str) -> bool:
    whole = Policy(policy.version, (statement, *_denies(policy)), kind=policy.kind)
    compiled = compile_policies(Policies((whole,)))
    context = Context({CHECK_KEY: check})
    for number, arn in enumerate(arns):
        decided = compiled.decide(Request(START, arn, context), Knowledge())
        if number == _MOST_SAMPLES or decided.certainty is not Certainty.DENIED:
            return True
    return False


def _samples(policy: Policy, statement: Statement, kind: tuple[str, str]) -> Iterator[str]:
    """Yield ARNs of `kind` that the statement may cover, and that no statement names.

    They are in partitions, regions and accounts that a statement names, and in others.
    """
    service, prefix = kind
    places = _places(policy)
    if statement.negated_resource:
        yield from _written(service, ((Wildcard.ANY,),) * 3, prefix + _SAMPLES[kind], places)
        return
    for text in statement.resources:
        parts = parts_of(text, policy)
        shape = (*prefix, Wildcard.ANY)
        if len(parts) < 6 or not like(parts[2], service) or not intersect(parts[5], shape):
            continue
        name = prefix + _SAMPLES[kind]
        if not like(parts[5], name):
            if kind == DOCUMENT:
                continue
            name = "".join(one if isinstance(one, str) else "0" for one in parts[5])
        yield from _written(service, (parts[1], parts[3], parts[4]), name, places)


def _places(policy: Policy) -> tuple[tuple[str, ...], ...]:
    """Return partitions, regions and accounts: those that a statement names, and others."""
    named: tuple[dict[str, None], ...] = tuple(dict.fromkeys(some) for some in _PLACES)
    for statement in policy.statements:
        for text in statement.resources:
            parts = text.split(":")
            for found, at, form in zip(named, (1, 3, 4), _NAMED, strict=True):
                if len(parts) > at and re.fullmatch(form, parts[at]):
                    found[parts[at]] = None
    return tuple(tuple(found) for found in named)


def _written(
    service: str, patterns: tuple[Pattern, ...], name: str, places: tuple[tuple[str, ...], ...]
) -> Iterator[str]:
    each = [
        [one for one in some if like(pattern, one)] or [_filled(pattern)]
        for pattern, some in zip(patterns, places, strict=True)
    ]
    for partition in each[0]:
        for region in each[1]:
            for account in each[2]:
                yield f"arn:{partition}:{service}:{region}:{account}:{name}"


def _filled(pattern: Pattern) -> str:
    return "".join(one if isinstance(one, str) else "0" for one in pattern)
